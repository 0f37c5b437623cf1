//! The same road for what servers send on their own: questions to the client, notifications, progress, log
//! lines, changes of lists. Each is decided on, recorded and only then delivered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mantlet_access::{Action, Item};
use mantlet_wire::{Era, Id, Json, Kind, Message, Party, Raw, facts, key};

use super::authorise::may;
use crate::client::{Client, Outbound};
use crate::forward::{listen, questions};
use crate::refusal::{Reason, Refusal};
use crate::trail::Trail;
use crate::upstream::{Event, Link};
use crate::{Gateway, names};

/// Where an event comes from and where it may go.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) client: Arc<Client>,
    pub(crate) link: Arc<Link>,
    /// The stream of the request that it belongs to; none when it belongs to no request.
    pub(crate) out: Option<Outbound>,
    /// The client's own progress token for that request.
    pub(crate) progress: Option<Json>,
    /// The least severe log line that a stateless request asked for.
    pub(crate) log_level: Option<String>,
    /// Names and URIs are shown under the server's roof.
    pub(crate) renames: bool,
    /// Questions that are open: a waiting person is no slow server.
    pub(crate) open_questions: Arc<AtomicUsize>,
}

impl Context {
    pub(crate) fn outside(gateway: &Arc<Gateway>, client: &Arc<Client>, link: &Arc<Link>) -> Self {
        Self {
            gateway: Arc::clone(gateway),
            client: Arc::clone(client),
            link: Arc::clone(link),
            out: None,
            progress: None,
            log_level: None,
            renames: super::route::scope(gateway, &client.endpoint).len() > 1,
            open_questions: Arc::new(AtomicUsize::new(0)),
        }
    }
}

/// Takes one event down the road.
pub(crate) async fn event(cx: &Context, event: Event) {
    match event {
        Event::Notification(message) => notification(cx, message).await,
        Event::Ask(question) => ask(cx, question).await,
    }
}

fn begin(cx: &Context, message: &Message) -> Trail {
    let contents = cx.gateway.in_force().settings.audit.contents;
    let mut trail = Trail::begin(cx.gateway.next_exchange(), "server", contents);
    trail.transport(cx.link.transport());
    trail.caller(&cx.client.caller);
    trail.client(&cx.client);
    trail.server(&cx.link.server.name);
    trail.link(&cx.link);
    trail.message(message);
    trail.enter("authorise");
    trail
}

async fn notification(cx: &Context, message: Message) {
    let mut trail = begin(cx, &message);
    let verdict = known_notification(cx, &message);
    if let Err(refusal) = &verdict {
        trail.refused(refusal);
    }
    let forgets = matches!(message.method(), Some("notifications/tools/list_changed"));
    if forgets {
        cx.link.catalog.forget();
    }
    // INVARIANT: what cannot be recorded is not delivered.
    if cx.gateway.record(trail.end()).await.is_ok() && verdict.is_ok() {
        deliver(cx, &message).await;
    }
}

fn known_notification(cx: &Context, message: &Message) -> Result<(), Refusal> {
    let method = message.method().unwrap_or_default();
    super::decode::exact(message, Party::Server)?;
    let allowed = facts(method).is_some()
        || may(
            &cx.gateway,
            &cx.client,
            &cx.link.server.name,
            Action::Other,
            Item::Method(method),
        );
    if allowed {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::PolicyDenied,
            "a notification that no policy permits",
        ))
    }
}

/// Brings a notification to its client in the words of the client's era.
async fn deliver(cx: &Context, message: &Message) {
    match message.method().unwrap_or_default() {
        "notifications/progress" => progress(cx, message).await,
        "notifications/cancelled" => questions::withdrawn(cx, message).await,
        "notifications/message" => log_line(cx, message).await,
        "notifications/subscriptions/acknowledged" => {}
        _ if cx.client.era == Era::Modern => listen::to_subscribers(cx, message).await,
        _ => {
            let message = in_client_words(cx, message);
            match &cx.out {
                Some(out) => drop(out.event(message).await),
                None => cx.client.push.send(message).await,
            }
        }
    }
}

async fn progress(cx: &Context, message: &Message) {
    let (Some(token), Some(out)) = (&cx.progress, &cx.out) else {
        return;
    };
    let Some(theirs) = message.params().and_then(|params| params.get("progressToken")) else {
        return;
    };
    let mut edit = message.edit();
    edit.replace(theirs, token);
    out.event(edit.finish()).await;
}

/// A client of the stateless era gets log lines for a request that asked for them, on that request's stream
/// only; one of the initialize era gets what its server sends.
async fn log_line(cx: &Context, message: &Message) {
    let stream = cx.out.clone().or_else(|| cx.client.newest_stream());
    match cx.client.era {
        Era::Modern => {
            let level = message
                .params()
                .and_then(|params| params.get("level"))
                .and_then(Raw::text);
            let asked = cx
                .log_level
                .as_deref()
                .is_some_and(|least| severity(level.as_deref()) >= severity(Some(least)));
            if let Some(out) = stream.filter(|_| asked) {
                out.event(message.clone()).await;
            }
        }
        Era::Legacy => match stream {
            Some(out) => drop(out.event(message.clone()).await),
            None => cx.client.push.send(message.clone()).await,
        },
    }
}

/// RFC 5424 §6.2.1 severities, the worst highest.
pub(crate) fn severity(level: Option<&str>) -> u8 {
    match level.unwrap_or_default() {
        "info" => 1,
        "notice" => 2,
        "warning" => 3,
        "error" => 4,
        "critical" => 5,
        "alert" => 6,
        "emergency" => 7,
        _ => 0,
    }
}

/// Puts the client's URIs in and takes out what its era does not know.
fn in_client_words(cx: &Context, message: &Message) -> Message {
    let Some(params) = message.params() else {
        return message.clone();
    };
    let mut edit = message.edit();
    if cx.renames
        && let Some(uri) = params.get("uri")
        && let Some(text) = uri.text()
    {
        edit.replace(uri, &Json::text(&names::exposed_uri(&cx.link.server.name, &text)));
    }
    if let Some(meta) = params
        .get("_meta")
        .filter(|meta| meta.get(key::SUBSCRIPTION_ID).is_some())
    {
        if meta.members().count() == 1 {
            edit.remove(params, "_meta");
        } else {
            edit.remove(meta, key::SUBSCRIPTION_ID);
        }
    }
    edit.finish()
}

async fn ask(cx: &Context, question: Message) {
    let Some(id) = question.id().cloned() else { return };
    if question.method() == Some("ping") {
        let answer = Message::response(&id, Json::from_value(&serde_json::json!({})));
        drop(cx.link.send(answer).await);
        return;
    }
    match decide(cx, &question).await {
        // A stateless client can be asked only as the answer to a request of its own (MCP 2026-07-28 mrtr).
        Ok(()) if cx.client.era == Era::Modern && cx.link.era() == Era::Legacy => {
            if cx.link.hold(question).is_err() {
                let no = Message::error_response(Some(&id), -32601, "too many questions wait", None);
                drop(cx.link.send(no).await);
            }
        }
        Ok(()) => {
            let cx = cx.clone();
            cx.open_questions.fetch_add(1, Ordering::AcqRel);
            // A person may think about it for minutes; what else the server sends must not wait for that.
            tokio::spawn(async move {
                let answer = questions::put(&cx, &question).await;
                cx.open_questions.fetch_sub(1, Ordering::AcqRel);
                drop(cx.link.send(answer.with_id(&id)).await);
            });
        }
        Err(refusal) => drop(cx.link.send(no(&id, &refusal)).await),
    }
}

/// Decides on a question and records the decision. INVARIANT: what cannot be recorded is not asked.
pub(crate) async fn decide(cx: &Context, question: &Message) -> Result<(), Refusal> {
    let mut trail = begin(cx, question);
    let verdict = may_ask(cx, question);
    if let Err(refusal) = &verdict {
        trail.refused(refusal);
    }
    let recorded = cx.gateway.record(trail.end()).await;
    verdict.and(recorded)
}

fn no(id: &Id, refusal: &Refusal) -> Message {
    let code = match refusal.reason {
        Reason::ClientCannot => -32601,
        reason => reason.json_rpc(),
    };
    Message::error_response(Some(id), code, &refusal.public, None)
}

/// Whether this server may ask this client this: by policy, and by what the client can do.
pub(crate) fn may_ask(cx: &Context, question: &Message) -> Result<(), Refusal> {
    debug_assert!(question.kind() == Kind::Request, "questions are requests");
    super::decode::exact(question, Party::Server)?;
    let method = question.method().unwrap_or_default();
    let (action, capability) = match method {
        "sampling/createMessage" => (Action::Sample, Some("sampling")),
        "elicitation/create" => (Action::Elicit, Some("elicitation")),
        "roots/list" => (Action::ListRoots, Some("roots")),
        method if method.starts_with("tasks/") => (Action::UseTask, Some("tasks")),
        _ => (Action::Other, None),
    };
    let item = if action == Action::Other {
        Item::Method(method)
    } else {
        Item::Server
    };
    if !may(&cx.gateway, &cx.client, &cx.link.server.name, action, item) {
        return Err(Refusal::new(
            Reason::AskNotAllowed,
            "the gateway's policy does not let this server ask that",
        ));
    }
    if capability.is_some_and(|capability| !cx.client.hello.declares(capability)) {
        return Err(Refusal::new(
            Reason::ClientCannot,
            "the client did not declare that it can answer this",
        ));
    }
    Ok(())
}
