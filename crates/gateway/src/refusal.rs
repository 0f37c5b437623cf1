//! Every reason to say no: its stable code, its JSON-RPC code, its HTTP status and its public sentence.
//! What only the operator may read (policy ids, upstream causes) is kept apart and goes to the log.

use http::StatusCode;
use mantlet_wire::{Id, Json, Message, Reject};

/// Why a message was refused. `docs/refusals.md` has a row for each code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The text is not strict JSON or not a JSON-RPC message; the code is the parser's.
    Malformed(&'static str, i64),
    AlreadyInitialized,
    AmbiguousName,
    AskNotAllowed,
    AuditUnavailable,
    BadUri,
    BatchNotSupported,
    BodyTooLarge,
    BodyTooSlow,
    Cancelled,
    CannotCross,
    ClientCannot,
    Draining,
    DuplicateId,
    HeaderMismatch,
    Internal,
    InvalidArguments,
    InvalidCursor,
    InvalidParams,
    InvalidResult,
    MethodNotAllowed,
    MissingMeta,
    NotAcceptable,
    NotFound,
    NotInitialized,
    PolicyDenied,
    Quarantined,
    SchemaUnusable,
    ServerBreach,
    SessionLimit,
    SessionMissing,
    SessionUnknown,
    StreamExpired,
    TooManyInFlight,
    Unauthenticated,
    UnexpectedResponse,
    UnknownMethod,
    UnknownTool,
    UnsupportedMediaType,
    UnsupportedVersion,
    UpstreamBroke,
    UpstreamTimeout,
    UpstreamUnavailable,
    WrongHost,
    WrongOrigin,
}

impl Reason {
    /// The stable name, as in `docs/refusals.md`, in the answer's `data.reason` and in the log.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Malformed(code, _) => code,
            Self::AlreadyInitialized => "already_initialized",
            Self::AmbiguousName => "ambiguous_name",
            Self::AskNotAllowed => "ask_not_allowed",
            Self::AuditUnavailable => "audit_unavailable",
            Self::BadUri => "bad_uri",
            Self::BatchNotSupported => "batch_not_supported",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::Cancelled => "cancelled",
            Self::CannotCross => "cannot_cross",
            Self::ClientCannot => "client_cannot",
            Self::Draining => "draining",
            Self::DuplicateId => "duplicate_id",
            Self::HeaderMismatch => "header_mismatch",
            Self::Internal => "internal",
            Self::InvalidArguments => "invalid_arguments",
            Self::InvalidCursor => "invalid_cursor",
            Self::InvalidParams => "invalid_params",
            Self::InvalidResult => "invalid_result",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::MissingMeta => "missing_meta",
            Self::NotAcceptable => "not_acceptable",
            Self::NotFound => "not_found",
            Self::NotInitialized => "not_initialized",
            Self::PolicyDenied => "policy_denied",
            Self::Quarantined => "quarantined",
            Self::SchemaUnusable => "schema_unusable",
            Self::ServerBreach => "server_breach",
            Self::SessionLimit => "session_limit",
            Self::SessionMissing => "session_missing",
            Self::SessionUnknown => "session_unknown",
            Self::StreamExpired => "stream_expired",
            Self::TooManyInFlight => "too_many_in_flight",
            Self::Unauthenticated => "unauthenticated",
            Self::UnexpectedResponse => "unexpected_response",
            Self::UnknownMethod => "unknown_method",
            Self::UnknownTool => "unknown_tool",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UnsupportedVersion => "unsupported_version",
            Self::UpstreamBroke => "upstream_broke",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::WrongHost => "wrong_host",
            Self::WrongOrigin => "wrong_origin",
        }
    }

    /// MCP 2026-07-28 basic/index §Error Codes: codes of our own lie outside -32768…-32000.
    pub(crate) fn json_rpc(self) -> i64 {
        match self {
            Self::Malformed(_, code) => code,
            Self::HeaderMismatch => -32020,
            Self::UnsupportedVersion => -32022,
            Self::UnknownMethod => -32601,
            Self::BadUri
            | Self::AmbiguousName
            | Self::InvalidArguments
            | Self::InvalidCursor
            | Self::InvalidParams
            | Self::MissingMeta
            | Self::UnknownTool => -32602,
            Self::Internal => -32603,
            Self::AskNotAllowed | Self::PolicyDenied | Self::Unauthenticated => -31001,
            Self::SessionLimit | Self::TooManyInFlight => -31002,
            Self::Quarantined
            | Self::ServerBreach
            | Self::UpstreamBroke
            | Self::UpstreamTimeout
            | Self::UpstreamUnavailable => -31004,
            Self::InvalidResult | Self::SchemaUnusable => -31006,
            Self::CannotCross | Self::ClientCannot => -31007,
            Self::AuditUnavailable | Self::Draining => -31008,
            Self::Cancelled => -31009,
            Self::AlreadyInitialized
            | Self::BatchNotSupported
            | Self::BodyTooLarge
            | Self::BodyTooSlow
            | Self::DuplicateId
            | Self::MethodNotAllowed
            | Self::NotAcceptable
            | Self::NotFound
            | Self::NotInitialized
            | Self::SessionMissing
            | Self::SessionUnknown
            | Self::StreamExpired
            | Self::UnexpectedResponse
            | Self::UnsupportedMediaType
            | Self::WrongHost
            | Self::WrongOrigin => -32600,
        }
    }

    /// The HTTP status. A refusal by policy is an answer: anything but 2xx makes clients drop their session.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Malformed(..)
            | Self::AlreadyInitialized
            | Self::BatchNotSupported
            | Self::HeaderMismatch
            | Self::MissingMeta
            | Self::NotInitialized
            | Self::SessionMissing
            | Self::UnexpectedResponse
            | Self::UnsupportedVersion => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::WrongHost | Self::WrongOrigin => StatusCode::FORBIDDEN,
            Self::NotFound | Self::SessionUnknown => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::StreamExpired => StatusCode::GONE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::SessionLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::AmbiguousName
            | Self::AskNotAllowed
            | Self::AuditUnavailable
            | Self::BadUri
            | Self::Cancelled
            | Self::CannotCross
            | Self::ClientCannot
            | Self::DuplicateId
            | Self::Internal
            | Self::InvalidArguments
            | Self::InvalidCursor
            | Self::InvalidParams
            | Self::InvalidResult
            | Self::PolicyDenied
            | Self::Quarantined
            | Self::SchemaUnusable
            | Self::ServerBreach
            | Self::TooManyInFlight
            | Self::UnknownMethod
            | Self::UnknownTool
            | Self::UpstreamBroke
            | Self::UpstreamTimeout
            | Self::UpstreamUnavailable => StatusCode::OK,
        }
    }
}

/// A refusal: an answer that a model can read, and what only the operator may know.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// What the caller reads: one sentence that says what to do.
    pub(crate) public: String,
    /// What the log gets besides.
    pub(crate) operator: Vec<String>,
    /// Extra members of the error's `data`, such as `supported` versions.
    pub(crate) data: Vec<(&'static str, Json)>,
    /// The id of the message, where it could be read before the refusal.
    pub(crate) id: Option<Id>,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, public: impl Into<String>) -> Self {
        Self {
            reason,
            public: public.into(),
            operator: Vec::new(),
            data: Vec::new(),
            id: None,
        }
    }

    /// Adds what only the operator may read.
    pub(crate) fn because(mut self, operator: impl Into<String>) -> Self {
        self.operator.push(operator.into());
        self
    }

    /// Adds a member to the error's `data`.
    pub(crate) fn with_data(mut self, key: &'static str, value: Json) -> Self {
        self.data.push((key, value));
        self
    }

    /// The JSON-RPC error that the asker gets.
    pub(crate) fn to_message(&self, id: Option<&Id>) -> Message {
        let mut data = serde_json::Map::new();
        for (key, value) in &self.data {
            data.insert((*key).to_owned(), value.raw().to_value());
        }
        data.insert("reason".to_owned(), self.reason.code().into());
        data.insert("by".to_owned(), "mantlet".into());
        let data = Json::from_value(&serde_json::Value::Object(data));
        Message::error_response(
            id.or(self.id.as_ref()),
            self.reason.json_rpc(),
            &self.public,
            Some(data),
        )
    }
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        let mut refusal = Self::new(
            Reason::Malformed(reject.code(), reject.json_rpc_code()),
            reject.to_string(),
        );
        refusal.id = reject.id().cloned();
        refusal
    }
}
