//! Stage: authorise. Default deny: what no policy permits is refused, and lists are filtered by the same
//! decisions. The decision itself is in `mantlet-access`.

use std::ops::Deref;

use mantlet_access::{Action, Item, Question, Verdict};
use mantlet_wire::{Kind, facts};

use super::route::{Routed, Target};
use crate::Gateway;
use crate::client::Client;
use crate::refusal::{Reason, Refusal};
use crate::trail::Trail;

/// A message that policy permits.
#[derive(Debug)]
pub(crate) struct Granted {
    routed: Routed,
}

impl Deref for Granted {
    type Target = Routed;

    fn deref(&self) -> &Routed {
        &self.routed
    }
}

/// Decides. Where a message concerns all servers of an endpoint, each server is decided on when it is asked.
pub(crate) fn message(gateway: &Gateway, routed: Routed, trail: &mut Trail) -> Result<Granted, Refusal> {
    trail.enter("authorise");
    let message = routed.message();
    let asks = match message.kind() {
        Kind::Request => Some((
            action(message.method().unwrap_or_default(), routed.target()),
            routed.target().item(),
        )),
        Kind::Notification if message.method().and_then(facts).is_none() => {
            let method = message.method().unwrap_or_default();
            Some((Action::Other, Item::Method(method)))
        }
        // What a notification of the spec may do follows from what it refers to; an answer answers a question
        // that policy has let through.
        Kind::Notification | Kind::Response | Kind::Error => None,
    };
    if let (Some((action, item)), Some(server)) = (asks, routed.server()) {
        let item = match action {
            Action::Other => Item::Method(message.method().unwrap_or_default()),
            _ => item,
        };
        let question = Question {
            caller: routed.caller(),
            action,
            server: &server.name,
            item,
        };
        match gateway.in_force().authorizer.decide(&question) {
            Verdict::Allow { policies } => trail.policies(policies),
            Verdict::Refuse { policies, errors } => {
                trail.policies(policies);
                return Err(denied(&question, errors));
            }
        }
    }
    Ok(Granted { routed })
}

/// The action of the policy that a method is.
fn action(method: &str, target: &Target) -> Action {
    match (method, target) {
        ("tools/list", _) => Action::ListTools,
        ("tools/call", _) => Action::CallTool,
        ("prompts/list", _) => Action::ListPrompts,
        ("prompts/get", _) => Action::GetPrompt,
        ("resources/list" | "resources/templates/list", _) => Action::ListResources,
        ("resources/read", _) => Action::ReadResource,
        ("resources/subscribe", _) => Action::SubscribeResource,
        ("completion/complete", _) => Action::Complete,
        (method, _) if method.starts_with("tasks/") => Action::UseTask,
        (method, _) if facts(method).is_some() => Action::UseServer,
        _ => Action::Other,
    }
}

fn denied(question: &Question<'_>, errors: Vec<String>) -> Refusal {
    let what = match question.item {
        Item::Server => "this".to_owned(),
        Item::Tool(name) => format!("the tool `{}`", cut(name)),
        Item::Resource(uri) => format!("the resource `{}`", cut(uri)),
        Item::Prompt(name) => format!("the prompt `{}`", cut(name)),
        Item::Method(name) => format!("the method `{}`", cut(name)),
    };
    let mut refusal = Refusal::new(
        Reason::PolicyDenied,
        format!(
            "the gateway's policy does not permit {what} on server `{}`: ask its operator if you need it",
            question.server
        ),
    );
    refusal.operator = errors;
    refusal
}

fn cut(text: &str) -> String {
    text.chars().take(128).collect()
}

/// Whether one item of a list may be shown: the same decision as for its use.
pub(crate) fn may(gateway: &Gateway, client: &Client, server: &str, action: Action, item: Item<'_>) -> bool {
    let question = Question {
        caller: &client.caller,
        action,
        server,
        item,
    };
    matches!(
        gateway.in_force().authorizer.decide(&question),
        Verdict::Allow { .. }
    )
}
