//! `mantlet launcher FILE`, which `mantlet serve` starts: the process that runs what the configuration names. What it does
//! is in the gateway (`launcher`); here it becomes a process of its own.

use std::path::PathBuf;

use mantlet_config::ProcessEnvironment;
use mantlet_gateway::launcher;
use mantlet_sandbox::Line;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{self, Failure};
use crate::run;

pub(crate) fn run() -> Result<u8, Failure> {
    let line = Line::inherited()
        .map_err(|_| Failure::wrong_use("`launcher` is a part of `mantlet serve` and no command"))?;
    let path = std::env::args_os().nth(2).map(PathBuf::from);
    let path = path.ok_or_else(|| Failure::wrong_use("the launcher was given no configuration"))?;
    mantlet_sandbox::keep_memory_private()?;
    let _only_a_name = rustix::thread::set_name(c"mantlet-launch");
    run::talk("info");
    // One thread: it waits most of the time, and starts programs one after the other.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::could_not_run(format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(async {
        // It ends with the process that faces the network, which is asked to end by the same signals and lets what runs
        // end first. Handlers do not come down to what is started, as "ignored" would.
        let _heard = [
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
            signal(SignalKind::hangup()),
        ];
        launcher::serve(line, path, &ProcessEnvironment).await
    });
    runtime.shutdown_background();
    outcome.map_err(|error| Failure::could_not_run(format!("the launcher ends: {error}")))?;
    Ok(failure::FINE)
}
