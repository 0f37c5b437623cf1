//! HTTP/1.1 by hand: an attacker chooses every byte. Not here: what a well-behaved client would do.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The head, names in lower case.
    pub head: Vec<(String, String)>,
    /// The body, with chunks joined.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.head.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }

    /// The message: the body, or the last `data:` line of a stream.
    #[must_use]
    pub fn message(&self) -> Value {
        self.messages().pop().unwrap_or(Value::Null)
    }

    /// The messages: the body, or each `data:` line of a stream.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        let text = self.text();
        if let Ok(value) = parse(&text) {
            return vec![value];
        }
        text.lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .filter_map(|data| parse(data.trim()).ok())
            .collect()
    }

    /// The refusal's stable code, wherever it is.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let message = self.message();
        Some(message.pointer("/error/data/reason")?.as_str()?.to_owned())
    }
}

/// Reads JSON that a test wants to look at.
///
/// # Errors
/// It is no JSON.
#[expect(
    clippy::disallowed_methods,
    reason = "a test looks at what came back with another parser than ours"
)]
pub fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text)
}

/// One request on a connection of its own.
#[must_use]
pub fn request(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    let framed = headers.iter().any(|(name, _)| {
        name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
    });
    if !framed {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("Connection: close\r\n\r\n");
    raw(address, &[head.as_bytes(), body].concat())
}

/// Sends bytes as they are and reads until the end.
#[must_use]
pub fn raw(address: &str, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // The gateway may answer and close before it has read everything; what it said counts.
    let _cut = stream.write_all(bytes);
    let mut all = Vec::new();
    let _cut = stream.read_to_end(&mut all);
    answer(&all)
}

/// Takes an HTTP answer apart.
#[must_use]
pub fn answer(all: &[u8]) -> Answer {
    let end = all
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or(all.len());
    let (head, rest) = all.split_at(end);
    let head = String::from_utf8_lossy(head).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    let head: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = rest.get(4..).unwrap_or_default();
    let chunked = head
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value.contains("chunked"));
    Answer {
        status,
        body: if chunked { joined(body) } else { body.to_vec() },
        head,
    }
}

fn joined(mut body: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let (size, rest) = body.split_at(end);
        let size = usize::from_str_radix(String::from_utf8_lossy(size).trim(), 16).unwrap_or(0);
        let Some(chunk) = rest.get(2..2 + size) else {
            all.extend_from_slice(rest.get(2..).unwrap_or_default());
            break;
        };
        all.extend_from_slice(chunk);
        if size == 0 {
            break;
        }
        body = rest.get(4 + size..).unwrap_or_default();
    }
    all
}
