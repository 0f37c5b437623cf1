//! What is read of an HTTP request before its body: where it goes, whether a browser was tricked into sending
//! it, and the headers that the body must agree with. Pure.

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Uri};

use crate::client::Endpoint;
use crate::refusal::{Reason, Refusal};

/// Headers of MCP that must be there once or not at all: of two, one could be read here and the other elsewhere.
const SINGLE: &[&str] = &[
    "host",
    "origin",
    "authorization",
    "content-type",
    "content-length",
    "mcp-session-id",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "last-event-id",
];
const PARAMETER: &str = "mcp-param-";

/// The headers that the path needs.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) session: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) last_event: Option<String>,
    /// `Mcp-Param-*`: suffix and value.
    pub(crate) parameters: Vec<(String, String)>,
}

impl Head {
    /// Reads the headers.
    ///
    /// # Errors
    /// One that must be single is there twice, or is no visible ASCII.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        for name in SINGLE {
            if headers.get_all(*name).iter().nth(1).is_some() {
                return Err(wrong(name, "is there more than once"));
            }
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in headers {
            let Some(suffix) = name.as_str().strip_prefix(PARAMETER) else {
                continue;
            };
            if parameters.iter().any(|(known, _)| known == suffix) {
                return Err(wrong(name.as_str(), "is there more than once"));
            }
            let value = value
                .to_str()
                .map_err(|_| wrong(name.as_str(), "is not visible ASCII"))?;
            parameters.push((suffix.to_owned(), value.to_owned()));
        }
        Ok(Self {
            session: text(headers, "mcp-session-id")?,
            version: text(headers, "mcp-protocol-version")?,
            method: text(headers, "mcp-method")?,
            name: text(headers, "mcp-name")?,
            last_event: text(headers, "last-event-id")?,
            parameters,
        })
    }
}

fn text(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Refusal> {
    match headers.get(HeaderName::from_static(name)) {
        None => Ok(None),
        // RFC 9110 §5.5: whitespace around a value is no part of it.
        Some(value) => value
            .to_str()
            .map(|value| Some(value.trim().to_owned()))
            .map_err(|_| wrong(name, "is not visible ASCII")),
    }
}

fn wrong(name: &str, what: &str) -> Refusal {
    Refusal::new(Reason::HeaderMismatch, format!("the header `{name}` {what}"))
}

/// Which endpoint a path is; anything else is not found.
pub(crate) fn endpoint(uri: &Uri) -> Option<Endpoint> {
    let path = uri.path();
    if path == "/mcp" {
        return Some(Endpoint::All);
    }
    let name = path.strip_prefix("/servers/")?.strip_suffix("/mcp")?;
    let good = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    good.then(|| Endpoint::One(name.into()))
}

/// Which names the listener answers to, and which origins may call it from a browser.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
}

impl Allowed {
    /// On loopback: the loopback names with the listener's port, besides what the configuration adds.
    pub(crate) fn new(address: std::net::SocketAddr, hosts: &[String], origins: &[String]) -> Self {
        let port = address.port();
        let own: Vec<String> = ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .map(|name| format!("{name}:{port}"))
            .collect();
        let mut all_origins: Vec<String> = own.iter().map(|host| format!("http://{host}")).collect();
        all_origins.extend(origins.iter().map(|origin| origin.to_ascii_lowercase()));
        let mut all_hosts = own;
        if port == 80 {
            all_hosts.extend(["127.0.0.1", "localhost", "[::1]"].map(str::to_owned));
        }
        all_hosts.extend(hosts.iter().map(|host| host.to_ascii_lowercase()));
        Self {
            hosts: all_hosts,
            origins: all_origins,
        }
    }

    /// DNS rebinding: a page whose name resolves to this machine sends its own `Host` and `Origin` (MCP
    /// 2026-07-28 streamable-http §Security Warning).
    ///
    /// # Errors
    /// Either is not one of ours.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = headers
            .get(HOST)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let known = |host: &str| self.hosts.contains(&host.to_ascii_lowercase());
        // RFC 9112 §3.2.2: an absolute request target names a host as well; both must be ours.
        let target = uri.authority().map(http::uri::Authority::as_str);
        if !known(host) || target.is_some_and(|target| !known(target)) {
            return Err(Refusal::new(
                Reason::WrongHost,
                "the `Host` is not one that this gateway answers to: add it to `listen.allowed_hosts` if it is yours",
            ));
        }
        let Some(origin) = headers.get(ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        if self.origins.contains(&origin) {
            Ok(())
        } else {
            Err(Refusal::new(
                Reason::WrongOrigin,
                "web pages of this `Origin` may not call the gateway: add it to `listen.allowed_origins` if they may",
            ))
        }
    }
}

/// MCP streamable-http §Sending Messages: a client accepts both JSON and event streams.
///
/// # Errors
/// `Accept` lacks one of the two, or the body is not said to be JSON, or said to be packed: nothing is unpacked
/// here, so a server must not take for gzip what was read as text.
pub(crate) fn media(headers: &HeaderMap) -> Result<(), Refusal> {
    let content = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(
            Reason::UnsupportedMediaType,
            "the body must be sent as `Content-Type: application/json`",
        ));
    }
    let packed = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if packed {
        return Err(Refusal::new(
            Reason::UnsupportedMediaType,
            "the body must be sent as it is, without `Content-Encoding`",
        ));
    }
    if !accepts(headers, "application", "json") || !accepts(headers, "text", "event-stream") {
        return Err(Refusal::new(
            Reason::NotAcceptable,
            "send `Accept: application/json, text/event-stream`: the answer may be either",
        ));
    }
    Ok(())
}

/// Whether `Accept` lets this media type through (RFC 9110 §12.5.1; a type with `q=0` is refused).
pub(crate) fn accepts(headers: &HeaderMap, kind: &str, subtype: &str) -> bool {
    ranges(headers).any(|(media, weight)| {
        weight > 0.0
            && (media == format!("{kind}/{subtype}") || media == format!("{kind}/*") || media == "*/*")
    })
}

/// Whether the client would rather have a stream of events than a JSON text: by weight, and of two of the same weight
/// the one that it names first.
pub(crate) fn prefers_events(headers: &HeaderMap) -> bool {
    let mut best: Option<(bool, f32)> = None;
    for (media, weight) in ranges(headers) {
        let events = match media.as_str() {
            "text/event-stream" => true,
            "application/json" => false,
            _ => continue,
        };
        if best.is_none_or(|(_, most)| weight > most) {
            best = Some((events, weight));
        }
    }
    best.is_some_and(|(events, _)| events)
}

/// The media ranges of `Accept` in lower case, with their weights, as they come.
fn ranges(headers: &HeaderMap) -> impl Iterator<Item = (String, f32)> {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| {
            let mut parts = range.split(';');
            let media = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.trim().parse::<f32>().ok());
            (media, weight.unwrap_or(1.0))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        map
    }

    #[test]
    fn only_two_shapes_of_path_are_endpoints() {
        assert_eq!(endpoint(&"/mcp".parse().unwrap()), Some(Endpoint::All));
        assert_eq!(
            endpoint(&"/servers/a-b/mcp".parse().unwrap()),
            Some(Endpoint::One("a-b".into()))
        );
        for path in [
            "/",
            "/mcp/",
            "/MCP",
            "/servers//mcp",
            "/servers/a/b/mcp",
            "/servers/%61/mcp",
            "//mcp",
            "/servers/../mcp",
        ] {
            assert_eq!(endpoint(&path.parse().unwrap()), None, "{path}");
        }
    }

    #[test]
    fn a_rebound_page_is_seen_by_host_or_origin() {
        let allowed = Allowed::new(
            "127.0.0.1:8300".parse().unwrap(),
            &[],
            &["https://app.example".to_owned()],
        );
        let check = |pairs: &[(&str, &str)]| {
            allowed
                .check(&"/mcp".parse().unwrap(), &headers(pairs))
                .map_err(|no| no.reason)
        };
        assert_eq!(check(&[("host", "127.0.0.1:8300")]), Ok(()));
        assert_eq!(
            check(&[("host", "LOCALHOST:8300"), ("origin", "https://app.example")]),
            Ok(())
        );
        assert_eq!(check(&[]), Err(Reason::WrongHost));
        for host in [
            "evil.example:8300",
            "127.0.0.1",
            "127.0.0.1:8301",
            "localhost:8300.evil.example",
            "127.0.0.1:8300@evil",
        ] {
            assert_eq!(check(&[("host", host)]), Err(Reason::WrongHost), "{host}");
        }
        for origin in [
            "http://evil.example",
            "null",
            "http://localhost:8300.evil.example",
            "https://localhost:8300",
            "file://",
        ] {
            assert_eq!(
                check(&[("host", "localhost:8300"), ("origin", origin)]),
                Err(Reason::WrongOrigin),
                "{origin}"
            );
        }
    }

    #[test]
    fn accept_is_read_by_media_type_not_by_substring() {
        assert!(
            media(&headers(&[
                ("content-type", "application/json; charset=utf-8"),
                ("accept", "text/event-stream, application/json")
            ]))
            .is_ok()
        );
        assert!(
            media(&headers(&[
                ("content-type", "application/json"),
                ("accept", "*/*")
            ]))
            .is_ok()
        );
        for accept in [
            "application/json",
            "application/jsonx, text/event-streamy",
            "application/json, text/event-stream;q=0",
            "",
        ] {
            let no = media(&headers(&[
                ("content-type", "application/json"),
                ("accept", accept),
            ]))
            .unwrap_err();
            assert_eq!(no.reason, Reason::NotAcceptable, "{accept}");
        }
    }

    #[test]
    fn who_names_event_streams_first_prefers_them() {
        let prefers = |accept: &str| prefers_events(&headers(&[("accept", accept)]));
        assert!(prefers("text/event-stream, application/json"));
        assert!(prefers("application/json;q=0.5, text/event-stream"));
        assert!(!prefers("application/json, text/event-stream"));
        assert!(!prefers("text/event-stream;q=0.1, application/json"));
        assert!(!prefers("*/*"));
    }

    #[test]
    fn doubled_headers_are_refused() {
        for name in [
            "mcp-method",
            "mcp-name",
            "mcp-session-id",
            "mcp-protocol-version",
            "mcp-param-region",
        ] {
            assert!(
                Head::read(&headers(&[(name, "a"), (name, "a")])).is_err(),
                "{name}"
            );
        }
    }
}
