//! Finding the end of a value, and the members of an object, without checking anything again. Not here: what
//! they are. Made for checked text; on any other it stays within bounds and ends, but may find nonsense.

use crate::raw::Span;
use crate::text;

/// The offset after the blanks at `at`.
pub(crate) fn blanks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The offset after the value at `at`; `None` when it does not end.
pub(crate) fn value(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => text::skip(bytes, at + 1),
        b'{' | b'[' => container(bytes, at),
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            let rest = bytes.get(at..)?;
            let length = rest.iter().position(ends).unwrap_or(rest.len());
            (length > 0).then_some(at + length)
        }
    }
}

/// Counts brackets outside strings; no recursion, no stack.
fn container(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut open = 0_usize;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = text::skip(bytes, at + 1)?;
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' => {
                open -= 1;
                if open == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// A member of an object: its key with the quotes, and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) key: Span,
    pub(crate) value: Span,
}

/// Goes over what is in an object or an array, one value at a time.
#[derive(Clone, Debug)]
pub(crate) struct Inside<'a> {
    bytes: &'a [u8],
    at: usize,
    begun: bool,
    /// Where the closing bracket was met.
    closed: Option<usize>,
}

impl<'a> Inside<'a> {
    /// `at` is the offset of the opening bracket.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at: at + 1,
            begun: false,
            closed: None,
        }
    }

    /// The offset of the closing bracket, once everything before it was gone over.
    pub(crate) fn closed(&self) -> Option<usize> {
        self.closed
    }

    /// The next member of an object.
    pub(crate) fn member(&mut self) -> Option<Member> {
        let start = self.next_start(b'}')?;
        if self.bytes.get(start) != Some(&b'"') {
            return None;
        }
        let end = text::skip(self.bytes, start + 1)?;
        let colon = blanks(self.bytes, end);
        if self.bytes.get(colon) != Some(&b':') {
            return None;
        }
        let value = self.value_at(blanks(self.bytes, colon + 1))?;
        Some(Member {
            key: Span { start, end },
            value,
        })
    }

    /// The next item of an array.
    pub(crate) fn item(&mut self) -> Option<Span> {
        let start = self.next_start(b']')?;
        self.value_at(start)
    }

    /// Where the next one starts: after the comma, unless it is the first, or the bracket closes.
    fn next_start(&mut self, closing: u8) -> Option<usize> {
        if self.closed.is_some() {
            return None;
        }
        let at = blanks(self.bytes, self.at);
        let byte = *self.bytes.get(at)?;
        if byte == closing {
            self.closed = Some(at);
            return None;
        }
        if !self.begun {
            self.begun = true;
            return Some(at);
        }
        (byte == b',').then(|| blanks(self.bytes, at + 1))
    }

    fn value_at(&mut self, start: usize) -> Option<Span> {
        let end = value(self.bytes, start)?;
        self.at = end;
        Some(Span { start, end })
    }
}
