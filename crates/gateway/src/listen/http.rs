//! Streamable HTTP towards clients, both eras on one endpoint (MCP 2026-07-28 and 2025-11-25
//! basic/transports). Before a body is read: the host, the origin, the path and the caller.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1::{Builder, Connection};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use mantlet_access::Caller;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

use super::answer::{Manner, answer};
use super::head::{self, Allowed, Head};
use super::stream::{self, Payload};
use super::work::Work;
use crate::Gateway;
use crate::client::{Client, Endpoint, Frame, Outbound};
use crate::path::identify;
use crate::path::{self, Arrival, Reply, Via};
use crate::refusal::{Reason, Refusal};

/// Connections that may be open at the same time.
const MAX_CONNECTIONS: usize = 4_096;
/// Frames that wait while a client reads slowly.
const FRAMES: usize = 32;
const JSON_UTF8: &str = "GET, POST, DELETE";

/// A bound listener, not yet serving.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    allowed: Allowed,
}

impl Listener {
    /// Binds the address that the settings name.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(gateway: &Gateway) -> std::io::Result<Self> {
        let listen = gateway.in_force().settings.listen.clone();
        let tcp = TcpListener::bind(listen.address).await?;
        let allowed = Allowed::new(tcp.local_addr()?, &listen.allowed_hosts, &listen.allowed_origins);
        Ok(Self { tcp, allowed })
    }

    /// Where it listens; with the real port where the settings said 0.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// What all connections of a listener share.
#[derive(Clone)]
struct Door {
    gateway: Arc<Gateway>,
    allowed: Arc<Allowed>,
    /// True once the gateway is to end.
    ending: watch::Receiver<bool>,
}

/// Serves until `stop` resolves; then lets what runs end, up to the drain deadline of the settings. What comes
/// meanwhile is told so; streams that would never end by themselves are ended.
pub async fn serve(gateway: Arc<Gateway>, listener: Listener, stop: impl Future<Output = ()> + Send) {
    crate::session::spawn_sweeper(&gateway);
    let (end, ending) = watch::channel(false);
    let door = Door {
        gateway: Arc::clone(&gateway),
        allowed: Arc::new(listener.allowed),
        ending,
    };
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener.tcp, &places) => accepted,
            () = &mut stop => break,
        };
        let Some((tcp, place)) = accepted else { continue };
        let connection = graceful.watch(connection(&door, tcp, true));
        tokio::spawn(async move {
            // A connection that breaks off concerns nobody but its client.
            drop(connection.await);
            drop(place);
        });
    }
    gateway.begin_drain();
    end.send_replace(true);
    let turning_away = async {
        loop {
            if let Some((tcp, place)) = accept(&listener.tcp, &places).await {
                let connection = connection(&door, tcp, false);
                tokio::spawn(async move {
                    drop(connection.await);
                    drop(place);
                });
            }
        }
    };
    let deadline = tokio::time::sleep(gateway.in_force().settings.timeouts.drain);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = deadline => {}
        () = turning_away => {}
    }
}

fn connection(
    door: &Door,
    tcp: TcpStream,
    keep_alive: bool,
) -> Connection<
    TokioIo<TcpStream>,
    impl HttpService<Incoming, ResBody = Payload, Future: Send, Error = Infallible> + use<>,
> {
    drop(tcp.set_nodelay(true));
    let limits = door.gateway.in_force();
    let mut http = Builder::new();
    http.timer(TokioTimer::new())
        .keep_alive(keep_alive)
        .header_read_timeout(limits.settings.timeouts.request_body)
        .max_buf_size(limits.settings.limits.header.max(8 * 1024));
    let door = door.clone();
    http.serve_connection(
        TokioIo::new(tcp),
        service_fn(move |request| handle(door.clone(), request)),
    )
}

async fn accept(
    tcp: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match tcp.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            None
        }
    }
}

async fn handle(door: Door, request: Request<Incoming>) -> Result<Response<Payload>, Infallible> {
    let gateway = &door.gateway;
    Ok(match admit(gateway, &door.allowed, &request) {
        Ok((endpoint, head, caller)) => {
            let via = Via::Http {
                endpoint,
                head: Arc::new(head),
            };
            route(&door, via, caller, request).await
        }
        Err(refusal) => {
            let endpoint = head::endpoint(request.uri()).unwrap_or(Endpoint::All);
            let via = Via::Http {
                endpoint,
                head: Arc::default(),
            };
            refused(gateway, &via, None, refusal).await
        }
    })
}

/// Everything that is checked before a byte of the body is read.
fn admit(
    gateway: &Gateway,
    allowed: &Allowed,
    request: &Request<Incoming>,
) -> Result<(Endpoint, Head, Caller), Refusal> {
    allowed.check(request.uri(), request.headers())?;
    let endpoint = head::endpoint(request.uri()).ok_or_else(|| {
        Refusal::new(
            Reason::NotFound,
            "there is nothing here: the endpoints are `/mcp` and `/servers/NAME/mcp`",
        )
    })?;
    let authorization = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let caller = identify::caller(gateway, authorization)?;
    let head = Head::read(request.headers())?;
    Ok((endpoint, head, caller))
}

async fn route(door: &Door, via: Via, caller: Caller, request: Request<Incoming>) -> Response<Payload> {
    let gateway = &door.gateway;
    let outcome = match *request.method() {
        Method::POST => return post(door, via, caller, request).await,
        Method::GET => general_stream(door, &via, &caller, request.headers()),
        Method::DELETE => end_session(gateway, &via, &caller),
        _ => Err(Refusal::new(
            Reason::MethodNotAllowed,
            "use POST, or GET and DELETE within a session",
        )),
    };
    match outcome {
        Ok(response) => response,
        Err(refusal) => refused(gateway, &via, Some(&caller), refusal).await,
    }
}

async fn post(door: &Door, via: Via, caller: Caller, request: Request<Incoming>) -> Response<Payload> {
    let gateway = &door.gateway;
    // The header says what the body says, or the message is refused.
    let subscription =
        matches!(&via, Via::Http { head, .. } if head.method.as_deref() == Some("subscriptions/listen"));
    let prefers_events = head::prefers_events(request.headers());
    let text = match head::media(request.headers()) {
        Ok(()) => body(gateway, request).await,
        Err(refusal) => Err(refusal),
    };
    let text = match text {
        Ok(text) => text,
        Err(refusal) => return refused(gateway, &via, Some(&caller), refusal).await,
    };
    let manner = Manner {
        session: session(gateway, &via, &caller),
        prefers_events,
        may_begin: !may_open_session(&via),
        keep_alive: gateway.in_force().settings.timeouts.keep_alive,
        end: subscription.then(|| door.ending.clone()),
    };
    let (to_client, frames) = mpsc::channel(FRAMES);
    let out = Outbound::new(to_client);
    let presence = out.presence();
    let for_work = Arc::clone(gateway);
    let work = Work::new(async move {
        let arrival = Arrival {
            text,
            caller,
            via,
            out: out.clone(),
        };
        let reply = path::from_client(&for_work, arrival).await;
        out.last(reply).await;
    });
    answer(work, frames, presence, manner).await
}

/// The session of the initialize era that a request names, if it is one of this caller.
fn session(gateway: &Gateway, via: &Via, caller: &Caller) -> Option<Arc<Client>> {
    let (endpoint, head) = session_door(via).ok()?;
    let now = gateway.clock.now().micros();
    let found = gateway
        .clients
        .session(head.session.as_deref()?, caller, endpoint, now);
    found.ok()
}

/// Only `initialize` comes without a version and without a session.
fn may_open_session(via: &Via) -> bool {
    via.head()
        .is_some_and(|head| head.session.is_none() && session_door(via).is_ok())
}

/// The body, capped and with a deadline for the whole of it.
async fn body(gateway: &Gateway, request: Request<Incoming>) -> Result<Bytes, Refusal> {
    let settings = gateway.in_force();
    let cap = settings.settings.limits.message.message_bytes;
    let too_large = || {
        Refusal::new(
            Reason::BodyTooLarge,
            format!("the body is larger than {cap} bytes, the most that is read"),
        )
    };
    if http_body::Body::size_hint(request.body()).lower() > u64::try_from(cap).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let reading = Limited::new(request.into_body(), cap).collect();
    match tokio::time::timeout(settings.settings.timeouts.request_body, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(Reason::BodyTooSlow, "the body broke off")),
        Err(_) => Err(Refusal::new(Reason::BodyTooSlow, "the body did not come in time")),
    }
}

/// GET: the general stream of a session of the initialize era. Stateless clients have none.
fn general_stream(
    door: &Door,
    via: &Via,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Response<Payload>, Refusal> {
    let gateway = &door.gateway;
    let (endpoint, head) = session_door(via)?;
    if !head::accepts(headers, "text", "event-stream") {
        return Err(Refusal::new(
            Reason::NotAcceptable,
            "send `Accept: text/event-stream`",
        ));
    }
    let client =
        gateway
            .clients
            .session(session_id(head)?, caller, endpoint, gateway.clock.now().micros())?;
    let keep_alive = gateway.in_force().settings.timeouts.keep_alive;
    if let Some(event) = head.last_event.as_deref() {
        let (replay, number) = client.replays.find(event).ok_or_else(|| {
            Refusal::new(
                Reason::StreamExpired,
                "the stream of this `Last-Event-ID` is not kept (any more): ask again",
            )
        })?;
        return Ok(stream::events(None, replay.read(Some(number)), keep_alive, None));
    }
    let (to_client, frames) = mpsc::channel(FRAMES);
    let out = Outbound::new(to_client);
    let waiting = client.push.open(out.clone());
    tokio::spawn(async move {
        for message in waiting {
            out.event(message).await;
        }
    });
    // So that the client sees at once that the stream stands.
    let hello = Frame::Written(Bytes::from_static(mantlet_wire::KEEP_ALIVE));
    Ok(stream::events(
        Some(hello),
        frames,
        keep_alive,
        Some(door.ending.clone()),
    ))
}

/// DELETE: the client ends its session, and with it its servers' processes and sessions.
fn end_session(gateway: &Arc<Gateway>, via: &Via, caller: &Caller) -> Result<Response<Payload>, Refusal> {
    let (endpoint, head) = session_door(via)?;
    let ended = gateway.clients.end_session(session_id(head)?, caller, endpoint);
    let Some(client) = ended else {
        return Err(Refusal::new(
            Reason::SessionUnknown,
            "there is no such session here (any more)",
        ));
    };
    crate::forward::notify::end_standing(&client);
    crate::session::close_later(client);
    Ok(stream::whole(Reply {
        status: StatusCode::NO_CONTENT,
        body: None,
        session: None,
    }))
}

fn session_door(via: &Via) -> Result<(&Endpoint, &Head), Refusal> {
    let only_post = || Refusal::new(Reason::MethodNotAllowed, "this protocol version has POST only");
    match via {
        Via::Http { endpoint, head } => {
            let modern = head.version.as_deref().and_then(mantlet_wire::Version::parse);
            if modern.is_some_and(|version| version.era() == mantlet_wire::Era::Modern) {
                return Err(only_post());
            }
            Ok((endpoint, head))
        }
        Via::Stdio { .. } => Err(only_post()),
    }
}

fn session_id(head: &Head) -> Result<&str, Refusal> {
    head.session
        .as_deref()
        .ok_or_else(|| Refusal::new(Reason::SessionMissing, "the header `Mcp-Session-Id` is missing"))
}

async fn refused(
    gateway: &Gateway,
    via: &Via,
    caller: Option<&Caller>,
    refusal: Refusal,
) -> Response<Payload> {
    let reason = refusal.reason;
    let mut response = stream::whole(path::refuse(gateway, via, caller, refusal).await);
    match reason {
        Reason::Unauthenticated => {
            response.headers_mut().insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"mantlet\""),
            );
        }
        Reason::MethodNotAllowed => {
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(JSON_UTF8));
        }
        _ => {}
    }
    response
}
