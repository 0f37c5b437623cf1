//! What a cage saw its program try: put on record with the calls that were running, and answered as the configuration
//! says (warn, fail the calls, restart, quarantine). Not here: what counts as a breach, which the cage says.

use std::sync::{Arc, Weak};
use std::time::Instant;

use mantlet_audit::{Record, Verdict};
use mantlet_config::cage::OnBreach;
use mantlet_sandbox::{Event, Outcome};

use crate::Gateway;
use crate::client::Client;
use crate::clock::Clock;
use crate::recorder::Recorder;
use crate::upstream::mux::Mux;
use crate::upstream::{LinkError, Server};

/// For whom a server is started, and where what it tries is recorded.
pub(crate) struct Place {
    recorder: Arc<Recorder>,
    clock: Arc<dyn Clock>,
    about: Record,
}

/// Is told what one started server tries.
pub(crate) struct Witness {
    server: Arc<Server>,
    mux: Weak<Mux>,
    recorder: Arc<Recorder>,
    clock: Arc<dyn Clock>,
    about: Record,
}

/// What becomes of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Fate {
    /// It goes on.
    Goes,
    /// It is ended.
    Ends,
}

impl Place {
    pub(crate) fn new(gateway: &Gateway, client: &Client) -> Self {
        let about = Record {
            kind: "cage".to_owned(),
            caller: Some(client.caller.key()),
            client: client.hello.name(),
            session: client.session.clone(),
            endpoint: Some(client.endpoint.to_string()),
            transport: Some("stdio".to_owned()),
            ..Record::default()
        };
        Self {
            recorder: gateway.recorder(),
            clock: Arc::clone(&gateway.clock),
            about,
        }
    }

    /// Of a server that is being started; its calls are those of `mux`.
    pub(crate) fn witness(&self, server: Arc<Server>, mux: Weak<Mux>) -> Witness {
        let about = Record {
            server: Some(server.name.to_string()),
            ..self.about.clone()
        };
        Witness {
            server,
            mux,
            recorder: Arc::clone(&self.recorder),
            clock: Arc::clone(&self.clock),
            about,
        }
    }
}

impl Witness {
    /// Records what was seen, and does what is to be done about it.
    pub(crate) async fn saw(&self, event: &Event, policy: OnBreach) -> Fate {
        let breach = event.is_breach();
        let told = tell(event);
        let (item, text) = (told.item, told.text);
        let mut reasons = vec![text.clone()];
        let mux = self.mux.upgrade();
        reasons.extend(
            mux.iter()
                .flat_map(|mux| mux.running())
                .map(|call| format!("while {call} was running")),
        );
        let record = Record {
            exchange: 0,
            item: Some(item),
            verdict: Verdict {
                decision: if breach { "refuse" } else { "allow" }.to_owned(),
                stage: Some("cage".to_owned()),
                code: breach.then(|| "server_breach".to_owned()),
                reasons,
                ..Verdict::default()
            },
            ..self.about.clone()
        };
        // INVARIANT: no record, no reply: a failed write stops what is forwarded from now on.
        drop(self.recorder.record(record, self.clock.now()).await);
        if !breach {
            return Fate::Goes;
        }
        tracing::warn!(server = %self.server.name, "{text}");
        let fail = || {
            if let Some(mux) = &mux {
                mux.fail_all(|| LinkError::Breached(text.clone()));
            }
        };
        if !matches!(policy, OnBreach::Quarantine { .. }) {
            self.server.health.noticed();
        }
        match policy {
            OnBreach::Warn => Fate::Goes,
            OnBreach::Fail => {
                fail();
                Fate::Goes
            }
            OnBreach::Restart => {
                fail();
                Fate::Ends
            }
            OnBreach::Quarantine { limit, within } => {
                if !self.server.health.breached(Instant::now(), &text, limit, within) {
                    return Fate::Goes;
                }
                tracing::error!(server = %self.server.name, "in quarantine: it is not started any more");
                self.record_quarantine(limit).await;
                fail();
                Fate::Ends
            }
        }
    }

    async fn record_quarantine(&self, limit: u32) {
        let record = Record {
            verdict: Verdict {
                decision: "refuse".to_owned(),
                stage: Some("cage".to_owned()),
                code: Some("quarantined".to_owned()),
                reasons: vec![format!("{limit} breaches: the server is not started any more")],
                ..Verdict::default()
            },
            ..self.about.clone()
        };
        drop(self.recorder.record(record, self.clock.now()).await);
    }
}

struct Told {
    item: String,
    text: String,
}

/// An event in words. What the server chose of it is made safe for a terminal.
fn tell(event: &Event) -> Told {
    let plain = |text: &str| crate::upstream::stdio::plain(text.as_bytes());
    match event {
        Event::Connect { host, port, outcome } => {
            let host = plain(host);
            let text = match outcome {
                Outcome::Granted => format!("connection to {host}:{port}"),
                Outcome::Refused(why) => format!("connection to {host}:{port} refused: {}", plain(why)),
                Outcome::Failed(why) => format!("connection to {host}:{port} failed: {}", plain(why)),
                Outcome::Closed { sent, received } => {
                    format!("connection to {host}:{port} closed: {sent} bytes sent, {received} received")
                }
            };
            Told {
                item: format!("{host}:{port}"),
                text,
            }
        }
        Event::Lookup { name } => {
            let name = plain(name);
            Told {
                text: format!("`{name}` was looked up and is not granted"),
                item: name,
            }
        }
        Event::Call { name, times } => Told {
            item: name.clone(),
            text: format!("the system call `{name}` was refused, {times} times"),
        },
        Event::Planted { path, removed } => {
            let path = plain(path);
            let done = if *removed { ", and was taken away" } else { "" };
            Told {
                text: format!("`{path}` appeared, which makes programs of its owner run something{done}"),
                item: path,
            }
        }
        Event::Limit { name, used, granted } => Told {
            item: name.clone(),
            text: format!("ended for its use of {name}: {used} used, {granted} granted"),
        },
    }
}
