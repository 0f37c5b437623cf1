//! Opening a link: start or reach the server, find out which era it speaks, shake hands.
//! The era is a property of this hop (MCP 2026-07-28 basic/versioning): the client's era is tried first, since
//! what needs no translation loses nothing.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use mantlet_config::{HttpKind, HttpServer, Protocol, Transport};
use mantlet_wire::{Caps, Era, Id, Json, Kind, Message, Raw, Version, key};
use tokio::sync::mpsc;

use super::http::Http;
use super::pool::Pool;
use super::{Event, Greeting, Link, LinkError, Outgoing, Server, Wire, sse, stdio};
use crate::Halves;
use crate::breach::Place;
use crate::client::Hello;

/// How long a server over stdio may think about a first probe when another era is left to try.
const PROBE: Duration = Duration::from_secs(5);
/// The hop ids of the handshake, and the first of those that come after it.
const INITIALIZE: i64 = 1;
const DISCOVER: i64 = 2;
const DISCOVER_AGAIN: i64 = 3;
const FIRST_ID: i64 = 10;
/// MCP 2026-07-28 basic/index §Error Codes.
const UNSUPPORTED_VERSION: i64 = -32022;

/// What opening a link needs.
pub(crate) struct Opening<'a> {
    pub(crate) server: &'a Arc<Server>,
    pub(crate) pool: &'a Pool,
    pub(crate) caps: &'a Caps,
    pub(crate) hello: &'a Hello,
    /// The client's capabilities, less those that the policy does not let this server use.
    pub(crate) offered: &'a Json,
    pub(crate) unsolicited: mpsc::Sender<Event>,
    /// Who starts it.
    pub(crate) halves: &'a Halves,
    /// Where goes what the server tries against its cage.
    pub(crate) place: Place,
}

/// One attempt: an era, and how long it may take.
#[derive(Clone, Copy)]
struct Attempt {
    era: Era,
    patience: Duration,
}

/// Opens a link.
pub(crate) async fn open(opening: Opening<'_>) -> Result<Link, LinkError> {
    let attempts = opening.attempts();
    match &opening.server.settings.transport {
        Transport::Command(line) => opening.over_stdio(line, &attempts).await,
        Transport::Http(server) => opening.over_http(server, &attempts).await,
    }
}

impl Opening<'_> {
    fn attempts(&self) -> Vec<Attempt> {
        let patience = self.server.settings.timeouts.start;
        let probe = PROBE.min(patience);
        let full = |era| Attempt { era, patience };
        match (self.server.settings.protocol, self.hello.version.era()) {
            (Protocol::Legacy, _) => vec![full(Era::Legacy)],
            (Protocol::Modern, _) => vec![full(Era::Modern)],
            (Protocol::Auto, Era::Legacy) => vec![full(Era::Legacy), full(Era::Modern)],
            // Over stdio a server that is silent may be an old one, or slow to start: the last attempt has all the
            // time again.
            (Protocol::Auto, Era::Modern) => {
                vec![
                    Attempt {
                        era: Era::Modern,
                        patience: probe,
                    },
                    full(Era::Legacy),
                    full(Era::Modern),
                ]
            }
        }
    }

    async fn over_stdio(
        &self,
        line: &mantlet_config::CommandLine,
        attempts: &[Attempt],
    ) -> Result<Link, LinkError> {
        let start = || {
            let unsolicited = self.unsolicited.clone();
            stdio::open(
                self.halves,
                self.server,
                line,
                self.caps,
                unsolicited,
                &self.place,
            )
        };
        let mut wire = Wire::Stdio(start().await?);
        let mut last = LinkError::Gone;
        for attempt in attempts {
            // Some servers of the initialize era exit on a request they do not know.
            if wire.is_dead() {
                wire.close().await;
                wire = Wire::Stdio(start().await?);
            }
            match self.greet(&wire, *attempt).await {
                Ok((version, greeting)) => {
                    if let Wire::Stdio(stdio) = &wire
                        && version.batches()
                    {
                        stdio.allow_batches();
                    }
                    return Ok(self.link(version, greeting, wire));
                }
                Err(error) => last = error,
            }
        }
        wire.close().await;
        Err(last)
    }

    async fn over_http(&self, server: &HttpServer, attempts: &[Attempt]) -> Result<Link, LinkError> {
        let uri: Uri = server
            .url
            .parse()
            .map_err(|_| LinkError::Unavailable(format!("`{}` is no URL", server.url)))?;
        let headers = headers_of(server)?;
        if server.kind == HttpKind::Sse {
            return self.over_sse(uri, headers).await;
        }
        let mut last = LinkError::Gone;
        for attempt in attempts {
            // Silence over HTTP is an outage and says nothing of an era: no other is tried, so all the time is given.
            let attempt = &Attempt {
                patience: self.server.settings.timeouts.start,
                ..*attempt
            };
            let http = Http::new(
                Arc::clone(self.server),
                self.pool.clone(),
                uri.clone(),
                headers.clone(),
                self.caps.clone(),
                self.unsolicited.clone(),
            );
            let wire = Wire::Http(http);
            match self.greet(&wire, *attempt).await {
                Ok((version, greeting)) => {
                    if let Wire::Http(http) = &wire {
                        http.speak(version);
                    }
                    return Ok(self.link(version, greeting, wire));
                }
                Err(error) if is_outage(&error) => return Err(error),
                Err(error) => {
                    let old =
                        attempt.era == Era::Legacy && server.kind == HttpKind::Auto && speaks_no_post(&error);
                    if old && let Ok(link) = self.over_sse(uri.clone(), headers.clone()).await {
                        return Ok(link);
                    }
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn over_sse(&self, uri: Uri, headers: HeaderMap) -> Result<Link, LinkError> {
        let opened = sse::open(
            Arc::clone(self.server),
            self.pool.clone(),
            uri,
            headers,
            self.caps.clone(),
            self.unsolicited.clone(),
        )
        .await?;
        let wire = Wire::Sse(opened);
        let attempt = Attempt {
            era: Era::Legacy,
            patience: self.server.settings.timeouts.start,
        };
        let (version, greeting) = self.greet(&wire, attempt).await?;
        Ok(self.link(version, greeting, wire))
    }

    fn link(&self, version: Version, greeting: Greeting, wire: Wire) -> Link {
        let server = Arc::clone(self.server);
        match &wire {
            Wire::Stdio(stdio) => stdio.mux().meet(),
            Wire::Sse(sse) => sse.mux().meet(),
            Wire::Http(_) => {}
        }
        Link::new(
            server,
            version,
            greeting,
            wire,
            self.unsolicited.clone(),
            FIRST_ID,
        )
    }

    async fn greet(&self, wire: &Wire, attempt: Attempt) -> Result<(Version, Greeting), LinkError> {
        let first = match attempt.era {
            Era::Legacy => self.initialize(),
            Era::Modern => self.discover(DISCOVER),
        };
        let shaken = async {
            let answer = self.ask(wire, bare(first)).await?;
            // A server that refuses the version and names the very same wants to be asked once more; it is no old
            // server (MCP 2026-07-28 basic/versioning §Negotiation).
            if attempt.era == Era::Modern && refuses_what_it_supports(&answer) {
                return self.ask(wire, bare(self.discover(DISCOVER_AGAIN))).await;
            }
            Ok(answer)
        };
        let answer = tokio::time::timeout(attempt.patience, shaken)
            .await
            .map_err(|_| LinkError::Timeout(attempt.patience.as_secs()))??;
        let Some(result) = answer.result() else {
            return Err(LinkError::Broke(format!(
                "it refused the handshake: {}",
                error_text(&answer)
            )));
        };
        match attempt.era {
            Era::Legacy => read_initialize(result),
            Era::Modern => read_discover(result),
        }
    }

    /// One request of the handshake. A server may ping meanwhile and is answered; anything else it says waits
    /// for the link.
    async fn ask(&self, wire: &Wire, outgoing: Outgoing) -> Result<Message, LinkError> {
        let (to_us, mut events) = mpsc::channel(16);
        let mut call = std::pin::pin!(wire.call(outgoing, &to_us));
        loop {
            tokio::select! {
                outcome = &mut call => return outcome,
                Some(event) = events.recv() => match event {
                    Event::Ask(question) if question.method() == Some("ping") => {
                        if let Some(id) = question.id() {
                            wire.send(Message::response(id, Json::from_value(&serde_json::json!({})))).await?;
                        }
                    }
                    other => drop(self.unsolicited.try_send(other)),
                },
            }
        }
    }

    fn initialize(&self) -> Message {
        let version = match self.hello.version.era() {
            Era::Legacy => self.hello.version,
            Era::Modern => Version::LATEST_LEGACY,
        };
        let params = match &self.hello.initialize {
            Some(params) => {
                let mut edit = params.edit();
                edit.set(params.raw(), "capabilities", self.offered);
                edit.finish()
            }
            None => Json::from_value(&serde_json::json!({
                "protocolVersion": version.as_str(),
                "capabilities": self.offered.raw().to_value(),
                "clientInfo": self.hello.info.raw().to_value(),
            })),
        };
        Message::request(&Id::Number(INITIALIZE), "initialize", Some(params))
    }

    fn discover(&self, id: i64) -> Message {
        let meta = modern_meta(self.hello, self.offered, None);
        let params = Json::from_value(&serde_json::json!({ "_meta": meta }));
        Message::request(&Id::Number(id), "server/discover", Some(params))
    }
}

/// The `_meta` that every request of the stateless era carries (MCP 2026-07-28 basic/index §_meta).
pub(crate) fn modern_meta(hello: &Hello, offered: &Json, log_level: Option<&str>) -> serde_json::Value {
    let mut meta = serde_json::Map::new();
    meta.insert(key::PROTOCOL_VERSION.to_owned(), Version::LATEST.as_str().into());
    meta.insert(key::CLIENT_INFO.to_owned(), hello.info.raw().to_value());
    meta.insert(key::CLIENT_CAPABILITIES.to_owned(), offered.raw().to_value());
    if let Some(level) = log_level {
        meta.insert(key::LOG_LEVEL.to_owned(), level.into());
    }
    serde_json::Value::Object(meta)
}

fn bare(message: Message) -> Outgoing {
    Outgoing {
        message,
        name: None,
        mirrored: Vec::new(),
    }
}

fn refuses_what_it_supports(answer: &Message) -> bool {
    let error = answer.error();
    let code = error.and_then(|error| error.get("code")).and_then(Raw::int);
    let supported = error.and_then(|error| error.pointer(&["data", "supported"]));
    code == Some(UNSUPPORTED_VERSION) && supported.is_some_and(names_latest)
}

fn names_latest(versions: Raw<'_>) -> bool {
    versions
        .items()
        .any(|one| one.text().as_deref() == Some(Version::LATEST.as_str()))
}

fn read_initialize(result: Raw<'_>) -> Result<(Version, Greeting), LinkError> {
    let named = result
        .get("protocolVersion")
        .and_then(Raw::text)
        .unwrap_or_default();
    let version = Version::parse(&named)
        .filter(|version| version.era() == Era::Legacy)
        .ok_or_else(|| LinkError::Broke(format!("it speaks version `{named}`, which is not known")))?;
    let info = result.get("serverInfo").map_or_else(Json::null, Raw::to_json);
    Ok((version, greeting(result, info)))
}

fn read_discover(result: Raw<'_>) -> Result<(Version, Greeting), LinkError> {
    // A clean answer alone is no sign: some servers answer with legacy versions only.
    if !result.get("supportedVersions").is_some_and(names_latest) {
        return Err(LinkError::Broke(
            "it does not support version 2026-07-28".to_owned(),
        ));
    }
    let info = result
        .pointer(&["_meta", key::SERVER_INFO])
        .map_or_else(Json::null, Raw::to_json);
    Ok((Version::LATEST, greeting(result, info)))
}

fn greeting(result: Raw<'_>, info: Json) -> Greeting {
    let empty = || Json::from_value(&serde_json::json!({}));
    Greeting {
        capabilities: result.get("capabilities").map_or_else(empty, Raw::to_json),
        info,
        instructions: result
            .get("instructions")
            .and_then(Raw::text)
            .map(std::borrow::Cow::into_owned),
        result: result.to_json(),
    }
}

fn error_text(answer: &Message) -> String {
    debug_assert!(
        answer.kind() == Kind::Error,
        "a response without a result is an error"
    );
    let error = answer.error();
    let code = error
        .and_then(|error| error.get("code"))
        .and_then(Raw::int)
        .unwrap_or_default();
    let text = error
        .and_then(|error| error.get("message"))
        .and_then(Raw::text)
        .unwrap_or_default();
    format!("{code} {}", text.chars().take(200).collect::<String>())
}

/// A server that cannot be reached, does not answer or wants credentials is not an old server.
fn is_outage(error: &LinkError) -> bool {
    match error {
        LinkError::Breached(_) | LinkError::Unavailable(_) | LinkError::Timeout(_) => true,
        LinkError::Status(status) => {
            status.is_server_error()
                || matches!(
                    *status,
                    StatusCode::UNAUTHORIZED
                        | StatusCode::FORBIDDEN
                        | StatusCode::REQUEST_TIMEOUT
                        | StatusCode::TOO_MANY_REQUESTS
                )
        }
        LinkError::Broke(_) | LinkError::Rejected(_) | LinkError::Gone | LinkError::SessionLost => false,
    }
}

/// What a server of HTTP+SSE says to a POST on its stream's path (MCP 2025-11-25 §Backwards Compatibility).
fn speaks_no_post(error: &LinkError) -> bool {
    matches!(
        error,
        LinkError::Status(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
    )
}

fn headers_of(server: &HttpServer) -> Result<HeaderMap, LinkError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &server.headers {
        let wrong = || LinkError::Unavailable(format!("the configured header `{name}` cannot be sent"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}
