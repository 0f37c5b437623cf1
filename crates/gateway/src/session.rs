//! Which client a message belongs to. Sessions of the initialize era: 256-bit ids bound to the caller and the
//! endpoint, never authentication. Stateless requests: one client per caller, endpoint and capabilities, so
//! that no two callers ever share a connection to a server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mantlet_access::Caller;
use sha2::{Digest as _, Sha256};

use crate::client::{Busy, Client, Endpoint, Hello, lock};
use crate::forward::notify;
use crate::random;
use crate::refusal::{Reason, Refusal};
use crate::upstream::Server;

/// Stateless clients kept, in all and for one caller at one endpoint; beyond it the one that was idle longest goes.
const MAX_STATELESS: usize = 1_000;
const MAX_STATELESS_OF_ONE: usize = 16;
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

    /// The client for a stateless request, marked busy. Each client has connections and processes of its own, so a
    /// caller that comes with ever new capabilities gets only so many.
    pub(crate) fn stateless(
        &self,
        caller: &Caller,
        endpoint: &Endpoint,
        hello: Hello,
        now: u64,
    ) -> Result<Busy, Refusal> {
        let key = (
            caller.key(),
            endpoint.clone(),
            Box::from(hello.capabilities.as_str()),
        );
        let mut stateless = lock(&self.stateless);
        if let Some(client) = stateless.get(&key) {
            client.touch(now);
            return Ok(client.busy());
        }
        let mine = |other: &StatelessKey| other.0 == key.0 && other.1 == key.1;
        let full = if stateless.keys().filter(|other| mine(other)).count() >= MAX_STATELESS_OF_ONE {
            Some(give_way(&mut stateless, mine))
        } else if stateless.len() >= MAX_STATELESS {
            Some(give_way(&mut stateless, |_| true))
        } else {
            None
        };
        match full {
            None => {}
            Some(Some(gone)) => close_later(gone),
            Some(None) => {
                return Err(Refusal::new(
                    Reason::TooManyInFlight,
                    "requests with too many different sets of client capabilities are running: \
                     use the same capabilities in all of them",
                ));
            }
        }
        let client = Arc::new(Client::new(caller.clone(), endpoint.clone(), hello, None));
        client.touch(now);
        let busy = client.busy();
        stateless.insert(key, client);
        Ok(busy)
    }

    /// Takes in the one client of a standard-input connection of the initialize era.
    pub(crate) fn keep_local(&self, client: Arc<Client>) {
        lock(&self.local).push(client);
    }

    /// Takes such a client off the books.
    pub(crate) fn end_local(&self, client: &Arc<Client>) {
        lock(&self.local).retain(|known| !Arc::ptr_eq(known, client));
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
        // Who is busy is seen: idle time begins when the last request ends.
        let in_use = |client: &Client| {
            if !client.is_idle() {
                client.touch(now);
            }
            now.saturating_sub(client.last_seen()) < lifetime.idle
        };
        lock(&self.sessions).retain(|_, session| {
            let keep = in_use(&session.client) && now.saturating_sub(session.created) < lifetime.absolute;
            if !keep {
                ended.push(Arc::clone(&session.client));
            }
            keep
        });
        lock(&self.stateless).retain(|_, client| {
            let keep = in_use(client);
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

    /// Closes the links that nobody has used for as long as their server's settings say.
    pub(crate) fn close_idle_links(&self) {
        for client in self.all() {
            for slot in client.link_slots() {
                // Whoever wants to use it needs this lock first. Who holds it is using it.
                let Ok(held) = slot.link.try_lock() else { continue };
                let Some(link) = held.as_ref().filter(|link| client.can_spare(link)) else {
                    continue;
                };
                tracing::info!(server = %slot.server.name, "a connection that nobody uses is closed");
                link.retire();
                // It stays where it is, dead: whoever needs it next opens it again and brings it to where it was.
                let link = Arc::clone(link);
                tokio::spawn(async move { link.close().await });
            }
        }
    }

    /// Tells everybody that lists may be others now.
    pub(crate) async fn announce(&self) {
        for client in self.all() {
            crate::forward::announce::lists(&client).await;
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

/// Of the clients that may be meant the one that was idle longest; none when all are busy.
fn give_way(
    stateless: &mut HashMap<StatelessKey, Arc<Client>>,
    mut may_go: impl FnMut(&StatelessKey) -> bool,
) -> Option<Arc<Client>> {
    let oldest = stateless
        .iter()
        .filter(|(key, client)| may_go(key) && client.is_idle())
        .min_by_key(|(_, client)| client.last_seen())
        .map(|(key, _)| key.clone());
    stateless.remove(&oldest?)
}

/// Closes everything that a client holds.
pub(crate) async fn close(client: Arc<Client>) {
    notify::end_standing(&client);
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
            gateway.clients.close_idle_links();
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

#[cfg(test)]
mod tests {
    use mantlet_wire::Version;

    use super::*;
    use crate::testing::{caller, client, gateway, hello, link, settings};

    /// A stateless request with capabilities that no other has.
    fn come(clients: &Clients, who: &str, number: u64) -> Result<Busy, Refusal> {
        let hello = hello(
            Version::LATEST,
            &serde_json::json!({ "experimental": { "n": number } }),
        );
        clients.stateless(&caller(who), &Endpoint::All, hello, number)
    }

    #[tokio::test]
    async fn ever_new_capabilities_get_only_so_many_clients() {
        let clients = Clients::default();
        for number in 0..100 {
            drop(come(&clients, "ada", number).unwrap());
        }
        assert_eq!(clients.count(), MAX_STATELESS_OF_ONE);
        // The newest are kept, and others have room of their own.
        drop(come(&clients, "ada", 99).unwrap());
        drop(come(&clients, "ben", 1).unwrap());
        assert_eq!(clients.count(), MAX_STATELESS_OF_ONE + 1);
    }

    #[tokio::test]
    async fn who_is_busy_is_never_put_out_by_who_comes() {
        let clients = Clients::default();
        let busy: Vec<Busy> = (0..16)
            .map(|number| come(&clients, "ada", number).unwrap())
            .collect();
        let refused = come(&clients, "ada", 16).unwrap_err();
        assert_eq!(refused.reason, Reason::TooManyInFlight);
        drop(busy);
        assert!(come(&clients, "ada", 16).is_ok());
    }

    #[tokio::test]
    async fn a_call_that_is_longer_than_the_idle_time_keeps_its_client() {
        let clients = Clients::default();
        let second = lifetime(Duration::from_secs(1), Duration::from_secs(3600), 10);
        let running = come(&clients, "ada", 0).unwrap();
        clients.expire(25_000_000, second);
        assert_eq!(clients.count(), 1);
        drop(running);
        // Idle time begins when it was last seen busy.
        clients.expire(25_500_000, second);
        assert_eq!(clients.count(), 1);
        clients.expire(26_500_000, second);
        assert_eq!(clients.count(), 0);
    }

    #[tokio::test]
    async fn closing_a_client_ends_the_subscriptions_held_for_it() {
        let client = client(Version::V2025_11_25, &serde_json::json!({}));
        let (alive, gone) = tokio::sync::oneshot::channel::<()>();
        let standing = tokio::spawn(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        lock(&client.standing).insert("only".into(), standing);
        close(Arc::clone(&client)).await;
        assert!(lock(&client.standing).is_empty());
        assert!(
            tokio::time::timeout(Duration::from_secs(5), gone)
                .await
                .unwrap()
                .is_err()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_nobody_uses_is_closed_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(&directory);
        for server in &mut settings.servers {
            server.timeouts.idle = Duration::ZERO;
        }
        let gateway = gateway(settings);
        let client = come(&gateway.clients, "ada", 0).unwrap();
        let (link, _sent, _said) = link(&gateway);
        let slot = Arc::new(crate::upstream::LinkSlot::new(Arc::clone(&link.server)));
        *slot.link.lock().await = Some(Arc::clone(&link));
        lock(&client.links).insert(Arc::clone(&link.server.name), slot);
        let used = link.in_use();
        gateway.clients.close_idle_links();
        assert!(!link.is_dead());
        drop(used);
        gateway.clients.close_idle_links();
        assert!(!link.is_dead(), "it was used a moment ago");
        gateway.clients.close_idle_links();
        assert!(link.is_dead());
        let health = link.server.health.view();
        assert_eq!(health.last_error, None, "it was no failure of the server");
    }
}
