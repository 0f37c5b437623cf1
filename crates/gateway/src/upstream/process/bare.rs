//! A server without a cage, as `sandbox: off` asks for: only its environment, which starts empty, and its descendants
//! are held.

use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use tokio::process::{Child, Command};

use mantlet_config::CommandLine;
use tokio::sync::Mutex;

use super::Pipes;
use crate::upstream::LinkError;

/// What a server's process inherits besides what the configuration grants: where to find programs and its
/// home, how to write text; no variable that usually holds a secret.
const INHERITED: &[&str] = &[
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
];
/// A mark in the environment of the whole tree, by which stragglers that left the group are found. It begins with the
/// gateway's process id, by which `mantlet warden` finds all of them when the gateway was killed.
const MARK: &str = "MANTLET_SERVER_MARK";
/// From the end of its input to SIGTERM, and from there to SIGKILL.
const GRACE: Duration = Duration::from_millis(1_500);
/// Between two looks at whether it has gone.
const LOOK: Duration = Duration::from_millis(5);

/// A running server process and the means to end it with all its descendants.
#[derive(Debug)]
pub(crate) struct Bare {
    child: Mutex<Option<Child>>,
    pid: Option<Pid>,
    mark: String,
    /// The system may give the process's number to another: nothing is signalled any more.
    over: AtomicBool,
}

/// Starts the command in its own process group, its three streams piped.
pub(crate) fn start(line: &CommandLine) -> Result<(Pipes, Bare), LinkError> {
    let mark = format!("{}-{}", std::process::id(), crate::random::handle());
    let Some((program, arguments)) = line.argv.split_first() else {
        return Err(LinkError::Unavailable("the command is empty".to_owned()));
    };
    #[expect(clippy::disallowed_methods, reason = "the one place that starts a server")]
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    for (name, value) in &line.environment {
        command.env(name, value.expose());
    }
    if let Some(directory) = &line.directory {
        command.current_dir(directory);
    }
    command
        .env(MARK, &mark)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|error| LinkError::Unavailable(format!("`{program}` could not be started: {error}")))?;
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    let pipes = Pipes::of(&mut child)?;
    let process = Bare {
        child: Mutex::new(Some(child)),
        pid,
        mark,
        over: AtomicBool::new(false),
    };
    Ok((pipes, process))
}

impl Bare {
    /// Ends the process: waits for it to leave by itself (its input has ended), then asks, then kills; then
    /// kills whatever of its tree is left. INVARIANT: the process is reaped last, since its number, and that of its
    /// group, is its own only until then.
    pub(crate) async fn end(&self) {
        let Some(mut child) = self.child.lock().await.take() else {
            return;
        };
        let over = Over(self);
        if !self.goes().await {
            self.signal_group(Signal::TERM);
            if !self.goes().await {
                self.signal_group(Signal::KILL);
                self.goes().await;
            }
        }
        self.signal_group(Signal::KILL);
        let (pid, mark) = (self.pid, self.mark.clone());
        drop(tokio::task::spawn_blocking(move || kill_stragglers(pid, &mark)).await);
        drop(over);
        drop(tokio::time::timeout(GRACE, child.wait()).await);
    }

    /// Waits for the process to go, without reaping it; false when it stays.
    async fn goes(&self) -> bool {
        let Some(pid) = self.pid else { return true };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let gone = async {
            // An error says that there is no such child (any more).
            while matches!(waitid(WaitId::Pid(pid), look), Ok(None)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(GRACE, gone).await.is_ok()
    }

    /// Kills the group at once, without waiting.
    pub(crate) fn kill(&self) {
        self.signal_group(Signal::KILL);
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(pid) = self.pid.filter(|_| !self.over.load(Ordering::Acquire)) {
            // It may have gone already.
            let _gone = kill_process_group(pid, signal);
        }
    }
}

/// Ends the signalling before the process is reaped; also when nobody waits for its end any more.
struct Over<'a>(&'a Bare);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.signal_group(Signal::KILL);
        self.0.over.store(true, Ordering::Release);
    }
}

/// Kills descendants that left the process group: those that still carry the mark, and children of children.
/// A program that wipes its environment and detaches twice gets away from this; a PID namespace does not let
/// it, and comes with the cage.
fn kill_stragglers(root: Option<Pid>, mark: &str) {
    for _ in 0..5 {
        let left = stragglers(root, mark);
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _gone = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn stragglers(root: Option<Pid>, mark: &str) -> Vec<Pid> {
    let needle = format!("{MARK}={mark}");
    let mut parents: HashMap<i32, i32> = HashMap::new();
    let mut found: HashSet<i32> = HashSet::new();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    for entry in entries.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let Some((parent, zombie)) = parent_of(pid) else {
            continue;
        };
        if zombie {
            continue;
        }
        parents.insert(pid, parent);
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if environ
            .split(|byte| *byte == 0)
            .any(|entry| entry == needle.as_bytes())
        {
            found.insert(pid);
        }
    }
    let root = root.map(|pid| pid.as_raw_nonzero().get());
    loop {
        let more: Vec<i32> = parents
            .iter()
            .filter(|(pid, parent)| {
                !found.contains(pid) && (found.contains(parent) || Some(**parent) == root)
            })
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    found.into_iter().filter_map(Pid::from_raw).collect()
}

/// The parent of a process, and whether it is only a zombie (proc(5), `/proc/pid/stat`).
fn parent_of(pid: i32) -> Option<(i32, bool)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let zombie = fields.next()? == "Z";
    Some((fields.next()?.parse().ok()?, zombie))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn line(script: &str) -> CommandLine {
        CommandLine {
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            environment: BTreeMap::new(),
            directory: None,
            cage: mantlet_config::cage::Cage::Off,
        }
    }

    #[tokio::test]
    async fn nothing_is_signalled_once_the_process_is_reaped() {
        let (_pipes, process) = start(&line("exit 0")).unwrap();
        process.end().await;
        assert!(process.over.load(Ordering::Acquire));
        assert!(
            waitid(WaitId::Pid(process.pid.unwrap()), WaitIdOptions::EXITED).is_err(),
            "it was reaped"
        );
    }

    #[tokio::test]
    async fn what_a_server_leaves_behind_ends_with_it() {
        let (_pipes, process) = start(&line("sleep 600 & sleep 600 & exit 0")).unwrap();
        process.end().await;
        assert!(stragglers(None, &process.mark).is_empty());
    }

    #[tokio::test]
    async fn an_end_that_nobody_waits_for_kills_and_is_final() {
        let (_pipes, process) = start(&line("trap '' TERM; sleep 600")).unwrap();
        drop(tokio::time::timeout(Duration::from_millis(50), process.end()).await);
        assert!(process.over.load(Ordering::Acquire));
        let gone = async {
            while !stragglers(None, &process.mark).is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let outcome = tokio::time::timeout(Duration::from_secs(10), gone).await;
        assert!(outcome.is_ok(), "it still runs");
    }
}
