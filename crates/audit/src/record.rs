//! What is written of one message. Contents are kept only where the configuration says so; otherwise sizes and
//! digests stand for them.

use std::collections::BTreeMap;

use serde::Serialize;

/// One record. Members that do not apply are left out of the line.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    /// Number of the exchange within the process.
    pub exchange: u64,
    /// `request`, `notification`, `response`, `server_request`, `server_notification`, `lifecycle`.
    pub kind: String,
    /// Who called, as proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// What the client calls itself: self-reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// A short digest of the session id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The server that was meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The endpoint that was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// `stdio`, `http` or `sse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Protocol version towards the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// Protocol version towards the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// The method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The tool, prompt or resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Payload>,
    /// Its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// The verdict and its reasons.
    pub verdict: Verdict,
    /// Microseconds spent in each stage of the path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub micros: BTreeMap<&'static str, u64>,
    /// The message itself, where the configuration says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<String>,
}

/// A message, by size and digest.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Payload {
    /// Its length.
    pub bytes: u64,
    /// `sha256:` and hex, over its bytes.
    pub digest: String,
}

/// An answer, by size and digest.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answer {
    /// Its length.
    pub bytes: u64,
    /// `sha256:` and hex, over its bytes.
    pub digest: String,
    /// The JSON-RPC error code, if it is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<i64>,
}

/// What was decided, and why.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// `allow` or `refuse`.
    pub decision: String,
    /// The stage that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The refusal's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Sentences, findings included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The policies that decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
}
