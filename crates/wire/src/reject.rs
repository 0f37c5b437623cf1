//! Why a text is no message: one variant a reason. Not here: what the asker is told over HTTP, and the log.

use crate::id::Id;

/// A text that was refused, with the id that it carried where one could be read for certain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Reject {
    reason: Reason,
    id: Option<Id>,
}

impl Reject {
    pub(crate) fn new(reason: Reason, id: Option<Id>) -> Self {
        Self { reason, id }
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The id to answer to: only where the text had exactly one at the top, so that no answer goes astray.
    #[must_use]
    pub fn id(&self) -> Option<&Id> {
        self.id.as_ref()
    }

    /// The stable name of the reason, as in `docs/refusals.md`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.reason.code()
    }

    /// The JSON-RPC error code of the answer.
    #[must_use]
    pub fn json_rpc_code(&self) -> i64 {
        self.reason.json_rpc_code()
    }
}

/// Why a text was refused. Offsets count bytes from its start; keys are shown cut and escaped.
///
/// All of these are the sender's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// A batch with more messages than the cap.
    #[error("the batch has more than {limit} messages; send smaller batches")]
    BatchTooLarge {
        /// The cap.
        limit: usize,
    },
    /// The text starts with a byte order mark.
    #[error("the text starts with a byte order mark; send UTF-8 without one")]
    ByteOrderMark,
    /// A control character in a string.
    #[error("control character {byte:#04x} inside a string at byte {at}; write it as an escape")]
    ControlCharacter {
        /// Where.
        at: usize,
        /// Which.
        byte: u8,
    },
    /// The same key twice in one object, however it was written.
    #[error("key `{key}` comes twice in one object, the second time at byte {at}; send it once")]
    DuplicateKey {
        /// Where the second one is.
        at: usize,
        /// The key.
        key: String,
    },
    /// Nothing but blanks.
    #[error("the text is empty; send one JSON-RPC message")]
    Empty,
    /// A batch without a message.
    #[error("the batch is empty; send at least one message")]
    EmptyBatch,
    /// An error object without an integer `code` or a string `message`.
    #[error("`error.{member}` is not {expected}; JSON-RPC wants an integer `code` and a string `message`")]
    ErrorObjectWrong {
        /// Which member.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// An id above the cap.
    #[error("the id is longer than {limit} bytes; use a shorter one")]
    IdTooLong {
        /// The cap.
        limit: usize,
    },
    /// The text is not UTF-8.
    #[error("the text is not UTF-8 at byte {at}; MCP messages are UTF-8")]
    InvalidUtf8 {
        /// The first byte that is not.
        at: usize,
    },
    /// Half of a surrogate pair in an escape.
    #[error("an escape at byte {at} is half a surrogate pair; send both halves, or the character itself")]
    LoneSurrogate {
        /// Where.
        at: usize,
    },
    /// A key that a careless reader takes for one that the specification knows.
    #[error("key `{key}` at byte {at} can be mistaken for `{known}`; spell it exactly or leave it out")]
    LookalikeKey {
        /// Where.
        at: usize,
        /// The key.
        key: String,
        /// What it looks like.
        known: &'static str,
    },
    /// A result without an id.
    #[error("a result has no id; say which request it answers")]
    MissingId,
    /// Members that make the message two things at once, or none.
    #[error("the message has {found}; send either `method`, or `result`, or `error`")]
    MixedEnvelope {
        /// What it has.
        found: &'static str,
    },
    /// JSON, but no object.
    #[error("the message is {found}, not a JSON object; send one JSON-RPC message")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// A number that some reader cannot hold.
    #[error("the number at byte {at} does not fit 64 bits; send it as a string")]
    NumberOutOfRange {
        /// Where.
        at: usize,
    },
    /// A number with more characters than the cap.
    #[error("the number at byte {at} is longer than {limit} bytes; send it as a string")]
    NumberTooLong {
        /// Where.
        at: usize,
        /// The cap.
        limit: usize,
    },
    /// `params` that are no object.
    #[error("`params` is {found}, not an object; MCP knows parameters by name only")]
    ParamsNotObject {
        /// What it is.
        found: &'static str,
    },
    /// A string above the cap.
    #[error("the string at byte {at} is longer than {limit} bytes; send less at once")]
    StringTooLong {
        /// Where.
        at: usize,
        /// The cap.
        limit: usize,
    },
    /// Not JSON.
    #[error("the text is not JSON at byte {at}: {expected} is missing; send one JSON-RPC message")]
    Syntax {
        /// Where.
        at: usize,
        /// What should have been there.
        expected: &'static str,
    },
    /// Nesting above the cap.
    #[error("objects and arrays nest deeper than {limit} at byte {at}; send a flatter message")]
    TooDeep {
        /// Where.
        at: usize,
        /// The cap.
        limit: usize,
    },
    /// A text above the cap.
    #[error("the message has {bytes} bytes, more than {limit}; send less at once")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The cap.
        limit: usize,
    },
    /// An object with more keys than the cap.
    #[error("the object has more than {limit} keys at byte {at}; send fewer")]
    TooManyKeys {
        /// Where the first key too many is.
        at: usize,
        /// The cap.
        limit: usize,
    },
    /// Something after the end of the value.
    #[error("something follows the message at byte {at}; send one message at a time")]
    TrailingData {
        /// Where.
        at: usize,
    },
    /// Two keys of one object that a careless reader takes for one.
    #[error("key `{key}` at byte {at} can be mistaken for `{earlier}` in the same object; keep one of them")]
    TwinKey {
        /// Where the second one is.
        at: usize,
        /// The second key.
        key: String,
        /// The first key.
        earlier: String,
    },
    /// An id that is neither a string nor an integer.
    #[error("the id is {found}; an id is a string or an integer")]
    WrongId {
        /// What it is.
        found: &'static str,
    },
    /// No `"jsonrpc": "2.0"`.
    #[error("`jsonrpc` is not \"2.0\"; say so in every message")]
    WrongJsonRpcVersion,
    /// A method that is no string, or an empty one.
    #[error("`method` is {found}; a method has a name")]
    WrongMethod {
        /// What it is.
        found: &'static str,
    },
}

impl Reason {
    /// The stable name of the reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BatchTooLarge { .. } => "batch_too_large",
            Self::ByteOrderMark => "byte_order_mark",
            Self::ControlCharacter { .. } => "control_character",
            Self::DuplicateKey { .. } => "duplicate_key",
            Self::Empty => "empty",
            Self::EmptyBatch => "empty_batch",
            Self::ErrorObjectWrong { .. } => "error_object_wrong",
            Self::IdTooLong { .. } => "id_too_long",
            Self::InvalidUtf8 { .. } => "invalid_utf8",
            Self::LoneSurrogate { .. } => "lone_surrogate",
            Self::LookalikeKey { .. } => "lookalike_key",
            Self::MissingId => "missing_id",
            Self::MixedEnvelope { .. } => "mixed_envelope",
            Self::NotAnObject { .. } => "not_an_object",
            Self::NumberOutOfRange { .. } => "number_out_of_range",
            Self::NumberTooLong { .. } => "number_too_long",
            Self::ParamsNotObject { .. } => "params_not_object",
            Self::StringTooLong { .. } => "string_too_long",
            Self::Syntax { .. } => "syntax",
            Self::TooDeep { .. } => "too_deep",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyKeys { .. } => "too_many_keys",
            Self::TrailingData { .. } => "trailing_data",
            Self::TwinKey { .. } => "twin_key",
            Self::WrongId { .. } => "wrong_id",
            Self::WrongJsonRpcVersion => "wrong_json_rpc_version",
            Self::WrongMethod { .. } => "wrong_method",
        }
    }

    /// `-32700` for what is not strict JSON, `-32600` for JSON that is no JSON-RPC message, `-32602` for
    /// parameters of the wrong form (JSON-RPC 2.0 §5.1).
    #[must_use]
    pub fn json_rpc_code(&self) -> i64 {
        match self {
            Self::BatchTooLarge { .. }
            | Self::EmptyBatch
            | Self::ErrorObjectWrong { .. }
            | Self::IdTooLong { .. }
            | Self::LookalikeKey { .. }
            | Self::MissingId
            | Self::MixedEnvelope { .. }
            | Self::NotAnObject { .. }
            | Self::WrongId { .. }
            | Self::WrongJsonRpcVersion
            | Self::WrongMethod { .. } => INVALID_REQUEST,
            Self::ParamsNotObject { .. } => INVALID_PARAMS,
            Self::ByteOrderMark
            | Self::ControlCharacter { .. }
            | Self::DuplicateKey { .. }
            | Self::Empty
            | Self::InvalidUtf8 { .. }
            | Self::LoneSurrogate { .. }
            | Self::NumberOutOfRange { .. }
            | Self::NumberTooLong { .. }
            | Self::StringTooLong { .. }
            | Self::Syntax { .. }
            | Self::TooDeep { .. }
            | Self::TooLarge { .. }
            | Self::TooManyKeys { .. }
            | Self::TrailingData { .. }
            | Self::TwinKey { .. } => PARSE_ERROR,
        }
    }
}

/// A key as it can be shown: short, without controls, without back-ticks of its own.
pub(crate) fn shown(key: &str) -> String {
    let mut out = String::new();
    for char in key.chars().take(SHOWN_CHARS) {
        match char {
            '`' => out.push('\''),
            '"' | '\'' => out.push(char),
            char if crate::fold::is_plain(char.encode_utf8(&mut [0; 4])) => out.push(char),
            ' ' => out.push(' '),
            char if char.is_alphanumeric() => out.push(char),
            char => out.extend(char.escape_unicode()),
        }
    }
    if key.chars().nth(SHOWN_CHARS).is_some() {
        out.push('…');
    }
    out
}

const SHOWN_CHARS: usize = 60;
const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const INVALID_PARAMS: i64 = -32602;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_key_is_shown_tamely() {
        assert_eq!(shown("Name"), "Name");
        assert_eq!(shown("a`b\0\u{202e}\n"), "a'b\\u{0}\\u{202e}\\u{a}");
        assert_eq!(shown("größe"), "größe");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 61);
    }

    #[test]
    fn a_reason_reads_as_a_sentence_with_help() {
        let reason = Reason::TwinKey {
            at: 7,
            key: shown("nAme"),
            earlier: shown("name"),
        };
        assert_eq!(
            reason.to_string(),
            "key `nAme` at byte 7 can be mistaken for `name` in the same object; keep one of them"
        );
        assert_eq!(Reject::new(reason.clone(), None).to_string(), reason.to_string());
    }
}
