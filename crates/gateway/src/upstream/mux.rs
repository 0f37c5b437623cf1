//! Many requests over one ordered channel (stdio, HTTP+SSE): which answer belongs to whom.
//! Pure bookkeeping plus queues; reading and writing are done by the transport's tasks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use mantlet_wire::{Body, Caps, Id, Json, Kind, Message, Raw, Twins, key};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{Event, LinkError, Server};
use crate::client::lock;

/// Requests that may wait for answers on one channel.
const MAX_PENDING: usize = 1_024;
/// How long a reader waits for a slow consumer, once; then it gets what it has room for. All other requests of the
/// channel wait behind it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Running requests that are told of, at most.
const TOLD: usize = 8;
/// How long a message waits for a place in the queue of a server that does not read.
const QUEUED: Duration = Duration::from_secs(2);

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Mux {
    server: Arc<Server>,
    pending: Mutex<HashMap<Id, Waiting>>,
    order: AtomicU64,
    outgoing: mpsc::Sender<Message>,
    unsolicited: mpsc::Sender<Event>,
    /// Whoever reads `unsolicited` does not keep up.
    behind: Arc<AtomicBool>,
    /// The server does not read what is written to it.
    stuck: AtomicBool,
    dead: AtomicBool,
    died: Notify,
    /// The handshake is done: what ends the channel from now on is a failure of the server.
    met: AtomicBool,
}

#[derive(Debug)]
struct Waiting {
    order: u64,
    /// The request, for whoever must say what was running: the bytes are shared, not copied.
    request: Bytes,
    answer: oneshot::Sender<Result<Message, LinkError>>,
    events: mpsc::Sender<Event>,
    behind: Arc<AtomicBool>,
}

impl Mux {
    pub(crate) fn new(
        server: Arc<Server>,
        outgoing: mpsc::Sender<Message>,
        unsolicited: mpsc::Sender<Event>,
    ) -> Arc<Self> {
        Arc::new(Self {
            server,
            pending: Mutex::default(),
            order: AtomicU64::new(0),
            outgoing,
            unsolicited,
            behind: Arc::default(),
            stuck: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            died: Notify::new(),
            met: AtomicBool::new(false),
        })
    }

    /// Sends a request and waits for its answer. Dropping the future tells the server that it is cancelled.
    pub(crate) async fn call(
        self: &Arc<Self>,
        message: Message,
        events: mpsc::Sender<Event>,
    ) -> Result<Message, LinkError> {
        let Some(id) = message.id().cloned() else {
            return Err(LinkError::Broke("a request without an id".to_owned()));
        };
        let cancellable = message.method() != Some("initialize");
        let (answer, waiting) = oneshot::channel();
        self.register(&id, message.bytes().clone(), answer, events)?;
        let mut guard = Forget {
            mux: Arc::clone(self),
            id,
            cancel: cancellable,
        };
        if let Err(error) = self.send(message).await {
            guard.cancel = false;
            return Err(error);
        }
        let outcome = waiting.await.unwrap_or(Err(LinkError::Gone));
        guard.cancel = false;
        outcome
    }

    fn register(
        &self,
        id: &Id,
        request: Bytes,
        answer: oneshot::Sender<Result<Message, LinkError>>,
        events: mpsc::Sender<Event>,
    ) -> Result<(), LinkError> {
        let mut pending = lock(&self.pending);
        if self.is_dead() {
            return Err(LinkError::Gone);
        }
        if pending.len() >= MAX_PENDING {
            return Err(LinkError::Unavailable(
                "too many requests wait for this server".to_owned(),
            ));
        }
        let order = self.order.fetch_add(1, Ordering::Relaxed);
        pending.insert(
            id.clone(),
            Waiting {
                order,
                request,
                answer,
                events,
                behind: Arc::default(),
            },
        );
        Ok(())
    }

    /// Queues a message for the server. Nobody waits long for one that does not read.
    pub(crate) async fn send(&self, message: Message) -> Result<(), LinkError> {
        let patience = if self.stuck.load(Ordering::Relaxed) {
            Duration::ZERO
        } else {
            QUEUED
        };
        self.outgoing
            .send_timeout(message, patience)
            .await
            .map_err(|error| match error {
                mpsc::error::SendTimeoutError::Closed(_) => LinkError::Gone,
                mpsc::error::SendTimeoutError::Timeout(_) => {
                    LinkError::Unavailable("the server does not read what is sent to it".to_owned())
                }
            })
    }

    /// Whether a write to the server waits for it to read.
    pub(crate) fn stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Relaxed);
    }

    /// Takes a message that the server sent and brings it to whoever waits for it.
    pub(crate) async fn arrived(&self, message: Message) {
        match message.kind() {
            Kind::Response | Kind::Error => self.answered(message),
            Kind::Request => self.deliver(Event::Ask(message)).await,
            Kind::Notification => self.deliver(Event::Notification(message)).await,
        }
    }

    /// An answer that was refused by the strict parse still ends the request it belongs to.
    pub(crate) fn answered_badly(&self, id: &Id, error: LinkError) {
        let waiting = lock(&self.pending).remove(id);
        match waiting {
            Some(waiting) => drop(waiting.answer.send(Err(error))),
            None => self.stray(),
        }
    }

    /// A message that was too long to be read: where only one request waits, it was that one's answer.
    pub(crate) fn dropped(&self, bytes: usize) {
        let only = {
            let pending = lock(&self.pending);
            let mut ids = pending.keys();
            ids.next().filter(|_| pending.len() == 1).cloned()
        };
        let why = || LinkError::Broke(format!("its message of {bytes} bytes was longer than the cap"));
        match only {
            Some(id) => self.answered_badly(&id, why()),
            None => self.stray(),
        }
    }

    /// Counts an answer that nobody waits for, or a line that was no message.
    pub(crate) fn stray(&self) {
        self.server.health.stray();
    }

    fn answered(&self, message: Message) {
        // INVARIANT: an id is removed before its answer is handed over, so that a second answer with the
        // same id finds nobody.
        let waiting = message.id().and_then(|id| lock(&self.pending).remove(id));
        match waiting {
            Some(waiting) => drop(waiting.answer.send(Ok(message))),
            None => self.stray(),
        }
    }

    /// Hands an event over, in order. INVARIANT: a consumer that does not read holds the channel up once, not with
    /// each event: its notifications are dropped, its questions refused.
    async fn deliver(&self, event: Event) {
        let (to, behind) = self.consumer(&event);
        let patience = if behind.load(Ordering::Relaxed) {
            Duration::ZERO
        } else {
            PATIENCE
        };
        let sent = to.send_timeout(event, patience).await;
        behind.store(sent.is_err(), Ordering::Relaxed);
        let Err(error) = sent else { return };
        self.stray();
        if let Event::Ask(question) = error.into_inner()
            && let Some(id) = question.id()
        {
            let no =
                Message::error_response(Some(id), -32603, "the client does not read its questions", None);
            drop(self.outgoing.try_send(no));
        }
    }

    /// Progress and subscriptions name their request; a question or a log line goes to the newest running
    /// request, since legacy servers must ask within one (SEP-2260); the rest belongs to no request.
    fn consumer(&self, event: &Event) -> (mpsc::Sender<Event>, Arc<AtomicBool>) {
        let pending = lock(&self.pending);
        let named = match event {
            Event::Notification(message) => named_request(message),
            Event::Ask(_) => None,
        };
        let found = match (&named, event) {
            (Some(id), _) => pending.get(id),
            (None, Event::Ask(_)) => pending.values().max_by_key(|waiting| waiting.order),
            (None, Event::Notification(message)) if message.method() == Some("notifications/message") => {
                pending.values().max_by_key(|waiting| waiting.order)
            }
            (None, Event::Notification(_)) => None,
        };
        let (to, behind) = found.map_or((&self.unsolicited, &self.behind), |waiting| {
            (&waiting.events, &waiting.behind)
        });
        (to.clone(), Arc::clone(behind))
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// The requests that wait for an answer, in words.
    pub(crate) fn running(&self) -> Vec<String> {
        let requests: Vec<Bytes> = {
            let pending = lock(&self.pending);
            pending
                .values()
                .take(TOLD)
                .map(|waiting| waiting.request.clone())
                .collect()
        };
        requests.into_iter().filter_map(in_words).collect()
    }

    /// Ends all requests that wait, with an error each; the channel stays.
    pub(crate) fn fail_all(&self, why: impl Fn() -> LinkError) {
        let orphans: Vec<Waiting> = lock(&self.pending).drain().map(|(_, waiting)| waiting).collect();
        for orphan in orphans {
            drop(orphan.answer.send(Err(why())));
        }
    }

    /// The handshake is done.
    pub(crate) fn meet(&self) {
        self.met.store(true, Ordering::Release);
    }

    /// The gateway ends the channel, which is no failure.
    pub(crate) fn leave(&self) {
        self.met.store(false, Ordering::Release);
        self.die();
    }

    /// The channel has ended: nobody gets an answer any more.
    pub(crate) fn die(&self) {
        let (orphans, first): (Vec<Waiting>, bool) = {
            let mut pending = lock(&self.pending);
            let first = !self.dead.swap(true, Ordering::AcqRel);
            (pending.drain().map(|(_, waiting)| waiting).collect(), first)
        };
        if first && self.met.load(Ordering::Acquire) {
            self.server
                .failed("the connection was lost: the server ended or stopped reading".to_owned());
        }
        for orphan in orphans {
            drop(orphan.answer.send(Err(LinkError::Gone)));
        }
        self.died.notify_waiters();
    }

    fn cancelled(&self, id: &Id) {
        let params = Json::from_value(&serde_json::json!({ "requestId": id_value(id) }));
        let note = Message::notification("notifications/cancelled", Some(params));
        // A full queue means that the server does not read; it will see the end of its input instead.
        drop(self.outgoing.try_send(note));
    }
}

fn id_value(id: &Id) -> serde_json::Value {
    match id {
        Id::Number(number) => (*number).into(),
        Id::Text(text) => text.as_ref().into(),
    }
}

/// The request that a notification names: by progress token or by subscription id.
fn named_request(message: &Message) -> Option<Id> {
    let params = message.params()?;
    match message.method()? {
        "notifications/progress" => params.get("progressToken").and_then(Raw::id),
        "notifications/cancelled" => params.get("requestId").and_then(Raw::id),
        _ => params.get("_meta")?.get(key::SUBSCRIPTION_ID).and_then(Raw::id),
    }
}

/// Takes a waiting request off the books when its caller stops waiting.
struct Forget {
    mux: Arc<Mux>,
    id: Id,
    cancel: bool,
}

impl Drop for Forget {
    fn drop(&mut self) {
        lock(&self.mux.pending).remove(&self.id);
        if self.cancel && !self.mux.is_dead() {
            self.mux.cancelled(&self.id);
        }
    }
}
/// The method of a request, and the tool, prompt or resource that it names.
fn in_words(request: Bytes) -> Option<String> {
    let Ok(Body::Single(message)) = mantlet_wire::body(request, &Caps::default(), Twins::WhereKnown) else {
        return None;
    };
    let method = message.method()?;
    let params = message.params();
    let item = ["name", "uri"].iter().find_map(|key| params?.get(key)?.text());
    let item: String = item.iter().flat_map(|item| item.chars()).take(100).collect();
    Some(match item.is_empty() {
        true => format!("`{method}`"),
        false => format!("`{method}` of `{item}`"),
    })
}
