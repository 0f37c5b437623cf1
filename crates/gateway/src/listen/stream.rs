//! Bodies of answers: one JSON text, or a stream of events with keep-alives. The first frame decides which; so a
//! status is never sent before it is known (an event stream can no longer become a 400).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame as BodyFrame};
use tokio::sync::{mpsc, watch};
use tokio::time::Interval;

use crate::client::Frame;
use crate::path::Reply;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Payload {
    Once(Option<Bytes>),
    Events(Box<EventStream>),
}

/// Frames of one request, or of a session's general stream, as server-sent events.
pub(crate) struct EventStream {
    ready: Option<Bytes>,
    frames: mpsc::Receiver<Frame>,
    keep_alive: Interval,
    /// Resolves when the gateway is to end, for a stream that has no end of its own.
    gateway_ends: BoxFuture<'static, ()>,
    ended: bool,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("EventStream").finish_non_exhaustive()
    }
}

impl EventStream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(bytes) = self.ready.take() {
            return Poll::Ready(Some(bytes));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        match self.frames.poll_recv(cx) {
            Poll::Ready(Some(frame)) => {
                self.keep_alive.reset();
                self.ended = matches!(frame, Frame::Last(_));
                Poll::Ready(written(frame))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if self.gateway_ends.poll_unpin(cx).is_ready() => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => match self.keep_alive.poll_tick(cx) {
                Poll::Ready(_) => Poll::Ready(Some(Bytes::from_static(mantlet_wire::KEEP_ALIVE))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

fn written(frame: Frame) -> Option<Bytes> {
    let body = match frame {
        Frame::Event(message) => message.bytes().clone(),
        Frame::Last(reply) => reply.body?,
        Frame::Written(bytes) => return Some(bytes),
    };
    let mut out = Vec::with_capacity(body.len().saturating_add(32));
    mantlet_wire::write_event(&mut out, Some("message"), None, None, &body);
    Some(out.into())
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Once(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(BodyFrame::data(bytes)))),
            Self::Events(events) => events
                .poll(cx)
                .map(|bytes| bytes.map(|bytes| Ok(BodyFrame::data(bytes)))),
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Once(bytes) => http_body::SizeHint::with_exact(
                bytes
                    .as_ref()
                    .map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(0)),
            ),
            Self::Events(_) => http_body::SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Once(None))
    }
}

/// An answer that is there as a whole.
pub(crate) fn whole(reply: Reply) -> Response<Payload> {
    let json = reply.body.is_some();
    let mut response = Response::new(Payload::Once(reply.body));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    if json {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
    of_session(response, reply.session)
}

/// Says under which id a session was opened.
pub(crate) fn of_session(mut response: Response<Payload>, session: Option<String>) -> Response<Payload> {
    if let Some(session) = session.and_then(|session| HeaderValue::from_str(&session).ok()) {
        response.headers_mut().insert(SESSION, session);
    }
    response
}

/// A stream of events, with what is there already. With `end` it is over when the gateway is to end; without, when its request is answered.
pub(crate) fn events(
    first: Option<Frame>,
    frames: mpsc::Receiver<Frame>,
    keep_alive: Duration,
    end: Option<watch::Receiver<bool>>,
) -> Response<Payload> {
    let gateway_ends = async move {
        match end {
            Some(mut ending) => drop(ending.wait_for(|ending| *ending).await),
            None => std::future::pending().await,
        }
    };
    let mut keep_alive = tokio::time::interval_at(tokio::time::Instant::now() + keep_alive, keep_alive);
    keep_alive.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let only = matches!(first, Some(Frame::Last(_)));
    let stream = EventStream {
        ready: first.and_then(written),
        frames,
        keep_alive,
        gateway_ends: gateway_ends.boxed(),
        ended: only,
    };
    let mut response = Response::new(Payload::Events(Box::new(stream)));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
    response
}
