//! What was seen of a program in its recording cage, each thing once and counted. Nothing is judged here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use mantlet_sandbox::learn::{Act, Trace};
use mantlet_sandbox::{Event, Outcome};

/// Hosts, names and calls that are kept: the program chooses them.
const KEPT: usize = 1_000;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) paths: BTreeSet<(PathBuf, Act)>,
    pub(super) sockets: BTreeSet<PathBuf>,
    /// Connections as the program made them, by address.
    pub(super) connections: BTreeSet<(IpAddr, u16)>,
    /// Connections as the egress had them, by host.
    pub(super) hosts: BTreeMap<(String, u16), Reached>,
    /// Which name an address stands for.
    pub(super) names: BTreeMap<Ipv4Addr, String>,
    pub(super) listens: BTreeSet<u16>,
    pub(super) calls: BTreeSet<String>,
    pub(super) limits: BTreeSet<String>,
    pub(super) unseen: BTreeSet<PathBuf>,
    pub(super) unread: bool,
    pub(super) full: bool,
    /// Bytes of memory, processes, bytes in the private folders.
    pub(super) peak: (u64, u64, u64),
    news: Option<()>,
    saved: bool,
}

/// What came of the connections to a host.
#[derive(Debug, Default)]
pub(super) struct Reached {
    pub(super) times: u64,
    pub(super) failed: Option<String>,
    pub(super) refused: Option<String>,
}

impl Seen {
    /// Whether there is something new since this was asked; the first time always.
    pub(super) fn take_news(&mut self) -> bool {
        let first = !self.saved;
        self.saved = true;
        self.news.take().is_some() || first
    }

    pub(super) fn lent(&mut self, name: &str, address: Ipv4Addr) {
        self.news = Some(());
        self.names.insert(address, name.to_owned());
    }

    pub(super) fn learnt(&mut self, traces: Vec<Trace>) {
        self.news = Some(());
        for trace in traces {
            match trace {
                Trace::Path { path, act } => drop(self.paths.insert((path, act))),
                Trace::Socket(path) => drop(self.sockets.insert(path)),
                Trace::Connect { address, port } => drop(self.connections.insert((address, port))),
                Trace::Listen(port) => drop(self.listens.insert(port)),
                Trace::Peak {
                    memory,
                    processes,
                    disk,
                } => {
                    let (a, b, c) = self.peak;
                    self.peak = (a.max(memory), b.max(processes), c.max(disk));
                }
                Trace::Unseen(path) => drop(self.unseen.insert(path)),
                Trace::Unread => self.unread = true,
                Trace::Full => self.full = true,
            }
        }
    }

    pub(super) fn saw(&mut self, event: Event) {
        self.news = Some(());
        match event {
            Event::Connect { host, port, outcome } => {
                if self.hosts.len() >= KEPT && !self.hosts.contains_key(&(host.clone(), port)) {
                    self.full = true;
                    return;
                }
                let reached = self.hosts.entry((host, port)).or_default();
                match outcome {
                    Outcome::Granted => reached.times = reached.times.saturating_add(1),
                    Outcome::Failed(why) => reached.failed = Some(why),
                    Outcome::Refused(why) => reached.refused = Some(why),
                    Outcome::Closed { .. } => {}
                }
            }
            Event::Call { name, .. } => drop(self.calls.insert(name)),
            Event::Limit { name, .. } => drop(self.limits.insert(name)),
            Event::Lookup { .. } | Event::Planted { .. } => {}
        }
    }
}
