//! Stage: forward. Takes only what is cleared to a server, and brings the answer back in the words of the
//! client's era. Where eras differ, the translation is in `forward/bridge` (old client, new server) and
//! `forward/park` (new client, old server).

use std::sync::Arc;

use mantlet_wire::{Era, Json, Kind, Message, Raw, facts};

use crate::Gateway;
use crate::path::inspect::Cleared;
use crate::path::{Answer, Face, Via};
use crate::refusal::{Reason, Refusal};
use crate::trail::Trail;

pub(crate) mod announce;
mod asked;
pub(crate) mod bridge;
pub(crate) mod exchange;
pub(crate) mod greet;
pub(crate) mod listen;
pub(crate) mod lists;
pub(crate) mod notify;
pub(crate) mod park;
pub(crate) mod questions;
pub(crate) mod results;
pub(crate) mod subscribe;

/// Forwards a cleared message.
pub(crate) async fn send(
    gateway: &Arc<Gateway>,
    call: Cleared,
    trail: &mut Trail,
) -> Result<Answer, Refusal> {
    trail.enter("forward");
    match call.message().kind() {
        Kind::Response | Kind::Error => {
            questions::answered(&call)?;
            Ok(Answer {
                message: None,
                session: None,
            })
        }
        Kind::Notification => {
            Box::pin(notify::pass(gateway, &call)).await?;
            Ok(Answer {
                message: None,
                session: None,
            })
        }
        Kind::Request => {
            let answer = until_cancelled(gateway, &call, trail).await?;
            let session = call.keep_session();
            Ok(Answer {
                message: Some(answer),
                session,
            })
        }
    }
}

/// Runs a request until it is answered or given up: by `notifications/cancelled`, or, for a stateless request
/// over HTTP, by closing the connection (MCP 2026-07-28 streamable-http §Cancellation; in the initialize era a
/// closed connection is no cancellation).
async fn until_cancelled(
    gateway: &Arc<Gateway>,
    call: &Cleared,
    trail: &mut Trail,
) -> Result<Message, Refusal> {
    let Some(id) = call.message().id() else {
        return Err(Refusal::new(Reason::Internal, "a request without an id"));
    };
    let client = call.client();
    let stateless_http = call.face() == Face::Modern && matches!(call.via(), Via::Http { .. });
    // Stateless clients of one caller choose their ids without knowing of each other.
    let running = (!stateless_http).then(|| client.start(id)).transpose()?;
    let _lent = running.as_ref().map(|_| client.lend_stream(call.out().clone()));
    let given_up = async {
        match &running {
            Some(running) => running.cancelled().await,
            None => call.out().gone().await,
        }
    };
    tokio::select! {
        answer = request(gateway, call, trail) => answer,
        () = given_up => Err(Refusal::new(Reason::Cancelled, "the request was cancelled")),
    }
}

async fn request(gateway: &Arc<Gateway>, call: &Cleared, trail: &mut Trail) -> Result<Message, Refusal> {
    let method = call.message().method().unwrap_or_default();
    exists_in_era(method, call.client().era)?;
    match (method, call.client().era) {
        // Boxed, since they are rare, so that the future of a call is small.
        ("initialize", _) => Box::pin(greet::initialize(gateway, call)).await,
        ("server/discover", _) => Box::pin(greet::discover(gateway, call)).await,
        ("ping", _) => Ok(done(call)),
        ("logging/setLevel", _) => Box::pin(subscribe::log_level(gateway, call)).await,
        ("resources/subscribe" | "resources/unsubscribe", _) => {
            Box::pin(subscribe::resource(gateway, call, trail)).await
        }
        ("subscriptions/listen", _) => Box::pin(listen::open(gateway, call)).await,
        ("tools/list" | "prompts/list" | "resources/list" | "resources/templates/list", _) => {
            Box::pin(lists::list(gateway, call, trail)).await
        }
        _ => {
            let Some(server) = call.server() else {
                return Err(Refusal::new(
                    Reason::UnknownMethod,
                    "this method is not known here",
                ));
            };
            let link = crate::links::to(gateway, call.client(), server).await?;
            trail.link(&link);
            exchange::run(gateway, call, &link).await
        }
    }
}

/// A method that the spec knows must exist in the client's era; others are left to their server.
fn exists_in_era(method: &str, era: Era) -> Result<(), Refusal> {
    let Some(facts) = facts(method) else { return Ok(()) };
    let exists = match era {
        Era::Legacy => facts.legacy,
        Era::Modern => facts.modern,
    };
    if exists { Ok(()) } else { Err(unknown_here(method)) }
}

/// A method of another version than the client's.
pub(crate) fn unknown_here(method: &str) -> Refusal {
    Refusal::new(
        Reason::UnknownMethod,
        format!("Method not found: `{method}` does not exist in this protocol version"),
    )
}

/// The empty result.
pub(crate) fn done(call: &Cleared) -> Message {
    let result = match call.client().era {
        Era::Legacy => serde_json::json!({}),
        Era::Modern => serde_json::json!({ "resultType": "complete" }),
    };
    respond(call, Json::from_value(&result))
}

/// A result of the gateway's own.
pub(crate) fn respond(call: &Cleared, result: Json) -> Message {
    match call.message().id() {
        Some(id) => Message::response(id, result),
        None => Message::error_response(None, -32603, "a request without an id", None),
    }
}

/// A text member of the params.
pub(crate) fn param(call: &Cleared, key: &str) -> Option<String> {
    call.message()
        .params()?
        .get(key)
        .and_then(Raw::text)
        .map(std::borrow::Cow::into_owned)
}
