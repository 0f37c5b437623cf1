//! Reading slices of a text that the strict walk passed. Nothing is checked again, nothing recurses; whatever
//! would not be JSON reads as nothing.

use std::borrow::Cow;

use crate::id::Id;
use crate::json::Json;

/// What kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    Text,
    /// A number.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// One value inside a checked text.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    whole: &'a str,
    start: usize,
    end: usize,
}

impl<'a> Raw<'a> {
    pub(crate) fn of(whole: &'a str, start: usize, end: usize) -> Self {
        Self { whole, start, end }
    }

    pub(crate) fn start(self) -> usize {
        self.start
    }

    pub(crate) fn end(self) -> usize {
        self.end
    }

    /// What kind of value it is.
    #[must_use]
    pub fn shape(self) -> Shape {
        match self.as_str().as_bytes().first() {
            Some(b'{') => Shape::Object,
            Some(b'[') => Shape::Array,
            Some(b'"') => Shape::Text,
            Some(b't') => Shape::True,
            Some(b'f') => Shape::False,
            Some(b'n') | None => Shape::Null,
            Some(_) => Shape::Number,
        }
    }

    /// The value's text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.whole.get(self.start..self.end).unwrap_or_default()
    }

    /// The member of an object; keys are compared unescaped.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        self.members().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value at the end of a path of keys.
    #[must_use]
    pub fn pointer(self, path: &[&str]) -> Option<Self> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The members of an object, in their order; none of anything else.
    pub fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Self)> {
        let mut cursor = Cursor::inside(self, b'{');
        std::iter::from_fn(move || {
            let (start, end) = cursor.item()?;
            let key = unescaped(cursor.whole.get(start + 1..end.checked_sub(1)?)?);
            let (start, end) = cursor.after_colon()?;
            Some((key, Self { whole: cursor.whole, start, end }))
        })
    }

    /// Where each member of an object is: key and value, for rewrites.
    pub(crate) fn member_spans(self) -> impl Iterator<Item = (Cow<'a, str>, usize, Self)> {
        let mut cursor = Cursor::inside(self, b'{');
        std::iter::from_fn(move || {
            let (key_start, key_end) = cursor.item()?;
            let key = unescaped(cursor.whole.get(key_start + 1..key_end.checked_sub(1)?)?);
            let (start, end) = cursor.after_colon()?;
            Some((key, key_start, Self { whole: cursor.whole, start, end }))
        })
    }

    /// The elements of an array, in their order; none of anything else.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let mut cursor = Cursor::inside(self, b'[');
        std::iter::from_fn(move || {
            let (start, end) = cursor.item()?;
            Some(Self { whole: cursor.whole, start, end })
        })
    }

    /// A text, unescaped.
    #[must_use]
    pub fn text(self) -> Option<Cow<'a, str>> {
        let quoted = self.as_str();
        let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
        Some(unescaped(inner))
    }

    /// An integer, written as one.
    #[must_use]
    pub fn int(self) -> Option<i64> {
        if self.shape() == Shape::Number { self.as_str().parse().ok() } else { None }
    }

    /// A number.
    #[must_use]
    pub fn float(self) -> Option<f64> {
        if self.shape() == Shape::Number { self.as_str().parse().ok() } else { None }
    }

    /// `true` or `false`.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        match self.shape() {
            Shape::True => Some(true),
            Shape::False => Some(false),
            Shape::Object | Shape::Array | Shape::Text | Shape::Number | Shape::Null => None,
        }
    }

    /// `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.shape() == Shape::Null
    }

    /// A request id, a progress token, a subscription id.
    #[must_use]
    pub fn id(self) -> Option<Id> {
        match self.shape() {
            Shape::Number => self.int().map(Id::Number),
            Shape::Text => self.text().map(|text| Id::Text(text.into())),
            Shape::Object | Shape::Array | Shape::True | Shape::False | Shape::Null => None,
        }
    }

    /// The value by itself.
    #[must_use]
    pub fn to_json(self) -> Json {
        Json::checked(self.as_str())
    }

    /// The value as a tree, for validators that need one.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the text has passed the strict walk")]
    pub fn to_value(self) -> serde_json::Value {
        serde_json::from_str(self.as_str()).unwrap_or(serde_json::Value::Null)
    }
}

/// A place between the elements of an object or an array.
struct Cursor<'a> {
    whole: &'a str,
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    fn inside(raw: Raw<'a>, open: u8) -> Self {
        let bytes = raw.whole.as_bytes();
        let inside = bytes.get(raw.start) == Some(&open);
        let (at, end) = if inside { (raw.start + 1, raw.end.saturating_sub(1)) } else { (0, 0) };
        Self { whole: raw.whole, bytes, at, end }
    }

    fn blank(&mut self) {
        while self.at < self.end && matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':')) {
            self.at += 1;
        }
    }

    /// The next value (or key), past separators.
    fn item(&mut self) -> Option<(usize, usize)> {
        self.blank();
        if self.at >= self.end {
            return None;
        }
        let start = self.at;
        self.at = after_value(self.bytes, start).min(self.end);
        Some((start, self.at))
    }

    fn after_colon(&mut self) -> Option<(usize, usize)> {
        self.item()
    }
}

/// Where the value that begins at `start` ends, in a checked text.
fn after_value(bytes: &[u8], start: usize) -> usize {
    match bytes.get(start) {
        Some(b'"') => after_string(bytes, start),
        Some(b'{' | b'[') => {
            let (mut at, mut depth) = (start, 0_usize);
            while let Some(byte) = bytes.get(at) {
                match byte {
                    b'"' => {
                        at = after_string(bytes, at);
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            return at + 1;
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
            bytes.len()
        }
        _ => {
            let rest = bytes.get(start..).unwrap_or_default();
            let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
            end.map_or(bytes.len(), |end| start + end)
        }
    }
}

fn after_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(found) = memchr::memchr2(b'"', b'\\', rest) else { return bytes.len() };
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
}

/// The inside of a checked string without its escapes.
fn unescaped(inner: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', inner.as_bytes()) else { return Cow::Borrowed(inner) };
    let mut out = String::with_capacity(inner.len());
    out.push_str(inner.get(..first).unwrap_or_default());
    let mut letters = inner.get(first..).unwrap_or_default().chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let first = four_hex(&mut letters);
                let code = if (0xD800..0xDC00).contains(&first) {
                    letters.nth(1);
                    0x1_0000 + ((first - 0xD800) << 10) + four_hex(&mut letters).saturating_sub(0xDC00)
                } else {
                    first
                };
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Cow::Owned(out)
}

fn four_hex(letters: &mut std::str::Chars<'_>) -> u32 {
    letters.by_ref().take(4).fold(0, |code, digit| code * 16 + digit.to_digit(16).unwrap_or(0))
}
