//! Questions that servers put to clients of the initialize era: sampling, elicitation, roots. Each travels under
//! an id of the gateway's own and is answered by the client it was put to, nobody else.

use std::sync::Arc;
use std::time::Duration;

use mantlet_wire::{Id, Json, Kind, Message, Raw};
use tokio::sync::oneshot;

use crate::client::{Ask, Client};
use crate::path::from_server::Context;
use crate::path::inspect::Cleared;
use crate::refusal::{Reason, Refusal};

/// How long a person may think.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Puts a question to the client and gives its answer, or an error that stands for none.
pub(crate) async fn put(cx: &Context, question: &Message) -> Message {
    match try_put(cx, question).await {
        Ok(answer) => answer,
        Err(refusal) => {
            let code = match refusal.reason {
                Reason::ClientCannot => -32601,
                reason => reason.json_rpc(),
            };
            Message::error_response(question.id(), code, &refusal.public, None)
        }
    }
}

async fn try_put(cx: &Context, question: &Message) -> Result<Message, Refusal> {
    let stream = cx.out.clone().filter(|out| !out.is_gone());
    let stream = stream
        .or_else(|| cx.client.newest_stream())
        .or_else(|| cx.client.push.stream())
        // Away, but it may come back for its stream.
        .or_else(|| cx.out.clone().filter(|out| !out.is_closed()));
    let Some(stream) = stream else {
        return Err(Refusal::new(
            Reason::ClientCannot,
            "the client has no open stream on which it could be asked",
        ));
    };
    let (answer, answered) = oneshot::channel();
    let theirs = question.meta().and_then(|meta| meta.get("progressToken"));
    let ask = Ask {
        answer,
        server_id: question.id().cloned(),
        progress: theirs.map(Raw::to_json),
        link: Arc::clone(&cx.link),
    };
    let id = cx.client.open_ask(ask)?;
    let _closed = CloseAsk {
        client: Arc::clone(&cx.client),
        id: id.clone(),
    };
    let mut edit = question.edit();
    edit.set_id(&id);
    if let Some(token) = theirs {
        edit.replace(token, &id.to_json());
    }
    if !stream.event(edit.finish()).await {
        return Err(Refusal::new(Reason::ClientCannot, "the client has gone"));
    }
    match tokio::time::timeout(PATIENCE, answered).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(Refusal::new(Reason::Cancelled, "the question was withdrawn")),
        Err(_) => {
            let params = Json::from_value(
                &serde_json::json!({ "requestId": id_value(&id), "reason": "no answer in time" }),
            );
            stream
                .event(Message::notification("notifications/cancelled", Some(params)))
                .await;
            Err(Refusal::new(
                Reason::ClientCannot,
                "the client did not answer in time",
            ))
        }
    }
}

/// Takes an open question off the books however it ends.
struct CloseAsk {
    client: Arc<Client>,
    id: Id,
}

impl Drop for CloseAsk {
    fn drop(&mut self) {
        drop(self.client.close_ask(&self.id));
    }
}

/// Brings a client's answer to the server that asked.
///
/// # Errors
/// Nobody asked for it.
pub(crate) fn answered(call: &Cleared) -> Result<(), Refusal> {
    debug_assert!(
        matches!(call.message().kind(), Kind::Response | Kind::Error),
        "an answer"
    );
    let ask = call.message().id().and_then(|id| call.client().close_ask(id));
    let delivered = ask.is_some_and(|ask| ask.answer.send(call.message().clone()).is_ok());
    if delivered {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::UnexpectedResponse,
            "nobody has asked for this answer (any more)",
        ))
    }
}

/// A server takes a question back: so does the gateway towards the client.
pub(crate) async fn withdrawn(cx: &Context, message: &Message) {
    let theirs = message
        .params()
        .and_then(|params| params.get("requestId"))
        .and_then(Raw::id);
    if let Some(theirs) = &theirs {
        cx.link.let_go(theirs);
    }
    let Some(id) = theirs.and_then(|theirs| cx.client.ask_of(&cx.link, &theirs)) else {
        return;
    };
    drop(cx.client.close_ask(&id));
    let params = Json::from_value(&serde_json::json!({ "requestId": id_value(&id) }));
    let note = Message::notification("notifications/cancelled", Some(params));
    match cx.out.clone().or_else(|| cx.client.newest_stream()) {
        Some(out) => drop(out.event(note).await),
        None => cx.client.push.send(note).await,
    }
}

pub(crate) fn id_value(id: &Id) -> serde_json::Value {
    match id {
        Id::Number(number) => (*number).into(),
        Id::Text(text) => text.as_ref().into(),
    }
}
