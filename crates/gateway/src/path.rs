//! The path of one message, both directions. Read this first.
//!
//! Each stage takes the type of the stage before by value, and only that stage can make its own type; a skipped
//! or reordered stage does not compile. What a stage does is in `path/<stage>.rs`.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use mantlet_access::Caller;
use mantlet_wire::{Body, Id, Json, Kind, Message};

use crate::Gateway;
use crate::client::Outbound;
use crate::recorder::counted_finding;
use crate::refusal::{Reason, Refusal};
use crate::trail::Trail;

pub(crate) mod approve;
pub(crate) mod authorise;
pub(crate) mod decode;
pub(crate) mod from_server;
pub(crate) mod identify;
pub(crate) mod inspect;
pub(crate) mod limit;
pub(crate) mod redact;
pub(crate) mod route;
pub(crate) mod validate;

pub(crate) use decode::{Face, Via};

/// What came from a client: the text of one message (or batch), from a caller who has proven who they are.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) text: Bytes,
    pub(crate) caller: Caller,
    pub(crate) via: Via,
    pub(crate) out: Outbound,
}

/// What goes back. `body` is empty for what is only taken note of.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Option<Bytes>,
    /// The id of a session that was opened.
    pub(crate) session: Option<String>,
}

/// The outcome of the path for a message that was not refused.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) message: Option<Message>,
    pub(crate) session: Option<String>,
}

/// Carries what a client sent to its server and the answer back.
pub(crate) async fn from_client(gateway: &Arc<Gateway>, arrival: Arrival) -> Reply {
    let Arrival {
        text,
        caller,
        via,
        out,
    } = arrival;
    let body = decode::body(gateway, text, &caller, &via);
    of_body(gateway, body, caller, via, out).await
}

/// The same for a door that must know what comes before it takes the next: one strict parse serves both.
pub(crate) async fn of_body(
    gateway: &Arc<Gateway>,
    body: Result<Body, Refusal>,
    caller: Caller,
    via: Via,
    out: Outbound,
) -> Reply {
    match body {
        Ok(Body::Single(message)) => one(gateway, message, caller, via, out).await.0,
        Ok(Body::Batch(messages)) => batch(gateway, messages, caller, via, out).await,
        Err(refusal) => {
            let mut trail = begin(gateway, &via);
            trail.caller(&caller);
            finish(gateway, trail, Err(refusal), None, Face::Legacy).await
        }
    }
}

/// Each message of a batch walks the path by itself (MCP 2025-03-26 basic/index §Batching; no other version has
/// batches, and `decode` has refused them there).
async fn batch(
    gateway: &Arc<Gateway>,
    messages: Vec<Message>,
    caller: Caller,
    via: Via,
    out: Outbound,
) -> Reply {
    let mut bodies: Vec<Bytes> = Vec::new();
    for message in messages {
        let asks = message.kind() == Kind::Request;
        let (reply, _) = Box::pin(one(gateway, message, caller.clone(), via.clone(), out.clone())).await;
        // JSON-RPC 2.0 §6: what is no request has no answer.
        bodies.extend(reply.body.filter(|_| asks));
    }
    if bodies.is_empty() {
        return Reply {
            status: StatusCode::ACCEPTED,
            body: None,
            session: None,
        };
    }
    let mut body = vec![b'['];
    for (index, one) in bodies.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(one);
    }
    body.push(b']');
    Reply {
        status: StatusCode::OK,
        body: Some(body.into()),
        session: None,
    }
}

async fn one(
    gateway: &Arc<Gateway>,
    message: Message,
    caller: Caller,
    via: Via,
    out: Outbound,
) -> (Reply, Option<Id>) {
    let mut trail = begin(gateway, &via);
    trail.caller(&caller);
    trail.message(&message);
    let id = message.id().cloned();
    let face = decode::face(&message, &via);
    let outcome = run(gateway, message, caller, via, out, &mut trail).await;
    (finish(gateway, trail, outcome, id.as_ref(), face).await, id)
}

async fn run(
    gateway: &Arc<Gateway>,
    message: Message,
    caller: Caller,
    via: Via,
    out: Outbound,
    trail: &mut Trail,
) -> Result<Answer, Refusal> {
    gateway.recorder().ready(gateway.clock.now()).await?; //             nothing runs that could not be recorded
    let msg = decode::message(message, caller, via, out)?; //            Decoded: the headers say what the body says
    let msg = identify::client(gateway, msg, trail)?; //                 Identified: whose session or stateless client
    let _slot = limit::admit(gateway, &msg)?; //                         given back when dropped
    let msg = route::server(gateway, msg, trail).await?; //              Routed: which server, which tool
    let grant = authorise::message(gateway, msg, trail)?; //             Granted: by policy
    let call = validate::arguments(gateway, grant, trail).await?; //     Valid: as the tool's schema says
    let call = inspect::request(call, trail); //                         Cleared
    let call = approve::if_needed(call); //                              Cleared, with its approval
    let answer = crate::forward::send(gateway, call, trail).await?; //   takes only Cleared
    let answer = inspect::answer(answer);
    Ok(redact::answer(answer, trail))
}

fn begin(gateway: &Gateway, via: &Via) -> Trail {
    let contents = gateway.in_force().settings.audit.contents;
    let mut trail = Trail::begin(gateway.next_exchange(), "client", contents);
    trail.transport(via.transport());
    trail.endpoint(via.endpoint());
    trail
}

/// INVARIANT: no record, no reply.
async fn finish(
    gateway: &Gateway,
    mut trail: Trail,
    outcome: Result<Answer, Refusal>,
    id: Option<&Id>,
    face: Face,
) -> Reply {
    match &outcome {
        Ok(Answer {
            message: Some(message),
            ..
        }) => trail.answer(message),
        Ok(Answer { message: None, .. }) => {}
        Err(refusal) => trail.refused(refusal),
    }
    let outcome = match gateway.record(trail.end()).await {
        Ok(()) => outcome,
        Err(unavailable) => Err(unavailable),
    };
    reply(outcome, id, face)
}

/// Records a refusal that came before there was a message, such as a wrong `Host`.
pub(crate) async fn refuse(gateway: &Gateway, via: &Via, caller: Option<&Caller>, refusal: Refusal) -> Reply {
    let mut trail = begin(gateway, via);
    trail.enter("listen");
    match caller {
        Some(caller) => trail.caller(caller),
        None => match gateway.recorder().stranger(gateway.clock.now()) {
            Some(0) => {}
            Some(counted) => trail.reason(counted_finding(counted)),
            None => return reply(Err(refusal), None, Face::Legacy),
        },
    }
    finish(gateway, trail, Err(refusal), None, Face::Legacy).await
}

fn reply(outcome: Result<Answer, Refusal>, id: Option<&Id>, face: Face) -> Reply {
    match outcome {
        Ok(Answer {
            message: Some(message),
            session,
        }) => Reply {
            status: status_of(&message, face),
            body: Some(message.bytes().clone()),
            session,
        },
        Ok(Answer {
            message: None,
            session,
        }) => Reply {
            status: StatusCode::ACCEPTED,
            body: None,
            session,
        },
        Err(refusal) => {
            // MCP 2026-07-28 streamable-http: an unknown method is HTTP 404.
            let status = match (refusal.reason, face) {
                (Reason::UnknownMethod, Face::Modern) => StatusCode::NOT_FOUND,
                (reason, _) => reason.status(),
            };
            // A refused notification has no answer over JSON-RPC, only its HTTP status.
            let status = if id.is_none() && status == StatusCode::OK {
                StatusCode::BAD_REQUEST
            } else {
                status
            };
            let message = match (refusal.reason, id) {
                (Reason::InvalidArguments, Some(id)) => tool_error(&refusal, id, face),
                _ => refusal.to_message(id),
            };
            Reply {
                status,
                body: Some(message.bytes().clone()),
                session: None,
            }
        }
    }
}

/// Where a result that refuses a call says why.
const REASON: &str = "io.mantlet/reason";

/// Wrong arguments are told as a tool's own error, which the model reads and can mend (MCP server/tools §Error
/// Handling, SEP-1303).
fn tool_error(refusal: &Refusal, id: &Id, face: Face) -> Message {
    let mut result = serde_json::json!({
        "content": [{ "type": "text", "text": refusal.public }],
        "isError": true,
        "_meta": { REASON: refusal.reason.code() },
    });
    if let (Face::Modern, Some(result)) = (face, result.as_object_mut()) {
        result.insert("resultType".to_owned(), "complete".into());
    }
    Message::response(id, Json::from_value(&result))
}

/// The HTTP status of an error that came from a server of the stateless era (MCP 2026-07-28 streamable-http).
fn status_of(message: &Message, face: Face) -> StatusCode {
    let code = message
        .error()
        .and_then(|error| error.get("code"))
        .and_then(mantlet_wire::Raw::int);
    match (face, code) {
        (Face::Modern, Some(-32601)) => StatusCode::NOT_FOUND,
        (Face::Modern, Some(-32022..=-32020)) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}
