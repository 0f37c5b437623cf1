//! What lives as long as the process: settings in force, servers, clients, the log.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use mantlet_access::{Authorizer, Caller, LocalToken};
use mantlet_audit::{Log, Record};
use mantlet_config::{Settings, Transport};
use mantlet_wire::Caps;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::lock;
use crate::clock::Clock;
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

/// The gateway. See the module's head.
pub struct Gateway {
    in_force: ArcSwap<InForce>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) clients: Clients,
    pub(crate) token: Option<LocalToken>,
    recorder: Recorder,
    pool: Pool,
    callers: Mutex<HashMap<String, Arc<Semaphore>>>,
    exchanges: AtomicU64,
    draining: AtomicBool,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Gateway").finish_non_exhaustive()
    }
}

impl Gateway {
    /// Makes a gateway from checked settings. `token` is what HTTP callers must show; without it only the
    /// local user of stdio, or anonymous callers where the settings say so, are let in.
    ///
    /// # Errors
    /// The policies cannot be built, or TLS towards servers cannot be set up.
    pub fn new(
        settings: Settings,
        audit: Log,
        token: Option<LocalToken>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StartError> {
        let tls = settings.servers.iter().any(
            |server| matches!(&server.transport, Transport::Http(http) if http.url.starts_with("https:")),
        );
        let durability = settings.audit.durability;
        let pool = Pool::new(tls).map_err(|error| StartError::Machine(error.to_string()))?;
        Ok(Arc::new(Self {
            in_force: ArcSwap::from_pointee(InForce::new(settings, None)?),
            clock,
            clients: Clients::default(),
            token,
            recorder: Recorder::new(audit, durability),
            pool,
            callers: Mutex::default(),
            exchanges: AtomicU64::new(1),
            draining: AtomicBool::new(false),
        }))
    }

    /// Takes a new configuration. Servers whose settings did not change keep their connections; what a new
    /// policy no longer allows is refused from the next message on.
    ///
    /// # Errors
    /// The new settings cannot be put in force; the old ones stay.
    pub async fn replace(&self, settings: Settings) -> Result<(), StartError> {
        let before = self.in_force.load_full();
        let next = InForce::new(settings, Some(&before))?;
        let gone: Vec<Arc<Server>> = before
            .servers
            .iter()
            .filter(|old| !next.servers.iter().any(|new| Arc::ptr_eq(old, new)))
            .map(Arc::clone)
            .collect();
        self.in_force.store(Arc::new(next));
        self.clients.drop_links(&gone).await;
        Ok(())
    }

    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
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

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// A place among the messages of this caller that run at the same time.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<OwnedSemaphorePermit, Refusal> {
        let most = self.in_force.load().settings.limits.in_flight;
        let places = {
            let mut callers = lock(&self.callers);
            Arc::clone(
                callers
                    .entry(caller.key())
                    .or_insert_with(|| Arc::new(Semaphore::new(most))),
            )
        };
        places.try_acquire_owned().map_err(|_| {
            Refusal::new(
                Reason::TooManyInFlight,
                format!("{most} requests of this caller are running already: wait for some to end"),
            )
        })
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
