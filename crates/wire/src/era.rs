//! The protocol versions, the two eras they fall into, and the reserved keys of `_meta`. Not here: negotiation.

use std::borrow::Cow;

use crate::envelope::Message;
use crate::raw::Raw;

/// How the two sides know about each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Era {
    /// By `initialize`, once a session: up to 2025-11-25.
    Legacy,
    /// By `_meta` in every request: from 2026-07-28 on.
    Modern,
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the versions")]
pub enum Version {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

impl Version {
    /// All of them, the oldest first.
    pub const ALL: [Self; 5] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];

    /// The newest one.
    pub const LATEST: Self = Self::V2026_07_28;

    /// The newest one with `initialize`.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// The version of that name; versions are compared as texts, never as dates (basic/versioning).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == name)
    }

    /// Its name in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Its era.
    #[must_use]
    pub fn era(self) -> Era {
        if self < Self::V2026_07_28 {
            Era::Legacy
        } else {
            Era::Modern
        }
    }

    /// Whether it has batches: MCP 2025-03-26 basic §Batching brought them, 2025-06-18 took them away.
    #[must_use]
    pub fn batches(self) -> bool {
        self == Self::V2025_03_26
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The keys of `_meta` that the specification reserves (MCP 2026-07-28 basic §_meta).
pub mod key {
    /// The version that a request is made in.
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// Who says to be the client.
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    /// What the client can do, for this request.
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// Which log messages the client wants, for this request.
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// Which `subscriptions/listen` a message belongs to.
    pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
    /// Who says to be the server.
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    /// Which task a message belongs to (2025-11-25 only).
    pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
    /// The token of progress notifications, in requests.
    pub const PROGRESS_TOKEN: &str = "progressToken";
}

impl Message {
    /// The version in `params._meta`, whatever it says: its presence makes a request a modern one. `None` when
    /// it is absent or no string.
    #[must_use]
    pub fn modern_version(&self) -> Option<Cow<'_, str>> {
        self.params()?;
        self.meta()?.get(key::PROTOCOL_VERSION).and_then(Raw::text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_their_names_and_eras() {
        for version in Version::ALL {
            assert_eq!(Version::parse(version.as_str()), Some(version));
            assert_eq!(version.era() == Era::Modern, version == Version::LATEST);
            assert_eq!(version.batches(), version.as_str() == "2025-03-26");
        }
        for none in ["", "2025-06-18 ", "2025-6-18", "1.0", "2099-01-01", "draft"] {
            assert_eq!(Version::parse(none), None);
        }
        assert!(Version::ALL.is_sorted());
        assert_eq!(Version::LATEST_LEGACY.era(), Era::Legacy);
    }
}
