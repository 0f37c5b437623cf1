//! Standard input and output towards one client: what `mantlet wrap` is to the program that started it. The
//! caller is the person whose process this is.

use std::sync::{Arc, Mutex};

use mantlet_access::{Caller, Means};
use mantlet_wire::{Id, Line, Lines, Version};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Gateway;
use crate::client::{Client, Endpoint, Frame, Outbound, lock};
use crate::path::decode::Decoded;
use crate::path::{self, Arrival, Face, Via};
use crate::refusal::Refusal;
use crate::upstream::stdio::one_line;

/// Messages of one client that are worked on at the same time; more wait in the pipe.
const AT_ONCE: usize = 128;
const FRAMES: usize = 64;

/// One connection over standard input: the session that it may have, and its stateless clients.
#[derive(Debug, Default)]
pub(crate) struct Port {
    session: Mutex<Option<Arc<Client>>>,
    stateless: Mutex<Vec<Arc<Client>>>,
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
        if !stateless.iter().any(|known| Arc::ptr_eq(known, client)) {
            stateless.push(Arc::clone(client));
        }
    }

    pub(crate) fn version(&self) -> Option<Version> {
        lock(&self.session).as_ref().map(|client| client.version())
    }

    /// The client that a message without a version of its own belongs to.
    pub(crate) fn client(&self, decoded: &Decoded) -> Option<Arc<Client>> {
        let session = lock(&self.session).clone();
        let newest = || lock(&self.stateless).last().cloned();
        match decoded.face() {
            Face::Legacy => session.or_else(newest),
            Face::Modern => newest(),
        }
    }

    /// Cancels a request of this connection, whichever client it runs under.
    pub(crate) fn cancel(&self, id: &Id) {
        let mut all = lock(&self.stateless).clone();
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
    let writer = tokio::spawn(write(frames, output));
    let mut running = read(&gateway, &caller, &via, &out, input).await;
    let deadline = gateway.in_force().settings.timeouts.drain;
    drop(tokio::time::timeout(deadline, async { while running.join_next().await.is_some() {} }).await);
    running.abort_all();
    gateway.close().await;
    *lock(&port.out) = None;
    drop((via, port, out));
    writer.abort();
    match writer.await {
        Ok(outcome) => outcome,
        Err(_) => Ok(()),
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
    // What only ends other messages must not wait behind them.
    let urgent = running.len() >= AT_ONCE;
    if urgent {
        running.join_next().await;
    }
    while running.try_join_next().is_some() {}
    let (gateway, caller, via, out) = (Arc::clone(gateway), caller.clone(), via.clone(), out.clone());
    // Order matters for what is no request: it is short, and done before the next line is read.
    let ordered = !text.windows(4).any(|four| four == b"\"id\"") || has_method(&text, b"initialize");
    let work = async move {
        let arrival = Arrival {
            text,
            caller,
            via,
            out: out.clone(),
        };
        let reply = path::from_client(&gateway, arrival).await;
        if reply.body.is_some() {
            out.last(reply).await;
        }
    };
    if ordered {
        work.await;
    } else {
        running.spawn(work);
    }
}

fn has_method(text: &[u8], method: &[u8]) -> bool {
    let head = text.get(..text.len().min(4_096)).unwrap_or_default();
    let mut quoted = Vec::with_capacity(method.len().saturating_add(2));
    quoted.push(b'"');
    quoted.extend_from_slice(method);
    quoted.push(b'"');
    head.windows(quoted.len())
        .any(|window| window == quoted.as_slice())
}

async fn write(
    mut frames: mpsc::Receiver<Frame>,
    mut output: impl AsyncWrite + Unpin + Send,
) -> std::io::Result<()> {
    while let Some(frame) = frames.recv().await {
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
    Ok(())
}
