//! Streamable HTTP for the echo server: HTTP/1.1 with keep-alive, one thread a connection, JSON bodies only. Loopback
//! only, and nothing that a web page sends is taken. Not here: what the messages mean, event streams, TLS.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufReader, Result, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::mcp::{self, Fault, HEADER_MISMATCH, INVALID_PARAMS, INVALID_REQUEST, Message};

mod head;
use head::{Head, Trouble};

/// Connections at the same time; each is a thread.
const MAX_CONNECTIONS: usize = 512;
const MAX_SESSIONS: usize = 4_096;
/// How long a connection may be silent.
const PATIENCE: Duration = Duration::from_secs(120);

/// Serves until the process is ended. Says on standard output where.
pub(crate) fn serve(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "mantlet-echo on http://{}/mcp", listener.local_addr()?)?;
    out.flush()?;
    drop(out);
    accept(&listener)
}

fn accept(listener: &TcpListener) -> Result<()> {
    let sessions = Arc::new(Sessions::default());
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of descriptors, most likely: some come back when a connection ends.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        let place = Place::take(&open);
        let sessions = Arc::clone(&sessions);
        let work = move || {
            let full = place.0.load(Ordering::Relaxed) > MAX_CONNECTIONS;
            // A connection that breaks is the client's own affair.
            let _broken = converse(stream, &sessions, full);
            drop(place);
        };
        // When no thread is to be had the connection is dropped with the closure.
        let _thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(work);
    }
}

/// One of the places for connections, given back when dropped.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The sessions of the era of `initialize`.
#[derive(Debug, Default)]
struct Sessions {
    open: RwLock<HashSet<String>>,
    made: AtomicU64,
    /// Keyed at random for each process: ids cannot be guessed from earlier ones.
    keys: [RandomState; 2],
}

impl Sessions {
    fn start(&self) -> Option<String> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let id: String = self
            .keys
            .iter()
            .map(|key| format!("{:016x}", key.hash_one(number)))
            .collect();
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        (open.len() < MAX_SESSIONS && open.insert(id.clone())).then_some(id)
    }

    fn knows(&self, id: &str) -> bool {
        self.open
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(id)
    }

    fn end(&self, id: &str) -> bool {
        self.open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id)
    }
}

#[derive(Debug)]
struct Response {
    status: u16,
    body: String,
    session: Option<String>,
}

impl Response {
    fn bare(status: u16) -> Self {
        Self {
            status,
            body: String::new(),
            session: None,
        }
    }

    fn json(status: u16, body: &serde_json::Value) -> Self {
        Self {
            body: body.to_string(),
            ..Self::bare(status)
        }
    }

    fn fault(fault: &Fault, id: Option<&serde_json::Value>) -> Self {
        Self::json(fault.status, &fault.answer(id))
    }

    /// One write, so that it leaves as one packet.
    fn write(&self, stream: &mut TcpStream, close: bool) -> Result<()> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        if !self.body.is_empty() {
            text.push_str("content-type: application/json\r\n");
        }
        if let Some(session) = &self.session {
            text.push_str(&format!("mcp-session-id: {session}\r\n"));
        }
        match self.status {
            // RFC 9110 §8.6: no length where there can be no body.
            204 => {}
            405 => text.push_str("allow: POST, DELETE\r\ncontent-length: 0\r\n"),
            _ => text.push_str(&format!("content-length: {}\r\n", self.body.len())),
        }
        text.push_str(if close {
            "connection: close\r\n\r\n"
        } else {
            "\r\n"
        });
        text.push_str(&self.body);
        stream.write_all(text.as_bytes())
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        404 => "Not Found",
        503 => "Service Unavailable",
        _ => "Refused",
    }
}

fn converse(stream: TcpStream, sessions: &Sessions, full: bool) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::with_capacity(16 * 1024, stream);
    if full {
        return Response::bare(503).write(&mut writer, true);
    }
    let mut body = Vec::new();
    loop {
        let head = match Head::read(&mut reader) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(()),
            Err(Trouble::Broke(error)) => return Err(error),
            // What follows cannot be told from a body: the connection ends.
            Err(Trouble::Refused(status)) => return Response::bare(status).write(&mut writer, true),
        };
        head.read_body(&mut reader, &mut body)?;
        respond(&head, &body, sessions).write(&mut writer, head.close)?;
        if head.close {
            return Ok(());
        }
    }
}

fn respond(head: &Head, body: &[u8], sessions: &Sessions) -> Response {
    if head.path != "/mcp" {
        return Response::bare(404);
    }
    // MCP 2026-07-28 streamable-http §Security Warning: only web pages send an `Origin`, and none has business here.
    if head.origin.is_some() {
        return Response::bare(403);
    }
    match head.method.as_str() {
        "POST" => post(head, body, sessions),
        "DELETE" => Response::bare(match &head.session {
            None => 400,
            Some(id) if sessions.end(id) => 204,
            Some(_) => 404,
        }),
        // There is no stream of the server's own: it never speaks first.
        _ => Response::bare(405),
    }
}

fn post(head: &Head, body: &[u8], sessions: &Sessions) -> Response {
    if !head.sends_json() {
        return Response::bare(415);
    }
    if !head.takes_json() {
        return Response::bare(406);
    }
    let message = match Message::read(body) {
        Ok(message) => message,
        Err(fault) => return Response::fault(&fault, None),
    };
    let modern = message.modern_version().is_some();
    let checked = if modern {
        modern_headers(head, &message).and_then(|()| mcp::check_modern(&message))
    } else {
        legacy_headers(head, &message, sessions)
    };
    let Some(id) = message.id() else {
        return match checked {
            Ok(()) => Response::bare(202),
            Err(fault) => Response::fault(&fault, None),
        };
    };
    if let Err(fault) = checked {
        return Response::fault(&fault, Some(id));
    }
    if !modern {
        // A status but 200 would speak of the session, not of the message: 404 ends it.
        let answer = Response::json(200, &mcp::whole(id, mcp::legacy(&message)));
        return greeted(answer, &message, sessions);
    }
    match mcp::modern(&message) {
        Ok(result) => Response::json(200, &mcp::whole(id, Ok(result))),
        Err(fault) => Response::fault(&fault, Some(id)),
    }
}

/// `initialize` starts a session.
fn greeted(mut response: Response, message: &Message, sessions: &Sessions) -> Response {
    if message.method() == "initialize" {
        response.session = sessions.start();
        if response.session.is_none() {
            return Response::bare(503);
        }
    }
    response
}

/// The headers say what the body says (MCP 2026-07-28 streamable-http §Standard Headers).
fn modern_headers(head: &Head, message: &Message) -> std::result::Result<(), Fault> {
    let wrong = |name: &str| {
        Fault::new(
            400,
            HEADER_MISMATCH,
            format!("`{name}` does not say what the body says"),
        )
    };
    if head.version.as_deref() != message.modern_version() {
        return Err(wrong("MCP-Protocol-Version"));
    }
    if message.id().is_none() {
        return Ok(());
    }
    if head.rpc_method.as_deref() != Some(message.method()) {
        return Err(wrong("Mcp-Method"));
    }
    match (message.name(), &head.name) {
        (None, _) => Ok(()),
        (Some(name), Some(said)) if plain(said).as_deref() == Some(name) => Ok(()),
        (Some(_), _) => Err(wrong("Mcp-Name")),
    }
}

/// The text behind `=?base64?…?=` (MCP 2026-07-28 streamable-http §Value Encoding); `None` where it is broken.
fn plain(value: &str) -> Option<String> {
    let coded = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    match coded {
        None => Some(value.to_owned()),
        Some(coded) => String::from_utf8(STANDARD.decode(coded).ok()?).ok(),
    }
}

/// MCP 2025-11-25 basic/transports §Session Management and §Protocol Version Header.
fn legacy_headers(head: &Head, message: &Message, sessions: &Sessions) -> std::result::Result<(), Fault> {
    match head.version.as_deref() {
        Some(mcp::MODERN) => {
            return Err(Fault::new(
                400,
                INVALID_PARAMS,
                "`_meta` lacks what version 2026-07-28 asks for",
            ));
        }
        Some(version) if !mcp::LEGACY.contains(&version) => {
            return Err(Fault::new(
                400,
                INVALID_REQUEST,
                "this version of the protocol is not supported",
            ));
        }
        _ => {}
    }
    match &head.session {
        _ if message.method() == "initialize" => Ok(()),
        None => Err(Fault::new(400, INVALID_REQUEST, "`Mcp-Session-Id` is missing")),
        Some(id) if sessions.knows(id) => Ok(()),
        Some(_) => Err(Fault::new(404, INVALID_REQUEST, "there is no such session")),
    }
}

#[cfg(test)]
mod tests;
