//! The proposal: the smallest `sandbox:` block that would have let the program do what it did, with a reason for each
//! grant, what is never granted, and what a person should know.

use std::path::{Path, PathBuf};

use mantlet_config::cage::{Access, Reason, unfit};

use super::seen::Seen;
use super::{hosts, paths};

/// What is known besides what was seen.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) program: String,
    pub(super) has_arguments: bool,
    pub(super) home: Option<PathBuf>,
    /// What belongs to the gateway.
    pub(super) own: Vec<PathBuf>,
    /// What the program did not see.
    pub(super) hidden: Vec<PathBuf>,
    /// What it saw of folders of which every cage has its own.
    pub(super) shown: Vec<PathBuf>,
    /// What every cage of this program has, without a grant.
    pub(super) runtime: Vec<PathBuf>,
    /// Places that the command names, and how.
    pub(super) named: Vec<(PathBuf, String)>,
    /// Hosts that were granted whatever their address is.
    pub(super) internal: Vec<String>,
    /// Flags that hand something over, without what they hand over.
    pub(super) handed: Vec<(&'static str, String)>,
}

impl Facts {
    /// Why this place is never granted.
    pub(super) fn unfit(&self, path: &Path, access: Access) -> Option<Reason> {
        let own: Vec<&Path> = self.own.iter().map(PathBuf::as_path).collect();
        let reason = unfit(path, access, self.home.as_deref(), &own);
        let hidden = |place: &PathBuf| path.starts_with(place) || place.starts_with(path);
        reason.or_else(|| {
            let place = self.hidden.iter().find(|place| hidden(place))?;
            Some(Reason {
                why: if path.starts_with(place) {
                    "holds secrets".to_owned()
                } else {
                    format!("lies above `{}`, which holds secrets", place.display())
                },
                help: "leave it out",
            })
        })
    }

    pub(super) fn may_see(&self, path: &Path) -> bool {
        self.unfit(path, Access::Read).is_none()
    }

    /// Whether every cage has this.
    pub(super) fn is_everywhere(&self, path: &Path) -> bool {
        mantlet_sandbox::learn::is_everywhere(path) && !self.shown.iter().any(|shown| path.starts_with(shown))
    }

    /// Whether every cage of this program has it.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.is_everywhere(path) || self.runtime.iter().any(|folder| path.starts_with(folder))
    }
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) what: String,
    pub(super) why: String,
}

/// Something that was tried and is not proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) what: String,
    pub(super) why: String,
    pub(super) help: String,
}

/// See the module's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) read: Vec<Grant>,
    pub(super) write: Vec<Grant>,
    pub(super) network: Vec<Grant>,
    pub(super) internal: Vec<Grant>,
    /// Why it needs ports of its own.
    pub(super) loopback: Option<String>,
    pub(super) memory: Option<Grant>,
    pub(super) processes: Option<Grant>,
    pub(super) disk: Option<Grant>,
    /// Names of secrets.
    pub(super) secrets: Vec<String>,
    pub(super) refused: Vec<Refused>,
    pub(super) notes: Vec<String>,
}

/// Makes it of what was seen.
pub(super) fn propose(seen: &Seen, facts: &Facts) -> Proposal {
    let mut proposal = Proposal::default();
    paths::propose(seen, facts, &mut proposal);
    hosts::propose(seen, facts, &mut proposal);
    amounts(seen, &mut proposal);
    let secrets = facts.handed.iter().filter(|(flag, _)| *flag == "--secret");
    proposal.secrets = secrets.map(|(_, name)| name.clone()).collect();
    for call in &seen.calls {
        proposal
            .notes
            .push(format!("the system call `{call}` was refused, as in every cage"));
    }
    for path in &seen.unseen {
        let path = path.display();
        proposal.notes.push(format!(
            "`{path}` could not be shown, and nothing was learnt about it: its file system takes no layer"
        ));
    }
    if seen.unread {
        proposal
            .notes
            .push("some calls could not be read: something may be missing here".to_owned());
    }
    if seen.full {
        proposal
            .notes
            .push("it used more than is kept: something is missing here".to_owned());
    }
    proposal
}

const MIB: u64 = 1 << 20;

/// What it used, where that is more than half of what it has without a word.
fn amounts(seen: &Seen, proposal: &mut Proposal) {
    let defaults = mantlet_sandbox::Limits::default();
    let (memory, processes, disk) = seen.peak;
    let size = |used: u64, default: u64| {
        (used > default / 2).then(|| Grant {
            what: format!("{}MiB", rounded(used, 256 * MIB) / MIB),
            why: format!("it used {} MiB at a time", used / MIB),
        })
    };
    proposal.memory = size(memory, defaults.memory);
    proposal.disk = size(disk, defaults.disk);
    proposal.processes = (processes > u64::from(defaults.processes / 2)).then(|| Grant {
        what: rounded(processes, 64).to_string(),
        why: format!("it had {processes} processes and threads at a time"),
    });
    for name in &seen.limits {
        let flag = match name.as_str() {
            "files" => "disk",
            other => other,
        };
        proposal.notes.push(format!(
            "it was ended for its use of {name}: learn again with more, such as `--{flag}`"
        ));
    }
}

/// Twice as much, to the next step.
fn rounded(used: u64, step: u64) -> u64 {
    used.saturating_mul(2).div_ceil(step).saturating_mul(step)
}
