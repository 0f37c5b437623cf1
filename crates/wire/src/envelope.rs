//! JSON-RPC messages: what makes a text one, and its parts. Not here: writing one (`compose`), changing one
//! (`edit`), and what its method means.

use bytes::Bytes;

use crate::caps::Caps;
use crate::id::Id;
use crate::method::{MethodFacts, facts};
use crate::place::Then;
use crate::raw::{Raw, Shape, Span, in_words};
use crate::reject::{Reason, Reject};
use crate::rescue;
use crate::strict::{self, Parts, Twins};

/// Reads one message.
///
/// # Errors
///
/// When the text is not strict JSON within the caps, or no JSON-RPC 2.0 message as MCP has them.
pub fn message(bytes: Bytes, caps: &Caps, twins: Twins) -> Result<Message, Reject> {
    read(&bytes, caps, twins).map_err(|reason| reject(reason, &bytes, caps))
}

/// What a body may hold.
#[derive(Clone, Debug)]
pub enum Body {
    /// One message.
    Single(Message),
    /// An array of messages. Only version 2025-03-26 has these: see [`crate::Version::batches`].
    Batch(Vec<Message>),
}

/// Reads one message or a batch. Every message of a batch is as strictly read as a single one; one that is bad
/// refuses the batch.
///
/// # Errors
///
/// As [`message`], and when the batch is empty or has too many messages.
pub fn body(bytes: Bytes, caps: &Caps, twins: Twins) -> Result<Body, Reject> {
    let start = crate::skip::blanks(&bytes, 0);
    if bytes.get(start) != Some(&b'[') {
        return message(bytes, caps, twins).map(Body::Single);
    }
    // No id: a refusal of the whole batch answers none of its messages.
    batch(&bytes, caps, twins)
        .map(Body::Batch)
        .map_err(|reason| Reject::new(reason, None))
}

/// A JSON-RPC message that was read strictly, or written by us. Cloning it copies no text.
#[derive(Clone)]
pub struct Message {
    // INVARIANT: passes `message` under generous caps; the spans are those of its parts.
    pub(crate) bytes: Bytes,
    pub(crate) parts: Envelope,
}

/// The parts of a message, as far as they are looked at often.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Envelope {
    pub(crate) kind: Kind,
    pub(crate) id: Option<Id>,
    pub(crate) id_at: Option<Span>,
    pub(crate) method: Option<Method>,
    pub(crate) method_at: Option<Span>,
    /// `params`, `result` or `error`, as the kind has it.
    pub(crate) payload: Option<Span>,
    pub(crate) meta: Option<Span>,
}

/// The method of a message: mostly one that needs no memory of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Method {
    Known(&'static MethodFacts),
    Other(Box<str>),
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A method with an id.
    Request,
    /// A method without an id.
    Notification,
    /// A result.
    Response,
    /// An error.
    Error,
}

impl Message {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.parts.kind
    }

    /// The id. Notifications have none; errors may have none.
    #[must_use]
    pub fn id(&self) -> Option<&Id> {
        self.parts.id.as_ref()
    }

    /// The method of a request or notification.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.parts.method.as_ref().map(|method| match method {
            Method::Known(facts) => facts.name,
            Method::Other(name) => name,
        })
    }

    /// What the specification says about the method, if it knows it.
    #[must_use]
    pub fn facts(&self) -> Option<&'static MethodFacts> {
        match self.parts.method {
            Some(Method::Known(facts)) => Some(facts),
            _ => None,
        }
    }

    /// The parameters: always an object.
    #[must_use]
    pub fn params(&self) -> Option<Raw<'_>> {
        matches!(self.parts.kind, Kind::Request | Kind::Notification)
            .then(|| self.payload())
            .flatten()
    }

    /// The result, of any shape.
    #[must_use]
    pub fn result(&self) -> Option<Raw<'_>> {
        (self.parts.kind == Kind::Response)
            .then(|| self.payload())
            .flatten()
    }

    /// The error object.
    #[must_use]
    pub fn error(&self) -> Option<Raw<'_>> {
        (self.parts.kind == Kind::Error).then(|| self.payload()).flatten()
    }

    /// `params._meta` or `result._meta`.
    #[must_use]
    pub fn meta(&self) -> Option<Raw<'_>> {
        self.parts.meta.map(|span| self.at(span))
    }

    /// The whole message.
    #[must_use]
    pub fn raw(&self) -> Raw<'_> {
        Raw::of(&self.bytes)
    }

    /// The text of the whole message, without blanks around it.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The text as one line, for stdio, where a newline ends a message (basic/transports/stdio).
    ///
    /// Newlines occur between tokens only, where any blank is as good.
    #[must_use]
    pub fn line(&self) -> Bytes {
        if memchr::memchr2(b'\n', b'\r', &self.bytes).is_none() {
            return self.bytes.clone();
        }
        self.bytes
            .iter()
            .map(|byte| {
                if matches!(byte, b'\n' | b'\r') {
                    b' '
                } else {
                    *byte
                }
            })
            .collect()
    }

    /// How many bytes the text has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn at(&self, span: Span) -> Raw<'_> {
        Raw::of(span.of(&self.bytes))
    }

    fn payload(&self) -> Option<Raw<'_>> {
        self.parts.payload.map(|span| self.at(span))
    }
}

/// Shows what it is, not what it says: contents do not get into logs by accident.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("kind", &self.kind())
            .field("id", &self.id())
            .field("method", &self.method())
            .field("bytes", &self.len())
            .finish()
    }
}

impl Method {
    pub(crate) fn named(name: &str) -> Self {
        facts(name).map_or_else(|| Self::Other(name.into()), Self::Known)
    }
}

fn read(bytes: &Bytes, caps: &Caps, twins: Twins) -> Result<Message, Reason> {
    let walked = strict::walk(strict::open(bytes, caps)?, Then::MESSAGE, caps, twins)?;
    let root = walked.root;
    let raw = Raw::of(root.of(bytes));
    if raw.shape() != Shape::Object {
        return Err(Reason::NotAnObject { found: in_words(raw) });
    }
    let parts = walked.parts.relative_to(root.start);
    let bytes = bytes.slice(root.start..root.end);
    let envelope = Envelope::check(&bytes, parts, caps)?;
    match walked.lookalike {
        Some(reason) if !matches!(envelope.method, Some(Method::Other(_))) => Err(reason),
        _ => Ok(Message {
            bytes,
            parts: envelope,
        }),
    }
}

fn reject(reason: Reason, bytes: &[u8], caps: &Caps) -> Reject {
    let id = match reason {
        Reason::TooLarge { .. } | Reason::ByteOrderMark | Reason::InvalidUtf8 { .. } | Reason::Empty => None,
        _ => rescue::id(bytes, caps),
    };
    Reject::new(reason, id)
}

fn batch(bytes: &Bytes, caps: &Caps, twins: Twins) -> Result<Vec<Message>, Reason> {
    // The array itself is one level more than its messages have.
    let outer = Caps {
        depth: caps.depth.saturating_add(1),
        ..caps.clone()
    };
    let walked = strict::walk(strict::open(bytes, &outer)?, Then::BATCH, &outer, twins)?;
    let items = || Raw::of(walked.root.of(bytes)).items();
    let limit = caps.batch;
    match items().take(limit.saturating_add(1)).count() {
        0 => return Err(Reason::EmptyBatch),
        count if count > limit => return Err(Reason::BatchTooLarge { limit }),
        _ => {}
    }
    items()
        .map(|item| read(&bytes.slice_ref(item.as_bytes()), caps, twins))
        .collect()
}

impl Envelope {
    /// Whether the parts make one of the four messages (MCP 2026-07-28 basic §Messages).
    pub(crate) fn check(bytes: &[u8], parts: Parts, caps: &Caps) -> Result<Self, Reason> {
        let at = |span: Option<Span>| span.map(|span| Raw::of(span.of(bytes)));
        let version = at(parts.jsonrpc).and_then(Raw::text);
        if version.as_deref() != Some("2.0") {
            return Err(Reason::WrongJsonRpcVersion);
        }
        let id = at(parts.id);
        let (kind, payload) = match (parts.method, parts.result, parts.error) {
            (Some(_), None, None) => {
                let kind = if id.is_some() {
                    Kind::Request
                } else {
                    Kind::Notification
                };
                (kind, parts.params)
            }
            (None, Some(result), None) => (Kind::Response, Some(result)),
            (None, None, Some(error)) => (Kind::Error, Some(error)),
            (Some(_), ..) => return mixed("`method` together with `result` or `error`"),
            (None, Some(_), Some(_)) => return mixed("both `result` and `error`"),
            (None, None, None) => return mixed("neither `method` nor `result` nor `error`"),
        };
        let method = at(parts.method).map(check_method).transpose()?;
        match kind {
            Kind::Request | Kind::Notification => check_params(at(payload))?,
            Kind::Response | Kind::Error if parts.params.is_some() => {
                return mixed("`params` together with `result` or `error`");
            }
            Kind::Error => check_error(at(payload))?,
            Kind::Response if id.is_none() => return Err(Reason::MissingId),
            Kind::Response => {}
        }
        Ok(Self {
            kind,
            id: check_id(id, kind, caps)?,
            id_at: parts.id,
            method,
            method_at: parts.method,
            payload,
            // An error object has none that the specification knows.
            meta: parts.meta.filter(|_| kind != Kind::Error),
        })
    }
}

fn mixed<T>(found: &'static str) -> Result<T, Reason> {
    Err(Reason::MixedEnvelope { found })
}

fn check_method(raw: Raw<'_>) -> Result<Method, Reason> {
    match raw.text() {
        Some(name) if name.is_empty() => Err(Reason::WrongMethod { found: "empty" }),
        Some(name) => Ok(Method::named(&name)),
        None => Err(Reason::WrongMethod { found: in_words(raw) }),
    }
}

fn check_params(params: Option<Raw<'_>>) -> Result<(), Reason> {
    match params {
        Some(params) if params.shape() != Shape::Object => Err(Reason::ParamsNotObject {
            found: in_words(params),
        }),
        _ => Ok(()),
    }
}

fn check_error(error: Option<Raw<'_>>) -> Result<(), Reason> {
    let part = |key| error.and_then(|error| error.get(key));
    if part("code").and_then(Raw::int).is_none() {
        return Err(Reason::ErrorObjectWrong {
            member: "code",
            expected: "an integer",
        });
    }
    if !part("message").is_some_and(|message| message.shape() == Shape::Text) {
        return Err(Reason::ErrorObjectWrong {
            member: "message",
            expected: "a string",
        });
    }
    Ok(())
}

fn check_id(raw: Option<Raw<'_>>, kind: Kind, caps: &Caps) -> Result<Option<Id>, Reason> {
    let Some(raw) = raw else { return Ok(None) };
    // JSON-RPC 2.0 §5: an error that belongs to no request has a null id.
    if raw.is_null() && kind == Kind::Error {
        return Ok(None);
    }
    let Some(id) = raw.id() else {
        return Err(Reason::WrongId { found: in_words(raw) });
    };
    if !rescue::fits(&id, caps) {
        return Err(Reason::IdTooLong { limit: caps.id_bytes });
    }
    Ok(Some(id))
}

impl Parts {
    /// The same parts of the text that starts at `start`.
    fn relative_to(self, start: usize) -> Self {
        let moved = |span: Option<Span>| {
            span.map(|span| Span {
                start: span.start - start,
                end: span.end - start,
            })
        };
        Self {
            jsonrpc: moved(self.jsonrpc),
            id: moved(self.id),
            method: moved(self.method),
            params: moved(self.params),
            result: moved(self.result),
            error: moved(self.error),
            meta: moved(self.meta),
        }
    }
}
