//! The messages that the load generator sends. Each request has an id of its own, as the protocol asks within a
//! session; ids are of one width, so that a request is written once and only its digits change.

use serde_json::{Value, json};

use crate::options::Options;

pub(crate) const READY: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// The first id; all have as many digits.
pub(crate) const FIRST_ID: u64 = 1_000_000_000;

/// Bytes with the digits of an id in them.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    at: usize,
}

impl Template {
    /// Puts text in front, as the head of an HTTP request.
    pub(crate) fn after(&self, head: &str) -> Self {
        let mut bytes = head.as_bytes().to_vec();
        bytes.extend_from_slice(&self.bytes);
        Self {
            bytes,
            at: self.at + head.len(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes with this id, which has ten digits.
    pub(crate) fn with(&mut self, id: u64) -> &[u8] {
        let mut rest = id;
        for byte in self.bytes.iter_mut().skip(self.at).take(10).rev() {
            *byte = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        &self.bytes
    }
}

/// The first request: the handshake of the era of `initialize`, or the question that takes its place.
pub(crate) fn hello(options: &Options) -> String {
    let (method, params) = if options.is_modern() {
        ("server/discover", json!({ "_meta": meta(options) }))
    } else {
        let params = json!({
            "protocolVersion": options.protocol,
            "capabilities": {},
            "clientInfo": client(),
        });
        ("initialize", params)
    };
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

/// The request that is sent again and again.
pub(crate) fn request(options: &Options) -> Template {
    let mut params = match options.method.as_str() {
        "tools/call" => json!({ "name": options.tool, "arguments": options.arguments }),
        _ => json!({}),
    };
    if let (Some(params), true) = (params.as_object_mut(), options.is_modern()) {
        params.insert("_meta".to_owned(), meta(options));
    }
    let head = r#"{"jsonrpc":"2.0","id":"#;
    let text = format!(
        r#"{head}{FIRST_ID},"method":"{}","params":{params}}}"#,
        options.method
    );
    Template {
        bytes: text.into_bytes(),
        at: head.len(),
    }
}

fn meta(options: &Options) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": options.protocol,
        "io.modelcontextprotocol/clientInfo": client(),
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn client() -> Value {
    json!({ "name": "mantlet-loadgen", "version": env!("CARGO_PKG_VERSION") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Asked, read};

    #[test]
    fn only_the_id_changes() {
        let words = ["--protocol", "2026-07-28", "--", "prog"].map(str::to_owned);
        let Ok(Asked::Load(options)) = read(words.into_iter()) else {
            panic!("not understood");
        };
        let mut template = request(&options).after("HEAD\r\n");
        for id in [FIRST_ID, FIRST_ID + 1, 1_234_567_890] {
            let text = String::from_utf8(template.with(id).to_vec()).unwrap();
            let body: Value = text.strip_prefix("HEAD\r\n").unwrap().parse().unwrap();
            assert_eq!(body["id"], id);
            assert_eq!(body["params"]["name"], "echo");
            assert_eq!(
                body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"],
                "2026-07-28"
            );
        }
    }
}
