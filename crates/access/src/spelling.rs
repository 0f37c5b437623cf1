//! Other spellings of a resource URI: what a server may make of it. A refusal that names a folder must hold
//! however the folder is written (RFC 3986 §6.2). Pure text; not here: which URIs are passed on at all.

use mantlet_wire::percent_decoded;

/// Rounds of percent-decoding that some server may do.
const ROUNDS: usize = 2;

/// The spellings of a URI besides its own, without repeats: with its scheme and authority in lower case, its
/// percent-encoding undone once and twice, doubled slashes made one, and for `file:` without `localhost` (RFC 8089 §2).
pub(crate) fn others(uri: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut text = uri.to_owned();
    for _ in 0..=ROUNDS {
        for spelling in [plain(&text), text.clone()] {
            if spelling != uri && !found.contains(&spelling) {
                found.push(spelling);
            }
        }
        let decoded = percent_decoded(&text);
        if decoded == text {
            break;
        }
        text = decoded;
    }
    found
}

/// Scheme and authority in lower case, one slash where there are more.
fn plain(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return uri.to_owned();
    };
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
            (Some(authority.to_ascii_lowercase()), path)
        }
        None => (None, rest),
    };
    let path = one_slash(path);
    match (scheme.as_str(), authority) {
        ("file", Some(authority)) if authority == "localhost" => format!("file://{path}"),
        ("file", None) if path.starts_with('/') => format!("file://{path}"),
        (_, Some(authority)) => format!("{scheme}://{authority}{path}"),
        (_, None) => format!("{scheme}:{path}"),
    }
}

fn one_slash(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !out.ends_with('/') {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_a_folder_is_written_it_is_found() {
        for uri in [
            "file:///srv/secret/x",
            "FILE:///srv/secret/x",
            "file://localhost/srv/secret/x",
            "file://LOCALHOST/srv/secret/x",
            "file:/srv/secret/x",
            "file:///srv/%73ecret/x",
            "file:///srv/%2573ecret/x",
            "file:///srv%2Fsecret/x",
            "file:///srv//secret/x",
            "file:///srv/%2fsecret/x",
        ] {
            let mut all = others(uri);
            all.push(uri.to_owned());
            assert!(
                all.iter().any(|one| one == "file:///srv/secret/x"),
                "{uri}: {all:?}"
            );
        }
    }

    #[test]
    fn a_plain_uri_has_no_other_spelling() {
        for uri in [
            "file:///srv/data/x",
            "test://static-text",
            "urn:x:y",
            "https://x/y?q=1",
            "x",
        ] {
            assert_eq!(others(uri), Vec::<String>::new(), "{uri}");
        }
    }
}
