//! What holds a program, as found out and not as asked for: each layer with what the kernel said of it, and what a
//! process within the same walls could not do.

use std::fs::File;
use std::io;

use serde::{Deserialize, Serialize};

use crate::spec::Tier;
use crate::sys;

/// The state of a cage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Proof {
    /// How much of a cage it is.
    pub tier: Tier,
    /// What is in force.
    pub enforced: Vec<String>,
    /// What this machine cannot enforce, and what would help.
    pub missing: Vec<String>,
    /// What was tried from within, where it was tried.
    pub trials: Vec<Trial>,
}

/// Something that a process within the walls tried, and must not manage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Trial {
    /// What.
    pub what: String,
    /// Whether it was prevented.
    pub held: bool,
    /// What the kernel said.
    pub said: String,
}

impl Proof {
    /// Whether everything that was tried was prevented.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.trials.iter().all(|trial| trial.held)
    }
}

/// Tries, within the walls, what a hostile program would try first. Harmless where it succeeds.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial(
            "see the files of the machine",
            std::fs::read_dir("/home").and_then(only_ours),
        ),
        trial("read the password hashes", File::open("/etc/shadow")),
        trial("write outside of the grants", File::create("/usr/mantlet-trial")),
        trial(
            "change a setting of the kernel",
            open_to_write("/proc/sys/kernel/core_pattern"),
        ),
        trial("look into process 1", File::open("/proc/1/environ")),
        trial("reach a host", std::net::TcpStream::connect("192.0.2.1:9")),
    ];
    for (what, outcome) in sys::forbidden() {
        trials.push(trial(what, outcome));
    }
    trials.push(capabilities());
    trials
}

fn trial<T>(what: &str, outcome: io::Result<T>) -> Trial {
    Trial {
        what: what.to_owned(),
        held: outcome.is_err(),
        said: outcome.map_or_else(|error| error.to_string(), |_| "it worked".to_owned()),
    }
}

/// The home of the program is there; others must not be.
fn only_ours(entries: std::fs::ReadDir) -> io::Result<()> {
    let others = entries.flatten().any(|entry| entry.file_name() != "mcp");
    if others {
        Ok(())
    } else {
        Err(io::Error::other("there is nothing but its own home"))
    }
}

fn open_to_write(path: &str) -> io::Result<File> {
    std::fs::OpenOptions::new().write(true).open(path)
}

/// proc(5): no capability, no way to gain one, a filter on system calls.
fn capabilities() -> Trial {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |key: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .map(str::trim)
            .unwrap_or_default()
            .to_owned()
    };
    let empty = ["CapEff", "CapPrm", "CapInh", "CapAmb"]
        .iter()
        .all(|key| value(key) == "0000000000000000");
    let said = format!(
        "CapEff {}, NoNewPrivs {}, Seccomp {}",
        value("CapEff"),
        value("NoNewPrivs"),
        value("Seccomp")
    );
    Trial {
        what: "gain privileges".to_owned(),
        held: empty && value("NoNewPrivs") == "1" && value("Seccomp") == "2",
        said,
    }
}

/// What stands, out of what the layers said of themselves.
pub(crate) fn gather(
    spec: &crate::spec::Spec,
    kept: &[&str],
    heard: bool,
    tried: Option<(String, Vec<Trial>)>,
) -> Proof {
    let mut enforced: Vec<String> = [
        "namespaces: user, mount, pid, network, ipc, uts, cgroup",
        "root: built up from nothing, read-only; own /tmp, /home, /proc, /dev",
        "privileges: none, and none to be gained (no_new_privs)",
        "seccomp: allow-list of system calls",
        "environment: from nothing",
        "limits: for each process (rlimits)",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut missing = Vec::new();
    let landlock = crate::landlock::version();
    match landlock {
        0 => missing.push("Landlock: not in this kernel, or not switched on (`lsm=landlock,…`)".to_owned()),
        version => enforced.push(format!(
            "Landlock: version {version}: {}",
            crate::landlock::scope_of(version)
        )),
    }
    if heard {
        enforced.push("refused calls and connections are reported".to_owned());
    } else {
        missing.push("reports of refused calls: this kernel has no seccomp notification".to_owned());
    }
    let by_kernel = kept.contains(&"memory") && kept.contains(&"processes");
    if by_kernel {
        enforced.push(format!(
            "limits: {} of the whole tree, by the kernel (cgroup)",
            kept.join(", ")
        ));
    } else {
        enforced.push("limits: memory and processes of the whole tree, watched".to_owned());
        missing.push(
            "limits by the kernel: no control group that this user may write (with systemd: `systemd-run --user --scope -p Delegate=yes`)"
                .to_owned(),
        );
    }
    if !spec.write.is_empty() {
        enforced.push("limits: what is added to writable folders, watched".to_owned());
    }
    let tier = if landlock > 0 && by_kernel {
        Tier::Strong
    } else {
        Tier::Standard
    };
    Proof {
        tier,
        enforced,
        missing,
        trials: tried.map(|(_, trials)| trials).unwrap_or_default(),
    }
}

/// The weakest cage, with what it lacks.
pub(crate) fn of_basic(spec: &crate::spec::Spec, heard: bool, tried: Option<(String, Vec<Trial>)>) -> Proof {
    let version = crate::landlock::version();
    let mut enforced = vec![
        format!(
            "Landlock: version {version}: {}",
            crate::landlock::scope_of(version)
        ),
        "seccomp: allow-list of system calls, no sockets but pairs".to_owned(),
        "privileges: none to be gained (no_new_privs)".to_owned(),
        "environment: from nothing".to_owned(),
        "limits: for each process (rlimits); memory and processes of all, watched".to_owned(),
    ];
    if heard {
        enforced.push("refused calls are reported".to_owned());
    }
    if !spec.write.is_empty() {
        enforced.push("limits: what is added to writable folders, watched".to_owned());
    }
    Proof {
        tier: Tier::Basic,
        enforced,
        missing: [
            "namespaces: not to be had by this user: names and identity of the machine and its processes can be seen",
            "network: none can be granted",
            "end of all processes: one that detaches may outlive Mantlet when that is killed",
        ]
        .map(str::to_owned)
        .to_vec(),
        trials: tried.map(|(_, trials)| trials).unwrap_or_default(),
    }
}
