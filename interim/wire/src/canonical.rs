//! The canonical form of RFC 8785 (JCS), for digests: two texts of the same value give the same bytes.
//! Recursion is bounded by the depth that the strict walk allowed.

use std::borrow::Cow;

use crate::json::Json;
use crate::raw::{Raw, Shape};

/// The canonical text of a value. Numbers are written as ECMAScript writes the double nearest to them (RFC 8785
/// §3.2.2.3), so that integers beyond 2^53 fall together with their neighbours.
#[must_use]
pub fn canonical(raw: Raw<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.as_str().len());
    write(raw, &mut out);
    out
}

fn write(raw: Raw<'_>, out: &mut Vec<u8>) {
    match raw.shape() {
        Shape::Object => object(raw, out),
        Shape::Array => {
            out.push(b'[');
            for (index, item) in raw.items().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Shape::Text => text(&raw.text().unwrap_or_default(), out),
        Shape::Number => number(raw, out),
        Shape::True | Shape::False | Shape::Null => out.extend_from_slice(raw.as_str().as_bytes()),
    }
}

/// RFC 8785 §3.2.3: members sorted by the UTF-16 code units of their keys.
fn object(raw: Raw<'_>, out: &mut Vec<u8>) {
    let mut members: Vec<(Cow<'_, str>, Raw<'_>)> = raw.members().collect();
    members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
    out.push(b'{');
    for (index, (key, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text(key, out);
        out.push(b':');
        write(*value, out);
    }
    out.push(b'}');
}

/// RFC 8785 §3.2.2.2: the short escapes, the rest as it is.
fn text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(Json::text(text).as_str().as_bytes());
}

fn number(raw: Raw<'_>, out: &mut Vec<u8>) {
    let value = raw.float().unwrap_or_default();
    // -0 is written 0.
    let value = if value == 0.0 { 0.0 } else { value };
    let mut buffer = ryu_js::Buffer::new();
    out.extend_from_slice(buffer.format(value).as_bytes());
}
