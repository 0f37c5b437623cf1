//! The head of an HTTP/1.1 request and where its body ends (RFC 9112), within bounds.

use std::io::{BufRead, Error, Read as _, Result};

const MAX_LINE: u64 = 16 * 1024;
const MAX_LINES: usize = 100;
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Why a head was not read.
#[derive(Debug)]
pub(super) enum Trouble {
    Broke(Error),
    /// The status to answer with before the connection is closed.
    Refused(u16),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Broke(error)
    }
}

/// What the server needs of a head.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) close: bool,
    pub(super) origin: Option<String>,
    pub(super) session: Option<String>,
    pub(super) version: Option<String>,
    pub(super) rpc_method: Option<String>,
    pub(super) name: Option<String>,
    accept: Option<String>,
    content_type: Option<String>,
    connection: Option<String>,
    length: Option<String>,
    coding: Option<String>,
    body: usize,
}

impl Head {
    /// The next head; `None` where the client has closed the connection instead.
    pub(super) fn read(reader: &mut impl BufRead) -> std::result::Result<Option<Self>, Trouble> {
        let mut line = Vec::new();
        if !read_line(reader, &mut line)? {
            return Ok(None);
        }
        let mut head = Self::default();
        let text = std::str::from_utf8(&line).map_err(|_| Trouble::Refused(400))?;
        let words: Vec<&str> = text.trim_end().split(' ').collect();
        let [method, target, "HTTP/1.1"] = words.as_slice() else {
            return Err(Trouble::Refused(400));
        };
        (*method).clone_into(&mut head.method);
        (*target).clone_into(&mut head.path);
        for _ in 0..MAX_LINES {
            if !read_line(reader, &mut line)? {
                return Err(Trouble::Refused(400));
            }
            let text = std::str::from_utf8(&line)
                .map_err(|_| Trouble::Refused(400))?
                .trim_end();
            if text.is_empty() {
                return head.complete().map(Some);
            }
            head.take(text)?;
        }
        Err(Trouble::Refused(431))
    }

    fn take(&mut self, line: &str) -> std::result::Result<(), Trouble> {
        // RFC 9112 §5.1 and §5.2: no white space before the colon, and no folded lines.
        let (name, value) = line.split_once(':').ok_or(Trouble::Refused(400))?;
        if name.is_empty() || name.contains([' ', '\t']) {
            return Err(Trouble::Refused(400));
        }
        let field = match name.to_ascii_lowercase().as_str() {
            "accept" => &mut self.accept,
            "connection" => &mut self.connection,
            "content-length" => &mut self.length,
            "content-type" => &mut self.content_type,
            "mcp-method" => &mut self.rpc_method,
            "mcp-name" => &mut self.name,
            "mcp-protocol-version" => &mut self.version,
            "mcp-session-id" => &mut self.session,
            "origin" => &mut self.origin,
            "transfer-encoding" => &mut self.coding,
            _ => return Ok(()),
        };
        // Of two, one could be read here and the other elsewhere.
        match field.replace(value.trim().to_owned()) {
            None => Ok(()),
            Some(_) => Err(Trouble::Refused(400)),
        }
    }

    fn complete(mut self) -> std::result::Result<Self, Trouble> {
        self.close = self
            .connection
            .as_deref()
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        // Chunks are not read here; RFC 9110 §15.5.12 has a status for that.
        if self.coding.is_some() {
            return Err(Trouble::Refused(411));
        }
        self.body = match &self.length {
            None if self.method == "POST" => return Err(Trouble::Refused(411)),
            None => 0,
            // `parse` alone would take `+1` (RFC 9110 §8.6: digits only).
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map_err(|_| Trouble::Refused(400))?
            }
            Some(_) => return Err(Trouble::Refused(400)),
        };
        if self.body > MAX_BODY {
            return Err(Trouble::Refused(413));
        }
        Ok(self)
    }

    pub(super) fn read_body(&self, reader: &mut impl BufRead, body: &mut Vec<u8>) -> Result<()> {
        body.resize(self.body, 0);
        reader.read_exact(body)
    }

    pub(super) fn sends_json(&self) -> bool {
        let essence = self
            .content_type
            .as_deref()
            .and_then(|text| text.split(';').next());
        essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
    }

    pub(super) fn takes_json(&self) -> bool {
        let ranges = self.accept.as_deref().unwrap_or_default().split(',');
        ranges
            .filter_map(|range| range.split(';').next())
            .any(|range| matches!(range.trim(), "application/json" | "application/*" | "*/*"))
    }
}

/// False at the end of the stream.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::result::Result<bool, Trouble> {
    line.clear();
    let count = reader.by_ref().take(MAX_LINE).read_until(b'\n', line)?;
    match line.last() {
        Some(b'\n') => Ok(true),
        None => Ok(false),
        Some(_) if u64::try_from(count) == Ok(MAX_LINE) => Err(Trouble::Refused(431)),
        Some(_) => Err(Trouble::Refused(400)),
    }
}
