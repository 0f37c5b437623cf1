//! The JSON-RPC envelope around every MCP message (JSON-RPC 2.0 §4–6, MCP basic/index §Messages): found in the
//! text that the strict walk passed, kept as spans into it.

use std::borrow::Cow;

use bytes::Bytes;

use crate::caps::Caps;
use crate::edit::Edit;
use crate::era::key;
use crate::id::Id;
use crate::json::Json;
use crate::place::Place;
use crate::raw::{Raw, Shape};
use crate::reject::{Fault, Reject};
use crate::strict::{Span, Twins, Walk, text};

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Has a method and an id.
    Request,
    /// Has a method and no id.
    Notification,
    /// Has a result.
    Response,
    /// Has an error.
    Error,
}

/// One strict message: its text, and where the parts of the envelope are in it.
#[derive(Clone, Debug)]
pub struct Message {
    text: Bytes,
    kind: Kind,
    id: Option<Id>,
    method: Option<Box<str>>,
    spans: Spans,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spans {
    pub(crate) whole: Span,
    pub(crate) id: Option<Span>,
    pub(crate) params: Option<Span>,
    pub(crate) result: Option<Span>,
    pub(crate) error: Option<Span>,
}

/// What a text holds.
#[derive(Clone, Debug)]
pub enum Body {
    /// One message.
    Single(Message),
    /// A batch; protocol version 2025-03-26 only.
    Batch(Vec<Message>),
}

/// Reads one message.
///
/// # Errors
/// The text is not strict JSON, or no JSON-RPC message; see [`Fault`].
pub fn message(bytes: Bytes, caps: &Caps, twins: Twins) -> Result<Message, Reject> {
    let text = match text(&bytes, caps) {
        Ok(text) => text,
        Err(fault) => return Err(Reject::new(fault)),
    };
    let span = match Walk::new(text, caps, twins).document(Place::Envelope) {
        Ok(span) => span,
        Err(fault) => return Err(Reject::new(fault).with_id(rescued_id(text, caps))),
    };
    let parts = envelope(text, span, caps)?;
    Ok(parts.around(bytes))
}

/// Reads one message, or a batch of them.
///
/// # Errors
/// As [`message`]; and an empty batch, or one of more messages than the cap.
pub fn body(bytes: Bytes, caps: &Caps, twins: Twins) -> Result<Body, Reject> {
    let first = bytes.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    if first != Some(&b'[') {
        return message(bytes, caps, twins).map(Body::Single);
    }
    let text = text(&bytes, caps).map_err(Reject::new)?;
    let span = Walk::new(text, caps, twins).document(Place::Free).map_err(Reject::new)?;
    let whole = Raw::of(text, span.start, span.end);
    let mut messages = Vec::new();
    for item in whole.items() {
        if messages.len() >= caps.batch {
            return Err(Reject::new(Fault::BatchTooLarge { cap: caps.batch }));
        }
        // Walked again, this time as a message, so that the protocol's keys are known for what they are.
        messages.push(message(bytes.slice(item.start()..item.end()), caps, twins)?);
    }
    if messages.is_empty() {
        return Err(Reject::new(Fault::EmptyBatch));
    }
    Ok(Body::Batch(messages))
}

/// The parts of an envelope, still without its text.
struct Parts {
    kind: Kind,
    id: Option<Id>,
    method: Option<Box<str>>,
    spans: Spans,
}

impl Parts {
    fn around(self, text: Bytes) -> Message {
        Message { text, kind: self.kind, id: self.id, method: self.method, spans: self.spans }
    }
}

fn envelope(text: &str, whole: Span, caps: &Caps) -> Result<Parts, Reject> {
    let object = Raw::of(text, whole.start, whole.end);
    if object.shape() != Shape::Object {
        return Err(Reject::new(Fault::NotAnObject));
    }
    let mut spans = Spans { whole, ..Spans::default() };
    let (mut version, mut id_raw, mut method) = (None, None, None);
    for (key, value) in object.members() {
        let span = Some(Span { start: value.start(), end: value.end() });
        match key.as_ref() {
            "jsonrpc" => version = Some(value),
            "id" => (id_raw, spans.id) = (Some(value), span),
            "method" => method = Some(value),
            "params" => spans.params = span,
            "result" => spans.result = span,
            "error" => spans.error = span,
            _ => {}
        }
    }
    let id = id_raw.and_then(Raw::id).filter(|id| !matches!(id, Id::Text(text) if text.len() > caps.id_bytes));
    let fail = |fault: Fault| Err(Reject::new(fault).with_id(id.clone()));
    if version.and_then(Raw::text).as_deref() != Some("2.0") {
        return fail(Fault::WrongJsonRpcVersion);
    }
    let kind = match (method.is_some(), spans.result.is_some(), spans.error.is_some(), id_raw.is_some()) {
        (true, false, false, true) => Kind::Request,
        (true, false, false, false) => Kind::Notification,
        (false, true, false, _) => Kind::Response,
        (false, false, true, _) => Kind::Error,
        _ => return fail(Fault::MixedEnvelope),
    };
    let null = id_raw.is_some_and(Raw::is_null);
    match (kind, &id) {
        // An error may be about a message whose id could not be read.
        (Kind::Notification, _) | (Kind::Error, None) if id_raw.is_none() || (kind == Kind::Error && null) => {}
        (Kind::Response, None) if id_raw.is_none() => return fail(Fault::MissingId),
        (_, None) => return fail(Fault::WrongId { cap: caps.id_bytes }),
        (_, Some(_)) => {}
    }
    let part = |span: Option<Span>| span.map(|span| Raw::of(text, span.start, span.end));
    let method = match method.map(Raw::text) {
        Some(Some(method)) if !method.is_empty() => Some(Box::from(method.as_ref())),
        Some(_) => return fail(Fault::WrongMethod),
        None => None,
    };
    if part(spans.params).is_some_and(|params| params.shape() != Shape::Object) {
        return fail(Fault::ParamsNotObject);
    }
    if part(spans.error).is_some_and(|error| !good_error(error)) {
        return fail(Fault::ErrorObjectWrong);
    }
    Ok(Parts { kind, id, method, spans })
}

fn good_error(error: Raw<'_>) -> bool {
    error.get("code").and_then(Raw::int).is_some() && error.get("message").and_then(Raw::text).is_some()
}

/// The id of a message that failed later in the walk, so that its refusal can be answered: only when the text is
/// one object whose `id` is read without doubt, by a walk that is as strict but forgives keys and values deep
/// inside.
fn rescued_id(text: &str, caps: &Caps) -> Option<Id> {
    let trimmed = text.trim_matches([' ', '\t', '\n', '\r']);
    let head = trimmed.as_bytes();
    if head.first() != Some(&b'{') || head.last() != Some(&b'}') {
        return None;
    }
    let object = Raw::of(trimmed, 0, trimmed.len());
    let mut ids = object.members().take(64).filter(|(key, _)| key.eq_ignore_ascii_case("id"));
    let (_, first) = ids.next()?;
    if ids.next().is_some() {
        return None;
    }
    let alone = Walk::new(first.as_str(), caps, Twins::Anywhere).document(Place::Free).is_ok();
    first.id().filter(|id| alone && !matches!(id, Id::Text(text) if text.len() > caps.id_bytes))
}

impl Message {
    fn str(&self) -> &str {
        // INVARIANT: the text has passed the strict walk, or was written by us: it is UTF-8.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    fn part(&self, span: Option<Span>) -> Option<Raw<'_>> {
        span.map(|span| Raw::of(self.str(), span.start, span.end))
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its id; none for notifications, and for errors about what could not be read.
    #[must_use]
    pub fn id(&self) -> Option<&Id> {
        self.id.as_ref()
    }

    /// Its method, unescaped; none for responses.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// Its params.
    #[must_use]
    pub fn params(&self) -> Option<Raw<'_>> {
        self.part(self.spans.params)
    }

    /// Its result.
    #[must_use]
    pub fn result(&self) -> Option<Raw<'_>> {
        self.part(self.spans.result)
    }

    /// Its error object.
    #[must_use]
    pub fn error(&self) -> Option<Raw<'_>> {
        self.part(self.spans.error)
    }

    /// `_meta` of the params or of the result, where it is an object.
    #[must_use]
    pub fn meta(&self) -> Option<Raw<'_>> {
        let holder = self.params().or_else(|| self.result())?;
        holder.get("_meta").filter(|meta| meta.shape() == Shape::Object)
    }

    /// The protocol version that the message itself names (MCP 2026-07-28 basic/index §_meta).
    #[must_use]
    pub fn modern_version(&self) -> Option<Cow<'_, str>> {
        self.params()?.get("_meta")?.get(key::PROTOCOL_VERSION)?.text()
    }

    /// The whole message.
    #[must_use]
    pub fn raw(&self) -> Raw<'_> {
        Raw::of(self.str(), self.spans.whole.start, self.spans.whole.end)
    }

    /// Its text.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.text
    }

    /// Length of its text in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn id_span(&self) -> Option<Span> {
        self.spans.id
    }

    /// A request of ours.
    #[must_use]
    pub fn request(id: &Id, method: &str, params: Option<Json>) -> Self {
        let params = params.map(|params| format!(",\"params\":{}", params.as_str())).unwrap_or_default();
        let method = Json::text(method);
        Self::ours(format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":{}{params}}}",
            id.to_json().as_str(),
            method.as_str()
        ))
    }

    /// A notification of ours.
    #[must_use]
    pub fn notification(method: &str, params: Option<Json>) -> Self {
        let params = params.map(|params| format!(",\"params\":{}", params.as_str())).unwrap_or_default();
        Self::ours(format!("{{\"jsonrpc\":\"2.0\",\"method\":{}{params}}}", Json::text(method).as_str()))
    }

    /// A result of ours.
    #[must_use]
    pub fn response(id: &Id, result: Json) -> Self {
        Self::ours(format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{}}}", id.to_json().as_str(), result.as_str()))
    }

    /// An error of ours; about nothing that could be read, when there is no id.
    #[must_use]
    pub fn error_response(id: Option<&Id>, code: i64, message: &str, data: Option<Json>) -> Self {
        let id = id.map(|id| format!("\"id\":{},", id.to_json().as_str())).unwrap_or_default();
        let data = data.map(|data| format!(",\"data\":{}", data.as_str())).unwrap_or_default();
        let message = Json::text(message);
        Self::ours(format!(
            "{{\"jsonrpc\":\"2.0\",{id}\"error\":{{\"code\":{code},\"message\":{}{data}}}}}",
            message.as_str()
        ))
    }

    /// The same message under another id; nothing else changes by a byte.
    #[must_use]
    pub fn with_id(&self, id: &Id) -> Self {
        if self.id.as_ref() == Some(id) {
            return self.clone();
        }
        let mut edit = self.edit();
        edit.set_id(id);
        edit.finish()
    }

    /// Begins a rewrite.
    #[must_use]
    pub fn edit(&self) -> Edit<'_> {
        Edit::new(self)
    }

    /// A text that we wrote, or spliced out of checked parts. The walk is not made again; its parts are found.
    pub(crate) fn ours(text: String) -> Self {
        let whole = Span { start: 0, end: text.len() };
        let unbounded = Caps { id_bytes: usize::MAX, ..Caps::default() };
        match envelope(&text, whole, &unbounded) {
            Ok(parts) => parts.around(text.into()),
            // INVARIANT: not reached; a rewrite keeps the envelope. Should it ever be, the peer gets an error.
            Err(_) => Self {
                text: Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32603,\"message\":\"internal\"}}"),
                kind: Kind::Error,
                id: None,
                method: None,
                spans: Spans { whole: Span { start: 0, end: 63 }, error: Some(Span { start: 25, end: 62 }), ..Spans::default() },
            },
        }
    }
}
