//! The refused system calls of a cage, and its attempts to connect, as the kernel tells them to the helper. Nothing is
//! decided here that a wall does not decide again: what is read of the program's memory may have changed a moment later.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::process::Pid;

use crate::event::{Event, Outcome};
use crate::learn::{Recorder, Trace};
use crate::seccomp::{self, telling};
use crate::spec::{Host, Spec};
use crate::sys::{self, Notified};

/// The same event is told once in this time, with its count.
const QUIET: Duration = Duration::from_secs(10);
/// Different ones that are kept apart.
const KINDS: usize = 64;

/// Hears, answers, and keeps what is to be told.
pub(crate) struct Ear {
    ports: BTreeSet<u16>,
    addresses: BTreeSet<Ipv4Addr>,
    loopback: bool,
    kept: BTreeMap<String, Kept>,
    recorder: Option<Recorder>,
}

struct Kept {
    event: Event,
    times: u64,
    told: Option<Instant>,
}

impl Ear {
    pub(crate) fn new(spec: &Spec) -> Self {
        let addresses = spec.network.iter().filter_map(|grant| match grant.host {
            Host::Address(address) => Some(address),
            Host::Name(_) | Host::Below(_) => None,
        });
        Self {
            ports: spec.network.iter().map(|grant| grant.port).collect(),
            addresses: addresses.collect(),
            loopback: spec.loopback,
            kept: BTreeMap::new(),
            recorder: spec.learn.as_ref().map(|learning| Recorder::new(&learning.shown)),
        }
    }

    /// Takes one call and answers it; `opens` is asked before a file is opened for writing.
    pub(crate) fn hear(&mut self, listener: BorrowedFd<'_>, opens: impl FnOnce()) {
        let Ok(Some(call)) = sys::next_notified(listener) else {
            return;
        };
        if seccomp::opens(call.call) {
            opens();
            if let Some(recorder) = &mut self.recorder {
                recorder.hear(&call);
            }
            sys::answer_notified(listener, call.id, None);
            return;
        }
        if let Some(name) = telling(call.call) {
            sys::answer_notified(listener, call.id, Some(libc::EPERM));
            self.keep(Event::Call {
                name: name.to_owned(),
                times: 1,
            });
            return;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.hear(&call);
            sys::answer_notified(listener, call.id, None);
            return;
        }
        // A connection: read first, since afterwards the caller goes on.
        let local = foreign_socket(&call);
        let event = local.is_none().then(|| self.stray(&call)).flatten();
        let refuse = local.is_some().then_some(libc::EACCES);
        sys::answer_notified(listener, call.id, refuse);
        for event in local.into_iter().chain(event) {
            self.keep(event);
        }
    }

    /// A connection that no door of the cage will see: those on granted ports are told by the egress.
    fn stray(&self, call: &Notified) -> Option<Event> {
        let [_, address, length, ..] = call.arguments;
        let mut text = [0_u8; 28];
        let length = usize::try_from(length).ok()?.min(text.len());
        sys::read_memory(call.pid, address, text.get_mut(..length)?).ok()?;
        let family = i32::from(u16::from_ne_bytes(*text.first_chunk()?));
        let port = u16::from_be_bytes(*text.get(2..)?.first_chunk()?);
        let (host, own) = match family {
            libc::AF_INET => {
                let address = Ipv4Addr::from(*text.get(4..)?.first_chunk::<4>()?);
                let granted = self.addresses.contains(&address) || is_lent(address);
                // Port 0 sends nothing: programs ask in this way which of their addresses would be used.
                let quiet = port == 0 || (address.is_loopback() && port == 53);
                let inside = address.is_loopback() && self.loopback;
                (
                    address.to_string(),
                    quiet || inside || (granted && self.ports.contains(&port)),
                )
            }
            libc::AF_INET6 => {
                let address = Ipv6Addr::from(*text.get(8..)?.first_chunk::<16>()?);
                (
                    address.to_string(),
                    port == 0 || (address.is_loopback() && self.loopback),
                )
            }
            _ => return None,
        };
        // On a granted port an address that is not granted arrives at the egress, which tells of it.
        let at_door = family == libc::AF_INET && self.ports.contains(&port);
        (!own && !at_door).then(|| Event::Connect {
            host,
            port,
            outcome: Outcome::Refused("neither this address nor this port is granted".to_owned()),
        })
    }

    fn keep(&mut self, event: Event) {
        let key = match &event {
            Event::Call { name, .. } => name.clone(),
            Event::Connect { host, port, .. } => format!("{host}:{port}"),
            Event::Lookup { .. } | Event::Planted { .. } | Event::Limit { .. } => return,
        };
        if self.kept.len() >= KINDS && !self.kept.contains_key(&key) {
            self.kept
                .retain(|_, kept| kept.times > 0 || kept.told.is_some_and(|at| at.elapsed() < QUIET));
            if self.kept.len() >= KINDS {
                return;
            }
        }
        let kept = self.kept.entry(key).or_insert(Kept {
            event,
            times: 0,
            told: None,
        });
        kept.times = kept.times.saturating_add(1);
    }

    /// What the program of a recording cage has used since. `root` is process 1 of the cage.
    pub(crate) fn learnt(&mut self, root: Pid) -> Vec<Trace> {
        self.recorder
            .as_mut()
            .map(|recorder| recorder.fresh(root))
            .unwrap_or_default()
    }

    /// How long it may be until that is asked for again.
    pub(crate) fn pause(&self) -> Duration {
        self.recorder.as_ref().map_or(Duration::MAX, Recorder::pause)
    }

    /// What is to be told now.
    pub(crate) fn ripe(&mut self) -> Vec<Event> {
        let mut ripe = Vec::new();
        for kept in self.kept.values_mut() {
            if kept.times > 0 && kept.told.is_none_or(|at| at.elapsed() >= QUIET) {
                let mut event = kept.event.clone();
                if let Event::Call { times, .. } = &mut event {
                    *times = kept.times;
                }
                kept.times = 0;
                kept.told = Some(Instant::now());
                ripe.push(event);
            }
        }
        ripe
    }
}

/// A connection to a local socket that lies in a grant, and so was made by somebody on the machine. Those that were there
/// at the start are covered; what is read here may change before the kernel reads it, and Landlock closes that gap where
/// the kernel can (version 9).
fn foreign_socket(call: &Notified) -> Option<Event> {
    let [_, address, length, ..] = call.arguments;
    let mut text = [0_u8; 110];
    let length = usize::try_from(length).ok()?.min(text.len());
    sys::read_memory(call.pid, address, text.get_mut(..length)?).ok()?;
    if i32::from(u16::from_ne_bytes(*text.first_chunk()?)) != libc::AF_UNIX {
        return None;
    }
    let path = text
        .get(2..length)?
        .split(|byte| *byte == 0)
        .next()
        .filter(|path| !path.is_empty())?;
    let path = Path::new(OsStr::from_bytes(path));
    let process = PathBuf::from(format!("/proc/{}", call.pid));
    let open = |from: &Path| rustix::fs::open(from, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok();
    let root = open(&process.join("root"))?;
    let inside = if path.is_absolute() {
        path.to_owned()
    } else {
        fs::read_link(process.join("cwd")).ok()?.join(path)
    };
    let (flags, how) = (
        OFlags::PATH | OFlags::CLOEXEC,
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    );
    let socket = openat2(&root, &inside, flags, Mode::empty(), how).ok()?;
    let scratch = openat2(&root, "tmp", flags, Mode::empty(), how).ok()?;
    let own = fstat(&scratch).ok()?.st_dev == fstat(&socket).ok()?.st_dev;
    (!own).then(|| Event::Connect {
        host: format!("unix:{}", inside.display()),
        port: 0,
        outcome: Outcome::Refused(
            "a socket of the machine is not granted with the folder that it is in".to_owned(),
        ),
    })
}

/// The addresses that stand for granted names (`egress`): 198.18.0.0/15.
fn is_lent(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [198, 18 | 19, _, _])
}
