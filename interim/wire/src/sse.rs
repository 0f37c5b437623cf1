//! Server-sent events (WHATWG HTML §9.2), read and written. Incremental, capped, pure.

use bytes::Bytes;
use std::collections::VecDeque;

/// A comment that keeps a quiet stream alive.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// One event. Events without data are given out as well when they carry an id or a retry time: servers prime a
/// stream with them (MCP 2025-11-25 basic/transports).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Event {
    /// Its type; none means `message`.
    pub event: Option<String>,
    /// Its id.
    pub id: Option<String>,
    /// How long to wait before reconnecting, in milliseconds.
    pub retry: Option<u64>,
    /// Its data, lines joined by line feeds.
    pub data: Bytes,
}

/// Why a stream cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseReject {
    /// One event has more bytes than the cap.
    #[error("an event has more than the {cap} bytes that are read")]
    TooLong {
        /// Bytes there may be.
        cap: usize,
    },
}

/// Reads a stream of events, however it comes in pieces.
#[derive(Debug)]
pub struct Events {
    cap: usize,
    line: Vec<u8>,
    started: bool,
    after_cr: bool,
    size: usize,
    has_data: bool,
    data: Vec<u8>,
    event: Option<String>,
    id: Option<String>,
    retry: Option<u64>,
    ready: VecDeque<Event>,
}

impl Events {
    /// Events of at most `cap` bytes.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self {
            cap,
            line: Vec::new(),
            started: false,
            after_cr: false,
            size: 0,
            has_data: false,
            data: Vec::new(),
            event: None,
            id: None,
            retry: None,
            ready: VecDeque::new(),
        }
    }

    /// Takes in what was read.
    ///
    /// # Errors
    /// An event is larger than the cap; the stream cannot be read on.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), SseReject> {
        let mut rest = chunk;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest.first() == Some(&b'\n') {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            match memchr::memchr2(b'\n', b'\r', rest) {
                Some(end) => {
                    let (line, tail) = rest.split_at(end);
                    self.gather(line)?;
                    self.after_cr = tail.first() == Some(&b'\r');
                    self.end_line();
                    rest = tail.get(1..).unwrap_or_default();
                }
                None => {
                    self.gather(rest)?;
                    rest = &[];
                }
            }
        }
        Ok(())
    }

    fn gather(&mut self, piece: &[u8]) -> Result<(), SseReject> {
        self.size = self.size.saturating_add(piece.len());
        // Field names come on top of the data itself.
        if self.size > self.cap.saturating_add(4_096) {
            return Err(SseReject::TooLong { cap: self.cap });
        }
        self.line.extend_from_slice(piece);
        Ok(())
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.started, true) && line.starts_with(b"\xEF\xBB\xBF") {
            line.drain(..3);
        }
        if line.is_empty() {
            self.dispatch();
        } else if line.first() == Some(&b':') {
            // A comment counts towards nothing.
            self.size = self.size.saturating_sub(line.len());
        } else {
            self.field(&line);
        }
        line.clear();
        self.line = line;
    }

    fn field(&mut self, line: &[u8]) {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => self.event = Some(String::from_utf8_lossy(value).into_owned()),
            b"id" if !value.contains(&0) => self.id = Some(String::from_utf8_lossy(value).into_owned()),
            b"retry" => {
                let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
                let text = std::str::from_utf8(value).ok().filter(|_| digits);
                self.retry = text.and_then(|text| text.parse().ok()).or(self.retry);
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        self.size = 0;
        let event = Event {
            event: self.event.take().filter(|event| !event.is_empty()),
            id: self.id.take(),
            retry: self.retry.take(),
            data: std::mem::take(&mut self.data).into(),
        };
        self.has_data = false;
        if !event.data.is_empty() || event.id.is_some() || event.retry.is_some() {
            self.ready.push_back(event);
        }
    }

    /// The next whole event.
    #[expect(clippy::should_implement_trait, reason = "there may be more events after `None`")]
    pub fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }
}

/// Writes one event.
pub fn write_event(out: &mut Vec<u8>, event: Option<&str>, id: Option<&str>, retry: Option<u64>, data: &[u8]) {
    let mut field = |name: &str, value: &[u8]| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.push(b'\n');
    };
    if let Some(event) = event {
        field("event", event.as_bytes());
    }
    if let Some(id) = id {
        field("id", id.as_bytes());
    }
    if let Some(retry) = retry {
        field("retry", retry.to_string().as_bytes());
    }
    for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        field("data", line);
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<Event> {
        let mut events = Events::new(1_000);
        let mut out = Vec::new();
        for chunk in chunks {
            events.push(chunk).unwrap();
            while let Some(event) = events.next() {
                out.push(event);
            }
        }
        out
    }

    #[test]
    fn the_same_events_however_they_come() {
        let text = b"\xEF\xBB\xBF: hi\r\nid: 1\r\nretry: 500\r\ndata:\r\n\r\nevent: message\rdata: {\"a\":\rdata: 1}\r\rdata: x\n\ndata: unfinished";
        let whole = read(&[text]);
        assert_eq!(whole.len(), 3);
        assert_eq!((whole[0].id.as_deref(), whole[0].retry), (Some("1"), Some(500)));
        assert_eq!(whole[1].data, Bytes::from_static(b"{\"a\":\n1}"));
        for size in 1..text.len() {
            let chunks: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(read(&chunks), whole, "chunks of {size}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_refused() {
        let mut events = Events::new(1_000);
        let mut outcome = Ok(());
        for _ in 0..100 {
            outcome = outcome.and_then(|()| events.push(&[b'x'; 100]));
        }
        assert_eq!(outcome, Err(SseReject::TooLong { cap: 1_000 }));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut out = Vec::new();
        write_event(&mut out, Some("message"), Some("7"), Some(3), b"{\"a\":\n1}");
        let read = read(&[&out]);
        assert_eq!(read[0].data, Bytes::from_static(b"{\"a\":\n1}"));
        assert_eq!((read[0].event.as_deref(), read[0].id.as_deref(), read[0].retry), (Some("message"), Some("7"), Some(3)));
    }
}
