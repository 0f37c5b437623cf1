//! Standard input and output towards one client: what `mantlet wrap` is to the program that started it. The
//! caller is the person whose process this is.

use std::sync::{Arc, Mutex, Weak};

use mantlet_access::{Caller, Means};
use mantlet_wire::{Body, Id, Kind, Line, Lines, Message, Version};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::Gateway;
use crate::client::{Client, Endpoint, Frame, Outbound, lock};
use crate::path::decode::{self, Decoded};
use crate::path::{self, Face, Via};
use crate::refusal::Refusal;
use crate::upstream::stdio::one_line;

/// Requests that may be there besides those that run: refused ones, and answers that the client has not read. More
/// wait in the pipe.
const MORE: usize = 128;
const FRAMES: usize = 64;

/// One connection over standard input: the session that it may have, and its stateless clients.
#[derive(Debug, Default)]
pub(crate) struct Port {
    session: Mutex<Option<Arc<Client>>>,
    /// In the order of their last use. Only so many are kept alive, elsewhere.
    stateless: Mutex<Vec<Weak<Client>>>,
    out: Mutex<Option<Outbound>>,
}

impl Port {
    /// Makes this client the connection's session; false when it has one already.
    pub(crate) fn adopt(&self, client: &Arc<Client>) -> bool {
        let mut session = lock(&self.session);
        if session.is_some() {
            return false;
        }
        if let Some(out) = lock(&self.out).clone() {
            drop(client.push.open(out));
        }
        *session = Some(Arc::clone(client));
        true
    }

    /// Takes a session back whose `initialize` failed.
    pub(crate) fn release(&self, client: &Arc<Client>) {
        let mut session = lock(&self.session);
        if session.as_ref().is_some_and(|mine| Arc::ptr_eq(mine, client)) {
            *session = None;
        }
    }

    pub(crate) fn remember(&self, client: &Arc<Client>) {
        let mut stateless = lock(&self.stateless);
        let client = Arc::downgrade(client);
        if !stateless.last().is_some_and(|newest| newest.ptr_eq(&client)) {
            stateless.retain(|known| !known.ptr_eq(&client) && known.strong_count() > 0);
            stateless.push(client);
        }
    }

    pub(crate) fn version(&self) -> Option<Version> {
        lock(&self.session).as_ref().map(|client| client.version())
    }

    /// The client that a message without a version of its own belongs to.
    pub(crate) fn client(&self, decoded: &Decoded) -> Option<Arc<Client>> {
        let session = lock(&self.session).clone();
        let newest = || lock(&self.stateless).iter().rev().find_map(Weak::upgrade);
        match decoded.face() {
            Face::Legacy => session.or_else(newest),
            Face::Modern => newest(),
        }
    }

    /// Cancels a request of this connection, whichever client it runs under.
    pub(crate) fn cancel(&self, id: &Id) {
        let mut all: Vec<_> = lock(&self.stateless).iter().filter_map(Weak::upgrade).collect();
        all.extend(lock(&self.session).clone());
        for client in all {
            client.cancel(id);
        }
    }
}

/// Serves one client until its input ends, then lets what runs end, up to the drain deadline.
///
/// # Errors
/// The output can no longer be written.
pub async fn serve(
    gateway: Arc<Gateway>,
    server: &str,
    subject: String,
    input: impl AsyncRead + Unpin + Send,
    output: impl AsyncWrite + Unpin + Send + 'static,
) -> std::io::Result<()> {
    let caller = Caller {
        means: Means::LocalUser,
        subject,
    };
    let (to_client, frames) = mpsc::channel(FRAMES);
    let out = Outbound::new(to_client);
    let port = Arc::new(Port::default());
    *lock(&port.out) = Some(out.clone());
    let via = Via::Stdio {
        endpoint: Endpoint::One(server.into()),
        port: Arc::clone(&port),
    };
    let (end, ends) = oneshot::channel();
    let mut writer = tokio::spawn(write(frames, output, ends));
    let mut running = read(&gateway, &caller, &via, &out, input).await;
    let deadline = gateway.in_force().settings.timeouts.drain;
    drop(tokio::time::timeout(deadline, async { while running.join_next().await.is_some() {} }).await);
    running.abort_all();
    gateway.close().await;
    *lock(&port.out) = None;
    drop((via, port, out));
    // What has been said already is written, if the client still reads.
    let _gone = end.send(());
    match tokio::time::timeout(deadline, &mut writer).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Ok(()),
        Err(_) => {
            writer.abort();
            Ok(())
        }
    }
}

async fn read(
    gateway: &Arc<Gateway>,
    caller: &Caller,
    via: &Via,
    out: &Outbound,
    mut input: impl AsyncRead + Unpin + Send,
) -> JoinSet<()> {
    let cap = gateway.caps().message_bytes;
    let mut lines = Lines::new(cap);
    let mut running = JoinSet::new();
    let mut chunk = vec![0_u8; 64 * 1024];
    loop {
        let read = match input.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        lines.push(chunk.get(..read).unwrap_or_default());
        for line in lines.by_ref() {
            take(gateway, caller, via, out, line, cap, &mut running).await;
        }
        if out.is_gone() {
            break;
        }
    }
    if let Some(line) = lines.finish() {
        take(gateway, caller, via, out, line, cap, &mut running).await;
    }
    running
}

async fn take(
    gateway: &Arc<Gateway>,
    caller: &Caller,
    via: &Via,
    out: &Outbound,
    line: Line,
    cap: usize,
    running: &mut JoinSet<()>,
) {
    let text = match line {
        Line::Blank => return,
        Line::TooLong { bytes } => {
            let refusal = Refusal::new(
                crate::refusal::Reason::BodyTooLarge,
                format!(
                    "a line of {bytes} bytes is longer than {cap}, the most that is read; it was dropped"
                ),
            );
            let reply = path::refuse(gateway, via, Some(caller), refusal).await;
            out.last(reply).await;
            return;
        }
        Line::Text(text) => text,
    };
    let body = decode::body(gateway, text, caller, via);
    let (ordered, answered) = kind(&body);
    let (work_gateway, caller, via, out) = (Arc::clone(gateway), caller.clone(), via.clone(), out.clone());
    let work = async move {
        let reply = path::of_body(&work_gateway, body, caller, via, out.clone()).await;
        if answered && reply.body.is_some() {
            out.last(reply).await;
        }
    };
    if ordered {
        return work.await;
    }
    while running.try_join_next().is_some() {}
    // Requests beyond the cap are refused at once; this many are there only if the client does not read its answers.
    let most = gateway.in_force().settings.limits.in_flight.saturating_add(MORE);
    if running.len() >= most {
        running.join_next().await;
    }
    running.spawn(work);
}

/// Whether a message is dealt with before the next line is read, and whether it has an answer. Order matters for what
/// is no request, and for what opens the session; both are short, and must get through whatever runs.
fn kind(body: &Result<Body, Refusal>) -> (bool, bool) {
    let asks = |message: &Message| message.kind() == Kind::Request;
    match body {
        Ok(Body::Single(message)) => (
            !asks(message) || message.method() == Some("initialize"),
            asks(message),
        ),
        Ok(Body::Batch(messages)) => (!messages.iter().any(asks), true),
        // Nobody knows what it was: JSON-RPC 2.0 §5 has an answer without an id for that.
        Err(_) => (true, true),
    }
}

/// Writes what is said, and after `end` what has been said by then.
async fn write(
    mut frames: mpsc::Receiver<Frame>,
    mut output: impl AsyncWrite + Unpin + Send,
    mut end: oneshot::Receiver<()>,
) -> std::io::Result<()> {
    let mut ending = false;
    loop {
        let frame = tokio::select! {
            biased;
            frame = frames.recv() => frame,
            _ = &mut end, if !ending => {
                ending = true;
                frames.close();
                continue;
            }
        };
        let Some(frame) = frame else { return Ok(()) };
        let bytes = match frame {
            Frame::Event(message) => message.bytes().clone(),
            Frame::Last(reply) => match reply.body {
                Some(body) => body,
                None => continue,
            },
            // Of a stream over HTTP.
            Frame::Written(_) => continue,
        };
        output.write_all(&one_line(&bytes)).await?;
        output.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use mantlet_wire::{Caps, Twins};

    use super::*;

    fn kind_of(text: &'static str) -> (bool, bool) {
        let body = mantlet_wire::body(text.into(), &Caps::default(), Twins::Anywhere);
        kind(&body.map_err(Refusal::from))
    }

    #[test]
    fn only_what_is_short_or_opens_the_session_is_waited_for_and_only_requests_are_answered() {
        let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
        assert_eq!(kind_of(initialize), (true, true));
        let names_it = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":"initialize"}}}"#;
        assert_eq!(kind_of(names_it), (false, true));
        let note = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"id":1}}"#;
        assert_eq!(kind_of(note), (true, false));
        assert_eq!(kind_of(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), (true, false));
        assert_eq!(kind_of("{"), (true, true));
    }
}
