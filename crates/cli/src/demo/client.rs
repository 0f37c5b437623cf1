//! A small MCP client over HTTP/1.1: what the demo needs, and able to misbehave where a library would not.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use mantlet_wire::{Caps, Events, Id, Kind, Message, Raw, Twins};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

/// Where the gateway is, and what opens it.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

/// One answer.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) session: Option<String>,
    /// The messages of the body, be it JSON or a stream of events.
    pub(crate) messages: Vec<Message>,
}

impl Reply {
    /// The answer to the request, if it came.
    pub(crate) fn answer(&self) -> Option<&Message> {
        self.messages
            .iter()
            .find(|message| matches!(message.kind(), Kind::Response | Kind::Error))
    }

    /// The name of a refusal of Mantlet.
    pub(crate) fn refusal(&self) -> Option<String> {
        let error = self.answer()?.error()?;
        Some(
            error
                .pointer(&["data", "reason"])
                .and_then(Raw::text)?
                .into_owned(),
        )
    }

    /// The sentence of an error.
    pub(crate) fn sentence(&self) -> String {
        let error = self.answer().and_then(Message::error);
        error
            .and_then(|error| error.get("message"))
            .and_then(Raw::text)
            .unwrap_or_default()
            .into_owned()
    }

    /// The first text of a tool's result, and whether the tool failed.
    pub(crate) fn tool_text(&self) -> Option<(String, bool)> {
        let result = self.answer()?.result()?;
        let text = result
            .get("content")?
            .items()
            .next()?
            .get("text")
            .and_then(Raw::text)?
            .into_owned();
        Some((text, result.get("isError").and_then(Raw::boolean) == Some(true)))
    }
}

/// One request, with everything that can be wrong about it.
#[derive(Clone, Debug)]
pub(crate) struct Post<'a> {
    pub(crate) path: &'a str,
    pub(crate) host: Option<&'a str>,
    pub(crate) token: Option<&'a str>,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: Bytes,
}

impl Site {
    /// A well-behaved request.
    pub(crate) fn post<'a>(&'a self, path: &'a str, body: impl Into<Bytes>) -> Post<'a> {
        Post {
            path,
            host: None,
            token: Some(&self.token),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Sends it; a gateway that hangs up gives an empty reply.
    pub(crate) async fn send(&self, post: &Post<'_>) -> Reply {
        match tokio::time::timeout(PATIENCE, self.exchange(post)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) | Err(_) => Reply::default(),
        }
    }

    async fn exchange(&self, post: &Post<'_>) -> std::io::Result<Reply> {
        let mut stream = TcpStream::connect(self.address).await?;
        let own = self.address.to_string();
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nConnection: close\r\nContent-Length: {}\r\n",
            post.path,
            post.host.unwrap_or(&own),
            post.body.len()
        );
        if let Some(token) = post.token {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        for (name, value) in &post.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        // A refused body may not be read to its end; the answer is what counts.
        let _hung_up = stream.write_all(&post.body).await;
        let mut text = Vec::new();
        let _reset = stream.read_to_end(&mut text).await;
        Ok(read(&text))
    }

    /// Opens a session of the initialize era on an endpoint.
    pub(crate) async fn session(&self, path: &str) -> Option<String> {
        let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"sampling":{}},"clientInfo":{"name":"mantlet-demo","version":"1"}}}"#;
        let session = self.send(&self.post(path, hello)).await.session?;
        let mut ready = self.post(path, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        ready.headers.push(("Mcp-Session-Id", session.clone()));
        self.send(&ready).await;
        Some(session)
    }

    /// A request within a session.
    pub(crate) async fn within(&self, path: &str, session: &str, body: impl Into<Bytes>) -> Reply {
        let mut post = self.post(path, body);
        post.headers.push(("Mcp-Session-Id", session.to_owned()));
        self.send(&post).await
    }

    /// A call of a tool within a session.
    pub(crate) async fn call(
        &self,
        path: &str,
        session: &str,
        tool: &str,
        arguments: &serde_json::Value,
    ) -> Reply {
        let params = serde_json::json!({ "name": tool, "arguments": arguments });
        let params = mantlet_wire::Json::from_value(&params);
        let request = Message::request(&Id::Number(7), "tools/call", Some(params));
        self.within(path, session, request.bytes().clone()).await
    }
}

fn read(text: &[u8]) -> Reply {
    let split = text
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or(text.len());
    let (head, body) = text.split_at(split);
    let body = body.get(4..).unwrap_or_default();
    let head = String::from_utf8_lossy(head);
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default();
    let header = |wanted: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim().to_owned())
    };
    let body = if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        joined(body)
    } else {
        body.to_vec()
    };
    let caps = Caps {
        message_bytes: 64 * 1024 * 1024,
        ..Caps::default()
    };
    let message = |bytes: Bytes| mantlet_wire::message(bytes, &caps, Twins::WhereKnown).ok();
    let messages = if header("content-type").is_some_and(|value| value.starts_with("text/event-stream")) {
        let mut events = Events::new(caps.message_bytes);
        let _too_long = events.push(&body);
        std::iter::from_fn(|| events.next())
            .filter_map(|event| message(event.data))
            .collect()
    } else {
        message(body.into()).into_iter().collect()
    };
    Reply {
        status,
        session: header("mcp-session-id"),
        messages,
    }
}

/// The body out of its chunks (RFC 9112 §7.1).
fn joined(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let (size, tail) = rest.split_at(end);
        let size = std::str::from_utf8(size)
            .ok()
            .and_then(|size| usize::from_str_radix(size.trim(), 16).ok())
            .unwrap_or(0);
        let data = tail.get(2..).unwrap_or_default();
        if size == 0 {
            break;
        }
        out.extend_from_slice(data.get(..size).unwrap_or(data));
        rest = data.get(size.saturating_add(2)..).unwrap_or_default();
    }
    out
}
