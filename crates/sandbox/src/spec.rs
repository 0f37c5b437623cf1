//! What a caged program may do, in full: the word that Mantlet gives to the helper which builds the cage. Only the
//! shape is here; where it comes from (configuration, command line, profiles) is elsewhere.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::learn::Learning;

/// One program and its grants. Whatever is not granted here is not there.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The command as it was written: never empty, no NUL inside.
    pub argv: Vec<String>,
    /// The file that is run, as a full path. Found by `settle`.
    pub program: PathBuf,
    /// All of the environment that is granted; the few variables that every program needs are added by the cage.
    pub environment: Vec<(String, String)>,
    /// Where it starts: an absolute path within a grant. Without one, its private home.
    pub directory: Option<PathBuf>,
    /// Absolute paths that it may read and run from.
    pub read: Vec<PathBuf>,
    /// Absolute paths that it may also write.
    pub write: Vec<PathBuf>,
    /// Absolute paths of a runtime outside `/usr` (a version manager's, a package cache), read and run only.
    pub runtime: Vec<PathBuf>,
    /// Folders of the runtime's programs, in front of the system's in `PATH`.
    pub path: Vec<PathBuf>,
    /// Names by which granted paths are known as well: a link and where it leads.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Files in `/run/secrets`, by name, with what they hold.
    pub secrets: Vec<(String, String)>,
    /// Hosts that it may reach.
    pub network: Vec<Grant>,
    /// Whether it may open TCP ports for itself, seen by nobody outside of the cage (a browser that it drives).
    pub loopback: bool,
    /// How much it may use.
    pub limits: Limits,
    /// The weakest cage in which it may start.
    pub minimum: Tier,
    /// The cage is one that records; `read` and `write` are then without effect.
    pub learn: Option<Learning>,
}

/// A host, a port and where that leads.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The host.
    pub host: Host,
    /// The TCP port, never 0.
    pub port: u16,
    /// The address that is dialled instead of what the name resolves to: for tests.
    pub dial: Option<SocketAddr>,
    /// Whether the name may resolve to an address that is not public (10.0.0.0/8, 127.0.0.1, …).
    pub internal: bool,
}

/// Whom a grant is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Host {
    /// One host name, in lower case, without a dot at the end (RFC 1123 §2.1).
    Name(String),
    /// Every name below this one: `example.com` here was written `*.example.com`; the name itself is not meant.
    Below(String),
    /// One IPv4 address, written as such.
    Address(std::net::Ipv4Addr),
}

/// How much the program, with all that it starts, may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory, all processes together.
    pub memory: u64,
    /// Processors that may be busy at a time; 0 is all.
    pub cpu: u32,
    /// Processes and threads at a time.
    pub processes: u32,
    /// Bytes that may be added: one time for the private scratch space, one time for all `write` grants together.
    pub disk: u64,
    /// Files that may be added, likewise.
    pub files: u64,
    /// Descriptors open in one process.
    pub descriptors: u64,
}

impl Default for Limits {
    /// Enough for what people run; a server that needs more says so.
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            cpu: 0,
            processes: 256,
            disk: 256 << 20,
            files: 10_000,
            descriptors: 1_024,
        }
    }
}

impl Spec {
    /// A command without any grant.
    #[must_use]
    pub fn new(argv: Vec<String>) -> Self {
        Self {
            argv,
            program: PathBuf::new(),
            environment: Vec::new(),
            directory: None,
            read: Vec::new(),
            write: Vec::new(),
            runtime: Vec::new(),
            path: Vec::new(),
            links: Vec::new(),
            secrets: Vec::new(),
            network: Vec::new(),
            loopback: false,
            limits: Limits::default(),
            minimum: Tier::Standard,
            learn: None,
        }
    }

    /// The TCP ports on which connections arrive at the egress.
    pub(crate) fn ports(&self) -> BTreeSet<u16> {
        let granted = self.network.iter().map(|grant| grant.port);
        let learnt = self
            .learn
            .iter()
            .flat_map(|learning| learning.ports.iter().copied());
        granted.chain(learnt).collect()
    }
}

/// How much of a cage there is, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Landlock and seccomp, no namespaces: files and calls are held, there is no network at all; other processes
    /// of the user can be seen, and memory is held for each process only.
    Basic,
    /// Namespaces, a root of its own, seccomp, no capabilities; limits on the whole tree are watched.
    Standard,
    /// `Standard`, with Landlock as a second wall, and limits on the whole tree that the kernel keeps (cgroup).
    Strong,
}

impl fmt::Display for Tier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Basic => "basic",
            Self::Standard => "standard",
            Self::Strong => "strong",
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Below(name) => write!(out, "*.{name}"),
            Self::Address(address) => address.fmt(out),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

// Arguments and variables may be secrets: neither belongs in a log line.
impl fmt::Debug for Spec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        out.debug_struct("Spec")
            .field("program", &self.argv.first())
            .field("environment", &names)
            .field("read", &self.read)
            .field("write", &self.write)
            .field("network", &self.network)
            .field("limits", &self.limits)
            .field("minimum", &self.minimum)
            .finish_non_exhaustive()
    }
}
