//! How the answer to a POST goes out: as one JSON text, as a stream of events, or, in a session, as a stream that can
//! be taken up again. What comes first decides; so a status is never sent before it is known.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use tokio::sync::{mpsc, watch};

use super::stream::{self, Payload};
use super::work::Work;
use crate::client::{Client, Frame, Presence};
use crate::path::Reply;
use crate::refusal::{Reason, Refusal};

/// Messages of servers that wait for the answer which opens a session.
const MOST_SAID: usize = 64;

/// What is known of the asker and the question.
#[derive(Debug)]
pub(crate) struct Manner {
    /// The session, in the initialize era.
    pub(crate) session: Option<Arc<Client>>,
    /// The client names `text/event-stream` before `application/json`.
    pub(crate) prefers_events: bool,
    /// False where the answer has a header that a stream could no longer send: the id of a new session.
    pub(crate) may_begin: bool,
    pub(crate) keep_alive: Duration,
    /// Set for a stream that ends with the gateway only.
    pub(crate) end: Option<watch::Receiver<bool>>,
}

/// Waits for what comes first and answers accordingly. An answer that takes long becomes a stream, which shows that
/// there is life.
pub(crate) async fn answer(
    mut work: Work,
    mut frames: mpsc::Receiver<Frame>,
    presence: Presence,
    manner: Manner,
) -> Response<Payload> {
    if !manner.may_begin {
        return opening(work, frames, manner).await;
    }
    match tokio::time::timeout(manner.keep_alive, work.next(&mut frames)).await {
        Ok(None) => stream::whole(failed()),
        Ok(Some(Frame::Last(reply))) if !(manner.prefers_events && is_streamable(&reply)) => {
            stream::whole(reply)
        }
        Ok(Some(first)) => begin(Some(first), frames, presence, manner),
        Err(_) => begin(None, frames, presence, manner),
    }
}

/// The answer that opens a session: what the servers say meanwhile waits for it, since its head has the session's id.
async fn opening(mut work: Work, mut frames: mpsc::Receiver<Frame>, manner: Manner) -> Response<Payload> {
    let mut said = Vec::new();
    let reply = loop {
        match work.next(&mut frames).await {
            Some(Frame::Last(reply)) => break reply,
            Some(event) if said.len() < MOST_SAID => said.push(event),
            Some(_) => tracing::warn!("a message during the handshake was dropped: there were too many"),
            None => break failed(),
        }
    };
    if said.is_empty() || reply.status != StatusCode::OK {
        return stream::whole(reply);
    }
    let session = reply.session.clone();
    let (to, frames) = mpsc::channel(MOST_SAID.saturating_add(1));
    for frame in said.into_iter().chain([Frame::Last(reply)]) {
        // There is room for all of them.
        drop(to.try_send(frame));
    }
    stream::of_session(
        stream::events(None, frames, manner.keep_alive, manner.end),
        session,
    )
}

fn begin(
    first: Option<Frame>,
    frames: mpsc::Receiver<Frame>,
    presence: Presence,
    manner: Manner,
) -> Response<Payload> {
    match manner.session {
        Some(client) => {
            let replay = client.replays.begin(first, frames, presence, client.version());
            stream::events(None, replay.read(None), manner.keep_alive, manner.end)
        }
        None => stream::events(first, frames, manner.keep_alive, manner.end),
    }
}

fn is_streamable(reply: &Reply) -> bool {
    reply.status == StatusCode::OK && reply.body.is_some() && reply.session.is_none()
}

/// The task ended without an answer: it panicked. One message is lost, not the process.
fn failed() -> Reply {
    let refusal = Refusal::new(Reason::Internal, "the gateway failed on this message");
    Reply {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        body: Some(refusal.to_message(None).bytes().clone()),
        session: None,
    }
}
