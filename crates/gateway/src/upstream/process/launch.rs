//! Runs a server's program: in its cage, or with a keeper where it gets none. Returns the ends of its pipes and of the
//! line that holds it; whoever drops that line ends it. Done by `wrap` in its own process, by `serve` in the launcher.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use mantlet_config::CommandLine;
use mantlet_config::cage::Cage;
use mantlet_sandbox::egress::Witness;
use mantlet_sandbox::{Event, Fell, Grant, Line, Streams};
use serde::{Deserialize, Serialize};
use tokio::process::Child;

use super::bare;
use super::prepare::{self, Start};

/// What was started, as far as words can tell.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    /// Whether it is in a cage, which has to be waited for; otherwise it has a keeper.
    pub(crate) caged: bool,
    /// Whom it may reach.
    pub(crate) network: Vec<Grant>,
    /// What the operator should know.
    pub(crate) hints: Vec<String>,
}

/// A program that was started.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) facts: Facts,
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    pub(crate) line: Line,
}

/// Starts a server. Also returns the process that holds it, which must be waited for. What the installation of a package
/// tries goes to the witness, and by way of it its network is served.
pub(crate) async fn launch(
    name: &str,
    line: &CommandLine,
    witness: Arc<dyn Witness>,
) -> Result<(Launched, Child), String> {
    let (start, hints) = match &line.cage {
        Cage::On(cage) => {
            let (start, hints) = prepare::ready(name, line, cage, witness).await?;
            (Some(start), hints)
        }
        Cage::Off => (None, Vec::new()),
    };
    let (streams, [stdin, stdout, stderr]) =
        pipes().map_err(|error| format!("the server's pipes could not be made: {error}"))?;
    let mut facts = Facts {
        caged: false,
        network: Vec::new(),
        hints,
    };
    let held = match start {
        Some(Start::Caged(spec)) => {
            facts.caged = true;
            facts.network.clone_from(&spec.network);
            mantlet_sandbox::build(&spec, streams, true)
        }
        Some(Start::Container(argv)) => {
            let line = CommandLine { argv, ..line.clone() };
            mantlet_sandbox::keep(bare::bare(&line), streams)
        }
        None => mantlet_sandbox::keep(bare::bare(line), streams),
    };
    let (child, line) = held.map_err(|fell: Fell| fell.to_string())?;
    let launched = Launched {
        facts,
        stdin,
        stdout,
        stderr,
        line,
    };
    Ok((launched, child))
}

/// The same in this process, which has the network as well.
pub(crate) async fn here(name: &str, line: &CommandLine) -> Result<Launched, String> {
    let (launched, mut child) = launch(name, line, Arc::new(Installing(name.to_owned()))).await?;
    tokio::spawn(async move { child.wait().await });
    Ok(launched)
}

/// What the program gets, and the other ends: of its input, its output and its errors.
fn pipes() -> io::Result<(Streams, [OwnedFd; 3])> {
    let (input, stdin) = io::pipe()?;
    let (stdout, output) = io::pipe()?;
    let (stderr, errors) = io::pipe()?;
    let streams = Streams {
        input: input.into(),
        output: output.into(),
        errors: errors.into(),
    };
    Ok((streams, [stdin.into(), stdout.into(), stderr.into()]))
}

/// Tells what the installation of a package tries.
pub(crate) struct Installing(pub(crate) String);

impl Witness for Installing {
    fn saw(&self, event: Event) {
        if event.is_breach() {
            tracing::warn!(server = %self.0, ?event, "the installation of the package tried what it may not");
        }
    }
}
