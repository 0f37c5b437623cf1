//! URLs and headers of servers that are called over HTTP.

use core::net::{IpAddr, SocketAddr};

use http::{HeaderName, HeaderValue, Uri};

use super::{Unfit, is_authority};

/// Headers that a file may not set: those of the hop (RFC 9110 §7.6.1), those that say what the message is, and
/// those that the gateway or the protocol sets.
const TAKEN: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The name of a header, in lower case.
pub(crate) fn header_name(name: &str) -> Result<String, Unfit> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Unfit::new("is no name of a header").help("a name has letters, digits and `-`"))?;
    let name = name.as_str();
    if TAKEN.contains(&name) || name.starts_with("mcp-") || name.starts_with("content-") {
        return Err(Unfit::new("is a header that the gateway sets by itself").help("remove it"));
    }
    Ok(name.to_owned())
}

/// The value of a header.
pub(crate) fn header_value(text: &str) -> Result<(), Unfit> {
    let unfit = |why| Unfit {
        secret: true,
        ..Unfit::new(why)
    };
    if text.contains(['\n', '\r']) {
        return Err(unfit("holds a line break, which would begin another header")
            .help("a variable that was read from a file often ends with one"));
    }
    if text.trim() != text || text.is_empty() {
        return Err(
            unfit("is empty, or begins or ends with a blank").help("look at the quotes, or at the variable")
        );
    }
    // RFC 9110 §5.5: beyond ASCII a value has no agreed meaning.
    if !text.is_ascii() || HeaderValue::from_str(text).is_err() {
        return Err(unfit("holds characters that a header cannot carry").help("write printable ASCII"));
    }
    Ok(())
}

/// The URL of a server, its scheme and host in lower case, and whether it is plain HTTP to another machine.
pub(crate) fn url(text: &str) -> Result<(String, Reach), Unfit> {
    let help = "write it like `https://crm.example.com/mcp`";
    let wrong = || Unfit::new("is no URL of an MCP server").help(help);
    if text.contains('#') {
        return Err(Unfit::new("has a fragment (`#…`), which is never sent").help("remove it"));
    }
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    if authority.as_str().contains('@') {
        return Err(Unfit {
            secret: true,
            ..Unfit::new("holds a user name or password")
        }
        .help("move it: `headers: { Authorization: \"Basic ${env:NAME}\" }`"));
    }
    if !is_authority(authority.as_str()) {
        return Err(wrong());
    }
    let reach = match uri.scheme_str() {
        Some("https") => Reach::Encrypted,
        Some("http") if is_loopback(authority.host()) => Reach::ThisMachine,
        Some("http") => Reach::InTheClear,
        _ => return Err(wrong()),
    };
    let scheme = uri.scheme_str().unwrap_or_default();
    let rest = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    Ok((
        format!("{scheme}://{}{rest}", authority.as_str().to_ascii_lowercase()),
        reach,
    ))
}

/// How what is sent to a URL travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Reach {
    Encrypted,
    ThisMachine,
    InTheClear,
}

/// The refusal of plain HTTP to another machine.
pub(crate) fn in_the_clear() -> Unfit {
    Unfit::new("sends everything in the clear, credentials included")
        .help("use `https://`; only if nobody else is on the way, add `plain_http: accept` to the server")
}

/// Whether a checked URL leads back to the listener: each call would make another one.
pub(crate) fn is_own(url: &str, listener: SocketAddr) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let usual = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    // Port 0 stands for one that nobody knows yet.
    is_loopback(uri.host().unwrap_or_default())
        && uri.port_u16().unwrap_or(usual) == listener.port()
        && listener.port() != 0
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_apart_by_how_they_travel() {
        for (text, url_then, reach) in [
            (
                "https://crm.example.com/mcp",
                "https://crm.example.com/mcp",
                Reach::Encrypted,
            ),
            (
                "HTTPS://CRM.Example.com",
                "https://crm.example.com/",
                Reach::Encrypted,
            ),
            (
                "https://a.example:8443/Mcp?Q=1",
                "https://a.example:8443/Mcp?Q=1",
                Reach::Encrypted,
            ),
            (
                "http://127.0.0.1:9000/sse",
                "http://127.0.0.1:9000/sse",
                Reach::ThisMachine,
            ),
            ("http://localhost/x", "http://localhost/x", Reach::ThisMachine),
            ("http://[::1]:9000/x", "http://[::1]:9000/x", Reach::ThisMachine),
            (
                "http://crm.example.com/mcp",
                "http://crm.example.com/mcp",
                Reach::InTheClear,
            ),
            (
                "http://localhost.evil.example/",
                "http://localhost.evil.example/",
                Reach::InTheClear,
            ),
            (
                "http://127.0.0.1.evil.example/",
                "http://127.0.0.1.evil.example/",
                Reach::InTheClear,
            ),
            ("http://127.1/", "http://127.1/", Reach::InTheClear),
            ("http://0.0.0.0/", "http://0.0.0.0/", Reach::InTheClear),
        ] {
            assert_eq!(url(text), Ok((url_then.to_owned(), reach)), "{text}");
        }
    }

    #[test]
    fn the_way_back_to_the_listener_is_seen() {
        let listener = "127.0.0.1:8300".parse().unwrap();
        for url in [
            "http://127.0.0.1:8300/mcp",
            "http://localhost:8300/",
            "http://[::1]:8300/",
            "https://127.0.0.2:8300/",
        ] {
            assert!(is_own(url, listener), "{url}");
        }
        for url in [
            "http://127.0.0.1:8301/mcp",
            "http://127.0.0.1/",
            "https://a.example:8300/",
        ] {
            assert!(!is_own(url, listener), "{url}");
        }
        assert!(is_own("http://localhost/", "[::1]:80".parse().unwrap()));
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused() {
        for text in [
            "",
            "crm.example.com/mcp",
            "/mcp",
            "ftp://a/",
            "file:///etc/passwd",
            "ws://a/",
            "https://",
            "https:///x",
            "https://a b/",
            "https://a/#x",
            "https://user:pw@a/",
            "https://127.0.0.1@evil.example/",
            "https://a:0/",
            "https://a:99999/",
            "https://*.example.com/",
            "https://a\\b/",
            "https://[::1/",
            "javascript:alert(1)",
            "https://a/\r\nX: y",
            "unix:///run/x.sock",
        ] {
            assert!(url(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_told() {
        let problem = url("https://user:hunter2@a/")
            .unwrap_err()
            .problem("https://user:hunter2@a/", false);
        assert!(!problem.message().contains("hunter2"));
    }

    #[test]
    fn headers_of_the_hop_and_of_the_protocol_are_taken() {
        assert_eq!(header_name("X-Api-Key").as_deref(), Ok("x-api-key"));
        assert_eq!(header_name("Authorization").as_deref(), Ok("authorization"));
        for name in [
            "Host",
            "Connection",
            "Transfer-Encoding",
            "TE",
            "Upgrade",
            "Keep-Alive",
            "Proxy-Authorization",
            "Trailer",
            "Mcp-Session-Id",
            "MCP-Protocol-Version",
            "mcp-method",
            "Mcp-Param-Region",
            "Content-Length",
            "Content-Type",
            "Content-Encoding",
            "Accept",
            "Last-Event-ID",
            "",
            "a b",
            "a:b",
            "a\r\nb",
            "é",
            "x-a\0",
        ] {
            assert!(header_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_value_is_one_header_line() {
        assert_eq!(header_value("Bearer abc.def"), Ok(()));
        for text in ["", " a", "a ", "a\r\nX-Evil: 1", "a\n", "a\0b", "naïve", "\u{7f}"] {
            assert!(header_value(text).is_err(), "{text:?}");
        }
    }
}
