//! The canonical form of RFC 8785 (JCS), which digests are made of. Not here: the digests.

use std::borrow::Cow;

use crate::number::is_integer;
use crate::raw::Raw;
use crate::text::quote;
use crate::token::{Token, Tokens};

/// The canonical form: no blanks, keys in the order of their UTF-16 code units, strings with the fewest
/// escapes, numbers as ECMAScript writes them.
///
/// Numbers follow RFC 8785 §3.2.2.3: they are doubles. An integer beyond 2^53 is rounded to one, so two texts
/// with such integers can have the same canonical form.
#[must_use]
pub fn canonical(raw: Raw<'_>) -> Vec<u8> {
    let mut writer = Writer {
        out: Vec::with_capacity(raw.as_bytes().len()),
        open: Vec::new(),
    };
    for token in Tokens::of(raw) {
        writer.take(token);
    }
    writer.out
}

struct Writer<'a> {
    out: Vec<u8>,
    open: Vec<Level<'a>>,
}

enum Level<'a> {
    /// Whether it has an item already.
    Array(bool),
    Object(Vec<Member<'a>>),
}

/// A member that was written: its key, and where its text starts.
struct Member<'a> {
    key: Cow<'a, str>,
    start: usize,
}

impl<'a> Writer<'a> {
    fn take(&mut self, token: Token<'a>) {
        match token {
            Token::Key(key) => self.key(key),
            Token::OpenObject => {
                self.item();
                self.out.push(b'{');
                self.open.push(Level::Object(Vec::new()));
            }
            Token::OpenArray => {
                self.item();
                self.out.push(b'[');
                self.open.push(Level::Array(false));
            }
            Token::CloseObject | Token::CloseArray => self.close(),
            Token::Scalar(raw) => {
                self.item();
                self.scalar(raw);
            }
        }
    }

    /// A value starts: in an array it may need a comma.
    fn item(&mut self) {
        if let Some(Level::Array(begun)) = self.open.last_mut() {
            if *begun {
                self.out.push(b',');
            }
            *begun = true;
        }
    }

    fn key(&mut self, key: Cow<'a, str>) {
        let Some(Level::Object(members)) = self.open.last_mut() else {
            return;
        };
        if !members.is_empty() {
            self.out.push(b',');
        }
        let start = self.out.len();
        quote(&key, &mut self.out);
        self.out.push(b':');
        members.push(Member { key, start });
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Level::Object(members)) => {
                self.sort(&members);
                self.out.push(b'}');
            }
            Some(Level::Array(_)) => self.out.push(b']'),
            None => {}
        }
    }

    /// Puts the members that were written last in their order (§3.2.3).
    fn sort(&mut self, members: &[Member<'_>]) {
        if members.is_sorted_by(|one, two| in_order(&one.key, &two.key).is_le()) {
            return;
        }
        let Some(first) = members.first().map(|member| member.start) else {
            return;
        };
        // Every member but the last ends before the comma of the next one.
        let ends = members
            .iter()
            .skip(1)
            .map(|next| next.start - 1)
            .chain([self.out.len()]);
        let mut written: Vec<(&Member<'_>, usize)> = members.iter().zip(ends).collect();
        written.sort_by(|(one, _), (two, _)| in_order(&one.key, &two.key));
        let mut sorted = Vec::with_capacity(self.out.len() - first);
        for (member, end) in written {
            if !sorted.is_empty() {
                sorted.push(b',');
            }
            sorted.extend_from_slice(self.out.get(member.start..end).unwrap_or_default());
        }
        self.out.truncate(first);
        self.out.append(&mut sorted);
    }

    fn scalar(&mut self, raw: Raw<'_>) {
        if let Some(text) = raw.text() {
            quote(&text, &mut self.out);
        } else if let Some(literal) = raw.number() {
            self.number(literal);
        } else {
            self.out.extend_from_slice(raw.as_bytes());
        }
    }

    fn number(&mut self, literal: &str) {
        // Up to fifteen digits an integer is a double exactly, and ECMAScript writes it in the same way.
        if is_integer(literal) && literal.len() <= 15 && literal != "-0" {
            return self.out.extend_from_slice(literal.as_bytes());
        }
        let value: f64 = literal.parse().unwrap_or_default();
        self.out
            .extend_from_slice(ryu_js::Buffer::new().format(value).as_bytes());
    }
}

/// The order of UTF-16 code units: that of the bytes, but for characters beyond U+FFFF.
fn in_order(one: &str, two: &str) -> std::cmp::Ordering {
    one.encode_utf16().cmp(two.encode_utf16())
}
