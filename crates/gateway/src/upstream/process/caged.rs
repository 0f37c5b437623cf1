//! A server in its cage: how the configuration's words become grants, and who looks after the cage while it stands. How
//! a cage is built and what holds it is in the crate `sandbox`.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use mantlet_config::CommandLine;
use mantlet_config::cage::{CageSettings, Destination, Host, OnBreach, Tier};
use mantlet_sandbox::egress::{self, Budget, Rule};
use mantlet_sandbox::{self as sandbox, Cage, Event, Grant, Limits, Machine, Said, Spec, Streams};
use tokio::process::Child;
use tokio::sync::{mpsc, watch};

use super::Pipes;
use crate::breach::{Fate, Witness};
use crate::upstream::{LinkError, Server};

/// From the end of its input to SIGTERM, and from there to SIGKILL.
const GRACE: Duration = Duration::from_millis(1_500);
/// Events of the egress that wait to be recorded.
const EVENTS: usize = 256;

/// See the module's head. Dropping it ends the server at once.
#[derive(Debug)]
pub(crate) struct Caged {
    orders: mpsc::Sender<Order>,
    gone: watch::Receiver<bool>,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Terminate,
    Kill,
}

/// Builds the cage and starts the server in it.
pub(super) async fn start(
    server: &Arc<Server>,
    line: &CommandLine,
    settings: &CageSettings,
    witness: Witness,
) -> Result<(Pipes, Caged), LinkError> {
    let unavailable = |why: String| LinkError::Unavailable(why);
    let mut spec = spec(line, settings);
    let hints = sandbox::settle(&mut spec, &machine()).map_err(unavailable)?;
    for hint in hints {
        tracing::warn!(server = %server.name, "{hint} (see `sandbox` of the server, or `--read` and `--write` of `wrap`)");
    }
    let streams = Streams {
        input: Stdio::piped(),
        output: Stdio::piped(),
        errors: Stdio::piped(),
    };
    let (mut helper, mut cage) =
        sandbox::start(&spec, streams, true).map_err(|fell| unavailable(fell.to_string()))?;
    let pipes = Pipes::of(&mut helper)?;
    let proof = tokio::time::timeout(server.settings.timeouts.start, cage.stands())
        .await
        .map_err(|_| unavailable("the cage was not ready in time".to_owned()))?
        .map_err(|fell| unavailable(fell.to_string()))?;
    if !proof.holds() {
        return Err(unavailable(
            "the cage does not hold: see `mantlet cage --proof -- true`".to_owned(),
        ));
    }
    server.health.caged(proof);
    let (orders, taken) = mpsc::channel(4);
    let (tell, gone) = watch::channel(false);
    let keeper = Keeper {
        cage,
        helper,
        witness,
        policy: settings.on_breach,
    };
    tokio::spawn(keeper.keep(spec.network, taken, tell));
    Ok((pipes, Caged { orders, gone }))
}

impl Caged {
    pub(super) async fn end(&self) {
        for order in [Order::Terminate, Order::Kill] {
            if self.goes().await {
                return;
            }
            let _ended = self.orders.send(order).await;
        }
        self.goes().await;
    }

    async fn goes(&self) -> bool {
        let mut gone = self.gone.clone();
        let gone = gone.wait_for(|gone| *gone);
        tokio::time::timeout(GRACE, gone).await.is_ok()
    }

    pub(super) fn kill(&self) {
        // A full queue holds a kill already, or ends with the keeper.
        let _holds_one = self.orders.try_send(Order::Kill);
    }
}

/// Looks after one cage until it has ended.
struct Keeper {
    cage: Cage,
    helper: Child,
    witness: Witness,
    policy: OnBreach,
}

impl Keeper {
    async fn keep(
        mut self,
        granted: Vec<Grant>,
        mut orders: mpsc::Receiver<Order>,
        gone: watch::Sender<bool>,
    ) {
        let (teller, mut told) = mpsc::channel(EVENTS);
        let egress = self.cage.doors().map(|doors| {
            let rule = Rule::Granted(granted);
            tokio::spawn(egress::serve(
                doors,
                rule,
                Budget::default(),
                Arc::new(Teller(teller)),
            ))
        });
        loop {
            let event = tokio::select! {
                said = self.cage.said() => match said {
                    Ok(Some(Said::Saw(event))) => event,
                    Ok(Some(Said::Ended(_)) | None) | Err(_) => break,
                },
                Some(event) = told.recv() => event,
                order = orders.recv() => {
                    match order {
                        Some(Order::Terminate) => self.cage.terminate(),
                        Some(Order::Kill) | None => self.cage.kill(),
                    }
                    if order.is_none() {
                        break;
                    }
                    continue;
                }
            };
            if self.witness.saw(&event, self.policy).await == Fate::Ends {
                self.cage.kill();
            }
        }
        // Without its channel the helper ends the cage, whatever state that is in.
        drop(self.cage);
        if let Some(egress) = egress {
            egress.abort();
        }
        drop(self.helper.wait().await);
        gone.send_replace(true);
    }
}

/// Hands on what the egress saw; when there is more than can be recorded, the rest is lost with it.
struct Teller(mpsc::Sender<Event>);

impl egress::Witness for Teller {
    fn saw(&self, event: Event) {
        drop(self.0.try_send(event));
    }
}

/// What the configuration grants, in the words of the cage.
#[must_use]
pub fn spec(line: &CommandLine, settings: &CageSettings) -> Spec {
    let mut spec = Spec::new(line.argv.clone());
    spec.environment = ["LANG", "LC_ALL", "LC_CTYPE", "TZ"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .filter(|(name, _)| !line.environment.contains_key(name))
        .collect();
    let granted = line.environment.iter();
    spec.environment
        .extend(granted.map(|(name, value)| (name.clone(), value.expose().to_owned())));
    spec.directory.clone_from(&line.directory);
    spec.read.clone_from(&settings.read);
    spec.write.clone_from(&settings.write);
    let secrets = settings.secrets.iter();
    spec.secrets = secrets
        .map(|(name, value)| (name.clone(), value.expose().to_owned()))
        .collect();
    let public = settings.network.iter().map(|to| grant(to, false));
    let internal = settings.internal_network.iter().map(|to| grant(to, true));
    spec.network = public.chain(internal).collect();
    spec.loopback = settings.loopback;
    let limits = &settings.limits;
    spec.limits = Limits {
        memory: limits.memory,
        cpu: limits.cpu,
        processes: limits.processes,
        disk: limits.disk,
        files: limits.files,
        descriptors: limits.descriptors,
    };
    spec.minimum = match settings.minimum {
        Tier::Basic => sandbox::Tier::Basic,
        Tier::Standard => sandbox::Tier::Standard,
        Tier::Strong => sandbox::Tier::Strong,
    };
    spec
}

fn grant(to: &Destination, internal: bool) -> Grant {
    Grant {
        host: match &to.host {
            Host::Name(name) => sandbox::Host::Name(name.clone()),
            Host::Below(name) => sandbox::Host::Below(name.clone()),
            Host::Address(address) => sandbox::Host::Address(*address),
        },
        port: to.port,
        dial: None,
        internal,
    }
}

/// This machine, as the gateway's own user has it.
#[must_use]
pub fn machine() -> Machine {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Machine {
        path: std::env::split_paths(&path).collect(),
        home: std::env::var_os("HOME")
            .map(PathBuf::from)
            .filter(|home| home.is_absolute()),
        directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
    }
}
