//! Stage: route. Which server a message is for, and what that server calls the thing that the message names.
//! On an endpoint of several servers names are looked up in their lists; nothing is guessed.

use std::ops::Deref;
use std::sync::Arc;

use mantlet_access::{Action, Item, Question, Verdict};
use mantlet_wire::{Kind, Named, Raw, facts};

use super::identify::Identified;
use crate::client::Endpoint;
use crate::refusal::{Reason, Refusal};
use crate::trail::Trail;
use crate::upstream::Server;
use crate::{Gateway, links, names};

/// What a message names, as its server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Nothing,
    Tool(String),
    Prompt(String),
    Resource(String),
}

impl Target {
    pub(crate) fn item(&self) -> Item<'_> {
        match self {
            Self::Nothing => Item::Server,
            Self::Tool(name) => Item::Tool(name),
            Self::Prompt(name) => Item::Prompt(name),
            Self::Resource(uri) => Item::Resource(uri),
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Tool(text) | Self::Prompt(text) | Self::Resource(text) => Some(text),
        }
    }
}

/// A message with its server. `server` is `None` where all servers of the endpoint are meant.
#[derive(Debug)]
pub(crate) struct Routed {
    identified: Identified,
    scope: Vec<Arc<Server>>,
    server: Option<Arc<Server>>,
    target: Target,
}

impl Deref for Routed {
    type Target = Identified;

    fn deref(&self) -> &Identified {
        &self.identified
    }
}

impl Routed {
    /// The servers that the endpoint shows.
    pub(crate) fn scope(&self) -> &[Arc<Server>] {
        &self.scope
    }

    pub(crate) fn server(&self) -> Option<&Arc<Server>> {
        self.server.as_ref()
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// True when names and URIs are shown under a server's own roof and must be rewritten.
    pub(crate) fn renames(&self) -> bool {
        self.scope.len() > 1
    }
}

/// The servers behind an endpoint.
pub(crate) fn scope(gateway: &Gateway, endpoint: &Endpoint) -> Vec<Arc<Server>> {
    let in_force = gateway.in_force();
    match endpoint {
        Endpoint::All => in_force.servers.clone(),
        Endpoint::One(name) => in_force.server(name).map(Arc::clone).into_iter().collect(),
    }
}

/// Finds the server.
pub(crate) async fn server(
    gateway: &Arc<Gateway>,
    identified: Identified,
    trail: &mut Trail,
) -> Result<Routed, Refusal> {
    trail.enter("route");
    let scope = scope(gateway, identified.via().endpoint());
    let (server, target) = match scope.as_slice() {
        [only] => (Some(Arc::clone(only)), named(&identified)?),
        _ => Box::pin(among(gateway, &identified, &scope)).await?,
    };
    if let Some(server) = &server {
        trail.server(&server.name);
    }
    if let Some(text) = target.text() {
        trail.item(text);
    }
    Ok(Routed {
        identified,
        scope,
        server,
        target,
    })
}

/// What the message names, in the words of whoever sent it.
fn named(msg: &Identified) -> Result<Target, Refusal> {
    let message = msg.message();
    if message.kind() != Kind::Request {
        return Ok(Target::Nothing);
    }
    let Some(names) = message
        .method()
        .and_then(facts)
        .and_then(|facts| facts.names.as_ref())
    else {
        return Ok(Target::Nothing);
    };
    let params = message.params();
    let field = |key: &str| {
        let text = params.and_then(|params| params.get(key)).and_then(Raw::text);
        text.map(std::borrow::Cow::into_owned).ok_or_else(|| {
            let method = message.method().unwrap_or_default();
            Refusal::new(
                Reason::InvalidParams,
                format!("`{method}` needs the text `{key}` in its params"),
            )
        })
    };
    match names {
        Named::Tool => field("name").map(Target::Tool),
        Named::Prompt => field("name").map(Target::Prompt),
        Named::Resource => field("uri").map(Target::Resource),
        Named::Task => field("taskId").map(|_| Target::Nothing),
        Named::Completion => completion(params.and_then(|params| params.get("ref"))),
    }
}

fn completion(reference: Option<Raw<'_>>) -> Result<Target, Refusal> {
    let wrong = || {
        Refusal::new(
            Reason::InvalidParams,
            "`completion/complete` needs `ref` with `type` `ref/prompt` and `name`, or `ref/resource` and `uri`",
        )
    };
    let reference = reference.ok_or_else(wrong)?;
    let text = |key: &str| {
        reference
            .get(key)
            .and_then(Raw::text)
            .map(std::borrow::Cow::into_owned)
    };
    match reference.get("type").and_then(Raw::text).as_deref() {
        Some("ref/prompt") => text("name").map(Target::Prompt).ok_or_else(wrong),
        Some("ref/resource") => text("uri").map(Target::Resource).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// Methods that concern all servers of an endpoint.
const FOR_ALL: &[&str] = &[
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "logging/setLevel",
    "subscriptions/listen",
];

async fn among(
    gateway: &Arc<Gateway>,
    msg: &Identified,
    scope: &[Arc<Server>],
) -> Result<(Option<Arc<Server>>, Target), Refusal> {
    let method = msg.message().method().unwrap_or_default();
    if msg.message().kind() != Kind::Request || FOR_ALL.contains(&method) {
        return Ok((None, Target::Nothing));
    }
    match named(msg)? {
        Target::Tool(name) => {
            let (server, local) =
                lookup(gateway, msg, scope, &name, links::tool_names, Reason::UnknownTool).await?;
            Ok((Some(server), Target::Tool(local)))
        }
        Target::Prompt(name) => {
            let (server, local) = lookup(
                gateway,
                msg,
                scope,
                &name,
                links::prompt_names,
                Reason::InvalidParams,
            )
            .await?;
            Ok((Some(server), Target::Prompt(local)))
        }
        Target::Resource(uri) => by_uri(scope, &uri),
        Target::Nothing if facts(method).is_some() => Err(Refusal::new(
            Reason::CannotCross,
            format!("`{method}` names no server: use the endpoint of one server, `/servers/NAME/mcp`"),
        )),
        Target::Nothing => Err(Refusal::new(
            Reason::UnknownMethod,
            "this method is not known here",
        )),
    }
}

fn by_uri(scope: &[Arc<Server>], shown: &str) -> Result<(Option<Arc<Server>>, Target), Refusal> {
    let found = names::local_uri(scope.iter().map(|server| server.name.as_ref()), shown);
    let found = found.and_then(|(name, uri)| {
        let server = scope.iter().find(|server| server.name.as_ref() == name)?;
        Some((Some(Arc::clone(server)), Target::Resource(uri.to_owned())))
    });
    found.ok_or_else(|| {
        Refusal::new(
            Reason::InvalidParams,
            "this resource belongs to no server of this endpoint: use a URI exactly as `resources/list` gives it",
        )
    })
}

/// Looks a shown name up in the lists of all servers that the caller may use.
async fn lookup(
    gateway: &Arc<Gateway>,
    msg: &Identified,
    scope: &[Arc<Server>],
    shown: &str,
    list: links::NamesOf,
    unknown: Reason,
) -> Result<(Arc<Server>, String), Refusal> {
    let mut found: Vec<(Arc<Server>, String)> = Vec::new();
    for server in scope.iter().filter(|server| may_use(gateway, msg, server)) {
        for local in list(gateway, msg.client(), server, shown).await {
            if names::exposed(&server.name, &local) == shown {
                found.push((Arc::clone(server), local));
            }
        }
    }
    let shown: String = shown.chars().take(128).collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Refusal::new(
            Reason::AmbiguousName,
            format!("`{shown}` is offered by more than one server: use the endpoint of one server"),
        )),
        (None, _) => Err(Refusal::new(
            unknown,
            format!("`{shown}` is not known here: use a name exactly as the list gives it"),
        )),
    }
}

/// Whether the caller may use this server at all; servers that they may not are not even started for them.
pub(crate) fn may_use(gateway: &Gateway, msg: &Identified, server: &Server) -> bool {
    let question = Question {
        caller: msg.caller(),
        action: Action::UseServer,
        server: &server.name,
        item: Item::Server,
    };
    matches!(
        gateway.in_force().authorizer.decide(&question),
        Verdict::Allow { .. }
    )
}
