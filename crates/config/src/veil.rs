//! Which keys hold values that no message shows. A guess on the safe side: it decides only what a snippet of the
//! file shows, so a misspelt key is covered too.

/// Whether the values under this key are usually credentials. `above` is the key that it stands under.
pub(crate) fn hides(key: &str, above: Option<&str>) -> bool {
    // The names of servers are free, and no limit is a credential.
    if above.is_some_and(|above| ["servers", "limits"].contains(&above)) {
        return false;
    }
    let key = key.to_ascii_lowercase();
    let near = |name: &str| strsim::osa_distance(&key, name) <= 2;
    ["environment", "headers", "secrets"].into_iter().any(near)
        || ["env", "header", "authorization", "cookie"].contains(&key.as_str())
        || ["token", "secret", "password", "credential", "key"]
            .into_iter()
            .any(|end| key.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_misspelt_keys_are_hidden_too() {
        for key in [
            "environment",
            "enviroment",
            "environnement",
            "headers",
            "heders",
            "env",
            "Authorization",
            "api_key",
            "secrets",
            "secret",
            "sercets",
        ] {
            assert!(hides(key, None), "{key}");
        }
    }

    #[test]
    fn what_must_be_seen_is_seen() {
        for key in [
            "command",
            "url",
            "token_file",
            "header_size",
            "keep_alive",
            "directory",
            "address",
        ] {
            assert!(!hides(key, None), "{key}");
        }
        assert!(!hides("env", Some("servers")), "a server may have any name");
        assert!(!hides("header", Some("limits")), "the size of headers");
    }
}
