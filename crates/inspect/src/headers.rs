//! Arguments that are mirrored into `Mcp-Param-*` headers by the annotation `x-mcp-header` (MCP 2026-07-28
//! streamable-http §Custom Headers, SEP-2243): which ones, how they are written, and whether both sides agree.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mantlet_wire::{Raw, Shape};

/// How a mirrored argument is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorKind {
    /// A string.
    Text,
    /// An integer.
    Integer,
    /// `true` or `false`.
    Boolean,
}

/// One mirrored argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The header's name after `Mcp-Param-`.
    pub header: String,
    /// Where the argument is, from the root of the arguments down.
    pub path: Vec<String>,
    /// How it is written.
    pub kind: MirrorKind,
}

/// Why a tool's annotations are invalid; a client then leaves the tool out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The annotation is no header name.
    #[error("`x-mcp-header` at `{0}` is no token as RFC 9110 has them")]
    NoToken(String),
    /// Two arguments want the same header.
    #[error("the header `{0}` is there twice, compared without case")]
    Twice(String),
    /// The argument has a type that cannot be mirrored.
    #[error("`x-mcp-header` at `{0}` is on an argument that is no string, integer or boolean")]
    WrongType(String),
    /// The argument is not reached through `properties` alone.
    #[error("`x-mcp-header` at `{0}` is not reached through `properties` alone")]
    Unreachable(String),
}

const ANNOTATION: &str = "x-mcp-header";
const OPEN: &str = "=?base64?";
const CLOSE: &str = "?=";
const MAX_DEPTH: usize = 16;
/// Integers that every client writes alike (2^53 - 1).
const SAFE: i64 = 9_007_199_254_740_991;

/// The mirrored arguments of a tool's input schema.
///
/// # Errors
/// An annotation is invalid.
pub fn mirrored(schema: Raw<'_>) -> Result<Vec<Mirror>, HeaderError> {
    let mut found = Vec::new();
    walk(schema, &mut Vec::new(), true, 0, &mut found)?;
    let mut names: Vec<String> = Vec::new();
    for mirror in &found {
        let name = mirror.header.to_ascii_lowercase();
        if names.contains(&name) {
            return Err(HeaderError::Twice(mirror.header.clone()));
        }
        names.push(name);
    }
    Ok(found)
}

fn walk(
    schema: Raw<'_>,
    path: &mut Vec<String>,
    reachable: bool,
    depth: usize,
    found: &mut Vec<Mirror>,
) -> Result<(), HeaderError> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    for (keyword, value) in schema.members() {
        match (keyword.as_ref(), value.shape()) {
            (ANNOTATION, _) => found.push(annotation(schema, value, path, reachable)?),
            ("properties", Shape::Object) => {
                for (name, under) in value.members() {
                    path.push(name.into_owned());
                    walk(under, path, reachable, depth + 1, found)?;
                    path.pop();
                }
            }
            ("const" | "enum" | "default" | "examples", _) => {}
            (_, Shape::Object) => walk_map(value, path, depth, found)?,
            (_, Shape::Array) => {
                for under in value.items() {
                    walk(under, path, false, depth + 1, found)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A subschema, or a map of them, off the straight way of `properties`.
fn walk_map(
    value: Raw<'_>,
    path: &mut Vec<String>,
    depth: usize,
    found: &mut Vec<Mirror>,
) -> Result<(), HeaderError> {
    walk(value, path, false, depth + 1, found)
}

fn annotation(
    schema: Raw<'_>,
    value: Raw<'_>,
    path: &[String],
    reachable: bool,
) -> Result<Mirror, HeaderError> {
    let place = || format!("/{}", path.join("/"));
    if !reachable || path.is_empty() {
        return Err(HeaderError::Unreachable(place()));
    }
    let header = value
        .text()
        .filter(|name| is_token(name))
        .ok_or_else(|| HeaderError::NoToken(place()))?;
    let kind = match schema.get("type").and_then(Raw::text).as_deref() {
        Some("string") => MirrorKind::Text,
        Some("integer") => MirrorKind::Integer,
        Some("boolean") => MirrorKind::Boolean,
        _ => return Err(HeaderError::WrongType(place())),
    };
    Ok(Mirror {
        header: header.into_owned(),
        path: path.to_vec(),
        kind,
    })
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The header value of an argument; `None` when it has not the type that the schema promised.
#[must_use]
pub fn encode(value: Raw<'_>, kind: MirrorKind) -> Option<String> {
    match kind {
        MirrorKind::Text => value.text().map(|text| encode_text(&text)),
        MirrorKind::Integer => integer(value).map(|number| number.to_string()),
        MirrorKind::Boolean => value.boolean().map(|flag| flag.to_string()),
    }
}

/// A text as a header value: as it is where that is safe, else as base64 between marks. A text that looks like
/// the marked form is marked itself, so that it is not taken for what it encodes.
#[must_use]
pub fn encode_text(text: &str) -> String {
    let plain = text
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~') || byte == b'\t')
        && text.trim_matches([' ', '\t']) == text
        && !text.is_empty()
        && !(text.starts_with(OPEN) && text.ends_with(CLOSE));
    if plain {
        text.to_owned()
    } else {
        format!("{OPEN}{}{CLOSE}", STANDARD.encode(text))
    }
}

/// The base64 between the marks is not valid, or not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value between `=?base64?` and `?=` is not base64 of UTF-8 text")]
pub struct BadEncoding;

/// The text of a header value.
///
/// # Errors
/// It is marked as base64 and is none.
pub fn decode_text(value: &str) -> Result<String, BadEncoding> {
    let value = value.trim_matches([' ', '\t']);
    let inner = value.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE));
    match inner {
        None => Ok(value.to_owned()),
        Some(inner) => {
            let bytes = STANDARD.decode(inner).map_err(|_| BadEncoding)?;
            String::from_utf8(bytes).map_err(|_| BadEncoding)
        }
    }
}

/// Whether a header says what the body says.
#[must_use]
pub fn matches(header: &str, body: Raw<'_>, kind: MirrorKind) -> bool {
    let Ok(header) = decode_text(header) else {
        return false;
    };
    match kind {
        MirrorKind::Text => body.text().is_some_and(|text| text == header),
        MirrorKind::Boolean => body.boolean().is_some_and(|flag| header == flag.to_string()),
        // Compared as numbers: `42.0` is 42.
        MirrorKind::Integer => match (whole(&header), integer(body)) {
            (Some(header), Some(body)) => header == body,
            _ => false,
        },
    }
}

fn integer(value: Raw<'_>) -> Option<i64> {
    if value.shape() == Shape::Number {
        whole(value.as_str())
    } else {
        None
    }
}

/// A whole number that all clients write alike.
fn whole(text: &str) -> Option<i64> {
    let plain = text.parse::<i64>().ok();
    let number = plain.or_else(|| {
        let (digits, fraction) = text.split_once('.')?;
        let zeros = !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0');
        zeros.then(|| digits.parse().ok()).flatten()
    })?;
    (-SAFE..=SAFE).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_wire::Json;

    fn read(value: serde_json::Value) -> Result<Vec<Mirror>, HeaderError> {
        mirrored(Json::from_value(&value).raw())
    }

    #[test]
    fn annotations_are_found_through_properties() {
        let found = read(serde_json::json!({ "type": "object", "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "deep": { "type": "object", "properties": { "n": { "type": "integer", "x-mcp-header": "N" } } },
        } }))
        .unwrap();
        assert_eq!(found.len(), 2);
        assert!(
            found
                .iter()
                .any(|mirror| mirror.path == ["deep", "n"] && mirror.kind == MirrorKind::Integer)
        );
    }

    #[test]
    fn invalid_annotations_are_refused() {
        let at = |under: serde_json::Value| read(serde_json::json!({ "properties": { "a": under } }));
        for (name, kind) in [
            ("", "string"),
            ("a b", "string"),
            ("a\r\nX: y", "string"),
            ("é", "string"),
        ] {
            assert!(
                at(serde_json::json!({ "type": kind, "x-mcp-header": name })).is_err(),
                "{name:?}"
            );
        }
        for kind in ["number", "array", "object", "null"] {
            assert!(
                at(serde_json::json!({ "type": kind, "x-mcp-header": "X" })).is_err(),
                "{kind}"
            );
        }
        assert!(
            at(serde_json::json!({ "type": "array", "items": { "type": "string", "x-mcp-header": "X" } }))
                .is_err()
        );
        assert!(at(serde_json::json!({ "anyOf": [{ "type": "string", "x-mcp-header": "X" }] })).is_err());
        assert!(read(serde_json::json!({ "x-mcp-header": "X", "type": "string" })).is_err());
        let twice = serde_json::json!({ "properties": {
            "a": { "type": "string", "x-mcp-header": "Region" }, "b": { "type": "string", "x-mcp-header": "REGION" } } });
        assert_eq!(read(twice), Err(HeaderError::Twice("REGION".to_owned())));
    }

    #[test]
    fn what_is_encoded_matches() {
        for text in [
            "us-west1",
            "",
            " padded ",
            "日本",
            "=?base64?AA==?=",
            "a\nb",
            "tab\there",
        ] {
            let json = Json::text(text);
            let header = encode(json.raw(), MirrorKind::Text).unwrap();
            assert!(
                header.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')),
                "{header:?}"
            );
            assert!(matches(&header, json.raw(), MirrorKind::Text), "{text:?}");
        }
        let number = Json::from_serialize(&42);
        assert!(matches("42.0", number.raw(), MirrorKind::Integer));
        assert!(matches(" 42 ", number.raw(), MirrorKind::Integer));
        assert!(!matches("42.5", number.raw(), MirrorKind::Integer));
        assert!(!matches(
            "=?base64?!!!?=",
            Json::text("x").raw(),
            MirrorKind::Text
        ));
        assert!(!matches(
            "True",
            Json::from_serialize(&true).raw(),
            MirrorKind::Boolean
        ));
    }
}
