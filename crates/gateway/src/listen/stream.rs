//! Bodies of answers: one JSON text, or a stream of events with keep-alives. The first frame decides which; so a
//! status is never sent before it is known (an event stream can no longer become a 400).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame as BodyFrame};
use tokio::sync::mpsc;
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
#[derive(Debug)]
pub(crate) struct EventStream {
    ready: Option<Bytes>,
    frames: mpsc::Receiver<Frame>,
    keep_alive: Interval,
    ended: bool,
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

/// The answer to a POST, once its first frame is there.
pub(crate) fn answer(first: Frame, frames: mpsc::Receiver<Frame>, keep_alive: Duration) -> Response<Payload> {
    match first {
        Frame::Last(reply) => whole(reply),
        event @ Frame::Event(_) => events(written(event), frames, keep_alive),
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
    if let Some(session) = reply
        .session
        .and_then(|session| HeaderValue::from_str(&session).ok())
    {
        headers.insert(SESSION, session);
    }
    response
}

/// A stream of events.
pub(crate) fn events(
    ready: Option<Bytes>,
    frames: mpsc::Receiver<Frame>,
    keep_alive: Duration,
) -> Response<Payload> {
    let mut keep_alive = tokio::time::interval_at(tokio::time::Instant::now() + keep_alive, keep_alive);
    keep_alive.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let stream = EventStream {
        ready,
        frames,
        keep_alive,
        ended: false,
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
