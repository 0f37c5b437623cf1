//! Where the gateway listens, and the hosts and origins that it answers to.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Unfit, is_authority};

/// The address of the listener.
pub(crate) fn address(text: &str) -> Result<SocketAddr, Unfit> {
    let help = "write an IP address and a port, such as `127.0.0.1:8300` or `[::1]:8300`";
    let wrong = || {
        Unfit::new("is no address to listen on")
            .help(help)
            .meant(near_address(text))
    };
    let address: SocketAddr = text.parse().map_err(|_| wrong())?;
    if !address.ip().is_loopback() {
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port());
        return Err(Unfit::new("can be reached from other machines")
            .meant(Some(local.to_string()))
            .help("this version has no TLS, and tokens do not travel in the clear: listen on this machine only, and put a proxy with TLS in front"));
    }
    Ok(address)
}

fn near_address(text: &str) -> Option<String> {
    let port = crate::defaults::PORT;
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, port).to_string());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().ok()?),
        None => (text, text.parse().unwrap_or(port)),
    };
    let local = host.is_empty() || host.eq_ignore_ascii_case("localhost") || host == port.to_string();
    local.then(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port).to_string())
}

/// A name, with or without a port, that a `Host` header may carry.
pub(crate) fn host(text: &str) -> Result<String, Unfit> {
    let help = "write the host as clients send it, such as `mcp.example.com` or `mcp.example.com:8443`";
    let wrong = |meant| Unfit::new("is no host").help(help).meant(meant);
    if text.contains('*') {
        return Err(
            Unfit::new("names more than one host").help("write each host out: there are no patterns here")
        );
    }
    if let Some((_, rest)) = text.split_once("://") {
        return Err(wrong(
            rest.split('/')
                .next()
                .filter(|host| is_authority(host))
                .map(str::to_owned),
        ));
    }
    if !is_authority(text) {
        return Err(wrong(None));
    }
    Ok(text.to_ascii_lowercase())
}

/// An origin as browsers send it (RFC 6454 §6.2).
pub(crate) fn origin(text: &str) -> Result<String, Unfit> {
    let help = "write scheme and host, and the port if it is not the usual one: `https://app.example.com`";
    let wrong = |meant| Unfit::new("is no origin").help(help).meant(meant);
    if text.contains('*') || text == "null" {
        return Err(Unfit::new("lets pages in that nobody named")
            .help("write each origin out: `*` and `null` would open the gateway to any page in any browser on this machine"));
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong(None))?;
    let is_scheme = scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !is_scheme || !is_authority(authority) {
        return Err(wrong(None));
    }
    if !path.is_empty() || rest.ends_with('/') {
        return Err(wrong(Some(format!("{scheme}://{authority}"))));
    }
    let origin = text.to_ascii_lowercase();
    let usual = match scheme.to_ascii_lowercase().as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return Ok(origin),
    };
    Ok(origin.strip_suffix(usual).map_or(origin.clone(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_listened_on() {
        for text in ["127.0.0.1:8300", "127.9.9.9:1", "[::1]:8300", "127.0.0.1:0"] {
            assert_eq!(
                address(text).map(|address| address.to_string()).as_deref(),
                Ok(text)
            );
        }
        for text in [
            "0.0.0.0:8300",
            "[::]:8300",
            "192.168.1.2:8300",
            "[::ffff:127.0.0.1]:8300",
            "[::ffff:0.0.0.0]:1",
            "localhost:8300",
            "127.0.0.1",
            ":8300",
            "8300",
            "127.1:8300",
            "0x7f000001:8300",
            "127.0.0.1:99999",
            "127.0.0.1:8300/mcp",
            "http://127.0.0.1:8300",
            "",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_near_address_is_completed() {
        for (text, near) in [
            ("localhost:9000", "127.0.0.1:9000"),
            (":9000", "127.0.0.1:9000"),
            ("9000", "127.0.0.1:9000"),
            ("127.0.0.1", "127.0.0.1:8300"),
            ("::1", "[::1]:8300"),
            ("localhost", "127.0.0.1:8300"),
        ] {
            assert_eq!(near_address(text).as_deref(), Some(near), "{text}");
        }
        assert_eq!(near_address("example.com:80"), None);
    }

    #[test]
    fn hosts_are_exact() {
        assert_eq!(
            host("MCP.Example.com:8443").as_deref(),
            Ok("mcp.example.com:8443")
        );
        assert_eq!(host("[::1]:8300").as_deref(), Ok("[::1]:8300"));
        for text in [
            "",
            "*",
            "*.example.com",
            "https://a.example",
            "a.example/",
            "a b",
            "a@b",
            "a:",
            "a:0",
            "a:99999",
            "a:1:2",
            ".a",
            "a.",
            "a..b",
            "-a",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[zz]",
            "a,b",
            "a\n",
            "é.example",
        ] {
            assert!(host(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn origins_are_what_browsers_send() {
        for (text, sent) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.com:443", "https://app.example.com"),
            ("http://a.example:80", "http://a.example"),
            ("http://a.example:443", "http://a.example:443"),
            ("vscode-webview://abc", "vscode-webview://abc"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(sent));
        }
        for text in [
            "*",
            "null",
            "https://*.example.com",
            "app.example.com",
            "https://",
            "https://a/",
            "https://a/b",
            "https://u@a",
            "://a",
            "1https://a",
            "https://a b",
            "https://a,https://b",
            "https:a",
            "",
        ] {
            assert!(origin(text).is_err(), "{text:?}");
        }
    }
}
