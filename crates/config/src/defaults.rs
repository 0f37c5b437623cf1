//! What holds where a file says nothing. The schema states the same values; a test compares them.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mantlet_audit::Durability;
use mantlet_wire::Caps;

use crate::cage::{CageLimits, CageSettings, OnBreach, Tier};
use crate::settings::{Audit, Identity, Limits, Listen, Restart, ServerTimeouts, Timeouts};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const MEBI: u64 = 1024 * 1024;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// The port of the listener.
pub(crate) const PORT: u16 = 8300;

pub(crate) const SERVER_TIMEOUTS: ServerTimeouts = ServerTimeouts {
    start: Duration::from_secs(30),
    call: Duration::from_secs(2 * MINUTE),
    idle: Duration::from_secs(15 * MINUTE),
};

pub(crate) const RESTART: Restart = Restart {
    limit: 5,
    within: Duration::from_secs(MINUTE),
};

pub(crate) const TIMEOUTS: Timeouts = Timeouts {
    request_body: Duration::from_secs(10),
    idle_session: Duration::from_secs(30 * MINUTE),
    session: Duration::from_secs(24 * HOUR),
    drain: Duration::from_secs(10),
    keep_alive: Duration::from_secs(15),
};

/// After how many breaches, within which time, a program is not started any more.
pub(crate) const BREACHES: (u32, Duration) = (3, Duration::from_secs(MINUTE));

/// A cage in which nothing is granted.
pub(crate) fn cage() -> CageSettings {
    let (limit, within) = BREACHES;
    CageSettings {
        read: Vec::new(),
        write: Vec::new(),
        network: Vec::new(),
        internal_network: Vec::new(),
        secrets: BTreeMap::new(),
        loopback: false,
        limits: CageLimits {
            memory: 1024 * MEBI,
            cpu: 0,
            processes: 256,
            disk: 256 * MEBI,
            files: 10_000,
            descriptors: 1024,
        },
        minimum: Tier::Standard,
        on_breach: OnBreach::Quarantine { limit, within },
    }
}

pub(crate) fn listen() -> Listen {
    Listen {
        address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT),
        allowed_hosts: Vec::new(),
        allowed_origins: Vec::new(),
    }
}

pub(crate) fn identity(state: &Path) -> Identity {
    Identity {
        anonymous: false,
        token_file: state.join("token"),
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        message: caps(4 * MIB, 64, 50),
        header: 64 * KIB,
        answer: 16 * MIB,
        in_flight: 256,
        sessions: 100,
        list_pages: 100,
    }
}

/// The caps of a message that follow from those a file can set: no string is longer than its message.
pub(crate) fn caps(message_bytes: usize, depth: usize, batch: usize) -> Caps {
    Caps {
        message_bytes,
        depth,
        batch,
        string_bytes: message_bytes,
        ..Caps::default()
    }
}

pub(crate) fn audit(state: &Path) -> Audit {
    Audit {
        path: state.join("audit"),
        durability: Durability::Write,
        contents: false,
    }
}
