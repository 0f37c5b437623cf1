//! Stage: validate. Tool arguments against the schema that the server published, mirrored headers against the
//! arguments, resource URIs against tricks. A tool that the server does not list cannot be called.

use std::ops::Deref;
use std::sync::Arc;

use mantlet_inspect::headers::matches;
use mantlet_wire::{Json, Kind, Raw, Shape};

use super::authorise::Granted;
use super::decode::Face;
use super::route::Target;
use crate::refusal::{Reason, Refusal};
use crate::trail::Trail;
use crate::upstream::catalog::ToolFacts;
use crate::{Gateway, links};

/// The longest URI that is passed on.
const MAX_URI: usize = 8 * 1024;

/// A message whose contents are what they should be.
#[derive(Debug)]
pub(crate) struct Valid {
    granted: Granted,
    tool: Option<Arc<ToolFacts>>,
}

impl Deref for Valid {
    type Target = Granted;

    fn deref(&self) -> &Granted {
        &self.granted
    }
}

impl Valid {
    /// The definition of the tool that is called.
    pub(crate) fn tool(&self) -> Option<&Arc<ToolFacts>> {
        self.tool.as_ref()
    }
}

/// Validates.
pub(crate) async fn arguments(
    gateway: &Arc<Gateway>,
    granted: Granted,
    trail: &mut Trail,
) -> Result<Valid, Refusal> {
    trail.enter("validate");
    if granted.message().kind() != Kind::Request {
        return Ok(Valid { granted, tool: None });
    }
    let tool = match (granted.target(), granted.message().method()) {
        (Target::Tool(name), _) => Some(call(gateway, &granted, name).await?),
        (Target::Resource(uri), Some("completion/complete")) => {
            printable(uri)?;
            None
        }
        (Target::Resource(uri), _) => {
            resource(uri)?;
            None
        }
        (Target::Prompt(_), Some("prompts/get")) => {
            prompt(granted.message().params())?;
            None
        }
        _ => None,
    };
    Ok(Valid { granted, tool })
}

async fn call(gateway: &Arc<Gateway>, granted: &Granted, name: &str) -> Result<Arc<ToolFacts>, Refusal> {
    let Some(server) = granted.server() else {
        return Err(Refusal::new(Reason::Internal, "the call has no server"));
    };
    let tool = links::tool(gateway, granted.client(), server, name).await?;
    let none = Json::from_value(&serde_json::json!({}));
    let given = granted
        .message()
        .params()
        .and_then(|params| params.get("arguments"));
    let arguments = given
        .filter(|value| !value.is_null())
        .unwrap_or_else(|| none.raw());
    if !matches!(arguments.shape(), Shape::Object) {
        return Err(Refusal::new(
            Reason::InvalidParams,
            "`arguments` must be an object",
        ));
    }
    let schema = tool.input.as_ref().map_err(|why| {
        Refusal::new(
            Reason::SchemaUnusable,
            "the server's schema for this tool cannot be used, so its arguments cannot be checked: do not call it",
        )
        .because(why.clone())
    })?;
    schema
        .check(arguments)
        .map_err(|violations| Refusal::new(Reason::InvalidArguments, violations.to_string()))?;
    if granted.face() == Face::Modern
        && let Some(head) = granted.via().head()
    {
        mirrored(&tool, &head.parameters, arguments)?;
    }
    Ok(tool)
}

/// MCP 2026-07-28 streamable-http §Custom Headers: a recognised `Mcp-Param-*` header equals its argument, and is
/// there when the argument is. Headers that the tool does not know pass unread.
fn mirrored(tool: &ToolFacts, headers: &[(String, String)], arguments: Raw<'_>) -> Result<(), Refusal> {
    let Ok(mirrors) = &tool.mirrors else { return Ok(()) };
    for mirror in mirrors {
        let path: Vec<&str> = mirror.path.iter().map(String::as_str).collect();
        let value = arguments.pointer(&path).filter(|value| !value.is_null());
        let header = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&mirror.header))
            .map(|(_, value)| value);
        let wrong = |what: &str| {
            Err(Refusal::new(
                Reason::HeaderMismatch,
                format!(
                    "the header `Mcp-Param-{}` {what}: mirror the argument exactly",
                    mirror.header
                ),
            ))
        };
        match (header, value) {
            (None, None) => {}
            (Some(header), Some(value)) if matches(header, value, mirror.kind) => {}
            (Some(_), Some(_)) => return wrong("says something else than the argument"),
            (Some(_), None) => return wrong("is there without its argument"),
            (None, Some(_)) => return wrong("is missing"),
        }
    }
    Ok(())
}

fn printable(uri: &str) -> Result<(), Refusal> {
    let bad = |what: &str| Err(Refusal::new(Reason::BadUri, format!("the resource URI {what}")));
    if uri.len() > MAX_URI {
        return bad("is longer than 8 KiB");
    }
    if uri
        .chars()
        .any(|letter| letter.is_control() || letter.is_whitespace() || letter == '\\')
    {
        return bad("holds whitespace, a backslash or a control character");
    }
    Ok(())
}

/// MCP server/resources §Security: URIs are validated, without traversal. A dot segment, plain or encoded,
/// would let `file:///srv/data/../../etc/passwd` pass a policy for `file:///srv/data/*`.
fn resource(uri: &str) -> Result<(), Refusal> {
    printable(uri)?;
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let mut letters = scheme.chars();
    let good = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'));
    if !good {
        return Err(Refusal::new(
            Reason::BadUri,
            "the resource URI has no scheme, such as `file:`",
        ));
    }
    let mut text = uri.to_owned();
    // Twice encoded is decoded twice by some servers.
    for _ in 0..3 {
        if has_dot_segment(&text) {
            return Err(Refusal::new(
                Reason::BadUri,
                "the resource URI holds `..` or `.` segments: give the path that is meant",
            ));
        }
        text = percent_decoded(&text);
    }
    if text.contains('\0') {
        return Err(Refusal::new(
            Reason::BadUri,
            "the resource URI holds an encoded NUL",
        ));
    }
    Ok(())
}

fn has_dot_segment(uri: &str) -> bool {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    path.split(['/', '\\', ':'])
        .any(|segment| matches!(segment, "." | ".."))
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = hex
            .filter(|_| *first == b'%')
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn prompt(params: Option<Raw<'_>>) -> Result<(), Refusal> {
    let arguments = params
        .and_then(|params| params.get("arguments"))
        .filter(|value| !value.is_null());
    let Some(arguments) = arguments else { return Ok(()) };
    let texts = matches!(arguments.shape(), Shape::Object)
        && arguments
            .members()
            .all(|(_, value)| matches!(value.shape(), Shape::Text));
    if texts {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::InvalidParams,
            "`arguments` of a prompt must be an object of texts",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traversal_is_seen_through_encodings() {
        for uri in [
            "file:///srv/../etc/passwd",
            "file:///srv/%2e%2e/etc/passwd",
            "file:///srv/%2E./etc",
            "file:///srv/%252e%252e/etc",
            "file:///srv/..%2fetc",
            "file:///srv/%5c..%5cetc",
            "file:..",
            "file:///a/./b",
            "no-scheme",
            "file:///a\u{0}b",
            "file:///a%00b",
            "file:///a b",
        ] {
            assert!(resource(uri).is_err(), "{uri}");
        }
        for uri in [
            "file:///srv/data/a..b",
            "test://static-text",
            "https://x/y?q=../z",
            "ui://app/view.html",
            "urn:x:y",
        ] {
            assert!(resource(uri).is_ok(), "{uri}");
        }
    }
}
