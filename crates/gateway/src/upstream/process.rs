//! Starting and ending a server's process. A command comes from the configuration or from the command line of
//! `wrap`, never from a message. The environment starts empty. (The cage of practice 9 is not built yet.)

use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

use super::LinkError;
use mantlet_config::CommandLine;

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

/// A running server process and the means to end it with all its descendants.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Option<Pid>,
    mark: String,
}

/// Starts the command in its own process group, its three streams piped.
pub(crate) fn start(line: &CommandLine) -> Result<(Child, Process), LinkError> {
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
    let child = command
        .spawn()
        .map_err(|error| LinkError::Unavailable(format!("`{program}` could not be started: {error}")))?;
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    Ok((child, Process { pid, mark }))
}

impl Process {
    /// Ends the process: waits for it to leave by itself (its input has ended), then asks, then kills; then
    /// kills whatever of its tree is left.
    pub(crate) async fn end(&self, child: &mut Child) {
        if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
            self.signal_group(Signal::TERM);
            if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                self.signal_group(Signal::KILL);
                drop(child.start_kill());
                drop(tokio::time::timeout(GRACE, child.wait()).await);
            }
        }
        self.signal_group(Signal::KILL);
        let (pid, mark) = (self.pid, self.mark.clone());
        drop(tokio::task::spawn_blocking(move || kill_stragglers(pid, &mark)).await);
    }

    /// Kills the group at once, without waiting: for when the gateway itself must go.
    pub(crate) fn signal_group(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // It may have gone already.
            let _gone = kill_process_group(pid, signal);
        }
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
