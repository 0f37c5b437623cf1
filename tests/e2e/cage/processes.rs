//! The processes of one run: known by a mark in their environment or command line, or by a user who has no others.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::users::User;

/// A process that is no zombie.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// Its name and state, for people.
    pub(crate) shown: String,
}

/// The processes of a run, but for one.
pub(crate) fn of(mark: &str, user: User, without: Option<u32>) -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| Some(*pid) != without && *pid != std::process::id())
        .filter_map(|pid| look(pid, mark, user))
        .collect()
}

fn look(pid: u32, mark: &str, user: User) -> Option<Process> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    if field("State:").starts_with(['Z', 'X']) {
        return None;
    }
    let uid: u32 = field("Uid:").split_whitespace().next()?.parse().ok()?;
    let marked = |file: &str| {
        let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        text.windows(mark.len()).any(|part| part == mark.as_bytes())
    };
    let ours = match user {
        User::Lent(number) => number == uid,
        User::Own => marked("cmdline") || marked("environ"),
    };
    ours.then(|| Process {
        pid,
        shown: format!("{} ({pid}, {})", field("Name:"), field("State:")),
    })
}

/// Those that are left when they had time to go.
pub(crate) fn left(mark: &str, user: User, without: Option<u32>, patience: Duration) -> Vec<Process> {
    let end = Instant::now() + patience;
    loop {
        let left = of(mark, user, without);
        if left.is_empty() || Instant::now() > end {
            return left;
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Ends all of them, also those that start more meanwhile.
pub(crate) fn end_all(mark: &str, user: User, without: Option<u32>) {
    for _ in 0..50 {
        let left = of(mark, user, without);
        if left.is_empty() {
            return;
        }
        let pids = left.iter().map(|process| process.pid.to_string());
        let _some_are_gone = Command::new("kill")
            .arg("-KILL")
            .args(pids)
            .stderr(Stdio::null())
            .status();
        std::thread::sleep(Duration::from_millis(10));
    }
}
