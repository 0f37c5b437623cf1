//! Where in a message the walk is: which keys the protocol knows there. In such a place a key that only looks
//! like one of them is refused even when it is alone, since a parser that ignores case would take it for real.

/// A kind of object in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Envelope,
    Params,
    Result,
    ErrorObject,
    Meta,
    /// An element of a list of the protocol: a tool, a prompt, a resource, a content block.
    Item,
    /// Data that belongs to somebody else: arguments, schemas, structured content.
    Free,
}

const ENVELOPE: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];
const PARAMS: &[&str] = &[
    "name", "arguments", "uri", "cursor", "_meta", "requestId", "reason", "progressToken", "progress", "total",
    "message", "protocolVersion", "capabilities", "clientInfo", "ref", "argument", "context", "level", "logger",
    "data", "inputResponses", "requestState", "task", "taskId", "notifications", "messages", "systemPrompt",
    "modelPreferences", "includeContext", "maxTokens", "temperature", "stopSequences", "metadata", "tools",
    "toolChoice", "mode", "requestedSchema", "elicitationId", "url", "status",
];
const RESULT: &[&str] = &[
    "_meta", "resultType", "tools", "prompts", "resources", "resourceTemplates", "contents", "content",
    "structuredContent", "isError", "messages", "description", "nextCursor", "completion", "protocolVersion",
    "capabilities", "serverInfo", "instructions", "supportedVersions", "ttlMs", "cacheScope", "inputRequests",
    "requestState", "task", "tasks", "taskId", "role", "model", "stopReason", "action", "roots", "status",
];
const ERROR: &[&str] = &["code", "message", "data"];
const META: &[&str] = &[
    "progressToken",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
    "io.modelcontextprotocol/subscriptionId",
    "io.modelcontextprotocol/serverInfo",
    "io.modelcontextprotocol/related-task",
    "traceparent",
    "tracestate",
    "baggage",
];
const ITEM: &[&str] = &[
    "name", "title", "description", "inputSchema", "outputSchema", "annotations", "icons", "_meta", "arguments", "uri",
    "uriTemplate", "mimeType", "size", "type", "text", "data", "blob", "resource", "role", "content", "execution",
];
/// Lists whose elements are items of the protocol.
const LISTS: &[&str] =
    &["tools", "prompts", "resources", "resourceTemplates", "contents", "content", "messages", "roots"];

impl Place {
    /// The keys that the protocol knows here; none where the data is somebody else's.
    pub(crate) fn known(self) -> &'static [&'static str] {
        match self {
            Self::Envelope => ENVELOPE,
            Self::Params => PARAMS,
            Self::Result => RESULT,
            Self::ErrorObject => ERROR,
            Self::Meta => META,
            Self::Item => ITEM,
            Self::Free => &[],
        }
    }

    /// The place of the value under a key.
    pub(crate) fn under(self, key: &str) -> Self {
        match (self, key) {
            (Self::Envelope, "params") => Self::Params,
            (Self::Envelope, "result") => Self::Result,
            (Self::Envelope, "error") => Self::ErrorObject,
            (Self::Params | Self::Result | Self::Item, "_meta") => Self::Meta,
            (Self::Params | Self::Result, list) if LISTS.contains(&list) => Self::Item,
            (Self::Item, "content" | "resource") => Self::Item,
            _ => Self::Free,
        }
    }
}
