//! Many requests over one ordered channel (stdio, HTTP+SSE): which answer belongs to whom.
//! Pure bookkeeping plus queues; reading and writing are done by the transport's tasks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mantlet_wire::{Id, Json, Kind, Message, Raw, key};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{Event, LinkError};
use crate::client::lock;

/// Requests that may wait for answers on one channel.
const MAX_PENDING: usize = 1_024;
/// How long a reader waits for a slow consumer before an event is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Mux {
    pending: Mutex<HashMap<Id, Waiting>>,
    order: AtomicU64,
    outgoing: mpsc::Sender<Message>,
    unsolicited: mpsc::Sender<Event>,
    dead: AtomicBool,
    died: Notify,
    /// Answers that nobody waits for, lines that were no messages: counted, shown in the status.
    strays: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    order: u64,
    answer: oneshot::Sender<Result<Message, LinkError>>,
    events: mpsc::Sender<Event>,
}

impl Mux {
    pub(crate) fn new(outgoing: mpsc::Sender<Message>, unsolicited: mpsc::Sender<Event>) -> Arc<Self> {
        Arc::new(Self {
            pending: Mutex::default(),
            order: AtomicU64::new(0),
            outgoing,
            unsolicited,
            dead: AtomicBool::new(false),
            died: Notify::new(),
            strays: AtomicU64::new(0),
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
        self.register(&id, answer, events)?;
        let mut guard = Forget {
            mux: Arc::clone(self),
            id,
            cancel: cancellable,
        };
        if self.outgoing.send(message).await.is_err() {
            guard.cancel = false;
            return Err(LinkError::Gone);
        }
        let outcome = waiting.await.unwrap_or(Err(LinkError::Gone));
        guard.cancel = false;
        outcome
    }

    fn register(
        &self,
        id: &Id,
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
                answer,
                events,
            },
        );
        Ok(())
    }

    /// Sends what has no answer.
    pub(crate) async fn send(&self, message: Message) -> Result<(), LinkError> {
        self.outgoing.send(message).await.map_err(|_| LinkError::Gone)
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

    pub(crate) fn stray(&self) {
        self.strays.fetch_add(1, Ordering::Relaxed);
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

    async fn deliver(&self, event: Event) {
        let to = self.consumer(&event);
        if tokio::time::timeout(PATIENCE, to.send(event)).await.is_err() {
            self.stray();
        }
    }

    /// Progress and subscriptions name their request; a question or a log line goes to the newest running
    /// request, since legacy servers must ask within one (SEP-2260); the rest belongs to no request.
    fn consumer(&self, event: &Event) -> mpsc::Sender<Event> {
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
        found.map_or_else(|| self.unsolicited.clone(), |waiting| waiting.events.clone())
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// The channel has ended: nobody gets an answer any more.
    pub(crate) fn die(&self) {
        let orphans: Vec<Waiting> = {
            let mut pending = lock(&self.pending);
            self.dead.store(true, Ordering::Release);
            pending.drain().map(|(_, waiting)| waiting).collect()
        };
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
