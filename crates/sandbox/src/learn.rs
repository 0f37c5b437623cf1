//! What a recording cage tells of its program: which paths, hosts and ports it used, and how much. Recording is not a
//! wall: what is read of the program's memory may have changed a moment later, and the walls decide without it.

mod call;
mod record;

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use self::call::RECORDED;
pub(crate) use self::record::Recorder;

/// A recording cage: the machine's files are in sight, what is written to them stays in memory and is thrown away, and
/// what the program uses is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Learning {
    /// Places that stay out of sight with all that is in them: absolute paths in which nothing is a link.
    pub hidden: Vec<PathBuf>,
    /// Places that are in sight although they lie in a folder that is not, such as `/tmp`: likewise.
    pub shown: Vec<PathBuf>,
    /// TCP ports on which connections to hosts arrive at the egress. Those to other ports are told, and fail.
    pub ports: Vec<u16>,
}

/// Something that the program used, or tried to. Each is told once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trace {
    /// A path, absolute, as the program named it: links and `..` are in it. Whether it worked is not known.
    Path {
        /// Where.
        path: PathBuf,
        /// What it wanted there.
        act: Act,
    },
    /// A TCP connection to this address and port.
    Connect {
        /// The address; of 198.18.0.0/15 where it stands for a name.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// A connection to the local socket at this path.
    Socket(PathBuf),
    /// It listens on this TCP port.
    Listen(u16),
    /// The most that was in use at a time so far: told again when it grows.
    Peak {
        /// Bytes of memory, all processes together.
        memory: u64,
        /// Processes and threads.
        processes: u64,
        /// Bytes in the private folders.
        disk: u64,
    },
    /// A place that could not be shown: the program was not able to use it.
    Unseen(PathBuf),
    /// There was a call that could not be read.
    Unread,
    /// There was more than is kept.
    Full,
}

/// What a program wants of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Read a file, or list a folder.
    Read,
    /// Run it.
    Run,
    /// Write what is there.
    Write,
    /// Write it, and make it where it is not there.
    Make,
    /// Make a folder.
    MakeFolder,
    /// Take it away.
    Remove,
    /// Put something new in its place.
    Replace,
}

/// The part of a path that no program may change, although a folder above it is granted: hooks, settings of editors.
#[must_use]
pub fn kept(path: &std::path::Path) -> Option<PathBuf> {
    crate::guarded::kept(path)
}

/// Whether every cage has this place, whatever is granted: an absolute path without links.
#[must_use]
pub fn is_everywhere(path: &std::path::Path) -> bool {
    crate::root::has(path)
}
