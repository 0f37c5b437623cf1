//! A server's process: how it is started, what its pipes are, how it is ended with all that it started. A command comes
//! from the configuration or from the command line of `wrap`, never from a message. In a cage, unless the configuration
//! says otherwise in words.

mod bare;
pub(crate) mod caged;

use std::sync::Arc;

use mantlet_config::CommandLine;
use mantlet_config::cage::Cage;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

use super::{LinkError, Server};
use crate::breach::Witness;

/// The three pipes of a server.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: ChildStdin,
    pub(crate) stdout: ChildStdout,
    pub(crate) stderr: ChildStderr,
}

impl Pipes {
    fn of(child: &mut tokio::process::Child) -> Result<Self, LinkError> {
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(stdin), Some(stdout), Some(stderr)) => Ok(Self {
                stdin,
                stdout,
                stderr,
            }),
            _ => Err(LinkError::Unavailable(
                "the server's pipes could not be opened".to_owned(),
            )),
        }
    }
}

/// A running server and the means to end it.
#[derive(Debug)]
pub(crate) enum Process {
    /// With all rights of the user that the gateway runs as.
    Bare(bare::Bare),
    /// With what it was granted.
    Caged(caged::Caged),
}

/// Starts a server. `witness` is told what a caged one tries.
pub(crate) async fn start(
    server: &Arc<Server>,
    line: &CommandLine,
    witness: Witness,
) -> Result<(Pipes, Process), LinkError> {
    match &line.cage {
        Cage::Off => bare::start(line).map(|(pipes, process)| (pipes, Process::Bare(process))),
        Cage::On(cage) => {
            let (pipes, process) = caged::start(server, line, cage, witness).await?;
            Ok((pipes, Process::Caged(process)))
        }
    }
}

impl Process {
    /// Ends it: waits for it to leave by itself (its input has ended), then asks, then kills, with all that it started.
    pub(crate) async fn end(&self) {
        match self {
            Self::Bare(process) => process.end().await,
            Self::Caged(process) => process.end().await,
        }
    }

    /// Kills it at once, without waiting: for when the gateway itself must go.
    pub(crate) fn kill(&self) {
        match self {
            Self::Bare(process) => process.kill(),
            Self::Caged(process) => process.kill(),
        }
    }
}
