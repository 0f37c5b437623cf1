//! A client by hand over HTTP: sessions of the initialize era, stateless requests, and streams that a test reads as
//! slowly as it likes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{Answer, parse};
use crate::serving::Serving;

/// A session of the initialize era.
#[derive(Debug)]
pub struct Session<'a> {
    serving: &'a Serving,
    server: Option<&'a str>,
    id: String,
}

impl<'a> Session<'a> {
    /// Opens a session on one server's endpoint, or on that of all.
    #[must_use]
    pub fn begin(serving: &'a Serving, server: Option<&'a str>) -> Self {
        let mut session = Self {
            serving,
            server,
            id: String::new(),
        };
        let hello = json!({
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "by hand", "version": "1"},
        });
        let answer = session.post(&request(&json!(0), "initialize", &hello));
        let id = answer.header("mcp-session-id").map(str::to_owned);
        session.id = id.unwrap_or_else(|| panic!("no session: {}", answer.text()));
        let ready = session.tell("notifications/initialized", &json!({}));
        assert_eq!(ready, 202, "`notifications/initialized`");
        session
    }

    /// Asks and gives the answer's message.
    #[must_use]
    pub fn ask(&self, id: i64, method: &str, params: &Value) -> Value {
        let answer = self.post(&request(&json!(id), method, params));
        let messages = answer.messages().into_iter();
        let found = messages.rev().find(|message| message["id"] == id);
        found.unwrap_or_else(|| json!({"status": answer.status, "body": answer.text()}))
    }

    /// Calls a tool.
    #[must_use]
    pub fn call(&self, id: i64, tool: &str, arguments: &Value) -> Value {
        self.ask(id, "tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// Sends a notification; gives the HTTP status.
    #[must_use]
    pub fn tell(&self, method: &str, params: &Value) -> u16 {
        let note = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.post(&note).status
    }

    /// Asks without waiting for the answer.
    #[must_use]
    pub fn begin_to_ask(&self, id: i64, method: &str, params: &Value) -> Stream {
        let body = request(&json!(id), method, params);
        Stream::open(
            self.serving,
            "POST",
            self.server,
            &self.headers(),
            &body.to_string(),
        )
    }

    /// Opens the general stream.
    #[must_use]
    pub fn listen(&self) -> Stream {
        Stream::open(self.serving, "GET", self.server, &self.headers(), "")
    }

    /// Takes a stream up again after this event.
    #[must_use]
    pub fn resume(&self, event: &str) -> Stream {
        let mut headers = self.headers();
        headers.push(("Last-Event-ID", event.to_owned()));
        Stream::open(self.serving, "GET", self.server, &headers, "")
    }

    fn post(&self, body: &Value) -> Answer {
        let headers = self.headers();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        self.serving.post(self.server, &headers, &body.to_string())
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("MCP-Protocol-Version", "2025-11-25".to_owned())];
        if !self.id.is_empty() {
            headers.push(("Mcp-Session-Id", self.id.clone()));
        }
        headers
    }
}

/// A request of the stateless era, sent; its answer is read from the stream.
#[must_use]
pub fn stateless(
    serving: &Serving,
    server: Option<&str>,
    id: &Value,
    method: &str,
    params: &Value,
) -> Stream {
    let mut params = params.clone();
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    params["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({"name": "by hand", "version": "1"});
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let mut headers = vec![
        ("MCP-Protocol-Version", "2026-07-28".to_owned()),
        ("Mcp-Method", method.to_owned()),
    ];
    if let Some(name) = params["name"].as_str().or(params["uri"].as_str()) {
        headers.push(("Mcp-Name", name.to_owned()));
    }
    let body = request(id, method, &params).to_string();
    Stream::open(serving, "POST", server, &headers, &body)
}

fn request(id: &Value, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// An HTTP exchange on a connection of its own, read message by message. Dropping it closes the connection.
#[derive(Debug)]
pub struct Stream {
    reader: BufReader<TcpStream>,
}

impl Stream {
    /// Sends a request as the token's holder.
    #[must_use]
    pub fn open(
        serving: &Serving,
        method: &str,
        server: Option<&str>,
        headers: &[(&str, String)],
        body: &str,
    ) -> Self {
        let path = server.map_or_else(|| "/mcp".to_owned(), |server| format!("/servers/{server}/mcp"));
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\
             Content-Type: application/json\r\nConnection: close\r\n",
            serving.address,
            serving.token,
            body.len()
        );
        let accept = if method == "GET" {
            "text/event-stream"
        } else {
            "application/json, text/event-stream"
        };
        head.push_str(&format!("Accept: {accept}\r\n"));
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(&serving.address).unwrap();
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        Self {
            reader: BufReader::new(stream),
        }
    }

    /// The next line, or nothing when none comes in time or the stream has ended.
    pub fn line(&mut self, patience: Duration) -> Option<String> {
        let waiting = Some(patience.max(Duration::from_millis(1)));
        self.reader.get_ref().set_read_timeout(waiting).unwrap();
        let mut line = Vec::new();
        let count = self.reader.read_until(b'\n', &mut line).ok()?;
        (count > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// The next message, within a minute.
    pub fn message(&mut self) -> Option<Value> {
        self.message_within(Duration::from_secs(60))
    }

    /// The next message, if one comes in time.
    pub fn message_within(&mut self, patience: Duration) -> Option<Value> {
        let end = Instant::now() + patience;
        loop {
            let line = self.line(end.saturating_duration_since(Instant::now()))?;
            let text = line.strip_prefix("data:").unwrap_or(&line);
            if let Ok(message @ Value::Object(_)) = parse(text.trim()) {
                return Some(message);
            }
        }
    }

    /// The next message that fits.
    pub fn find(&mut self, mut fits: impl FnMut(&Value) -> bool) -> Option<Value> {
        loop {
            let message = self.message()?;
            if fits(&message) {
                return Some(message);
            }
        }
    }

    /// The next message of an event stream and the id of its event, within a minute.
    pub fn event(&mut self) -> Option<(String, Value)> {
        let mut id = String::new();
        loop {
            let line = self.line(Duration::from_secs(60))?;
            if let Some(named) = line.strip_prefix("id:") {
                named.trim().clone_into(&mut id);
            }
            let data = line.strip_prefix("data:").map(|data| parse(data.trim()));
            if let Some(Ok(message @ Value::Object(_))) = data {
                return Some((id, message));
            }
        }
    }

    /// The HTTP status, read before anything else.
    pub fn status(&mut self) -> u16 {
        let line = self.line(Duration::from_secs(60)).unwrap_or_default();
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_default()
    }
}
