//! Lines of a byte stream, as stdio frames its messages. Not here: reading from a pipe, and what a line says.

use bytes::{Buf, Bytes, BytesMut};

/// Cuts a stream of bytes into lines, whatever the chunks are that it comes in. An iterator that may go on
/// after it said `None`: when more was pushed.
///
/// Holds no more than the cap and what was pushed last.
#[derive(Debug)]
pub struct Lines {
    cap: usize,
    buffer: BytesMut,
    /// How much of the buffer was searched for a newline already.
    searched: usize,
    /// How much of the current line was thrown away, once it had become too long.
    dropped: usize,
}

/// What was found up to a newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line, without its newline and one carriage return before that.
    Text(Bytes),
    /// A line above the cap. It was dropped; the next line is a good one again.
    TooLong {
        /// How many bytes it had.
        bytes: usize,
    },
    /// A line of blanks.
    Blank,
}

impl Lines {
    /// Lines of at most `cap` bytes.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self {
            cap,
            buffer: BytesMut::new(),
            searched: 0,
            dropped: 0,
        }
    }

    /// Takes in what was read. Take all lines out before pushing more.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The last line, if it has no newline: for the end of the stream, after the other lines were taken.
    pub fn finish(&mut self) -> Option<Line> {
        let rest = self.buffer.split().freeze();
        self.searched = 0;
        if rest.is_empty() && self.dropped == 0 {
            return None;
        }
        Some(self.line(rest))
    }

    /// A line that ended. INVARIANT: depends on the line only, not on the chunks it came in.
    fn line(&mut self, line: Bytes) -> Line {
        let bytes = std::mem::take(&mut self.dropped) + line.len();
        let text = line.strip_suffix(b"\r").unwrap_or(&line);
        if bytes > line.len() || text.len() > self.cap {
            return Line::TooLong { bytes };
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            return Line::Blank;
        }
        Line::Text(line.slice(..text.len()))
    }
}

impl Iterator for Lines {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
        if let Some(found) = memchr::memchr(b'\n', unsearched) {
            let line = self.buffer.split_to(self.searched + found).freeze();
            self.buffer.advance(1);
            self.searched = 0;
            return Some(self.line(line));
        }
        // One byte more may be the carriage return of a line that is just short enough.
        if self.dropped > 0 || self.buffer.len() > self.cap.saturating_add(1) {
            self.dropped += self.buffer.len();
            self.buffer.clear();
        }
        self.searched = self.buffer.len();
        None
    }
}

/// Whether a line is the header that the Language Server Protocol puts before its messages: MCP has none, and
/// whoever sends one should be told so.
#[must_use]
pub fn looks_like_header(line: &[u8]) -> bool {
    ["content-length:", "content-type:"].iter().any(|header| {
        line.get(..header.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(header.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, cap: usize) -> Vec<Line> {
        let mut lines = Lines::new(cap);
        let mut found = Vec::new();
        for chunk in chunks {
            lines.push(chunk);
            found.extend(lines.by_ref());
            assert!(lines.buffer.len() <= cap + 1);
        }
        found.extend(lines.finish());
        assert_eq!(lines.finish(), None);
        found
    }

    fn text(line: &'static str) -> Line {
        Line::Text(Bytes::from_static(line.as_bytes()))
    }

    #[test]
    fn lines_end_at_newlines() {
        assert_eq!(
            cut([&b"a\nb\r\n"[..], b"\n \t\r\n", b"c\rd\nlast"], 9),
            [
                text("a"),
                text("b"),
                Line::Blank,
                Line::Blank,
                text("c\rd"),
                text("last"),
            ]
        );
        assert_eq!(cut([&b""[..]], 9), []);
        assert_eq!(cut([&b"last\r"[..]], 9), [text("last")]);
    }

    #[test]
    fn a_line_too_long_is_dropped_and_the_next_one_is_not() {
        assert_eq!(
            cut([&b"1234\n12345\n1234\r\n12345\r\nx"[..]], 4),
            [
                text("1234"),
                Line::TooLong { bytes: 5 },
                text("1234"),
                Line::TooLong { bytes: 6 },
                text("x"),
            ]
        );
        assert_eq!(cut([&b"12345"[..]], 4), [Line::TooLong { bytes: 5 }]);
        assert_eq!(cut([&b"1234\r"[..]], 4), [text("1234")]);
        let long = vec![b'x'; 100_000];
        assert_eq!(cut(long.chunks(77), 4), [Line::TooLong { bytes: 100_000 }]);
    }

    #[test]
    fn a_foreign_header_is_noticed() {
        assert!(looks_like_header(b"Content-Length: 12"));
        assert!(looks_like_header(b"content-type:x"));
        for other in [
            &b"{\"Content-Length:\":1}"[..],
            b"Content-Length",
            b"",
            b" Content-Length: 1",
        ] {
            assert!(!looks_like_header(other));
        }
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b' '), Just(b'x')], 0..60),
            size in 1_usize..7,
            cap in 0_usize..8,
        ) {
            prop_assert_eq!(cut([&bytes[..]], cap), cut(bytes.chunks(size), cap));
        }
    }
}
