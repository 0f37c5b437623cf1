//! Names on the endpoint that shows several servers. What a client sees is looked up in a table that was made
//! from the servers' own lists; a name is never taken apart.

use sha2::{Digest as _, Sha256};

/// Longest name that the model providers' interfaces take.
const MAX_NAME: usize = 64;
/// Every rewritten URI begins so.
const URI_MARK: &str = "mcp.";

/// The name under which a server's tool or prompt is shown beside other servers'.
///
/// A server's name holds no `__` and does not end in `_` (the configuration sees to that), so that two
/// different pairs never make the same short name; a long one ends in a digest of the pair.
pub(crate) fn exposed(server: &str, local: &str) -> String {
    let plain = format!("{server}__{local}");
    if plain.len() <= MAX_NAME {
        return plain;
    }
    let digest = Sha256::digest(format!("{}:{server}{local}", server.len()).as_bytes());
    let tail: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    let keep = MAX_NAME.saturating_sub(tail.len()).saturating_sub(1);
    let mut short = String::new();
    for letter in plain.chars() {
        if short.len().saturating_add(letter.len_utf8()) > keep {
            break;
        }
        short.push(letter);
    }
    format!("{short}_{tail}")
}

/// The URI under which a server's resource is shown beside other servers'. RFC 3986 §3.1: a scheme may hold
/// `.` and `+`, but no `_`; server names hold no `.`, so the swap loses nothing.
pub(crate) fn exposed_uri(server: &str, uri: &str) -> String {
    format!("{URI_MARK}{}+{uri}", server.replace('_', "."))
}

/// The server that an exposed URI belongs to, out of those given, and the URI as that server knows it.
pub(crate) fn local_uri<'a, 'u>(
    servers: impl Iterator<Item = &'a str>,
    exposed: &'u str,
) -> Option<(&'a str, &'u str)> {
    let (mark, uri) = exposed.strip_prefix(URI_MARK)?.split_once('+')?;
    let mut servers = servers;
    let server = servers.find(|server| server.replace('_', ".") == mark)?;
    Some((server, uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_join_to_the_same_text_stay_apart() {
        assert_ne!(exposed("a_b", "c"), exposed("a", "b_c"));
        assert_ne!(exposed("a", "_b"), exposed("a", "b"));
        let long = "x".repeat(80);
        assert_ne!(
            exposed("a", &format!("{long}1")),
            exposed("a", &format!("{long}2"))
        );
        assert_ne!(exposed("ab", &long), exposed("a", &format!("b{long}")));
    }

    #[test]
    fn a_name_fits_what_models_take() {
        for local in ["t", &"y".repeat(128), &"é".repeat(60)] {
            assert!(exposed("server-name", local).len() <= MAX_NAME);
        }
    }

    #[test]
    fn a_uri_comes_back_as_it_was() {
        let servers = ["a_b", "a-b", "a"];
        for server in servers {
            for uri in ["file:///x+y", "test://static-text", "mcp.a+file:///x", "+"] {
                let shown = exposed_uri(server, uri);
                assert_eq!(local_uri(servers.into_iter(), &shown), Some((server, uri)));
            }
        }
        assert_eq!(local_uri(servers.into_iter(), "file:///x"), None);
        assert_eq!(local_uri(servers.into_iter(), "mcp.nobody+file:///x"), None);
    }
}
