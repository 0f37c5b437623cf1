//! The way to the servers. A `Server` is what the configuration names; a `Link` is one open connection to it,
//! of one era, owned by one client. Transports are in `upstream/`; who may send what is decided on the path.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use mantlet_config::Server as Settings;
use mantlet_wire::{Era, Id, Json, Message, Reject, Version};
use tokio::sync::{Notify, mpsc};

pub(crate) mod catalog;
pub(crate) mod health;
pub(crate) mod http;
pub(crate) mod mux;
pub(crate) mod open;
pub(crate) mod pool;
pub(crate) mod process;
pub(crate) mod sse;
pub(crate) mod stdio;

use catalog::{Catalog, FactsCache};
use health::Health;

/// Questions of one server that may wait for a request which can carry them.
const MAX_HELD: usize = 16;

/// A server of the configuration, with what was learnt of it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Settings,
    pub(crate) facts: FactsCache,
    pub(crate) health: Health,
}

impl Server {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            name: Arc::from(settings.name.as_str()),
            settings,
            facts: FactsCache::default(),
            health: Health::default(),
        }
    }

    /// Notes that the server, or the way to it, failed.
    pub(crate) fn failed(&self, why: String) {
        let restart = &self.settings.restart;
        self.health
            .failed(Instant::now(), why, restart.limit, restart.within);
    }
}

/// Something a server sent on its own, or while a request runs.
#[derive(Debug)]
pub(crate) enum Event {
    Notification(Message),
    /// A request to the client, under the server's own id.
    Ask(Message),
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("{0}")]
    Unavailable(String),
    #[error("the server did not answer in {0} s")]
    Timeout(u64),
    /// An HTTP status that carries no JSON-RPC answer.
    #[error("the server answered HTTP {0}")]
    Status(::http::StatusCode),
    /// It tried what its cage does not grant; the call ended for that.
    #[error("the server tried what it is not granted: {0}")]
    Breached(String),
    #[error("the server broke the protocol: {0}")]
    Broke(String),
    #[error("the server's answer was refused: {0}")]
    Rejected(#[from] Reject),
    #[error("the connection to the server was lost")]
    Gone,
    /// The server no longer knows the session (HTTP 404); nothing of the message ran.
    #[error("the server has ended the session")]
    SessionLost,
}

/// What the server said of itself when the link was opened.
#[derive(Clone, Debug)]
pub(crate) struct Greeting {
    pub(crate) capabilities: Json,
    pub(crate) info: Json,
    pub(crate) instructions: Option<String>,
    /// The whole result of `initialize` or `server/discover`, as it came.
    pub(crate) result: Json,
}

impl Greeting {
    pub(crate) fn has(&self, capability: &str) -> bool {
        self.capabilities
            .raw()
            .get(capability)
            .is_some_and(|value| !value.is_null())
    }
}

/// A request ready to leave: the message under this hop's id, and what its HTTP headers need.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    /// `Mcp-Name`: the tool, prompt, URI or task that the body names.
    pub(crate) name: Option<String>,
    /// `Mcp-Param-*`: header suffix and encoded value.
    pub(crate) mirrored: Vec<(String, String)>,
}

/// One open connection to one server.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) server: Arc<Server>,
    pub(crate) version: Version,
    pub(crate) greeting: Greeting,
    pub(crate) catalog: Catalog,
    wire: Wire,
    /// Where goes what the server says outside any request of a client.
    pub(crate) outside: mpsc::Sender<Event>,
    held: Mutex<Vec<Message>>,
    /// Told of each question that is held.
    asked: Notify,
    next_id: AtomicI64,
    initialized: AtomicBool,
    usage: Usage,
    /// Resources that subscriptions of a stateless client watch over this link, and how many of them do.
    pub(crate) watched: tokio::sync::Mutex<HashMap<String, usize>>,
}

/// Who uses a link, and whether somebody did since that was last looked at. Calls pay for this: no clock is read.
#[derive(Debug)]
struct Usage {
    users: AtomicUsize,
    touched: AtomicBool,
    idle_since: Mutex<Instant>,
}

/// Somebody uses a link; dropping it ends that.
#[derive(Debug)]
pub(crate) struct InUse<'a>(&'a Link);

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.usage.touched.store(true, Ordering::Relaxed);
        self.0.usage.users.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Debug)]
pub(crate) enum Wire {
    Stdio(stdio::Stdio),
    Http(http::Http),
    Sse(sse::Sse),
}

impl Link {
    pub(crate) fn new(
        server: Arc<Server>,
        version: Version,
        greeting: Greeting,
        wire: Wire,
        outside: mpsc::Sender<Event>,
        next_id: i64,
    ) -> Self {
        Self {
            server,
            version,
            greeting,
            catalog: Catalog::default(),
            wire,
            outside,
            held: Mutex::default(),
            asked: Notify::new(),
            next_id: AtomicI64::new(next_id),
            initialized: AtomicBool::new(false),
            usage: Usage {
                users: AtomicUsize::new(0),
                touched: AtomicBool::new(true),
                idle_since: Mutex::new(Instant::now()),
            },
            watched: tokio::sync::Mutex::default(),
        }
    }

    /// Marks the link as used until the mark is dropped.
    pub(crate) fn in_use(&self) -> InUse<'_> {
        self.usage.users.fetch_add(1, Ordering::AcqRel);
        InUse(self)
    }

    /// So that it is not taken for idle before it is used.
    pub(crate) fn touch(&self) {
        self.usage.touched.store(true, Ordering::Release);
    }

    /// Nobody uses it, and nobody has for as long as the settings say. To be asked again and again: it is idle from
    /// the first time on that nobody has used it since the time before.
    pub(crate) fn is_idle(&self) -> bool {
        let mut idle_since = crate::client::lock(&self.usage.idle_since);
        let touched = self.usage.touched.swap(false, Ordering::AcqRel);
        if touched || self.usage.users.load(Ordering::Acquire) > 0 {
            *idle_since = Instant::now();
            return false;
        }
        idle_since.elapsed() >= self.server.settings.timeouts.idle
            && crate::client::lock(&self.held).is_empty()
            && !self.is_dead()
    }

    /// From now on the link is dead; what it holds is still to be closed.
    pub(crate) fn retire(&self) {
        self.wire.retire();
    }

    /// Tells a server of the initialize era, once, that the client is ready; from then on it may speak.
    pub(crate) async fn say_initialized(&self) -> Result<(), LinkError> {
        if self.era() == Era::Modern || self.initialized.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.send(Message::notification("notifications/initialized", None))
            .await?;
        if let Wire::Http(http) = &self.wire {
            http.listen();
        }
        Ok(())
    }

    /// Keeps a question that a stateless client can only be asked with a later request; gives it back when there
    /// are too many.
    pub(crate) fn hold(&self, question: Message) -> Result<(), Message> {
        let mut held = crate::client::lock(&self.held);
        if held.len() >= MAX_HELD {
            return Err(question);
        }
        held.push(question);
        self.asked.notify_one();
        Ok(())
    }

    /// The server takes a question back.
    pub(crate) fn let_go(&self, id: &Id) {
        crate::client::lock(&self.held).retain(|question| question.id() != Some(id));
    }

    /// Waits until a question is held.
    pub(crate) async fn asks(&self) {
        self.asked.notified().await;
    }

    /// The questions that wait for a request which can carry them.
    pub(crate) fn take_held(&self) -> Vec<Message> {
        std::mem::take(&mut *crate::client::lock(&self.held))
    }

    pub(crate) fn era(&self) -> Era {
        self.version.era()
    }

    /// The next id of this hop. Ids of clients never travel further than the gateway, so that two clients'
    /// ids cannot meet.
    pub(crate) fn next_id(&self) -> Id {
        Id::Number(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn transport(&self) -> &'static str {
        match &self.wire {
            Wire::Stdio(_) => "stdio",
            Wire::Http(_) => "http",
            Wire::Sse(_) => "sse",
        }
    }

    /// Sends a request and waits for its response; what the server says meanwhile goes to `events`.
    /// Dropping the future cancels the request at the server.
    pub(crate) async fn call(
        &self,
        outgoing: Outgoing,
        events: &mpsc::Sender<Event>,
    ) -> Result<Message, LinkError> {
        let _used = self.in_use();
        let outcome = self.wire.call(outgoing, events).await;
        if let Wire::Http(http) = &self.wire {
            match &outcome {
                Ok(_) => self.server.health.reached(),
                Err(LinkError::Unavailable(why)) => self.server.health.missed(why),
                Err(LinkError::SessionLost) => http.retire(),
                Err(_) => {}
            }
        }
        outcome
    }

    /// Sends a notification, or the answer to a question of the server.
    pub(crate) async fn send(&self, message: Message) -> Result<(), LinkError> {
        let _used = self.in_use();
        self.wire.send(message).await
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.wire.is_dead()
    }

    /// Ends the connection: the process with all its descendants, or the session.
    pub(crate) async fn close(&self) {
        self.wire.close().await;
    }
}

impl Wire {
    async fn call(&self, outgoing: Outgoing, events: &mpsc::Sender<Event>) -> Result<Message, LinkError> {
        match self {
            Self::Stdio(stdio) => stdio.mux().call(outgoing.message, events.clone()).await,
            Self::Sse(sse) => sse.mux().call(outgoing.message, events.clone()).await,
            Self::Http(http) => http.call(outgoing, events).await,
        }
    }

    async fn send(&self, message: Message) -> Result<(), LinkError> {
        match self {
            Self::Stdio(stdio) => stdio.mux().send(message).await,
            Self::Sse(sse) => sse.mux().send(message).await,
            Self::Http(http) => http.send(message).await,
        }
    }

    fn is_dead(&self) -> bool {
        match self {
            Self::Stdio(stdio) => stdio.mux().is_dead(),
            Self::Sse(sse) => sse.mux().is_dead(),
            Self::Http(http) => http.is_closed(),
        }
    }

    fn retire(&self) {
        match self {
            Self::Stdio(stdio) => stdio.mux().leave(),
            Self::Sse(sse) => sse.mux().leave(),
            Self::Http(http) => http.retire(),
        }
    }

    async fn close(&self) {
        match self {
            Self::Stdio(stdio) => stdio.close().await,
            Self::Sse(sse) => sse.close(),
            Self::Http(http) => http.close().await,
        }
    }
}

/// A client's place for its link to one server: opened once, by whoever comes first, and again when it died.
#[derive(Debug)]
pub(crate) struct LinkSlot {
    pub(crate) server: Arc<Server>,
    pub(crate) link: tokio::sync::Mutex<Option<Arc<Link>>>,
}

impl LinkSlot {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            link: tokio::sync::Mutex::new(None),
        }
    }

    /// Closes the link, if one is open.
    pub(crate) async fn close(&self) {
        let link = self.link.lock().await.take();
        if let Some(link) = link {
            link.close().await;
        }
    }
}
