//! Why a text is no message. Each reason has its own name, says where, and how to mend it.

use crate::id::Id;

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// More bytes than the cap.
    #[error("the message has {bytes} bytes, more than the {cap} that are read: send less at once")]
    TooLarge {
        /// Bytes there are.
        bytes: usize,
        /// Bytes there may be.
        cap: usize,
    },
    /// Nothing but whitespace.
    #[error("the message is empty: send one JSON object")]
    Empty,
    /// Not UTF-8 (RFC 8259 §8.1).
    #[error("byte {at} is not UTF-8: encode the message in UTF-8")]
    InvalidUtf8 {
        /// Where.
        at: usize,
    },
    /// A byte order mark (RFC 8259 §8.1).
    #[error("the message begins with a byte order mark: leave it out")]
    ByteOrderMark,
    /// More after the message.
    #[error("there is more after the end of the message at byte {at}: send one message at a time")]
    TrailingData {
        /// Where.
        at: usize,
    },
    /// Not JSON (RFC 8259).
    #[error("byte {at} is not what JSON has there: {expected} was expected")]
    Syntax {
        /// Where.
        at: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// The same key twice in one object.
    #[error("the key `{key}` at byte {at} is there twice in one object: parsers differ on which counts")]
    DuplicateKey {
        /// Where the second is.
        at: usize,
        /// The key.
        key: String,
    },
    /// Two keys that some parsers take for one.
    #[error("the key `{key}` at byte {at} differs from `{other}` only in case or invisible characters: rename one")]
    TwinKey {
        /// Where the second is.
        at: usize,
        /// The second key.
        key: String,
        /// The first key.
        other: String,
    },
    /// A key that some parsers take for one of the protocol's.
    #[error("the key `{key}` at byte {at} is not `{known}`, but some parsers would take it for it: write `{known}`")]
    LookalikeKey {
        /// Where.
        at: usize,
        /// The key.
        key: String,
        /// The protocol's key.
        known: &'static str,
    },
    /// Nested too deep.
    #[error("objects and arrays are nested deeper than {cap} at byte {at}: flatten the message")]
    TooDeep {
        /// Where.
        at: usize,
        /// Levels there may be.
        cap: usize,
    },
    /// A string too long.
    #[error("the string at byte {at} is longer than {cap} bytes: shorten it")]
    StringTooLong {
        /// Where it begins.
        at: usize,
        /// Bytes there may be.
        cap: usize,
    },
    /// Too many members.
    #[error("the object at byte {at} has more than {cap} members: split it")]
    TooManyKeys {
        /// Where the first surplus member is.
        at: usize,
        /// Members there may be.
        cap: usize,
    },
    /// A number that not all parsers read alike.
    #[error("the number at byte {at} fits neither a 64-bit integer nor a double: send it as a string")]
    NumberOutOfRange {
        /// Where it begins.
        at: usize,
    },
    /// Half of a surrogate pair (RFC 8259 §8.2).
    #[error("the escape at byte {at} is half of a surrogate pair: write the whole pair")]
    LoneSurrogate {
        /// Where.
        at: usize,
    },
    /// An unescaped control character in a string (RFC 8259 §7).
    #[error("byte {at} is a control character inside a string: escape it")]
    ControlCharacter {
        /// Where.
        at: usize,
    },
    /// A message that is no object.
    #[error("a message is a JSON object: send `{{\"jsonrpc\":\"2.0\",…}}`")]
    NotAnObject,
    /// `jsonrpc` missing or not "2.0" (JSON-RPC 2.0 §4).
    #[error("`jsonrpc` must be the text \"2.0\"")]
    WrongJsonRpcVersion,
    /// An id that is neither text nor integer.
    #[error("`id` must be a text or an integer, without fraction or exponent, of at most {cap} bytes")]
    WrongId {
        /// Bytes there may be.
        cap: usize,
    },
    /// A response without an id.
    #[error("a response needs the `id` of its request")]
    MissingId,
    /// Neither request nor response, or both.
    #[error("a message has either `method`, or `result`, or `error`: this one has none or more than one")]
    MixedEnvelope,
    /// A method that is no text.
    #[error("`method` must be a text that is not empty")]
    WrongMethod,
    /// Params that are no object.
    #[error("`params` must be an object")]
    ParamsNotObject,
    /// An error object without code or message.
    #[error("`error` must be an object with an integer `code` and a text `message`")]
    ErrorObjectWrong,
    /// A batch of nothing.
    #[error("the batch is empty: send at least one message")]
    EmptyBatch,
    /// A batch too long.
    #[error("the batch has more than {cap} messages: send fewer at once")]
    BatchTooLarge {
        /// Messages there may be.
        cap: usize,
    },
}

/// A refused text, with the id of its message where that could be read first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Reject {
    fault: Fault,
    id: Option<Id>,
}

impl Reject {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, id: None }
    }

    pub(crate) fn with_id(mut self, id: Option<Id>) -> Self {
        self.id = id;
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The id of the message; `None` where the text broke before it, or it is no request.
    #[must_use]
    pub fn id(&self) -> Option<&Id> {
        self.id.as_ref()
    }

    /// The stable name of the reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.fault {
            Fault::TooLarge { .. } => "too_large",
            Fault::Empty => "empty",
            Fault::InvalidUtf8 { .. } => "invalid_utf8",
            Fault::ByteOrderMark => "byte_order_mark",
            Fault::TrailingData { .. } => "trailing_data",
            Fault::Syntax { .. } => "syntax",
            Fault::DuplicateKey { .. } => "duplicate_key",
            Fault::TwinKey { .. } => "twin_key",
            Fault::LookalikeKey { .. } => "lookalike_key",
            Fault::TooDeep { .. } => "too_deep",
            Fault::StringTooLong { .. } => "string_too_long",
            Fault::TooManyKeys { .. } => "too_many_keys",
            Fault::NumberOutOfRange { .. } => "number_out_of_range",
            Fault::LoneSurrogate { .. } => "lone_surrogate",
            Fault::ControlCharacter { .. } => "control_character",
            Fault::NotAnObject => "not_an_object",
            Fault::WrongJsonRpcVersion => "wrong_json_rpc_version",
            Fault::WrongId { .. } => "wrong_id",
            Fault::MissingId => "missing_id",
            Fault::MixedEnvelope => "mixed_envelope",
            Fault::WrongMethod => "wrong_method",
            Fault::ParamsNotObject => "params_not_object",
            Fault::ErrorObjectWrong => "error_object_wrong",
            Fault::EmptyBatch => "empty_batch",
            Fault::BatchTooLarge { .. } => "batch_too_large",
        }
    }

    /// The JSON-RPC error code (JSON-RPC 2.0 §5.1): not JSON, no valid request, or wrong params.
    #[must_use]
    pub fn json_rpc_code(&self) -> i64 {
        match &self.fault {
            Fault::InvalidUtf8 { .. }
            | Fault::Empty
            | Fault::ByteOrderMark
            | Fault::TrailingData { .. }
            | Fault::Syntax { .. }
            | Fault::LoneSurrogate { .. }
            | Fault::ControlCharacter { .. } => -32700,
            Fault::ParamsNotObject => -32602,
            Fault::TooLarge { .. }
            | Fault::DuplicateKey { .. }
            | Fault::TwinKey { .. }
            | Fault::LookalikeKey { .. }
            | Fault::TooDeep { .. }
            | Fault::StringTooLong { .. }
            | Fault::TooManyKeys { .. }
            | Fault::NumberOutOfRange { .. }
            | Fault::NotAnObject
            | Fault::WrongJsonRpcVersion
            | Fault::WrongId { .. }
            | Fault::MissingId
            | Fault::MixedEnvelope
            | Fault::WrongMethod
            | Fault::ErrorObjectWrong
            | Fault::EmptyBatch
            | Fault::BatchTooLarge { .. } => -32600,
        }
    }
}
