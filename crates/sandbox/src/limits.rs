//! How much a caged program may use. What the kernel keeps for each process (rlimits) and for the whole tree (cgroup)
//! is set here; what it does not keep is watched by `watch`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::event::Event;
use crate::spec::Limits;
use crate::watch::limit;

/// Sets the limits of this process and of all that it starts, as hard ones.
pub(crate) fn set(limits: &Limits) -> io::Result<()> {
    let fixed = [
        (Resource::Core, 0),
        // One process; for the whole tree see `cgroup` and `watch`. Address space is the wrong measure: runtimes
        // reserve far more than they use.
        (Resource::Data, limits.memory),
        (Resource::Fsize, limits.disk),
        (Resource::Nofile, limits.descriptors),
        // Counted for each user and user namespace.
        (Resource::Nproc, u64::from(limits.processes)),
        (Resource::Msgqueue, 0),
        (Resource::Memlock, 8 << 20),
        (Resource::Rtprio, 0),
        (Resource::Nice, 0),
        (Resource::Sigpending, 4_096),
    ];
    for (resource, value) in fixed {
        let now = rustix::process::getrlimit(resource);
        let value = now.maximum.map_or(value, |most| value.min(most));
        let both = Rlimit {
            current: Some(value),
            maximum: Some(value),
        };
        setrlimit(resource, both)?;
    }
    Ok(())
}

/// A control group of its own, where this user may make one; taken away when dropped.
#[derive(Debug)]
pub(crate) struct Group {
    folders: Vec<PathBuf>,
    /// Which limits on the whole tree the kernel keeps.
    pub(crate) keeps: Vec<&'static str>,
}

impl Group {
    /// Makes a group with these limits and puts a process into it. `None` where there is none to be had.
    pub(crate) fn make(limits: &Limits, process: i32) -> Option<Self> {
        let name = format!("mantlet-{}", std::process::id());
        let mut group = Self {
            folders: Vec::new(),
            keeps: Vec::new(),
        };
        if !group.make_unified(&name, limits, process) {
            group.make_split(&name, limits, process);
        }
        (!group.folders.is_empty()).then_some(group)
    }

    /// cgroup v2: below the highest group of ours that this user may write and that hands down memory and pids (a
    /// group with processes of its own hands down nothing).
    fn make_unified(&mut self, name: &str, limits: &Limits, process: i32) -> bool {
        let Some((top, own)) = unified() else { return false };
        let parents: Vec<PathBuf> = own
            .ancestors()
            .take_while(|folder| folder.starts_with(&top))
            .map(Path::to_owned)
            .collect();
        let fit = |folder: &&PathBuf| {
            let handed = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
            let has = |controller| handed.split_whitespace().any(|word| word == controller);
            has("memory") && has("pids") && writable(&folder.join("cgroup.procs"))
        };
        let Some(parent) = parents.iter().rev().find(fit) else {
            return false;
        };
        let mut settings = vec![
            ("memory.max", limits.memory.to_string(), "memory"),
            ("memory.swap.max", "0".to_owned(), ""),
            ("memory.oom.group", "1".to_owned(), ""),
            ("pids.max", limits.processes.to_string(), "processes"),
        ];
        if limits.cpu > 0 {
            let quota = u64::from(limits.cpu).saturating_mul(100_000);
            settings.push(("cpu.max", format!("{quota} 100000"), "cpu"));
        }
        self.enter(&parent.join(name), &settings, process)
    }

    /// cgroup v1, which only root may write: a hierarchy for each controller.
    fn make_split(&mut self, name: &str, limits: &Limits, process: i32) {
        let top = Path::new("/sys/fs/cgroup");
        let memory = [("memory.limit_in_bytes", limits.memory.to_string(), "memory")];
        self.enter(&top.join("memory").join(name), &memory, process);
        let pids = [("pids.max", limits.processes.to_string(), "processes")];
        self.enter(&top.join("pids").join(name), &pids, process);
        if limits.cpu > 0 {
            let quota = u64::from(limits.cpu).saturating_mul(100_000);
            let cpu = [
                ("cpu.cfs_period_us", "100000".to_owned(), ""),
                ("cpu.cfs_quota_us", quota.to_string(), "cpu"),
            ];
            self.enter(&top.join("cpu").join(name), &cpu, process);
        }
    }

    fn enter(&mut self, folder: &Path, settings: &[(&str, String, &'static str)], process: i32) -> bool {
        if fs::create_dir(folder).is_err() {
            return false;
        }
        self.folders.push(folder.to_owned());
        let mut kept = Vec::new();
        for (file, value, what) in settings {
            if fs::write(folder.join(file), value).is_ok() && !what.is_empty() {
                kept.push(*what);
            }
        }
        let entered = fs::write(folder.join("cgroup.procs"), process.to_string()).is_ok();
        if entered && !kept.is_empty() {
            self.keeps.extend(kept);
        }
        entered
    }

    /// The limit on memory, once the kernel has ended a process of the group for it.
    pub(crate) fn over(&self, granted: u64) -> Option<Event> {
        let killed = self
            .count("memory.events", "oom_kill")
            .max(self.count("memory.oom_control", "oom_kill"));
        let most = ["memory.peak", "memory.max_usage_in_bytes"]
            .into_iter()
            .flat_map(|file| self.texts(file));
        let most = most.filter_map(|text| text.trim().parse().ok()).max();
        (killed > 0).then(|| limit("memory", most.unwrap_or(granted), granted))
    }

    /// A file of the group, in each hierarchy that has it.
    fn texts(&self, file: &'static str) -> impl Iterator<Item = String> {
        self.folders
            .iter()
            .filter_map(move |folder| fs::read_to_string(folder.join(file)).ok())
    }

    fn count(&self, file: &'static str, key: &str) -> u64 {
        self.texts(file)
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|line| {
                let (name, value) = line.split_once(' ')?;
                (name == key).then(|| value.parse().ok())?
            })
            .max()
            .unwrap_or_default()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in &self.folders {
            // Its processes have been killed; the last of them may take a moment.
            for _ in 0..50 {
                if fs::remove_dir(folder).is_ok() || !folder.exists() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }
}

/// Where cgroup v2 is mounted, and the group of this process there.
fn unified() -> Option<(PathBuf, PathBuf)> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let top = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after
            .starts_with("cgroup2 ")
            .then(|| before.split(' ').nth(4).map(PathBuf::from))?
    })?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some((top.clone(), top.join(own)))
}

fn writable(file: &Path) -> bool {
    rustix::fs::access(file, rustix::fs::Access::WRITE_OK).is_ok()
}
