//! A client as the gateway sees it: one session of the initialize era, or all stateless requests of one
//! caller with the same capabilities. Holds what belongs to nobody else: links, open questions, running calls.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mantlet_access::Caller;
use mantlet_wire::{Era, Id, Json, Message, Raw, Version};
use tokio::sync::{Notify, oneshot};

use crate::forward::park::Parked;
use crate::listen::replay::Replays;
use crate::refusal::{Reason, Refusal};
use crate::upstream::{Link, LinkSlot};

mod outbound;

pub(crate) use outbound::{Frame, Outbound, Presence, Push};

/// Which servers an endpoint shows: all of them under one roof, or one with its names unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    All,
    One(Arc<str>),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => out.write_str("/mcp"),
            Self::One(name) => write!(out, "/servers/{name}/mcp"),
        }
    }
}

/// What the client said of itself. Self-reported: shown and logged, never trusted.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub(crate) version: Version,
    pub(crate) capabilities: Json,
    pub(crate) info: Json,
    /// The whole params of `initialize`, where there was one.
    pub(crate) initialize: Option<Json>,
}

impl Hello {
    /// True when the client declared the capability, such as `sampling`.
    pub(crate) fn declares(&self, capability: &str) -> bool {
        self.capabilities
            .raw()
            .get(capability)
            .is_some_and(|value| !value.is_null())
    }

    pub(crate) fn name(&self) -> Option<String> {
        let name = self.info.raw().get("name").and_then(Raw::text)?;
        Some(name.chars().take(80).collect())
    }
}

/// A request that a server has put to this client and that is not answered yet.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) answer: oneshot::Sender<Message>,
    /// The id under which the server asked.
    pub(crate) server_id: Option<Id>,
    /// The server's own progress token, put back when the client reports progress.
    pub(crate) progress: Option<Json>,
    pub(crate) link: Arc<Link>,
}

/// One client. See the module's head.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) caller: Caller,
    pub(crate) endpoint: Endpoint,
    pub(crate) era: Era,
    pub(crate) hello: Hello,
    /// A short digest of the session id for the log; the id itself is in nobody's log.
    pub(crate) session: Option<String>,
    pub(crate) links: Mutex<HashMap<Arc<str>, Arc<LinkSlot>>>,
    pub(crate) parked: Parked,
    pub(crate) push: Push,
    /// Streams of this session that can be taken up again.
    pub(crate) replays: Replays,
    asks: Mutex<HashMap<Id, Ask>>,
    next_ask: AtomicI64,
    running: Mutex<HashMap<Id, Arc<Notify>>>,
    streams: Mutex<Vec<(u64, Outbound)>>,
    next_stream: AtomicU64,
    log_level: Mutex<Option<String>>,
    subscribed: Mutex<HashSet<String>>,
    /// Open `subscriptions/listen` requests of a stateless client.
    pub(crate) listens: Mutex<Vec<crate::forward::listen::Listen>>,
    /// The subscriptions that the gateway holds at servers of the stateless era for this client.
    pub(crate) standing: Mutex<HashMap<Arc<str>, tokio::task::JoinHandle<()>>>,
    negotiated: OnceLock<Version>,
    pub(crate) ready: AtomicBool,
    last_seen: AtomicU64,
    /// Messages of this client that are on their way.
    busy: AtomicUsize,
}

/// Questions that may be open towards one client.
const MAX_ASKS: usize = 64;
/// Resources that one client may watch.
const MAX_SUBSCRIBED: usize = 1_000;

impl Client {
    pub(crate) fn new(caller: Caller, endpoint: Endpoint, hello: Hello, session: Option<String>) -> Self {
        Self {
            caller,
            endpoint,
            era: hello.version.era(),
            hello,
            session,
            links: Mutex::default(),
            parked: Parked::default(),
            push: Push::default(),
            replays: Replays::default(),
            asks: Mutex::default(),
            next_ask: AtomicI64::new(1),
            running: Mutex::default(),
            streams: Mutex::default(),
            next_stream: AtomicU64::new(1),
            log_level: Mutex::default(),
            subscribed: Mutex::default(),
            listens: Mutex::default(),
            standing: Mutex::default(),
            negotiated: OnceLock::new(),
            ready: AtomicBool::new(false),
            last_seen: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
        }
    }

    /// Marks that a message of this client is on its way.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(self))
    }

    /// The version that this session speaks: what was agreed on, before that what was asked for.
    pub(crate) fn version(&self) -> Version {
        self.negotiated.get().copied().unwrap_or(self.hello.version)
    }

    pub(crate) fn agree(&self, version: Version) {
        // The first agreement counts; a session has one.
        let _known = self.negotiated.set(version);
    }

    pub(crate) fn touch(&self, now_micros: u64) {
        self.last_seen.store(now_micros, Ordering::Relaxed);
    }

    pub(crate) fn last_seen(&self) -> u64 {
        self.last_seen.load(Ordering::Relaxed)
    }

    /// Nothing runs, no stream is open, nothing is parked.
    pub(crate) fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Acquire) == 0 && !self.push.is_open() && self.parked.is_empty()
    }

    /// Nobody has used the link for as long as its server's settings say, and nothing is expected from it.
    pub(crate) fn can_spare(&self, link: &Arc<Link>) -> bool {
        link.is_idle()
            && !self.push.is_open()
            && (self.era == Era::Modern || lock(&self.subscribed).is_empty())
            && !lock(&self.asks).values().any(|ask| Arc::ptr_eq(&ask.link, link))
    }

    /// Registers a running request, so that it can be cancelled by its id.
    ///
    /// # Errors
    /// A request with this id is still running (JSON-RPC 2.0 §4; MCP basic/index §Requests).
    pub(crate) fn start(self: &Arc<Self>, id: &Id) -> Result<Running, Refusal> {
        let stop = Arc::new(Notify::new());
        let mut running = lock(&self.running);
        if running.contains_key(id) {
            return Err(Refusal::new(
                Reason::DuplicateId,
                "a request with this id is still running: give each request its own id",
            ));
        }
        running.insert(id.clone(), Arc::clone(&stop));
        Ok(Running {
            client: Arc::clone(self),
            id: id.clone(),
            stop,
        })
    }

    /// Stops the request with this id; false when none runs.
    pub(crate) fn cancel(&self, id: &Id) -> bool {
        let found = lock(&self.running).get(id).cloned();
        match found {
            Some(stop) => {
                stop.notify_one();
                true
            }
            None => false,
        }
    }

    /// A number for a stream of this client that no other has.
    pub(crate) fn next_number(&self) -> u64 {
        self.next_stream.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes this request's stream one that questions of servers may travel on.
    pub(crate) fn lend_stream(self: &Arc<Self>, out: Outbound) -> Lent {
        let key = self.next_number();
        lock(&self.streams).push((key, out));
        Lent {
            client: Arc::clone(self),
            key,
        }
    }

    /// The newest stream of a running request that still has a listener.
    pub(crate) fn newest_stream(&self) -> Option<Outbound> {
        lock(&self.streams)
            .iter()
            .rev()
            .find(|(_, out)| !out.is_gone())
            .map(|(_, out)| out.clone())
    }

    /// Opens a question to the client and gives the id that it travels under.
    pub(crate) fn open_ask(&self, ask: Ask) -> Result<Id, Refusal> {
        let mut asks = lock(&self.asks);
        if asks.len() >= MAX_ASKS {
            return Err(Refusal::new(
                Reason::TooManyInFlight,
                "too many questions to this client are open: wait for answers first",
            ));
        }
        let id = Id::Number(self.next_ask.fetch_add(1, Ordering::Relaxed));
        asks.insert(id.clone(), ask);
        Ok(id)
    }

    pub(crate) fn close_ask(&self, id: &Id) -> Option<Ask> {
        lock(&self.asks).remove(id)
    }

    /// The open question that a server put under this id.
    pub(crate) fn ask_of(&self, link: &Arc<Link>, server_id: &Id) -> Option<Id> {
        let asks = lock(&self.asks);
        let found = asks
            .iter()
            .find(|(_, ask)| Arc::ptr_eq(&ask.link, link) && ask.server_id.as_ref() == Some(server_id));
        found.map(|(id, _)| id.clone())
    }

    /// For progress that a client reports on a question: where it goes and under which token.
    pub(crate) fn ask_progress(&self, id: &Id) -> Option<(Arc<Link>, Json)> {
        let asks = lock(&self.asks);
        let ask = asks.get(id)?;
        Some((Arc::clone(&ask.link), ask.progress.clone()?))
    }

    pub(crate) fn set_log_level(&self, level: String) {
        *lock(&self.log_level) = Some(level);
    }

    pub(crate) fn log_level(&self) -> Option<String> {
        lock(&self.log_level).clone()
    }

    /// Remembers a watched resource; false when the cap is reached.
    pub(crate) fn subscribe(&self, uri: String) -> bool {
        let mut subscribed = lock(&self.subscribed);
        subscribed.contains(&uri) || (subscribed.len() < MAX_SUBSCRIBED && subscribed.insert(uri))
    }

    pub(crate) fn unsubscribe(&self, uri: &str) {
        lock(&self.subscribed).remove(uri);
    }

    pub(crate) fn subscribed(&self) -> Vec<String> {
        let mut all: Vec<String> = lock(&self.subscribed).iter().cloned().collect();
        all.sort();
        all
    }

    pub(crate) fn link_slots(&self) -> Vec<Arc<LinkSlot>> {
        lock(&self.links).values().cloned().collect()
    }
}

/// A client with a message on its way; until all of these are dropped it is not idle.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Client>);

impl Deref for Busy {
    type Target = Arc<Client>;

    fn deref(&self) -> &Arc<Client> {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A running request; dropping it frees its id.
#[derive(Debug)]
pub(crate) struct Running {
    client: Arc<Client>,
    id: Id,
    stop: Arc<Notify>,
}

impl Running {
    /// Resolves when the client cancels this request.
    pub(crate) async fn cancelled(&self) {
        self.stop.notified().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.client.running).remove(&self.id);
    }
}

/// A stream lent for questions; dropping it takes it back.
#[derive(Debug)]
pub(crate) struct Lent {
    client: Arc<Client>,
    key: u64,
}

impl Drop for Lent {
    fn drop(&mut self) {
        lock(&self.client.streams).retain(|(key, _)| *key != self.key);
    }
}

/// A poisoned lock is taken all the same: no code of ours leaves these maps half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
