//! A server over Streamable HTTP, either era (MCP 2026-07-28 and 2025-11-25 basic/transports). One POST per
//! message; the answer is JSON or a stream of events. Sessions, resumption and the GET stream are of the
//! initialize era only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use mantlet_inspect::headers::encode_text;
use mantlet_wire::{Body, Caps, Era, Events, Id, Json, Kind, Message, Twins, Version};
use tokio::sync::{Notify, mpsc};

use self::place::Place;
use super::pool::Pool;
use super::{Event, LinkError, Outgoing, Server};
use crate::client::lock;

mod place;

/// Attempts to take up a broken event stream again.
const RESUME_ATTEMPTS: u32 = 10;
/// A stream that ends sooner has ended at once.
const HURRY: Duration = Duration::from_secs(1);
/// The body of an error answer that is read.
const ERROR_BODY: usize = 64 * 1024;
/// The last word to a server when a link closes.
const GOODBYE: Duration = Duration::from_secs(2);

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("mantlet/", env!("CARGO_PKG_VERSION")));

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Http {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    server: Arc<Server>,
    pool: Pool,
    uri: Uri,
    /// Static headers of the configuration: credentials of the gateway, never of the client.
    headers: HeaderMap,
    caps: Caps,
    session: Mutex<Option<HeaderValue>>,
    version: Mutex<Option<Version>>,
    unsolicited: mpsc::Sender<Event>,
    closed: AtomicBool,
    stop: Notify,
}

impl Http {
    pub(crate) fn new(
        server: Arc<Server>,
        pool: Pool,
        uri: Uri,
        headers: HeaderMap,
        caps: Caps,
        unsolicited: mpsc::Sender<Event>,
    ) -> Self {
        let inner = Inner {
            server,
            pool,
            uri,
            headers,
            caps,
            session: Mutex::default(),
            version: Mutex::default(),
            unsolicited,
            closed: AtomicBool::new(false),
            stop: Notify::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// From now on messages carry this version.
    pub(crate) fn speak(&self, version: Version) {
        *lock(&self.inner.version) = Some(version);
    }

    pub(crate) async fn call(
        &self,
        outgoing: Outgoing,
        events: &mpsc::Sender<Event>,
    ) -> Result<Message, LinkError> {
        let Some(id) = outgoing.message.id().cloned() else {
            return Err(LinkError::Broke("a request without an id".to_owned()));
        };
        let request = self.inner.post(&outgoing)?;
        let mut guard = CancelOnDrop::new(&self.inner, &outgoing.message, &id);
        let response = self.inner.pool.send(request).await;
        let outcome = match response {
            Ok(response) => self.inner.answer(response, &id, events).await,
            Err(error) => Err(error),
        };
        guard.disarm();
        outcome
    }

    pub(crate) async fn send(&self, message: Message) -> Result<(), LinkError> {
        self.inner.send(message).await
    }

    /// Opens the stream on which a server of the initialize era speaks on its own. Runs until the link closes
    /// or the server has no such stream.
    pub(crate) fn listen(&self) {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            tokio::select! {
                () = inner.stop.notified() => {}
                () = inner.general_stream() => {}
            }
        });
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::Acquire)
    }

    /// Marks the link as no longer usable, such as after the server has ended the session.
    pub(crate) fn retire(&self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.stop.notify_waiters();
    }

    pub(crate) async fn close(&self) {
        self.retire();
        let session = lock(&self.inner.session).take();
        if let Some(session) = session {
            let request = self.inner.bare(Method::DELETE, EVENTS).map(|mut request| {
                request.headers_mut().insert(SESSION, session);
                request
            });
            if let Ok(request) = request {
                drop(tokio::time::timeout(GOODBYE, self.inner.pool.send(request)).await);
            }
        }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.inner.stop.notify_waiters();
    }
}

impl Inner {
    fn bare(&self, method: Method, accept: HeaderValue) -> Result<Request<Full<Bytes>>, LinkError> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        let session = lock(&self.session).clone();
        let version = *lock(&self.version);
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        headers.insert(USER_AGENT, AGENT);
        headers.insert(ACCEPT, accept);
        if let Some(session) = session {
            headers.insert(SESSION, session);
        }
        if let Some(version) = version {
            headers.insert(VERSION, HeaderValue::from_static(version.as_str()));
        }
        Ok(request)
    }

    /// The POST of one message, with the headers that mirror its body (MCP 2026-07-28 streamable-http
    /// §Standard Headers): recomputed here from the body that leaves, never taken over from the client.
    fn post(&self, outgoing: &Outgoing) -> Result<Request<Full<Bytes>>, LinkError> {
        let mut request = self.bare(Method::POST, BOTH)?;
        *request.body_mut() = Full::new(outgoing.message.bytes().clone());
        let modern = outgoing.message.modern_version().is_some();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        if modern {
            headers.remove(SESSION);
            let method = outgoing.message.method().unwrap_or_default();
            headers.insert(METHOD, header_value(method)?);
            if let Some(version) = outgoing.message.modern_version() {
                headers.insert(VERSION, header_value(&version)?);
            }
            if let Some(name) = &outgoing.name {
                headers.insert(NAME, header_value(&encode_text(name))?);
            }
            for (suffix, value) in &outgoing.mirrored {
                let name = HeaderName::from_bytes(format!("mcp-param-{suffix}").as_bytes())
                    .map_err(|_| LinkError::Broke(format!("`{suffix}` is no header name")))?;
                headers.insert(name, header_value(value)?);
            }
        }
        Ok(request)
    }

    async fn send(&self, message: Message) -> Result<(), LinkError> {
        let request = self.post(&Outgoing {
            message,
            name: None,
            mirrored: Vec::new(),
        })?;
        // Whoever sends a notification waits for its HTTP answer, and others for them.
        let patience = self.server.settings.timeouts.start;
        let response = tokio::time::timeout(patience, self.pool.send(request))
            .await
            .map_err(|_| LinkError::Timeout(patience.as_secs()))??;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Err(LinkError::SessionLost),
            status => Err(LinkError::Status(status)),
        }
    }

    async fn answer(
        &self,
        response: Response<Incoming>,
        id: &Id,
        events: &mpsc::Sender<Event>,
    ) -> Result<Message, LinkError> {
        if response.headers().contains_key(CONTENT_ENCODING) {
            return Err(LinkError::Broke(
                "it sent a compressed body, which was not asked for".to_owned(),
            ));
        }
        if !response.status().is_success() {
            return self.error_answer(response, id).await;
        }
        if let Some(session) = response.headers().get(&SESSION) {
            lock(&self.session).get_or_insert_with(|| session.clone());
        }
        match media_type(response.headers()) {
            Media::Json => {
                let bytes = self.collect(response, self.caps.message_bytes).await?;
                let message = mantlet_wire::message(bytes, &self.caps, Twins::WhereKnown)?;
                expect_answer(message, id)
            }
            Media::Events => self.answer_in_stream(response, id, events).await,
            Media::Other => Err(LinkError::Broke(
                "it answered neither JSON nor an event stream".to_owned(),
            )),
        }
    }

    /// A JSON-RPC error in a non-2xx answer is an answer; anything else says that the server is not to be had.
    async fn error_answer(&self, response: Response<Incoming>, id: &Id) -> Result<Message, LinkError> {
        let status = response.status();
        let had_session = lock(&self.session).is_some();
        if status == StatusCode::NOT_FOUND && had_session {
            return Err(LinkError::SessionLost);
        }
        if matches!(media_type(response.headers()), Media::Json) {
            let bytes = self.collect(response, ERROR_BODY).await?;
            if let Ok(message) = mantlet_wire::message(bytes, &self.caps, Twins::WhereKnown)
                && message.kind() == Kind::Error
                && message.id().is_none_or(|theirs| theirs == id)
            {
                return Ok(message.with_id(id));
            }
        }
        Err(LinkError::Status(status))
    }

    async fn collect(&self, response: Response<Incoming>, cap: usize) -> Result<Bytes, LinkError> {
        match Limited::new(response.into_body(), cap).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => Err(LinkError::Broke(format!(
                "its answer could not be read (cap {cap} bytes): {error}"
            ))),
        }
    }

    /// Reads events until the answer comes. A stream of the initialize era that breaks is taken up again where
    /// it ended (MCP 2025-11-25 basic/transports §Resumability).
    async fn answer_in_stream(
        &self,
        response: Response<Incoming>,
        id: &Id,
        events: &mpsc::Sender<Event>,
    ) -> Result<Message, LinkError> {
        let mut place = Place::default();
        let mut response = response;
        for _ in 0..RESUME_ATTEMPTS {
            if let Some(answer) = self.follow(response, Some(id), events, &mut place).await? {
                return Ok(answer);
            }
            let Some(next) = self.resume(&place).await? else {
                break;
            };
            response = next;
        }
        Err(LinkError::Gone)
    }

    async fn resume(&self, place: &Place) -> Result<Option<Response<Incoming>>, LinkError> {
        let legacy = lock(&self.version).is_none_or(|version| version.era() == Era::Legacy);
        let Some(last) = place.last_event.as_ref().filter(|_| legacy) else {
            return Ok(None);
        };
        tokio::time::sleep(place.pause()).await;
        let mut request = self.bare(Method::GET, EVENTS)?;
        request.headers_mut().insert(LAST_EVENT, header_value(last)?);
        let response = self.pool.send(request).await?;
        let good =
            response.status() == StatusCode::OK && matches!(media_type(response.headers()), Media::Events);
        Ok(good.then_some(response))
    }

    /// Follows one stream to its end; `Some` when the answer to `wanted` came.
    async fn follow(
        &self,
        response: Response<Incoming>,
        wanted: Option<&Id>,
        events: &mpsc::Sender<Event>,
        place: &mut Place,
    ) -> Result<Option<Message>, LinkError> {
        let mut body = response.into_body();
        let mut parser = Events::new(self.caps.message_bytes);
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Ok(None) };
            let Some(data) = frame.data_ref() else { continue };
            parser
                .push(data)
                .map_err(|error| LinkError::Broke(error.to_string()))?;
            for event in parser.by_ref() {
                place.note(&event);
                if event.data.is_empty() || event.event.as_deref().is_some_and(|kind| kind != "message") {
                    continue;
                }
                if let Some(answer) = self.take_event(event.data, wanted, events).await? {
                    return Ok(Some(answer));
                }
            }
        }
        Ok(None)
    }

    async fn take_event(
        &self,
        data: Bytes,
        wanted: Option<&Id>,
        events: &mpsc::Sender<Event>,
    ) -> Result<Option<Message>, LinkError> {
        let batches = lock(&self.version).is_some_and(Version::batches);
        let messages = match mantlet_wire::body(data, &self.caps, Twins::WhereKnown)? {
            Body::Single(message) => vec![message],
            Body::Batch(messages) if batches => messages,
            Body::Batch(_) => {
                return Err(LinkError::Broke(
                    "a batch, which this version does not have".to_owned(),
                ));
            }
        };
        let mut answer = None;
        for message in messages {
            match message.kind() {
                Kind::Response | Kind::Error => {
                    if wanted.is_some() && message.id() == wanted {
                        answer = Some(message);
                    } else {
                        self.server.health.stray();
                        tracing::warn!(server = %self.server.name, "an answer that nobody asked for was dropped");
                    }
                }
                Kind::Request => drop(events.send(Event::Ask(message)).await),
                Kind::Notification => drop(events.send(Event::Notification(message)).await),
            }
        }
        Ok(answer)
    }

    async fn general_stream(&self) {
        let mut place = Place::default();
        let (mut failures, mut hurried) = (0_u32, 0_u32);
        while failures < RESUME_ATTEMPTS && !self.closed.load(Ordering::Acquire) {
            let Ok(mut request) = self.bare(Method::GET, EVENTS) else {
                return;
            };
            if let Some(last) = place
                .last_event
                .as_deref()
                .and_then(|last| HeaderValue::from_str(last).ok())
            {
                request.headers_mut().insert(LAST_EVENT, last);
            }
            match self.pool.send(request).await {
                Ok(response) if response.status() == StatusCode::OK => {
                    let begun = tokio::time::Instant::now();
                    place.said = false;
                    let followed = self.follow(response, None, &self.unsolicited, &mut place).await;
                    failures = if followed.is_ok() {
                        0
                    } else {
                        failures.saturating_add(1)
                    };
                    hurried = if place.said || begun.elapsed() >= HURRY {
                        0
                    } else {
                        hurried.saturating_add(1)
                    };
                }
                // 405: the server has no such stream. Other refusals will not change either.
                Ok(response) if response.status().is_client_error() => return,
                Ok(_) | Err(_) => failures = failures.saturating_add(1),
            }
            tokio::time::sleep(place.pause_after(failures, hurried)).await;
        }
    }
}

/// Tells a server of the initialize era that a request is given up; in the stateless era closing the
/// connection says it (MCP 2026-07-28 streamable-http §Cancellation).
struct CancelOnDrop {
    inner: Option<Arc<Inner>>,
    id: Id,
}

impl CancelOnDrop {
    fn new(inner: &Arc<Inner>, message: &Message, id: &Id) -> Self {
        let legacy = message.modern_version().is_none() && message.method() != Some("initialize");
        Self {
            inner: legacy.then(|| Arc::clone(inner)),
            id: id.clone(),
        }
    }

    fn disarm(&mut self) {
        self.inner = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        let id = match &self.id {
            Id::Number(number) => serde_json::Value::from(*number),
            Id::Text(text) => serde_json::Value::from(text.as_ref()),
        };
        let params = Json::from_value(&serde_json::json!({ "requestId": id }));
        let note = Message::notification("notifications/cancelled", Some(params));
        tokio::spawn(async move { drop(tokio::time::timeout(GOODBYE, inner.send(note)).await) });
    }
}

enum Media {
    Json,
    Events,
    Other,
}

fn media_type(headers: &HeaderMap) -> Media {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Media::Json
    } else if essence.eq_ignore_ascii_case("text/event-stream") {
        Media::Events
    } else {
        Media::Other
    }
}

fn expect_answer(message: Message, id: &Id) -> Result<Message, LinkError> {
    match message.kind() {
        Kind::Response if message.id() == Some(id) => Ok(message),
        Kind::Error if message.id().is_none_or(|theirs| theirs == id) => Ok(message.with_id(id)),
        Kind::Response | Kind::Error => Err(LinkError::Broke("it answered another request".to_owned())),
        Kind::Request | Kind::Notification => {
            Err(LinkError::Broke("it answered with no response".to_owned()))
        }
    }
}

fn header_value(text: &str) -> Result<HeaderValue, LinkError> {
    HeaderValue::from_str(text).map_err(|_| LinkError::Broke(format!("`{text}` cannot be a header value")))
}
