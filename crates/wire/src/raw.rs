//! Slices of checked JSON, read in place. Not here: checking (`strict`) and changing (`edit`).

use std::borrow::Cow;

use crate::id::Id;
use crate::json::Json;
use crate::number;
use crate::skip::Inside;
use crate::text::unescape;
use crate::token;

/// Where a slice is within its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }
}

/// A JSON value within a text that was checked. Copying it copies a pointer.
///
/// It is read where it lies: nothing is checked again, nothing is built, and what is not asked for costs
/// nothing but being stepped over.
#[derive(Clone, Copy)]
pub struct Raw<'a> {
    // INVARIANT: one whole JSON value without blanks around it, cut out of UTF-8 at ASCII bytes.
    bytes: &'a [u8],
}

/// What kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    Text,
    /// A number of any form.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

impl<'a> Raw<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// What kind of value it is.
    #[must_use]
    pub fn shape(self) -> Shape {
        match self.bytes.first() {
            Some(b'{') => Shape::Object,
            Some(b'[') => Shape::Array,
            Some(b'"') => Shape::Text,
            Some(b't') => Shape::True,
            Some(b'f') => Shape::False,
            Some(b'-' | b'0'..=b'9') => Shape::Number,
            _ => Shape::Null,
        }
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        // The whole text was checked, so this does not fail; it is checked again, slice by slice, because the
        // way around that is `unsafe`.
        std::str::from_utf8(self.bytes).unwrap_or_default()
    }

    /// The member of an object; `None` when there is none, or when this is no object. Keys are compared after
    /// unescaping.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        let mut inside = self.inside(Shape::Object)?;
        loop {
            let member = inside.member()?;
            if spells(member.key.of(self.bytes), key) {
                return Some(Self::of(member.value.of(self.bytes)));
            }
        }
    }

    /// The members of an object, in the order of the text; none when this is no object.
    #[must_use]
    pub fn members(self) -> Members<'a> {
        Members {
            bytes: self.bytes,
            inside: self.inside(Shape::Object),
        }
    }

    /// The items of an array; none when this is no array.
    #[must_use]
    pub fn items(self) -> Items<'a> {
        Items {
            bytes: self.bytes,
            inside: self.inside(Shape::Array),
        }
    }

    /// The string, unescaped.
    #[must_use]
    pub fn text(self) -> Option<Cow<'a, str>> {
        let inner = self.bytes.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        std::str::from_utf8(inner).ok().map(unescape)
    }

    /// The number, if it is written as an integer and fits.
    #[must_use]
    pub fn int(self) -> Option<i64> {
        self.number().and_then(|literal| literal.parse().ok())
    }

    /// The number, as a double.
    #[must_use]
    pub fn float(self) -> Option<f64> {
        self.number().and_then(|literal| literal.parse().ok())
    }

    /// `true` or `false`.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        match self.shape() {
            Shape::True => Some(true),
            Shape::False => Some(false),
            _ => None,
        }
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.shape() == Shape::Null
    }

    /// The value at the end of a path of keys.
    #[must_use]
    pub fn pointer(self, path: &[&str]) -> Option<Self> {
        path.iter().try_fold(self, |raw, key| raw.get(key))
    }

    /// A copy that owns its text.
    #[must_use]
    pub fn to_json(self) -> Json {
        Json::from_good(self.as_str().into())
    }

    /// A tree of values, for those who need one: the schema validator.
    #[must_use]
    pub fn to_value(self) -> serde_json::Value {
        token::tree(self)
    }

    /// The value as a request id: a string, or an integer that is written in the one usual way.
    #[must_use]
    pub fn id(self) -> Option<Id> {
        match self.shape() {
            Shape::Text => self.text().map(|text| Id::Text(text.into())),
            // `-0` is an integer that would not come back as it was sent.
            Shape::Number if self.bytes != b"-0" => self.int().map(Id::Number),
            _ => None,
        }
    }

    /// The literal of a number.
    pub(crate) fn number(self) -> Option<&'a str> {
        if self.shape() == Shape::Number {
            Some(self.as_str())
        } else {
            None
        }
    }

    fn inside(self, shape: Shape) -> Option<Inside<'a>> {
        (self.shape() == shape).then(|| Inside::new(self.bytes, 0))
    }
}

/// Shows the JSON text.
impl std::fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The members of an object: see [`Raw::members`].
#[derive(Clone, Debug)]
pub struct Members<'a> {
    bytes: &'a [u8],
    inside: Option<Inside<'a>>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let member = self.inside.as_mut()?.member()?;
        let key = Raw::of(member.key.of(self.bytes)).text()?;
        Some((key, Raw::of(member.value.of(self.bytes))))
    }
}

/// The items of an array: see [`Raw::items`].
#[derive(Clone, Debug)]
pub struct Items<'a> {
    bytes: &'a [u8],
    inside: Option<Inside<'a>>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.inside.as_mut()?.item()?;
        Some(Raw::of(item.of(self.bytes)))
    }
}

/// Whether a key, as it is written with its quotes, stands for `key`.
pub(crate) fn spells(written: &[u8], key: &str) -> bool {
    let inner = written
        .get(1..written.len().saturating_sub(1))
        .unwrap_or_default();
    if inner == key.as_bytes() {
        // A backslash never stands for itself.
        return !key.contains('\\');
    }
    inner.contains(&b'\\') && Raw::of(written).text().is_some_and(|text| text == key)
}

/// What a value is, in words.
pub(crate) fn in_words(raw: Raw<'_>) -> &'static str {
    match raw.shape() {
        Shape::Object => "an object",
        Shape::Array => "an array",
        Shape::Text => "a string",
        Shape::Number if raw.number().is_some_and(number::is_integer) => "an integer",
        Shape::Number => "a fraction",
        Shape::True | Shape::False => "a boolean",
        Shape::Null => "null",
    }
}
