//! Server-sent events, read and written (WHATWG HTML §9.2). Not here: connections, retries and resumption.

use std::collections::VecDeque;

use bytes::Bytes;

/// A comment that keeps a quiet connection open.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its kind; `message` when absent.
    pub event: Option<String>,
    /// Where to go on after this event, once the connection is lost.
    pub id: Option<String>,
    /// How many milliseconds to wait before that.
    pub retry: Option<u64>,
    /// What it says: all `data` lines. Empty in an event that only primes `id` or `retry`.
    pub data: Bytes,
}

/// Why a stream of events cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseReject {
    /// One event, or one line, is above the cap.
    #[error("an event has more than {limit} bytes; send less at once")]
    TooLong {
        /// The cap.
        limit: usize,
    },
}

/// Cuts a stream of bytes into events, whatever the chunks are that it comes in. An iterator that may go on
/// after it said `None`: when more was pushed.
#[derive(Debug)]
pub struct Events {
    cap: usize,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The event that has not ended yet.
    pending: Pending,
    /// The bytes of its lines so far.
    size: usize,
    /// Whether the last byte was a carriage return, so that a newline right after it ends nothing.
    after_return: bool,
    /// Whether the first line is still to come, with the byte order mark that it may have.
    at_start: bool,
    rejected: Option<SseReject>,
    ready: VecDeque<Event>,
}

#[derive(Debug, Default)]
struct Pending {
    event: Option<String>,
    id: Option<String>,
    retry: Option<u64>,
    data: Option<Vec<u8>>,
}

impl Events {
    /// Events of at most `cap` bytes each.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self {
            cap,
            line: Vec::new(),
            pending: Pending::default(),
            size: 0,
            after_return: false,
            at_start: true,
            rejected: None,
            ready: VecDeque::new(),
        }
    }

    /// Takes in what was read. Take all events out before pushing more; those before an event that is too
    /// long are still there.
    ///
    /// # Errors
    ///
    /// When an event is above the cap; the stream stays refused then.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), SseReject> {
        let mut rest = chunk;
        while !rest.is_empty() && self.rejected.is_none() {
            if std::mem::take(&mut self.after_return)
                && let Some(after) = rest.strip_prefix(b"\n")
            {
                rest = after;
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', rest);
            let (more, after) = rest
                .split_at_checked(end.unwrap_or(rest.len()))
                .unwrap_or((rest, &[]));
            self.extend_line(more);
            if let Some((byte, after)) = after.split_first() {
                self.after_return = *byte == b'\r';
                self.end_line();
                rest = after;
            } else {
                rest = after;
            }
        }
        self.rejected.map_or(Ok(()), Err)
    }

    fn extend_line(&mut self, more: &[u8]) {
        if self.size.saturating_add(more.len()) > self.cap {
            self.rejected = Some(SseReject::TooLong { limit: self.cap });
            self.line = Vec::new();
            return;
        }
        self.size += more.len();
        self.line.extend_from_slice(more);
    }

    fn end_line(&mut self) {
        if self.rejected.is_some() {
            return;
        }
        let line = std::mem::take(&mut self.line);
        let mut text = &line[..];
        if std::mem::take(&mut self.at_start) {
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        if text.is_empty() {
            self.size = 0;
            self.ready.extend(std::mem::take(&mut self.pending).finish());
        } else if text.starts_with(b":") {
            // A comment is part of no event: any number of keep-alives may come within one.
            self.size -= line.len();
        } else {
            self.pending.field(text);
        }
        self.line = line;
        self.line.clear();
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }
}

impl Pending {
    fn field(&mut self, line: &[u8]) {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
        let value = value.strip_prefix(b":").unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            },
            b"event" => self.event = Some(String::from_utf8_lossy(value).into_owned()),
            b"id" if !value.contains(&0) => self.id = Some(String::from_utf8_lossy(value).into_owned()),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.retry = std::str::from_utf8(value)
                    .ok()
                    .and_then(|digits| digits.parse().ok());
            }
            _ => {}
        }
    }

    /// The event, if it says anything. A browser drops one without data; MCP primes a stream with an id and
    /// empty data (2025-11-25 basic/transports), so an id or a delay is enough here.
    fn finish(self) -> Option<Event> {
        if self.data.is_none() && self.id.is_none() && self.retry.is_none() {
            return None;
        }
        let event = self.event.filter(|event| !event.is_empty());
        Some(Event {
            event,
            id: self.id,
            retry: self.retry,
            data: self.data.unwrap_or_default().into(),
        })
    }
}

/// Appends an event. Line breaks in `data` become `data` lines of their own; in `event` and `id`, which are
/// single lines, they are left out, so that neither can smuggle a field in.
pub fn write_event(
    out: &mut Vec<u8>,
    event: Option<&str>,
    id: Option<&str>,
    retry: Option<u64>,
    data: &[u8],
) {
    let mut field = |name: &str, value: &str| {
        out.extend_from_slice(name.as_bytes());
        out.extend(value.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r' | 0)));
        out.push(b'\n');
    };
    if let Some(event) = event {
        field("event: ", event);
    }
    if let Some(id) = id {
        field("id: ", id);
    }
    if let Some(retry) = retry {
        field("retry: ", &retry.to_string());
    }
    let mut rest = Some(data);
    while let Some(text) = rest {
        let end = memchr::memchr2(b'\n', b'\r', text);
        let (line, after) = text
            .split_at_checked(end.unwrap_or(text.len()))
            .unwrap_or((text, &[]));
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = after
            .strip_prefix(b"\r\n")
            .or_else(|| after.get(1..))
            .filter(|_| end.is_some());
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, cap: usize) -> (Vec<Event>, Option<SseReject>) {
        let mut events = Events::new(cap);
        let mut found = Vec::new();
        let mut rejected = None;
        for chunk in chunks {
            rejected = events.push(chunk).err();
            found.extend(events.by_ref());
            assert!(events.line.len() <= cap);
        }
        (found, rejected)
    }

    fn all(text: &str) -> Vec<Event> {
        let (events, rejected) = cut([text.as_bytes()], 1000);
        assert_eq!(rejected, None);
        events
    }

    fn data(text: &'static str) -> Event {
        Event {
            data: Bytes::from_static(text.as_bytes()),
            ..Event::default()
        }
    }

    #[test]
    fn events_are_read_as_browsers_do() {
        for (text, events) in [
            (
                "data: a\n\ndata:b\r\n\r\ndata:  c\r\r",
                vec![data("a"), data("b"), data(" c")],
            ),
            ("data: a\ndata\ndata: b\n\n", vec![data("a\n\nb")]),
            ("\u{feff}data: a\n\n\u{feff}data: b\n\n", vec![data("a")]),
            (": comment\n\n:\n\ndata: a\n: in between\n\n", vec![data("a")]),
            ("data\n\n", vec![data("")]),
            ("data: not ended\n", vec![]),
            ("event: x\n\n", vec![]),
            ("Data: a\n\n data: b\n\nfoo: c\n\n", vec![]),
            (
                "event: x\nevent: y\ndata: a\n\ndata: b\n\n",
                vec![
                    Event {
                        event: Some("y".into()),
                        ..data("a")
                    },
                    data("b"),
                ],
            ),
            (
                "id: 1\ndata: \n\n",
                vec![Event {
                    id: Some("1".into()),
                    ..Event::default()
                }],
            ),
            (
                "id: 1\n\n",
                vec![Event {
                    id: Some("1".into()),
                    ..Event::default()
                }],
            ),
            (
                "id\n\n",
                vec![Event {
                    id: Some(String::new()),
                    ..Event::default()
                }],
            ),
            ("id: a\0b\n\n", vec![]),
            (
                "retry: 500\n\n",
                vec![Event {
                    retry: Some(500),
                    ..Event::default()
                }],
            ),
            (
                "retry: 5x\n\nretry: -1\n\nretry:\n\nretry: 99999999999999999999\n\n",
                vec![],
            ),
            ("event:\ndata: a\n\n", vec![data("a")]),
        ] {
            assert_eq!(all(text), events, "{text:?}");
        }
    }

    #[test]
    fn an_event_too_long_ends_the_stream() {
        let limit = Some(SseReject::TooLong { limit: 10 });
        assert_eq!(cut([&b"data: 1234\n\n"[..]], 10), (vec![data("1234")], None));
        assert_eq!(
            cut([&b"data: 1\n\ndata: 12345\n\ndata: 1\n\n"[..]], 10),
            (vec![data("1")], limit)
        );
        assert_eq!(cut([&b"data: 1\ndata: 1\n\n"[..]], 10), (vec![], limit));
        assert_eq!(cut([&b": 123456789"[..]], 10), (vec![], limit));
        let comments = ": 1234\n".repeat(100);
        assert_eq!(
            cut([comments.as_bytes(), b"data: 1\n\n"], 10),
            (vec![data("1")], None)
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut out = Vec::new();
        write_event(
            &mut out,
            Some("a\nb"),
            Some("1\rdata: x\0"),
            Some(7),
            b"{\n\r\n\"x\":1,\r2}",
        );
        assert_eq!(out.iter().filter(|byte| **byte == b'\r').count(), 0);
        assert_eq!(
            all(std::str::from_utf8(&out).unwrap()),
            [Event {
                event: Some("ab".into()),
                id: Some("1data: x".into()),
                retry: Some(7),
                data: Bytes::from_static(b"{\n\n\"x\":1,\n2}"),
            }]
        );
        let mut out = KEEP_ALIVE.to_vec();
        write_event(&mut out, None, None, None, b"");
        assert_eq!(out, b": keep-alive\n\ndata: \n\n");
        assert_eq!(all(std::str::from_utf8(&out).unwrap()), [data("")]);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            parts in proptest::collection::vec(prop_oneof![
                Just("data"), Just(": "), Just("\n"), Just("\r"), Just("\r\n"), Just("id"), Just("x"),
                Just("retry: 1"), Just("\u{feff}"), Just("event"), Just("\n\n"),
            ], 0..40),
            size in 1_usize..7,
            cap in 1_usize..40,
        ) {
            let text = parts.concat();
            prop_assert_eq!(cut([text.as_bytes()], cap), cut(text.as_bytes().chunks(size), cap));
        }

        #[test]
        fn any_data_reads_back_with_plain_line_breaks(text in "[a\n\r:]{0,20}", id in "[a\n\r]{0,5}") {
            let mut out = Vec::new();
            write_event(&mut out, None, Some(&id), None, text.as_bytes());
            let found = all(std::str::from_utf8(&out).unwrap());
            let lines = text.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(found, [Event {
                id: Some(id.replace(['\n', '\r'], "")),
                data: lines.into(),
                ..Event::default()
            }]);
        }
    }
}
