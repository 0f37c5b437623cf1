//! A server's process: how it is started, what its pipes are, how it is ended with all that it started. A command comes
//! from the configuration or from the command line of `wrap`, never from a message. In a cage, unless the configuration
//! says otherwise in words.
//!
//! Starting has two halves, which may be two processes: `launch` runs the program and knows no message; what is here
//! takes the ends of its pipes, and of the line that holds it, and looks after it.

pub(crate) mod bare;
mod held;
pub(crate) mod launch;
pub(crate) mod prepare;

use std::sync::Arc;

use mantlet_config::CommandLine;
use mantlet_config::cage::{Cage, OnBreach};
use tokio::net::unix::pipe;

use self::held::Held;
use self::launch::Launched;
use super::{LinkError, Server};
use crate::Halves;
use crate::breach::Witness;

/// The three pipes of a server.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: pipe::Sender,
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
}

/// A running server and the means to end it. Dropping it ends the server at once.
#[derive(Debug)]
pub(crate) struct Process(Held);

/// Starts a server. `witness` is told what a caged one tries.
pub(crate) async fn start(
    halves: &Halves,
    server: &Arc<Server>,
    line: &CommandLine,
    witness: Witness,
) -> Result<(Pipes, Process), LinkError> {
    let launched = match halves {
        Halves::One => launch::here(&server.name, line).await,
        Halves::Two { launcher, .. } => launcher.start(&server.name).await,
    };
    let launched = launched.map_err(LinkError::Unavailable)?;
    for hint in &launched.facts.hints {
        tracing::warn!(server = %server.name, "{hint}");
    }
    let policy = match &line.cage {
        Cage::On(cage) => cage.on_breach,
        Cage::Off => OnBreach::Warn,
    };
    let (pipes, held) = take(server, launched, policy, witness)
        .await
        .map_err(LinkError::Unavailable)?;
    Ok((pipes, Process(held)))
}

/// Takes over what was launched, once it runs.
async fn take(
    server: &Arc<Server>,
    launched: Launched,
    policy: OnBreach,
    witness: Witness,
) -> Result<(Pipes, Held), String> {
    let broken = |error: std::io::Error| format!("the server's pipes could not be opened: {error}");
    let pipes = Pipes {
        stdin: pipe::Sender::from_owned_fd(launched.stdin).map_err(broken)?,
        stdout: pipe::Receiver::from_owned_fd(launched.stdout).map_err(broken)?,
        stderr: pipe::Receiver::from_owned_fd(launched.stderr).map_err(broken)?,
    };
    let mut cage = mantlet_sandbox::Cage::at(launched.line).map_err(broken)?;
    let caged = launched.facts.caged;
    let runs = async {
        if caged {
            cage.stands().await.map(Some)
        } else {
            cage.runs().await.map(|()| None)
        }
    };
    let proof = tokio::time::timeout(server.settings.timeouts.start, runs)
        .await
        .map_err(|_| "the server's cage was not ready in time".to_owned())?
        .map_err(|fell| fell.to_string())?;
    if let Some(proof) = proof {
        if !proof.holds() {
            return Err("the cage does not hold: see `mantlet cage --proof -- true`".to_owned());
        }
        server.health.caged(proof);
    }
    let held = Held::new(cage, launched.facts.network, policy, witness);
    Ok((pipes, held))
}

impl Process {
    /// Ends it: waits for it to leave by itself (its input has ended), then asks, then kills, with all that it started.
    pub(crate) async fn end(&self) {
        self.0.end().await;
    }

    /// Kills it at once, without waiting: for when the gateway itself must go.
    pub(crate) fn kill(&self) {
        self.0.kill();
    }
}
