//! Which resource URIs are passed on (MCP server/resources §Security: URIs are validated, without traversal).

use mantlet_wire::percent_decoded;

use crate::refusal::{Reason, Refusal};

/// The longest URI that is passed on.
const MAX_URI: usize = 8 * 1024;
/// Times that some server may undo percent-encoding.
const ROUNDS: usize = 3;

fn bad(what: &str) -> Refusal {
    Refusal::new(Reason::BadUri, format!("the resource URI {what}"))
}

/// What holds of templates as well.
pub(super) fn printable(uri: &str) -> Result<(), Refusal> {
    if uri.len() > MAX_URI {
        return Err(bad("is longer than 8 KiB"));
    }
    if uri
        .chars()
        .any(|letter| letter.is_control() || letter.is_whitespace() || letter == '\\')
    {
        return Err(bad("holds whitespace, a backslash or a control character"));
    }
    Ok(())
}

/// A dot segment, plain or encoded, would let `file:///srv/data/../../etc/passwd` pass a policy for
/// `file:///srv/data/*`.
pub(super) fn resource(uri: &str) -> Result<(), Refusal> {
    printable(uri)?;
    let (scheme, rest) = uri.split_once(':').unwrap_or_default();
    let mut letters = scheme.chars();
    let good = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'));
    if !good {
        return Err(bad("has no scheme, such as `file:`"));
    }
    // INVARIANT: the path ends where it ends as written; an encoded `?` hides nothing behind it.
    let mut path = rest.split(['?', '#']).next().unwrap_or_default().to_owned();
    if scheme.eq_ignore_ascii_case("file") && authority(&path).contains('@') {
        return Err(bad("names a user, which a file has not"));
    }
    for _ in 0..ROUNDS {
        if has_dot_segment(&path) {
            return Err(bad("holds `..` or `.` segments: give the path that is meant"));
        }
        path = percent_decoded(&path);
    }
    if path.contains('\0') {
        return Err(bad("holds an encoded NUL"));
    }
    Ok(())
}

fn authority(rest: &str) -> &str {
    rest.strip_prefix("//")
        .and_then(|rest| rest.split('/').next())
        .unwrap_or_default()
}

fn has_dot_segment(path: &str) -> bool {
    path.split(['/', '\\', ':'])
        .any(|segment| matches!(segment, "." | ".."))
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
            "file:///srv/data%3f/%2e%2e/etc",
            "file:///srv/data%23/%2e%2e/etc",
            "FILE://user@host/srv",
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
