//! What the echo server says to a message, in both eras of MCP. Pure. Not here: bytes on a connection, HTTP headers.

use serde_json::{Value, json};

/// The stateless version.
pub(crate) const MODERN: &str = "2026-07-28";
/// The versions with `initialize`, the newest first. 2025-03-26 is not among them: it would ask for batches.
pub(crate) const LEGACY: &[&str] = &["2025-11-25", "2025-06-18"];

pub(crate) const HEADER_MISMATCH: i64 = -32020;
pub(crate) const INVALID_REQUEST: i64 = -32600;
pub(crate) const INVALID_PARAMS: i64 = -32602;
const UNSUPPORTED_VERSION: i64 = -32022;
const PARSE_ERROR: i64 = -32700;
const UNKNOWN_METHOD: i64 = -32601;

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const SERVER_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// An error of JSON-RPC, with the HTTP status it has in the stateless era.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) status: u16,
    code: i64,
    message: String,
    data: Option<Value>,
}

impl Fault {
    pub(crate) fn new(status: u16, code: i64, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The answer; without an id where none could be read (MCP 2026-07-28 basic/index §Responses).
    pub(crate) fn answer(&self, id: Option<&Value>) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let (Some(error), Some(data)) = (error.as_object_mut(), &self.data) {
            error.insert("data".to_owned(), data.clone());
        }
        let mut answer = json!({ "jsonrpc": "2.0", "error": error });
        if let (Some(answer), Some(id)) = (answer.as_object_mut(), id) {
            answer.insert("id".to_owned(), id.clone());
        }
        answer
    }
}

/// A message that has the shape of a request or a notification.
#[derive(Debug)]
pub(crate) struct Message {
    whole: Value,
}

impl Message {
    #[expect(
        clippy::disallowed_methods,
        reason = "a peer of the gateway that read with the gateway's own parser would hide that parser's mistakes"
    )]
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let whole: Value = serde_json::from_slice(bytes)
            .map_err(|error| Fault::new(400, PARSE_ERROR, format!("this is not JSON: {error}")))?;
        let good_id = match whole.get("id") {
            None => true,
            Some(id) => id.is_string() || id.is_i64() || id.is_u64(),
        };
        let is_ours = whole.get("jsonrpc").and_then(Value::as_str) == Some("2.0")
            && whole.get("method").is_some_and(Value::is_string);
        if good_id && is_ours {
            return Ok(Self { whole });
        }
        Err(Fault::new(
            400,
            INVALID_REQUEST,
            "send one request or notification of JSON-RPC 2.0",
        ))
    }

    /// `None` for a notification.
    pub(crate) fn id(&self) -> Option<&Value> {
        self.whole.get("id")
    }

    pub(crate) fn method(&self) -> &str {
        self.text(&["method"]).unwrap_or_default()
    }

    /// The version in `_meta`: the mark of the stateless era.
    pub(crate) fn modern_version(&self) -> Option<&str> {
        self.text(&["params", "_meta", VERSION_KEY])
    }

    /// What `Mcp-Name` must say, where it must be there.
    pub(crate) fn name(&self) -> Option<&str> {
        match self.method() {
            "tools/call" | "prompts/get" => self.text(&["params", "name"]),
            "resources/read" => self.text(&["params", "uri"]),
            _ => None,
        }
    }

    fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.whole, |value, key| value.get(key))
    }

    fn text(&self, path: &[&str]) -> Option<&str> {
        self.at(path).and_then(Value::as_str)
    }
}

/// What the stateless era asks of the body (MCP 2026-07-28 basic/index §Per-request protocol fields).
pub(crate) fn check_modern(message: &Message) -> Result<(), Fault> {
    let version = message.modern_version().unwrap_or_default();
    if version != MODERN {
        let mut fault = Fault::new(
            400,
            UNSUPPORTED_VERSION,
            "this version of the protocol is not supported",
        );
        fault.data = Some(json!({ "supported": [MODERN], "requested": version }));
        return Err(fault);
    }
    let declared = message.at(&["params", "_meta", CAPABILITIES_KEY]);
    if declared.is_some_and(Value::is_object) {
        return Ok(());
    }
    Err(Fault::new(
        400,
        INVALID_PARAMS,
        format!("`_meta` lacks `{CAPABILITIES_KEY}`"),
    ))
}

/// The answer to a request of the stateless era.
pub(crate) fn modern(message: &Message) -> Result<Value, Fault> {
    let mut result = match message.method() {
        "server/discover" => json!({
            "supportedVersions": [MODERN],
            "capabilities": { "tools": {} },
            "_meta": { SERVER_KEY: server_info() },
        }),
        "tools/list" => tools(message)?,
        "tools/call" => return call(message).map(|result| with(result, "resultType", "complete".into())),
        method => return Err(unknown(method)),
    };
    // Both are the same for every caller and never change.
    result = with(result, "ttlMs", 60_000.into());
    result = with(result, "cacheScope", "public".into());
    Ok(with(result, "resultType", "complete".into()))
}

/// The answer to a request of the era of `initialize`.
pub(crate) fn legacy(message: &Message) -> Result<Value, Fault> {
    match message.method() {
        "initialize" => {
            let asked = message.text(&["params", "protocolVersion"]).unwrap_or_default();
            let version = LEGACY.iter().find(|known| **known == asked).or(LEGACY.first());
            Ok(json!({
                "protocolVersion": version,
                "capabilities": { "tools": {} },
                "serverInfo": server_info(),
            }))
        }
        "ping" => Ok(json!({})),
        "tools/list" => tools(message),
        "tools/call" => call(message),
        method => Err(unknown(method)),
    }
}

/// A connection over standard input and output: its era is that of each message, and in that of `initialize` the
/// greeting comes first.
#[derive(Debug, Default)]
pub(crate) struct Stdio {
    greeted: bool,
}

impl Stdio {
    /// The answer to a line; none to a notification.
    pub(crate) fn answer(&mut self, line: &[u8]) -> Option<Value> {
        let message = match Message::read(line) {
            Ok(message) => message,
            Err(fault) => return Some(fault.answer(None)),
        };
        let id = message.id()?;
        let outcome = if message.modern_version().is_some() {
            check_modern(&message).and_then(|()| modern(&message))
        } else if self.greeted || matches!(message.method(), "initialize" | "ping") {
            self.greeted |= message.method() == "initialize";
            legacy(&message)
        } else {
            Err(Fault::new(
                400,
                INVALID_REQUEST,
                "`initialize` comes first, or `_meta` names the version",
            ))
        };
        Some(whole(id, outcome))
    }
}

/// A whole answer.
pub(crate) fn whole(id: &Value, outcome: Result<Value, Fault>) -> Value {
    match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(fault) => fault.answer(Some(id)),
    }
}

fn unknown(method: &str) -> Fault {
    let short: String = method.chars().take(64).collect();
    Fault::new(
        404,
        UNKNOWN_METHOD,
        format!("the method `{short}` is not known here"),
    )
}

fn server_info() -> Value {
    json!({ "name": "mantlet-echo", "version": env!("CARGO_PKG_VERSION") })
}

fn tools(message: &Message) -> Result<Value, Fault> {
    if message.at(&["params", "cursor"]).is_some() {
        return Err(Fault::new(
            200,
            INVALID_PARAMS,
            "there is one page only, and no cursor",
        ));
    }
    Ok(json!({ "tools": [{
        "name": "echo",
        "description": "Says the message back",
        "inputSchema": {
            "type": "object",
            "properties": { "message": { "type": "string" } },
            "required": ["message"],
        },
    }] }))
}

/// Wrong arguments are told in the result, where a model sees them (MCP 2026-07-28 server/tools §Error Handling).
fn call(message: &Message) -> Result<Value, Fault> {
    if message.name() != Some("echo") {
        return Err(Fault::new(200, INVALID_PARAMS, "there is one tool, `echo`"));
    }
    match message.text(&["params", "arguments", "message"]) {
        Some(text) => Ok(json!({ "content": [{ "type": "text", "text": text }] })),
        None => Ok(json!({
            "content": [{ "type": "text", "text": "`message` must be a text" }],
            "isError": true,
        })),
    }
}

fn with(mut result: Value, key: &str, value: Value) -> Value {
    if let Some(members) = result.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

    fn say(connection: &mut Stdio, method: &str, params: &str) -> Value {
        let line = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}}}}}"#);
        connection.answer(line.as_bytes()).unwrap()
    }

    #[test]
    fn both_eras_echo() {
        let mut old = Stdio::default();
        let call = r#""name":"echo","arguments":{"message":"grüezi"}"#;
        assert_eq!(
            say(&mut old, "tools/call", call)["error"]["code"],
            INVALID_REQUEST
        );
        let hello = say(&mut old, "initialize", r#""protocolVersion":"1999-01-01""#);
        assert_eq!(hello["result"]["protocolVersion"], "2025-11-25");
        let answer = say(&mut old, "tools/call", call);
        assert_eq!(answer["result"]["content"][0]["text"], "grüezi");
        assert!(answer["result"].get("resultType").is_none());

        let mut new = Stdio::default();
        let answer = say(&mut new, "tools/call", &format!("{call},{META}"));
        assert_eq!(answer["result"]["content"][0]["text"], "grüezi");
        assert_eq!(answer["result"]["resultType"], "complete");
        let found = say(&mut new, "server/discover", META);
        assert_eq!(found["result"]["supportedVersions"], json!(["2026-07-28"]));
    }

    #[test]
    fn what_an_era_does_not_have_is_unknown_in_it() {
        let mut new = Stdio::default();
        for method in ["initialize", "ping", "logging/setLevel", "subscriptions/listen"] {
            assert_eq!(
                say(&mut new, method, META)["error"]["code"],
                UNKNOWN_METHOD,
                "{method}"
            );
        }
        let mut old = Stdio::default();
        say(&mut old, "initialize", "");
        assert_eq!(
            say(&mut old, "server/discover", "")["error"]["code"],
            UNKNOWN_METHOD
        );
    }

    #[test]
    fn versions_and_capabilities_are_asked_for() {
        let mut new = Stdio::default();
        let future = META.replace("2026-07-28", "2099-01-01");
        let answer = say(&mut new, "tools/list", &future);
        assert_eq!(answer["error"]["code"], UNSUPPORTED_VERSION);
        assert_eq!(answer["error"]["data"]["requested"], "2099-01-01");
        let silent = META.replace("clientCapabilities", "other");
        assert_eq!(
            say(&mut new, "tools/list", &silent)["error"]["code"],
            INVALID_PARAMS
        );
    }

    #[test]
    fn wrong_messages_get_an_error_without_id() {
        for wrong in [
            "[]",
            "null",
            r#"{"id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        ] {
            let answer = Stdio::default().answer(wrong.as_bytes()).unwrap();
            assert_eq!(answer["error"]["code"], INVALID_REQUEST, "{wrong}");
            assert!(answer.get("id").is_none(), "{wrong}");
        }
        let deep = "[".repeat(100_000);
        let answer = Stdio::default().answer(deep.as_bytes()).unwrap();
        assert_eq!(answer["error"]["code"], PARSE_ERROR);
    }

    #[test]
    fn wrong_arguments_are_told_in_the_result() {
        let mut old = Stdio::default();
        say(&mut old, "initialize", "");
        let answer = say(
            &mut old,
            "tools/call",
            r#""name":"echo","arguments":{"message":1}"#,
        );
        assert_eq!(answer["result"]["isError"], true);
        let answer = say(&mut old, "tools/call", r#""name":"ech""#);
        assert_eq!(answer["error"]["code"], INVALID_PARAMS);
        let answer = say(&mut old, "tools/list", r#""cursor":"""#);
        assert_eq!(answer["error"]["code"], INVALID_PARAMS);
    }
}
