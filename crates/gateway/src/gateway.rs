//! What lives as long as the process: settings in force, servers, clients, the log.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use mantlet_access::{Authorizer, Caller, LocalToken};
use mantlet_audit::{Log, Record};
use mantlet_config::{Settings, Transport};
use mantlet_wire::Caps;

use crate::client::lock;
use crate::clock::Clock;
use crate::launcher::Halves;
use crate::recorder::Recorder;
use crate::refusal::{Reason, Refusal};
use crate::session::Clients;
use crate::upstream::Server;
use crate::upstream::pool::Pool;

/// Why the gateway could not be made, or a new configuration not be taken.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The policies that the configuration means could not be built.
    #[error("the policies could not be built: {0}")]
    Policy(String),
    /// The audit log could not be opened.
    #[error("the audit log could not be opened: {0}")]
    Audit(String),
    /// Something of the machine is missing or refused.
    #[error("{0}")]
    Machine(String),
}

/// What a configuration means, ready to be used. A message keeps the one that it began with.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) settings: Settings,
    pub(crate) authorizer: Authorizer,
    /// In the order of the configuration.
    pub(crate) servers: Vec<Arc<Server>>,
}

impl InForce {
    fn new(settings: Settings, before: Option<&Self>) -> Result<Self, StartError> {
        let rules: Vec<_> = settings
            .servers
            .iter()
            .map(|server| server.rules.clone())
            .collect();
        let authorizer = Authorizer::new(&rules).map_err(|error| StartError::Policy(error.to_string()))?;
        let kept = |settings: &mantlet_config::Server| {
            before?
                .servers
                .iter()
                .find(|server| server.settings == *settings)
                .map(Arc::clone)
        };
        let servers = settings
            .servers
            .iter()
            .map(|settings| kept(settings).unwrap_or_else(|| Arc::new(Server::new(settings.clone()))))
            .collect();
        Ok(Self {
            settings,
            authorizer,
            servers,
        })
    }

    pub(crate) fn server(&self, name: &str) -> Option<&Arc<Server>> {
        self.servers.iter().find(|server| server.name.as_ref() == name)
    }
}

/// A place among the running messages of one caller; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn needs_tls(settings: &Settings) -> bool {
    let mut servers = settings.servers.iter();
    servers.any(|server| matches!(&server.transport, Transport::Http(http) if http.url.starts_with("https:")))
}

fn pool_for(settings: &Settings) -> Result<Pool, StartError> {
    Pool::new(needs_tls(settings)).map_err(|error| StartError::Machine(error.to_string()))
}

/// The gateway. See the module's head.
pub struct Gateway {
    in_force: ArcSwap<InForce>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) clients: Clients,
    halves: Halves,
    pub(crate) token: Option<LocalToken>,
    recorder: Arc<Recorder>,
    pool: ArcSwap<Pool>,
    /// Messages that run now, by caller.
    callers: Mutex<HashMap<String, Arc<AtomicUsize>>>,
    exchanges: AtomicU64,
    draining: AtomicBool,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Gateway").finish_non_exhaustive()
    }
}

impl Gateway {
    /// Makes a gateway from checked settings. With two processes the settings are those that the launcher has
    /// put in force. `token` is what HTTP callers must show; without it only the
    /// local user of stdio, or anonymous callers where the settings say so, are let in.
    ///
    /// # Errors
    /// The policies cannot be built, or TLS towards servers cannot be set up.
    pub fn new(
        settings: Settings,
        audit: Log,
        token: Option<LocalToken>,
        clock: Arc<dyn Clock>,
        halves: Halves,
    ) -> Result<Arc<Self>, StartError> {
        let durability = settings.audit.durability;
        let pool = pool_for(&settings)?;
        Ok(Arc::new(Self {
            in_force: ArcSwap::from_pointee(InForce::new(settings, None)?),
            clock,
            clients: Clients::default(),
            halves,
            token,
            recorder: Arc::new(Recorder::new(audit, durability)),
            pool: ArcSwap::from_pointee(pool),
            callers: Mutex::default(),
            exchanges: AtomicU64::new(1),
            draining: AtomicBool::new(false),
        }))
    }

    /// Takes a new configuration; with two processes the one that the launcher found last. Servers whose settings did not change keep their connections; what a new
    /// policy no longer allows is refused from the next message on.
    ///
    /// # Errors
    /// The new settings cannot be put in force; the old ones stay.
    pub async fn replace(&self, settings: Settings) -> Result<(), StartError> {
        let before = self.in_force.load_full();
        let next = InForce::new(settings, Some(&before))?;
        if needs_tls(&next.settings) && !self.pool.load().has_roots() {
            self.pool.store(Arc::new(pool_for(&next.settings)?));
        }
        self.halves.take().await.map_err(StartError::Machine)?;
        let gone: Vec<Arc<Server>> = before
            .servers
            .iter()
            .filter(|old| !next.servers.iter().any(|new| Arc::ptr_eq(old, new)))
            .map(Arc::clone)
            .collect();
        self.in_force.store(Arc::new(next));
        self.clients.announce().await;
        self.clients.drop_links(&gone).await;
        Ok(())
    }

    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    pub(crate) fn pool(&self) -> Arc<Pool> {
        self.pool.load_full()
    }

    /// The caps for what clients send.
    pub(crate) fn caps(&self) -> Caps {
        self.in_force.load().settings.limits.message.clone()
    }

    pub(crate) fn next_exchange(&self) -> u64 {
        self.exchanges.fetch_add(1, Ordering::Relaxed)
    }

    /// INVARIANT: no record, no reply. Whoever answers a message calls this first.
    pub(crate) async fn record(&self, record: Record) -> Result<(), Refusal> {
        self.recorder.record(record, self.clock.now()).await
    }

    pub(crate) fn recorder(&self) -> Arc<Recorder> {
        Arc::clone(&self.recorder)
    }

    /// A place among the messages of this caller that run at the same time.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<Place, Refusal> {
        let most = self.in_force.load().settings.limits.in_flight;
        let running = Arc::clone(lock(&self.callers).entry(caller.key()).or_default());
        let place = Place(running);
        if place.0.fetch_add(1, Ordering::AcqRel) >= most {
            return Err(Refusal::new(
                Reason::TooManyInFlight,
                format!("{most} requests of this caller are running already: wait for some to end"),
            ));
        }
        Ok(place)
    }

    /// Of how many processes it is made.
    #[must_use]
    pub fn halves(&self) -> &Halves {
        &self.halves
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// From now on no new message is taken.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Ends all clients' links: every server process with its descendants, every session.
    pub async fn close(&self) {
        self.begin_drain();
        self.clients.close_all().await;
        self.recorder.close(self.clock.now()).await;
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{caller, gateway, settings};

    #[tokio::test]
    async fn a_new_cap_on_running_requests_holds_for_those_known_already() {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(&directory);
        settings.limits.in_flight = 2;
        let gateway = gateway(settings.clone());
        let ada = caller("ada");
        let running = (gateway.admit(&ada).unwrap(), gateway.admit(&ada).unwrap());
        assert!(gateway.admit(&ada).is_err());
        settings.limits.in_flight = 3;
        gateway.replace(settings.clone()).await.unwrap();
        let third = gateway.admit(&ada).unwrap();
        settings.limits.in_flight = 1;
        gateway.replace(settings).await.unwrap();
        drop((running.0, third));
        assert!(gateway.admit(&ada).is_err());
        drop(running.1);
        assert!(gateway.admit(&ada).is_ok());
    }

    #[tokio::test]
    async fn a_server_over_tls_that_comes_with_a_reload_finds_roots() {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(&directory);
        let gateway = gateway(settings.clone());
        assert!(!gateway.pool().has_roots());
        let file = directory.path().join("mantlet.yaml");
        let text = "servers: { only: { url: \"https://mcp.example.com/mcp\" } }\n";
        std::fs::write(&file, text).unwrap();
        let nothing = |_: &str| None::<String>;
        gateway
            .replace(mantlet_config::load(&file, &nothing).unwrap())
            .await
            .unwrap();
        assert!(gateway.pool().has_roots());
    }
}
