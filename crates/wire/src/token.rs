//! Checked JSON one token at a time, and the tree of values built from it; no recursion. Not here: checking.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use crate::number::is_integer;
use crate::raw::Raw;
use crate::skip;

/// A token of a JSON text. Commas and colons are none.
#[derive(Debug)]
pub(crate) enum Token<'a> {
    OpenObject,
    OpenArray,
    CloseObject,
    CloseArray,
    Key(Cow<'a, str>),
    /// A scalar.
    Scalar(Raw<'a>),
}

/// Goes over a checked text token by token, once.
pub(crate) struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(raw: Raw<'a>) -> Self {
        Self {
            bytes: raw.as_bytes(),
            at: 0,
        }
    }

    fn scalar(&mut self, start: usize) -> Option<Token<'a>> {
        let end = skip::value(self.bytes, start)?;
        self.at = end;
        let raw = Raw::of(self.bytes.get(start..end)?);
        // In a good text, only a key comes before a colon.
        let colon = skip::blanks(self.bytes, end);
        if self.bytes.get(colon) == Some(&b':') {
            self.at = colon + 1;
            return raw.text().map(Token::Key);
        }
        Some(Token::Scalar(raw))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let at = skip::blanks(self.bytes, self.at);
            self.at = at + 1;
            return Some(match self.bytes.get(at)? {
                b',' => continue,
                b'{' => Token::OpenObject,
                b'[' => Token::OpenArray,
                b'}' => Token::CloseObject,
                b']' => Token::CloseArray,
                _ => return self.scalar(at),
            });
        }
    }
}

/// The tree of values. The reading is ours, not a second parser's.
pub(crate) fn tree(raw: Raw<'_>) -> Value {
    let mut open: Vec<(Value, String)> = Vec::new();
    let mut key = String::new();
    for token in Tokens::of(raw) {
        let mut value = match token {
            Token::Key(name) => {
                key = name.into_owned();
                continue;
            }
            Token::OpenObject => {
                open.push((Value::Object(Map::new()), std::mem::take(&mut key)));
                continue;
            }
            Token::OpenArray => {
                open.push((Value::Array(Vec::new()), std::mem::take(&mut key)));
                continue;
            }
            Token::CloseObject | Token::CloseArray => {
                let Some((value, name)) = open.pop() else { break };
                key = name;
                value
            }
            Token::Scalar(raw) => scalar(raw),
        };
        match open.last_mut() {
            Some((Value::Object(members), _)) => drop(members.insert(std::mem::take(&mut key), value.take())),
            Some((Value::Array(items), _)) => items.push(value),
            _ => return value,
        }
    }
    Value::Null
}

fn scalar(raw: Raw<'_>) -> Value {
    if let Some(text) = raw.text() {
        return Value::String(text.into_owned());
    }
    if let Some(literal) = raw.number() {
        return number(literal).map_or(Value::Null, Value::Number);
    }
    raw.boolean().map_or(Value::Null, Value::Bool)
}

/// As the tree's own parser would have it: an integer where it fits, a double otherwise.
fn number(literal: &str) -> Option<Number> {
    if is_integer(literal) && literal != "-0" {
        if let Ok(number) = literal.parse::<i64>() {
            return Some(number.into());
        }
        if let Ok(number) = literal.parse::<u64>() {
            return Some(number.into());
        }
    }
    Number::from_f64(literal.parse().ok()?)
}
