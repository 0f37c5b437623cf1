//! The cage of a program, in settings: what it may read, write, reach and use. How it is written in a file is in
//! `file/sandbox`; nothing here builds a cage.

mod place;

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use crate::check;
use crate::diagnose::Problem;
use crate::hidden::Hidden;

pub use place::{Access, Reason, stores, unfit};

/// Whether a program runs in a cage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cage {
    /// It does, and has only what is granted here.
    On(Box<CageSettings>),
    /// It has all rights of the user that the gateway runs as: somebody wrote `sandbox: off`.
    Off,
}

/// What a program in a cage may do. Whatever is not granted here is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CageSettings {
    /// What it may read and run: absolute paths, none of them twice, and none that is in `write`. They were
    /// judged by their text ([`unfit`]); where their links lead was not looked at.
    pub read: Vec<PathBuf>,
    /// What it may also write: likewise.
    pub write: Vec<PathBuf>,
    /// Whom it may reach. Names resolve to public addresses only.
    pub network: Vec<Destination>,
    /// Whom it may reach, whatever their names resolve to. Nobody is in both lists.
    pub internal_network: Vec<Destination>,
    /// Files that it finds as `/run/secrets/NAME`. Names have 1 to 64 letters, digits, `_`, `.` and `-`, and are
    /// neither `.` nor `..`.
    pub secrets: BTreeMap<String, Hidden>,
    /// Whether it may open TCP ports of its own, seen by nobody outside of the cage.
    pub loopback: bool,
    /// How much it may use.
    pub limits: CageLimits,
    /// The weakest cage in which it may start.
    pub minimum: Tier,
    /// What happens when it tries what it is not granted.
    pub on_breach: OnBreach,
}

/// How much a program, with all that it starts, may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CageLimits {
    /// Bytes of memory.
    pub memory: u64,
    /// Processors that may be busy at a time; 0 is all.
    pub cpu: u32,
    /// Processes and threads at a time.
    pub processes: u32,
    /// Bytes that may be added: one time in its scratch space, one time in all of `write` together.
    pub disk: u64,
    /// Files that may be added, likewise.
    pub files: u64,
    /// Descriptors open in one process.
    pub descriptors: u64,
}

/// How much of a cage there is, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Files and calls are held, and there is no network; other processes of the user can be seen.
    Basic,
    /// A system of its own; limits on all processes together are watched.
    Standard,
    /// The same with a second wall, and limits that the kernel keeps.
    Strong,
}

/// What happens when a program tries what it is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBreach {
    /// It is put on record, and no more.
    Warn,
    /// The calls that run fail as well.
    Fail,
    /// The calls fail and the program is ended; it is started anew for the next call.
    Restart,
    /// It is put on record; after so many times within a time the calls fail, and the program is ended and not started
    /// any more.
    Quarantine {
        /// This many times …
        limit: u32,
        /// … within this time.
        within: Duration,
    },
}

/// A host and a port that a program may reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The host.
    pub host: Host,
    /// The TCP port, never 0.
    pub port: u16,
}

/// Whom a grant of the network is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// One name, in lower case, without a dot at the end (RFC 1123 §2.1): `localhost`, or one with a dot in it.
    Name(String),
    /// Every name below this one, which has a dot in it: `example.com` was written `*.example.com`. The name itself
    /// is not meant.
    Below(String),
    /// One IPv4 address, written as such.
    Address(Ipv4Addr),
}

impl Destination {
    /// Reads `HOST:PORT`, as a file and the command line have it. The host is a name (`api.example.com`), all names
    /// below one (`*.example.com`) or an IPv4 address.
    ///
    /// # Errors
    /// The text is none of these; the problem says what is wrong, and what is right.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        check::destination(text).map_err(|unfit| unfit.problem(text, false))
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

impl fmt::Display for Destination {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_told_as_they_are_written() {
        for text in ["api.example.com:443", "*.example.com:8443", "10.0.0.5:5432"] {
            assert_eq!(Destination::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_password_in_a_destination_is_not_told() {
        let problem = Destination::parse("https://user:hunter2@a.example/").unwrap_err();
        assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
    }

    #[test]
    fn tiers_have_an_order() {
        assert!(Tier::Basic < Tier::Standard && Tier::Standard < Tier::Strong);
    }
}
