//! What a cage has to say: that it stands and of what it is made, what was tried against it, how it ended.

use serde::{Deserialize, Serialize};

/// Something that a caged program tried, or ran into.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Event {
    /// A connection to a host.
    Connect {
        /// The name, or the address where the program used one.
        host: String,
        /// The TCP port.
        port: u16,
        /// What came of it.
        outcome: Outcome,
    },
    /// A name that was looked up and is not granted. No question about it left the machine.
    Lookup {
        /// The name, cut and without control characters.
        name: String,
    },
    /// A system call that no server needs. It was refused.
    Call {
        /// Its name.
        name: String,
        /// How often since the last such event.
        times: u64,
    },
    /// A file appeared in a granted folder that makes programs of its owner run something.
    Planted {
        /// Where.
        path: String,
        /// Whether it was taken away: it belongs nowhere.
        removed: bool,
    },
    /// A limit was exceeded, and the program ended for it.
    Limit {
        /// Which one: `memory`, `processes`, `disk`, `files`.
        name: String,
        /// How much was used.
        used: u64,
        /// How much is granted.
        granted: u64,
    },
}

/// What came of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was granted and made.
    Granted,
    /// It was refused, and why.
    Refused(String),
    /// It was granted, but the host could not be reached.
    Failed(String),
    /// It has ended, with so many bytes sent and received.
    Closed {
        /// Bytes from the program to the host.
        sent: u64,
        /// Bytes from the host to the program.
        received: u64,
    },
}

impl Event {
    /// Whether a server that keeps to its grants never causes this.
    #[must_use]
    pub fn is_breach(&self) -> bool {
        match self {
            Self::Connect { outcome, .. } => matches!(outcome, Outcome::Refused(_)),
            Self::Lookup { .. } | Self::Call { .. } | Self::Planted { .. } | Self::Limit { .. } => true,
        }
    }
}
