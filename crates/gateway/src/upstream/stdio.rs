//! A server on standard input and output: one reader, one writer, one that drains the error stream, so that
//! no pipe can block another (MCP 2026-07-28 basic/transports/stdio).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mantlet_config::CommandLine;
use mantlet_wire::{Body, Caps, Line, Lines, Message, Twins, looks_like_header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::mux::Mux;
use super::process::{self, Pipes, Process};
use super::{Event, LinkError, Server};
use crate::Halves;
use crate::breach::Place;

/// Messages that wait to be written to one server.
const QUEUE: usize = 64;
/// How long a server may refuse to read before its channel counts as dead.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// And how long before nobody waits for it any more.
const STUCK: Duration = Duration::from_secs(2);
/// Lines of standard error that are shown per server and minute; all are read.
const STDERR_LINES: u64 = 200;
const STDERR_LINE: usize = 1_000;

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Stdio {
    mux: Arc<Mux>,
    process: Process,
    batches: Arc<AtomicBool>,
    stop: Arc<tokio::sync::Notify>,
}

/// Starts the server and the three tasks that serve its pipes.
pub(crate) async fn open(
    halves: &Halves,
    server: &Arc<Server>,
    line: &CommandLine,
    caps: &Caps,
    unsolicited: mpsc::Sender<Event>,
    place: &Place,
) -> Result<Stdio, LinkError> {
    let (to_server, queue) = mpsc::channel(QUEUE);
    let mux = Mux::new(Arc::clone(server), to_server, unsolicited);
    let witness = place.witness(Arc::clone(server), Arc::downgrade(&mux));
    let (pipes, process) = process::start(halves, server, line, witness).await?;
    let Pipes {
        stdin,
        stdout,
        stderr,
    } = pipes;
    let name = &server.name;
    let batches = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(tokio::sync::Notify::new());
    tokio::spawn(write(Arc::clone(&mux), stdin, queue, Arc::clone(&stop)));
    tokio::spawn(read(
        Arc::clone(name),
        Arc::clone(&mux),
        stdout,
        caps.clone(),
        Arc::clone(&batches),
    ));
    tokio::spawn(drain(Arc::clone(name), stderr));
    Ok(Stdio {
        mux,
        process,
        batches,
        stop,
    })
}

impl Stdio {
    pub(crate) fn mux(&self) -> &Arc<Mux> {
        &self.mux
    }

    /// JSON-RPC batches exist in revision 2025-03-26 only.
    pub(crate) fn allow_batches(&self) {
        self.batches.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn close(&self) {
        self.mux.leave();
        self.stop.notify_one();
        self.process.end().await;
    }
}

impl Drop for Stdio {
    fn drop(&mut self) {
        self.mux.leave();
        self.stop.notify_one();
        self.process.kill();
    }
}

async fn write(
    mux: Arc<Mux>,
    mut stdin: pipe::Sender,
    mut queue: mpsc::Receiver<Message>,
    stop: Arc<tokio::sync::Notify>,
) {
    loop {
        let message = tokio::select! {
            message = queue.recv() => message,
            () = stop.notified() => None,
        };
        let Some(message) = message else { break };
        let line = one_line(message.bytes());
        let writing = stdin.write_all(&line);
        tokio::pin!(writing);
        let written = match tokio::time::timeout(STUCK, &mut writing).await {
            Ok(written) => Ok(written),
            Err(_) => {
                mux.stuck(true);
                tokio::time::timeout(WRITE_PATIENCE, writing).await
            }
        };
        mux.stuck(false);
        if !matches!(written, Ok(Ok(()))) {
            mux.die();
            break;
        }
    }
}

/// The message on one line with its newline. Line breaks between tokens become spaces; inside strings JSON has
/// none (MCP basic/transports/stdio: no embedded newlines).
pub(crate) fn one_line(bytes: &Bytes) -> Vec<u8> {
    let mut line = Vec::with_capacity(bytes.len().saturating_add(1));
    line.extend(bytes.iter().map(|byte| {
        if matches!(byte, b'\n' | b'\r') {
            b' '
        } else {
            *byte
        }
    }));
    line.push(b'\n');
    line
}

async fn read(
    name: Arc<str>,
    mux: Arc<Mux>,
    mut stdout: pipe::Receiver,
    caps: Caps,
    batches: Arc<AtomicBool>,
) {
    let mut lines = Lines::new(caps.message_bytes);
    let mut chunk = vec![0_u8; 64 * 1024];
    loop {
        let read = match stdout.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        lines.push(chunk.get(..read).unwrap_or_default());
        for line in lines.by_ref() {
            take_line(&name, &mux, line, &caps, &batches).await;
        }
    }
    if let Some(line) = lines.finish() {
        take_line(&name, &mux, line, &caps, &batches).await;
    }
    mux.die();
}

async fn take_line(name: &Arc<str>, mux: &Arc<Mux>, line: Line, caps: &Caps, batches: &AtomicBool) {
    let text = match line {
        Line::Blank => return,
        Line::TooLong { bytes } => {
            mux.dropped(bytes);
            tracing::warn!(server = %name, bytes, "a line of the server was longer than the cap and was dropped");
            return;
        }
        Line::Text(text) => text,
    };
    match mantlet_wire::body(text.clone(), caps, Twins::WhereKnown) {
        Ok(Body::Single(message)) => mux.arrived(message).await,
        Ok(Body::Batch(messages)) if batches.load(Ordering::Relaxed) => {
            for message in messages {
                mux.arrived(message).await;
            }
        }
        Ok(Body::Batch(_)) => {
            mux.stray();
            tracing::warn!(server = %name, "the server sent a batch, which this protocol version does not have");
        }
        Err(reject) => {
            let hint = if looks_like_header(&text) {
                " (Content-Length framing is not MCP)"
            } else {
                ""
            };
            tracing::warn!(server = %name, %reject, "a line of the server is no message and was dropped{hint}");
            match reject.id().cloned() {
                Some(id) => mux.answered_badly(&id, LinkError::Rejected(reject)),
                None => mux.stray(),
            }
        }
    }
}

/// Reads standard error to its end, whatever it holds; shows some of it, without control characters.
async fn drain(name: Arc<str>, mut stderr: pipe::Receiver) {
    let mut lines = Lines::new(STDERR_LINE);
    let mut chunk = vec![0_u8; 16 * 1024];
    let (shown, mut window) = (AtomicU64::new(0), tokio::time::Instant::now());
    while let Ok(read) = stderr.read(&mut chunk).await {
        if read == 0 {
            break;
        }
        lines.push(chunk.get(..read).unwrap_or_default());
        for line in lines.by_ref() {
            if window.elapsed() > Duration::from_secs(60) {
                window = tokio::time::Instant::now();
                shown.store(0, Ordering::Relaxed);
            }
            if shown.fetch_add(1, Ordering::Relaxed) < STDERR_LINES {
                show(&name, &line);
            }
        }
    }
}

fn show(name: &Arc<str>, line: &Line) {
    match line {
        Line::Text(text) => tracing::info!(target: "server", server = %name, "{}", plain(text)),
        Line::TooLong { bytes } => {
            tracing::info!(target: "server", server = %name, "(a line of {bytes} bytes)")
        }
        Line::Blank => {}
    }
}

/// Text of a server made safe for a terminal and a log: control characters become `·`.
pub(crate) fn plain(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .chars()
        .map(|c| if c.is_control() { '·' } else { c })
        .collect()
}
