//! Lines of standard input and output (MCP 2026-07-28 basic/transports/stdio): one message a line, capped; after
//! a line that is too long the next newline is the way back.

use std::collections::VecDeque;

use bytes::Bytes;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Its bytes, without the line break.
    Text(Bytes),
    /// It was longer than the cap and was dropped.
    TooLong {
        /// How long it was, in bytes.
        bytes: usize,
    },
    /// Nothing on it.
    Blank,
}

/// Cuts a stream of bytes into lines, however it comes in pieces.
#[derive(Debug)]
pub struct Lines {
    cap: usize,
    partial: Vec<u8>,
    /// Bytes of a line that is being dropped.
    dropped: usize,
    ready: VecDeque<Line>,
}

impl Lines {
    /// Lines of at most `cap` bytes.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self { cap, partial: Vec::new(), dropped: 0, ready: VecDeque::new() }
    }

    /// Takes in what was read.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, tail) = rest.split_at(end);
            self.gather(line);
            self.end_line();
            rest = tail.get(1..).unwrap_or_default();
        }
        self.gather(rest);
    }

    fn gather(&mut self, piece: &[u8]) {
        if self.dropped > 0 || self.partial.len().saturating_add(piece.len()) > self.cap.saturating_add(1) {
            self.dropped = self.dropped.saturating_add(self.partial.len()).saturating_add(piece.len());
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(piece);
        }
    }

    fn end_line(&mut self) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            self.ready.push_back(Line::TooLong { bytes: dropped });
            return;
        }
        let mut line = std::mem::take(&mut self.partial);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        self.ready.push_back(if line.len() > self.cap {
            Line::TooLong { bytes: line.len() }
        } else if line.iter().all(u8::is_ascii_whitespace) {
            Line::Blank
        } else {
            Line::Text(line.into())
        });
    }

    /// The next whole line.
    #[expect(clippy::should_implement_trait, reason = "there may be more lines after `None`")]
    pub fn next(&mut self) -> Option<Line> {
        self.ready.pop_front()
    }

    /// The last line, when the stream ended without a line break.
    pub fn finish(&mut self) -> Option<Line> {
        if self.partial.is_empty() && self.dropped == 0 {
            return None;
        }
        self.end_line();
        self.ready.pop_front()
    }
}

/// Whether a line looks like the header of another framing (as of the Language Server Protocol).
#[must_use]
pub fn looks_like_header(line: &[u8]) -> bool {
    let name = b"content-length:";
    line.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(cap: usize, chunks: &[&[u8]]) -> Vec<Line> {
        let mut lines = Lines::new(cap);
        let mut out = Vec::new();
        for chunk in chunks {
            lines.push(chunk);
            while let Some(line) = lines.next() {
                out.push(line);
            }
        }
        out.extend(lines.finish());
        out
    }

    #[test]
    fn the_same_lines_however_they_come() {
        let text = b"{\"a\":1}\r\n\n  \n0123456789ABCDEF\nxyz\n\r\nlast";
        let whole = cut(10, &[text]);
        for size in 1..text.len() {
            let chunks: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(cut(10, &chunks), whole, "chunks of {size}");
        }
        assert_eq!(whole[3], Line::TooLong { bytes: 16 });
        assert_eq!(whole[4], Line::Text(Bytes::from_static(b"xyz")));
        assert_eq!(whole.last(), Some(&Line::Text(Bytes::from_static(b"last"))));
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory() {
        let mut lines = Lines::new(100);
        for _ in 0..1000 {
            lines.push(&[b'x'; 1000]);
        }
        assert!(lines.partial.capacity() <= 200);
        lines.push(b"\nok\n");
        assert_eq!(lines.next(), Some(Line::TooLong { bytes: 1_000_000 }));
        assert_eq!(lines.next(), Some(Line::Text(Bytes::from_static(b"ok"))));
    }
}
