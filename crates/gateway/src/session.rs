//! Which client a message belongs to. Sessions of the initialize era: 256-bit ids bound to the caller and the
//! endpoint, never authentication. Stateless requests: one client per caller, endpoint and capabilities, so
//! that no two callers ever share a connection to a server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mantlet_access::Caller;
use sha2::{Digest as _, Sha256};

use crate::client::{Client, Endpoint, Hello, lock};
use crate::random;
use crate::refusal::{Reason, Refusal};
use crate::upstream::Server;

/// Stateless clients kept; beyond it the one that was idle longest goes.
const MAX_STATELESS: usize = 1_000;
const SWEEP: Duration = Duration::from_secs(15);

type StatelessKey = (String, Endpoint, Box<str>);

/// All clients of the process.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    sessions: Mutex<HashMap<String, Session>>,
    stateless: Mutex<HashMap<StatelessKey, Arc<Client>>>,
    local: Mutex<Vec<Arc<Client>>>,
}

#[derive(Debug)]
struct Session {
    client: Arc<Client>,
    created: u64,
}

/// How long sessions live, in microseconds, and how many a caller may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    pub(crate) idle: u64,
    pub(crate) absolute: u64,
    pub(crate) per_caller: usize,
}

impl Clients {
    /// Opens a session for an `initialize`. Nothing is kept for a request that is refused before this.
    pub(crate) fn open_session(
        &self,
        caller: &Caller,
        endpoint: &Endpoint,
        hello: Hello,
        now: u64,
        lifetime: Lifetime,
    ) -> Result<(String, Arc<Client>), Refusal> {
        let id = random::handle();
        if id.is_empty() {
            return Err(Refusal::new(
                Reason::Internal,
                "no session could be opened: the machine has no randomness",
            ));
        }
        let mut sessions = lock(&self.sessions);
        let mine = sessions
            .values()
            .filter(|session| session.client.caller == *caller)
            .count();
        if mine >= lifetime.per_caller {
            return Err(Refusal::new(
                Reason::SessionLimit,
                format!("this caller has {mine} sessions open, the most allowed: end one with DELETE"),
            ));
        }
        let digest = short_digest(&id);
        let client = Arc::new(Client::new(caller.clone(), endpoint.clone(), hello, Some(digest)));
        client.touch(now);
        sessions.insert(
            id.clone(),
            Session {
                client: Arc::clone(&client),
                created: now,
            },
        );
        Ok((id, client))
    }

    /// The session with this id, if it is this caller's on this endpoint. Anybody else learns no more than
    /// that there is none.
    pub(crate) fn session(
        &self,
        id: &str,
        caller: &Caller,
        endpoint: &Endpoint,
        now: u64,
    ) -> Result<Arc<Client>, Refusal> {
        let sessions = lock(&self.sessions);
        let found = sessions
            .get(id)
            .filter(|session| session.client.caller == *caller && session.client.endpoint == *endpoint);
        let Some(session) = found else {
            return Err(Refusal::new(
                Reason::SessionUnknown,
                "there is no such session here (any more): begin a new one with `initialize`",
            ));
        };
        session.client.touch(now);
        Ok(Arc::clone(&session.client))
    }

    /// Takes a session off the books.
    pub(crate) fn end_session(&self, id: &str, caller: &Caller, endpoint: &Endpoint) -> Option<Arc<Client>> {
        let mut sessions = lock(&self.sessions);
        let session = sessions.get(id)?;
        if session.client.caller != *caller || session.client.endpoint != *endpoint {
            return None;
        }
        sessions.remove(id).map(|session| session.client)
    }

    /// The client for a stateless request.
    pub(crate) fn stateless(
        &self,
        caller: &Caller,
        endpoint: &Endpoint,
        hello: Hello,
        now: u64,
    ) -> Arc<Client> {
        let key = (
            caller.key(),
            endpoint.clone(),
            Box::from(hello.capabilities.as_str()),
        );
        let mut stateless = lock(&self.stateless);
        if let Some(client) = stateless.get(&key) {
            client.touch(now);
            return Arc::clone(client);
        }
        if stateless.len() >= MAX_STATELESS {
            let oldest = stateless
                .iter()
                .filter(|(_, client)| client.is_idle())
                .min_by_key(|(_, client)| client.last_seen())
                .map(|(key, _)| key.clone());
            if let Some(client) = oldest.and_then(|key| stateless.remove(&key)) {
                close_later(client);
            }
        }
        let client = Arc::new(Client::new(caller.clone(), endpoint.clone(), hello, None));
        client.touch(now);
        stateless.insert(key, Arc::clone(&client));
        client
    }

    /// The one client of a standard-input connection of the initialize era.
    pub(crate) fn local(&self, caller: &Caller, endpoint: &Endpoint, hello: Hello, now: u64) -> Arc<Client> {
        let client = Arc::new(Client::new(caller.clone(), endpoint.clone(), hello, None));
        client.touch(now);
        lock(&self.local).push(Arc::clone(&client));
        client
    }

    fn all(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<_> = lock(&self.sessions)
            .values()
            .map(|session| Arc::clone(&session.client))
            .collect();
        all.extend(lock(&self.stateless).values().cloned());
        all.extend(lock(&self.local).iter().cloned());
        all
    }

    pub(crate) fn count(&self) -> usize {
        self.all().len()
    }

    /// Ends sessions that were idle or lived too long, and stateless clients nobody used.
    pub(crate) fn expire(&self, now: u64, lifetime: Lifetime) {
        let mut ended = Vec::new();
        lock(&self.sessions).retain(|_, session| {
            let idle = now.saturating_sub(session.client.last_seen());
            let keep = now.saturating_sub(session.created) < lifetime.absolute
                && (idle < lifetime.idle || !session.client.is_idle());
            if !keep {
                ended.push(Arc::clone(&session.client));
            }
            keep
        });
        lock(&self.stateless).retain(|_, client| {
            let keep = now.saturating_sub(client.last_seen()) < lifetime.idle || !client.is_idle();
            if !keep {
                ended.push(Arc::clone(client));
            }
            keep
        });
        ended.into_iter().for_each(close_later);
    }

    /// Closes the links to servers that the configuration no longer has as they were.
    pub(crate) async fn drop_links(&self, gone: &[Arc<Server>]) {
        for client in self.all() {
            for slot in client.link_slots() {
                if gone.iter().any(|server| Arc::ptr_eq(server, &slot.server)) {
                    lock(&client.links).remove(&slot.server.name);
                    slot.close().await;
                }
            }
        }
    }

    pub(crate) async fn close_all(&self) {
        let all = self.all();
        lock(&self.sessions).clear();
        lock(&self.stateless).clear();
        lock(&self.local).clear();
        let mut closing = tokio::task::JoinSet::new();
        for client in all {
            closing.spawn(close(client));
        }
        while closing.join_next().await.is_some() {}
    }
}

/// Closes everything that a client holds.
pub(crate) async fn close(client: Arc<Client>) {
    client.parked.clear();
    for slot in client.link_slots() {
        slot.close().await;
    }
}

pub(crate) fn close_later(client: Arc<Client>) {
    tokio::spawn(close(client));
}

/// Sweeps for as long as the gateway lives.
pub(crate) fn spawn_sweeper(gateway: &Arc<crate::Gateway>) {
    let gateway = Arc::downgrade(gateway);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(SWEEP).await;
            let Some(gateway) = gateway.upgrade() else { return };
            let timeouts = &gateway.in_force().settings.timeouts;
            let lifetime = lifetime(timeouts.idle_session, timeouts.session, usize::MAX);
            gateway.clients.expire(gateway.clock.now().micros(), lifetime);
        }
    });
}

pub(crate) fn lifetime(idle: Duration, absolute: Duration, per_caller: usize) -> Lifetime {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    Lifetime {
        idle: micros(idle),
        absolute: micros(absolute),
        per_caller,
    }
}

/// What the log may know of a session id.
fn short_digest(id: &str) -> String {
    Sha256::digest(id.as_bytes())
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
