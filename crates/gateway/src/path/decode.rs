//! Stage: decode. Strict text in, a message out whose HTTP headers say the same as its body. Everything after
//! this stage reads the body only.

use std::sync::Arc;

use bytes::Bytes;
use mantlet_access::Caller;
use mantlet_inspect::headers::decode_text;
use mantlet_wire::{
    Body, Era, Json, Kind, Message, Named, Party, Raw, Twins, Version, facts, key, lookalike,
};

use crate::Gateway;
use crate::client::{Endpoint, Outbound};
use crate::listen::head::Head;
use crate::listen::stdio::Port;
use crate::refusal::{Reason, Refusal};

/// Which era this message is of; a property of the message, not of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    Legacy,
    Modern,
}

/// The door that a message came through.
#[derive(Clone, Debug)]
pub(crate) enum Via {
    Http { endpoint: Endpoint, head: Arc<Head> },
    Stdio { endpoint: Endpoint, port: Arc<Port> },
}

impl Via {
    pub(crate) fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Http { endpoint, .. } | Self::Stdio { endpoint, .. } => endpoint,
        }
    }

    pub(crate) fn transport(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Stdio { .. } => "stdio",
        }
    }

    pub(crate) fn head(&self) -> Option<&Head> {
        match self {
            Self::Http { head, .. } => Some(head),
            Self::Stdio { .. } => None,
        }
    }
}

/// A strict message, of a known caller, with headers that agree with it.
#[derive(Debug)]
pub(crate) struct Decoded {
    message: Message,
    caller: Caller,
    via: Via,
    out: Outbound,
    face: Face,
}

impl Decoded {
    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn via(&self) -> &Via {
        &self.via
    }

    pub(crate) fn out(&self) -> &Outbound {
        &self.out
    }

    pub(crate) fn face(&self) -> Face {
        self.face
    }
}

/// The strict parse. A batch passes only in a session that negotiated 2025-03-26.
pub(crate) fn body(gateway: &Gateway, text: Bytes, caller: &Caller, via: &Via) -> Result<Body, Refusal> {
    let body = mantlet_wire::body(text, &gateway.caps(), Twins::Anywhere)?;
    if let Body::Batch(messages) = &body {
        let version = match via {
            Via::Http { endpoint, head } => head
                .session
                .as_deref()
                .and_then(|id| {
                    let now = gateway.clock.now().micros();
                    gateway.clients.session(id, caller, endpoint, now).ok()
                })
                .map(|client| client.version()),
            Via::Stdio { port, .. } => port.version(),
        };
        let opens = messages
            .iter()
            .any(|message| message.method() == Some("initialize"));
        if !version.is_some_and(Version::batches) || opens {
            return Err(Refusal::new(
                Reason::BatchNotSupported,
                "batches exist in protocol version 2025-03-26 only: send each message by itself",
            ));
        }
    }
    Ok(body)
}

/// The era of a message: what its body says; without a word in the body, what the header says.
pub(crate) fn face(message: &Message, via: &Via) -> Face {
    let by_body = message.modern_version().is_some();
    let by_header = via
        .head()
        .and_then(|head| head.version.as_deref())
        .is_some_and(|version| {
            Version::parse(version).map_or_else(
                || is_date(version) && version > Version::LATEST.as_str(),
                |known| known.era() == Era::Modern,
            )
        });
    if by_body || by_header {
        Face::Modern
    } else {
        Face::Legacy
    }
}

/// Versions are dates (MCP basic/versioning), and compare as such: a later one than any known is of the new era.
fn is_date(version: &str) -> bool {
    version.len() == 10
        && version.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// Checks the headers against the body and makes the first type of the path.
pub(crate) fn message(message: Message, caller: Caller, via: Via, out: Outbound) -> Result<Decoded, Refusal> {
    exact(&message, Party::Client)?;
    let face = face(&message, &via);
    if face == Face::Modern {
        modern_envelope(&message, &via)?;
    } else if let Some(head) = via.head() {
        legacy_version(head)?;
    }
    Ok(Decoded {
        message,
        caller,
        via,
        out,
        face,
    })
}

/// A method that is nearly one of the specification: a policy would not know it, a careless server would. A method
/// that is one, but not of this kind or not of this sender: `tools/call` without an id would be a call that nobody
/// judges.
pub(crate) fn exact(message: &Message, from: Party) -> Result<(), Refusal> {
    let Some(method) = message.method() else {
        return Ok(());
    };
    let refused = |what: String| Err(Refusal::new(Reason::UnknownMethod, what));
    if let Some(known) = lookalike(method) {
        return refused(format!(
            "Method not found: this one can be mistaken for `{known}`; spell it exactly"
        ));
    }
    let Some(facts) = facts(method) else { return Ok(()) };
    match (facts.notification, message.kind()) {
        (true, Kind::Request) => refused(format!(
            "Method not found: `{method}` is a notification and has no id"
        )),
        (false, Kind::Notification) => refused(format!(
            "Method not found: `{method}` is a request and needs an id"
        )),
        _ if facts.by != Party::Both && facts.by != from => refused(format!(
            "Method not found: `{method}` is not for this side to send"
        )),
        _ => Ok(()),
    }
}

/// MCP 2025-11-25 basic/transports §Protocol Version Header: an unknown version is a 400.
fn legacy_version(head: &Head) -> Result<(), Refusal> {
    match head.version.as_deref() {
        None => Ok(()),
        Some(version) if Version::parse(version).is_some() => Ok(()),
        Some(version) => Err(unsupported(version, Era::Legacy)),
    }
}

/// What is offered instead is of the asker's era: as `server/discover` says in the one, as `initialize` negotiates in
/// the other.
fn unsupported(version: &str, era: Era) -> Refusal {
    let shown: String = version.chars().take(40).collect();
    let all: Vec<&str> = Version::ALL
        .iter()
        .rev()
        .filter(|version| version.era() == era)
        .map(|version| version.as_str())
        .collect();
    Refusal::new(
        Reason::UnsupportedVersion,
        format!(
            "protocol version `{shown}` is not supported: use one of {}",
            all.join(", ")
        ),
    )
    .with_data("supported", Json::from_serialize(&all))
    .with_data("requested", Json::text(&shown))
}

/// MCP 2026-07-28 basic/index §_meta and streamable-http §Server Validation.
fn modern_envelope(message: &Message, via: &Via) -> Result<(), Refusal> {
    if matches!(message.kind(), Kind::Response | Kind::Error) {
        return Err(Refusal::new(
            Reason::UnexpectedResponse,
            "clients of this protocol version send no responses: retry the request with `inputResponses`",
        ));
    }
    let named = message.modern_version();
    if let Some(head) = via.head() {
        version_header(head, named.as_deref())?;
    }
    if message.kind() == Kind::Notification {
        return Ok(());
    }
    let Some(version) = named else {
        return Err(missing_meta(key::PROTOCOL_VERSION));
    };
    if Version::parse(&version) != Some(Version::V2026_07_28) {
        return Err(unsupported(&version, Era::Modern));
    }
    exists(message)?;
    let capabilities = message.meta().and_then(|meta| meta.get(key::CLIENT_CAPABILITIES));
    if !capabilities.is_some_and(|value| matches!(value.shape(), mantlet_wire::Shape::Object)) {
        return Err(missing_meta(key::CLIENT_CAPABILITIES));
    }
    match via.head() {
        Some(head) => mirrored(head, message),
        None => Ok(()),
    }
}

/// Before anything else of the request is read: a method that this version has not may be shaped as it likes.
fn exists(message: &Message) -> Result<(), Refusal> {
    let method = message.method().unwrap_or_default();
    match facts(method) {
        Some(facts) if !facts.modern => Err(crate::forward::unknown_here(method)),
        _ => Ok(()),
    }
}

fn missing_meta(key: &str) -> Refusal {
    Refusal::new(
        Reason::MissingMeta,
        format!("the request's `_meta` lacks `{key}`, which each request must carry"),
    )
}

fn version_header(head: &Head, named: Option<&str>) -> Result<(), Refusal> {
    match (head.version.as_deref(), named) {
        (Some(header), Some(body)) if header == body => Ok(()),
        (Some(_), None) => Ok(()),
        (Some(_), Some(_)) => Err(mismatch(
            "MCP-Protocol-Version",
            "says another version than the body's `_meta`",
        )),
        (None, _) => Err(mismatch("MCP-Protocol-Version", "is missing")),
    }
}

/// MCP 2026-07-28 streamable-http §Standard Headers: `Mcp-Method` on all requests, `Mcp-Name` where the body
/// names something.
fn mirrored(head: &Head, message: &Message) -> Result<(), Refusal> {
    let method = message.method().unwrap_or_default();
    match head.method.as_deref() {
        Some(header) if header == method => {}
        Some(_) => return Err(mismatch("Mcp-Method", "says another method than the body")),
        None => return Err(mismatch("Mcp-Method", "is missing")),
    }
    let Some(wanted) = named_by_body(message) else {
        return Ok(());
    };
    match head.name.as_deref().map(decode_text) {
        Some(Ok(header)) if header == wanted => Ok(()),
        Some(Ok(_)) => Err(mismatch("Mcp-Name", "names something else than the body")),
        Some(Err(_)) => Err(mismatch("Mcp-Name", "is not valid base64 inside `=?base64?…?=`")),
        None => Err(mismatch("Mcp-Name", "is missing")),
    }
}

/// What `Mcp-Name` must say for this message.
pub(crate) fn named_by_body(message: &Message) -> Option<String> {
    let field = match facts(message.method()?)?.names? {
        Named::Tool | Named::Prompt => "name",
        Named::Resource => "uri",
        Named::Task => "taskId",
        Named::Completion => return None,
    };
    Some(message.params()?.get(field).and_then(Raw::text)?.into_owned())
}

fn mismatch(header: &str, what: &str) -> Refusal {
    Refusal::new(
        Reason::HeaderMismatch,
        format!("the header `{header}` {what}: mirror the body exactly"),
    )
}
