//! A server of 2024-11-05 over HTTP+SSE: one long event stream towards us, messages POSTed to the endpoint that
//! its first event names. Deprecated; only towards servers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use mantlet_wire::{Caps, Events, Message, Twins};
use tokio::sync::{mpsc, oneshot};

use super::mux::Mux;
use super::pool::Pool;
use super::{Event, LinkError, Server};

/// Wait for the stream's first event, which names the endpoint.
const ENDPOINT: Duration = Duration::from_secs(10);
const POST: Duration = Duration::from_secs(30);
const QUEUE: usize = 64;

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Sse {
    mux: Arc<Mux>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Sse {
    /// A channel without a server.
    #[cfg(test)]
    pub(crate) fn of(mux: Arc<Mux>) -> Self {
        Self {
            mux,
            tasks: Vec::new(),
        }
    }

    pub(crate) fn mux(&self) -> &Arc<Mux> {
        &self.mux
    }

    pub(crate) fn close(&self) {
        self.mux.leave();
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Sse {
    fn drop(&mut self) {
        self.close();
    }
}

/// Opens the stream and waits for the endpoint.
pub(crate) async fn open(
    server: Arc<Server>,
    pool: Pool,
    uri: Uri,
    headers: HeaderMap,
    caps: Caps,
    unsolicited: mpsc::Sender<Event>,
) -> Result<Sse, LinkError> {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = uri.clone();
    request.headers_mut().extend(headers.clone());
    request
        .headers_mut()
        .insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let response = tokio::time::timeout(ENDPOINT, pool.send(request))
        .await
        .map_err(|_| LinkError::Timeout(ENDPOINT.as_secs()))??;
    if response.status() != StatusCode::OK {
        return Err(LinkError::Status(response.status()));
    }
    let (to_server, queue) = mpsc::channel(QUEUE);
    let mux = Mux::new(server, to_server, unsolicited);
    let (found, endpoint) = oneshot::channel();
    let reader = tokio::spawn(read(Arc::clone(&mux), response.into_body(), caps, found));
    let endpoint = tokio::time::timeout(ENDPOINT, endpoint).await;
    let endpoint = match endpoint {
        Ok(Ok(text)) => same_origin(&uri, &text),
        Ok(Err(_)) | Err(_) => Err(LinkError::Broke(
            "its stream did not begin with an `endpoint` event".to_owned(),
        )),
    };
    match endpoint {
        Ok(endpoint) => {
            let writer = tokio::spawn(write(Arc::clone(&mux), pool, endpoint, headers, queue));
            Ok(Sse {
                mux,
                tasks: vec![reader, writer],
            })
        }
        Err(error) => {
            reader.abort();
            Err(error)
        }
    }
}

/// The endpoint must stay on the origin that was configured: a server must not be able to send messages, and
/// with them the configured credentials, elsewhere.
fn same_origin(base: &Uri, endpoint: &str) -> Result<Uri, LinkError> {
    let elsewhere = || LinkError::Broke(format!("its endpoint `{endpoint}` is not on its own origin"));
    if endpoint.starts_with("//") || endpoint.contains('\\') {
        return Err(elsewhere());
    }
    if let Some(path) = endpoint.strip_prefix('/') {
        let mut parts = base.clone().into_parts();
        parts.path_and_query = format!("/{path}").parse().ok();
        return Uri::from_parts(parts).map_err(|_| elsewhere());
    }
    let absolute: Uri = endpoint.parse().map_err(|_| elsewhere())?;
    if absolute.scheme() == base.scheme() && absolute.authority() == base.authority() {
        Ok(absolute)
    } else {
        Err(elsewhere())
    }
}

async fn read(mux: Arc<Mux>, mut body: Incoming, caps: Caps, found: oneshot::Sender<String>) {
    let mut parser = Events::new(caps.message_bytes);
    let mut found = Some(found);
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        if parser.push(data).is_err() {
            break;
        }
        for event in parser.by_ref() {
            match event.event.as_deref() {
                Some("endpoint") => {
                    if let Some(found) = found.take() {
                        drop(found.send(String::from_utf8_lossy(&event.data).trim().to_owned()));
                    }
                }
                None | Some("message") if !event.data.is_empty() => take(&mux, event.data, &caps).await,
                _ => {}
            }
        }
    }
    mux.die();
}

async fn take(mux: &Arc<Mux>, data: Bytes, caps: &Caps) {
    match mantlet_wire::message(data, caps, Twins::WhereKnown) {
        Ok(message) => mux.arrived(message).await,
        Err(reject) => match reject.id().cloned() {
            Some(id) => mux.answered_badly(&id, LinkError::Rejected(reject)),
            None => mux.stray(),
        },
    }
}

async fn write(
    mux: Arc<Mux>,
    pool: Pool,
    endpoint: Uri,
    headers: HeaderMap,
    mut queue: mpsc::Receiver<Message>,
) {
    while let Some(message) = queue.recv().await {
        let mut request = Request::new(Full::new(message.bytes().clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.clone();
        request.headers_mut().extend(headers.clone());
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let sent = tokio::time::timeout(POST, pool.send(request)).await;
        let accepted = matches!(&sent, Ok(Ok(response)) if response.status().is_success());
        if !accepted {
            match message.id() {
                Some(id) => mux.answered_badly(
                    id,
                    LinkError::Unavailable("the message was not accepted".to_owned()),
                ),
                None => mux.stray(),
            }
        }
    }
}
