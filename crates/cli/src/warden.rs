//! `mantlet warden`: waits beside a gateway and, when that has ended without cleaning up (killed, out of memory), kills
//! the servers that it left, wherever in the process tree they are. Not here: how a gateway ends its servers itself.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{self, Failure};

/// Every server, and what it starts, carries this in its environment, with a value that begins with the gateway's
/// process id (`gateway/upstream/process`).
const MARK: &str = "MANTLET_SERVER_MARK";
/// A process that starts others faster than they are killed is met this often.
const ROUNDS: u32 = 20;

/// Holds the pipe whose end tells the warden that this process has gone.
static WARDEN: OnceLock<Child> = OnceLock::new();

/// Starts the warden of this process.
pub(crate) fn start() {
    if WARDEN.get().is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        tracing::warn!("there is no warden: should this process be killed, its servers may stay behind");
        return;
    };
    #[expect(clippy::disallowed_methods, reason = "it is this very program")]
    let started = Command::new(program)
        .args(["warden", &std::process::id().to_string()])
        .current_dir("/")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // What is sent to the gateway's group, such as Ctrl-C, is not meant for it.
        .process_group(0)
        .spawn();
    match started {
        Ok(child) => drop(WARDEN.set(child)),
        Err(error) => {
            tracing::warn!(%error, "there is no warden: should this process be killed, its servers may stay behind");
        }
    }
}

/// Waits for the end of standard input, then kills what the gateway with this process id has left.
pub(crate) fn run(gateway: u32) -> Result<u8, Failure> {
    let mut nothing = [0; 64];
    while std::io::stdin().read(&mut nothing).is_ok_and(|read| read > 0) {}
    let prefix = format!("{MARK}={gateway}-");
    for _ in 0..ROUNDS {
        let left = marked(prefix.as_bytes());
        if left.is_empty() {
            break;
        }
        for pid in left {
            let _gone = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(failure::FINE)
}

/// The processes with a variable that begins so. A zombie has no environment.
fn marked(prefix: &[u8]) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry.starts_with(prefix))
    })
    .filter_map(Pid::from_raw)
    .collect()
}
