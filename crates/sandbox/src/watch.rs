//! The limits on the whole tree of a cage that the kernel does not keep: memory and processes where there is no control
//! group, and what is added to the folders that may be written. Looked at many times a second; whoever is over a limit
//! is ended.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::event::Event;
use crate::limits::Group;
use crate::spec::Spec;

/// Between two glances at what is free on a disk: after a file was opened for writing, and otherwise.
const BUSY: Duration = Duration::from_millis(5);
const CALM: Duration = Duration::from_millis(20);
/// Between two looks at the processes, which take longer.
const LOOK: Duration = Duration::from_millis(40);
/// And where the kernel keeps all limits, at what it has done.
const REST: Duration = Duration::from_millis(250);
/// So long after the last sign of writing it counts as busy.
const WARM: Duration = Duration::from_millis(400);
/// Folders of a granted one that are measured, at most: beyond that a limit cannot be kept, and is not claimed.
const ENTRIES: u64 = 3_000_000;

/// What is looked at.
pub(crate) struct Watch<'a> {
    pid: i32,
    /// What the kernel keeps; it ends single processes, which is no end of the program.
    group: Option<&'a Group>,
    granted_memory: u64,
    memory: Option<u64>,
    processes: Option<u64>,
    disk: Option<Disk>,
    next: Instant,
    next_look: Instant,
}

struct Disk {
    folders: Vec<PathBuf>,
    granted: Space,
    /// What was there when the program started; being counted until it is known.
    before: Option<Space>,
    counting: Receiver<Space>,
    /// What was added, as of the last count.
    added: Space,
    /// Signs of writing since the last count.
    written: Signs,
    /// Bytes sent to the disk so far, and what was free there at the start.
    sent: u64,
    seen_sent: u64,
    started_free: u64,
    last_write: Instant,
}

/// Bytes on disk and files.
#[derive(Clone, Copy, Debug, Default)]
struct Space {
    bytes: u64,
    files: u64,
}

/// Signs that something was written, cheaper than counting: they say when to count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Signs {
    /// Bytes that the living processes of the cage sent towards a disk.
    sent: u64,
    /// Free bytes and free files of the file systems with granted folders.
    free: u64,
    free_files: u64,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(spec: &Spec, pid: Pid, group: Option<&'a Group>) -> Self {
        let kept = |what: &str| group.is_some_and(|group| group.keeps.contains(&what));
        let pid = pid.as_raw_nonzero().get();
        let disk = (!spec.write.is_empty()).then(|| Disk::new(spec, pid));
        Self {
            pid,
            group: group.filter(|_| kept("memory")),
            granted_memory: spec.limits.memory,
            memory: (!kept("memory")).then_some(spec.limits.memory),
            processes: (!kept("processes")).then(|| u64::from(spec.limits.processes)),
            disk,
            next: Instant::now(),
            next_look: Instant::now(),
        }
    }

    /// How long until the next look.
    pub(crate) fn pause(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Looks, when it is time; returns the limit that is exceeded.
    pub(crate) fn look(&mut self) -> Option<Event> {
        let now = Instant::now();
        if now < self.next {
            return None;
        }
        let suspicious = self.disk.as_ref().is_some_and(Disk::glance);
        let over = if suspicious || now >= self.next_look {
            self.look_at_all()
        } else {
            None
        };
        self.next = later(match &self.disk {
            Some(disk) if disk.last_write.elapsed() < WARM => BUSY,
            Some(_) => CALM,
            None if self.memory.is_none() && self.processes.is_none() => REST,
            None => LOOK,
        });
        over
    }

    /// The program is about to open a file for writing, and waits until this returns: what it wrote so far is known, and
    /// it will be looked at more often.
    pub(crate) fn opens(&mut self) -> Option<Event> {
        let disk = self.disk.as_mut()?;
        disk.last_write = Instant::now();
        let suspicious = disk.glance();
        self.next = self.next.min(later(BUSY));
        if suspicious { self.look_at_all() } else { None }
    }

    /// The limit for which the kernel has ended a process already.
    pub(crate) fn killed(&self) -> Option<Event> {
        self.group.and_then(|group| group.over(self.granted_memory))
    }

    fn look_at_all(&mut self) -> Option<Event> {
        self.next_look = later(LOOK);
        if let Some(over) = self.killed() {
            return Some(over);
        }
        let tree = tree(self.pid);
        let mut over = None;
        if let Some(granted) = self.memory {
            let mut used = tree
                .iter()
                .map(|pid| memory_of(*pid))
                .fold(0, u64::saturating_add);
            if used > granted {
                // What several share was counted for each: now its share, which takes longer to find out.
                used = tree.iter().map(|pid| share_of(*pid)).fold(0, u64::saturating_add);
            }
            over = over.or((used > granted).then(|| limit("memory", used, granted)));
        }
        if let Some(granted) = self.processes {
            let used = tree
                .iter()
                .map(|pid| threads_of(*pid))
                .fold(0, u64::saturating_add);
            over = over.or((used > granted).then(|| limit("processes", used, granted)));
        }
        if let Some(disk) = &mut self.disk {
            over = over.or_else(|| disk.look(&tree));
        }
        over
    }
}

fn later(pause: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(pause).unwrap_or(now)
}

pub(crate) fn limit(name: &str, used: u64, granted: u64) -> Event {
    Event::Limit {
        name: name.to_owned(),
        used,
        granted,
    }
}

impl Disk {
    fn new(spec: &Spec, pid: i32) -> Self {
        let (tell, counting) = channel();
        let folders = spec.write.clone();
        let counted = folders.clone();
        // The count of a large folder takes a while, in which the program must not be kept waiting.
        std::thread::spawn(move || tell.send(count(&counted)));
        let written = signs(&folders, &tree(pid));
        Self {
            folders,
            granted: Space {
                bytes: spec.limits.disk,
                files: spec.limits.files,
            },
            before: None,
            counting,
            added: Space::default(),
            sent: 0,
            seen_sent: 0,
            started_free: written.free,
            written,
            last_write: Instant::now(),
        }
    }

    /// Whether so much is gone from the disk that it is worth a look.
    fn glance(&self) -> bool {
        let now = signs(&self.folders, &[]);
        let (bytes, files) = self.steps();
        self.written.free.saturating_sub(now.free) >= bytes
            || self.written.free_files.saturating_sub(now.free_files) >= files
    }

    /// How much more makes it possible that a limit is exceeded.
    fn steps(&self) -> (u64, u64) {
        let step = |granted: u64, added: u64| granted.saturating_sub(added).max(granted / 16);
        (
            step(self.granted.bytes, self.added.bytes),
            step(self.granted.files, self.added.files),
        )
    }

    fn look(&mut self, tree: &[i32]) -> Option<Event> {
        let now = signs(&self.folders, tree);
        if self.before.is_none() {
            self.before = self.counting.try_recv().ok();
            if self.before.is_some() {
                // What was written during the count may be counted as there before: it is held against the limit.
                self.added.bytes = now.sent.saturating_sub(self.written.sent);
                self.written = now;
            }
        }
        let sent = now.sent.saturating_sub(self.written.sent);
        let taken = self.written.free.saturating_sub(now.free);
        let files = self.written.free_files.saturating_sub(now.free_files);
        let bytes = sent.max(taken);
        if sent > self.seen_sent {
            self.last_write = Instant::now();
        }
        self.seen_sent = sent;
        let (most_bytes, most_files) = self.steps();
        if bytes < most_bytes && files < most_files {
            return None;
        }
        let Some(before) = self.before else {
            // Still being counted: what it has written itself is what is known.
            return (sent > self.granted.bytes).then(|| limit("disk", sent, self.granted.bytes));
        };
        // Nothing is added while it is counted.
        let held = Held::new(tree);
        let all = count(&self.folders);
        let unseen = unlinked(&self.folders, tree);
        self.added = Space {
            bytes: all.bytes.saturating_add(unseen).saturating_sub(before.bytes),
            files: all.files.saturating_sub(before.files),
        };
        let now = signs(&self.folders, tree);
        self.sent = self
            .sent
            .saturating_add(now.sent.saturating_sub(self.written.sent));
        // What was sent to the disk, and is gone from it, and is nowhere to be seen: a file that is kept alive by a
        // descriptor on its way from one process to another. Others write too: only twice the limit is believed.
        let gone = self.started_free.saturating_sub(now.free).min(self.sent);
        if gone.saturating_sub(self.added.bytes) > self.granted.bytes.saturating_mul(2) {
            self.added.bytes = gone;
        }
        self.written = now;
        drop(held);
        if self.added.bytes > self.granted.bytes {
            return Some(limit("disk", self.added.bytes, self.granted.bytes));
        }
        (self.added.files > self.granted.files).then(|| limit("files", self.added.files, self.granted.files))
    }
}

/// Processes that stand still until this is dropped.
struct Held<'a>(&'a [i32]);

impl<'a> Held<'a> {
    fn new(tree: &'a [i32]) -> Self {
        signal(tree, Signal::STOP);
        Self(tree)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        signal(self.0, Signal::CONT);
    }
}

fn signal(tree: &[i32], signal: Signal) {
    for pid in tree.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        let _gone = kill_process(pid, signal);
    }
}

fn signs(folders: &[PathBuf], tree: &[i32]) -> Signs {
    let mut signs = Signs::default();
    for folder in folders {
        if let Ok(space) = rustix::fs::statvfs(folder) {
            signs.free = signs
                .free
                .saturating_add(space.f_bavail.saturating_mul(space.f_frsize));
            signs.free_files = signs.free_files.saturating_add(space.f_ffree);
        }
    }
    signs.sent = tree.iter().map(|pid| sent_by(*pid)).fold(0, u64::saturating_add);
    signs
}

/// Files of these file systems that have no name any more and live by a descriptor or a mapping of a process: bytes. A
/// mapping is taken for as large as it is.
fn unlinked(folders: &[PathBuf], tree: &[i32]) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let devices: Vec<u64> = folders
        .iter()
        .filter_map(|path| Some(path.metadata().ok()?.dev()))
        .collect();
    let mut found: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for pid in tree {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
        for entry in descriptors.into_iter().flatten().flatten() {
            let Ok(file) = fs::metadata(entry.path()) else {
                continue;
            };
            if file.is_file() && file.nlink() == 0 && devices.contains(&file.dev()) {
                found.insert((file.dev(), file.ino()), file.blocks().saturating_mul(512));
            }
        }
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        for line in maps.lines().filter(|line| line.ends_with(" (deleted)")) {
            if let Some((file, size)) = mapped(line).filter(|((device, _), _)| devices.contains(device)) {
                found.entry(file).or_insert(size);
            }
        }
    }
    found.values().copied().fold(0, u64::saturating_add)
}

/// Device and inode of a mapped file, and how much of it is mapped (proc(5), `/proc/pid/maps`).
fn mapped(line: &str) -> Option<((u64, u64), u64)> {
    let mut fields = line.split_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let size = u64::from_str_radix(to, 16)
        .ok()?
        .saturating_sub(u64::from_str_radix(from, 16).ok()?);
    let (major, minor) = fields.nth(2)?.split_once(':')?;
    let device = rustix::fs::makedev(
        u32::from_str_radix(major, 16).ok()?,
        u32::from_str_radix(minor, 16).ok()?,
    );
    let inode = fields.next()?.parse().ok()?;
    Some(((device, inode), size))
}

/// What is on disk below these folders; links and other file systems are not followed.
fn count(folders: &[PathBuf]) -> Space {
    use std::os::unix::fs::MetadataExt as _;
    let mut space = Space::default();
    let mut left: Vec<PathBuf> = folders.to_vec();
    while let Some(path) = left.pop() {
        let Ok(found) = path.symlink_metadata() else {
            continue;
        };
        space.bytes = space.bytes.saturating_add(found.blocks().saturating_mul(512));
        space.files = space.files.saturating_add(1);
        if space.files > ENTRIES {
            break;
        }
        if found.is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.path()),
            );
        }
    }
    space
}

/// The processes below process 1 of the cage, as seen from outside.
pub(crate) fn tree(root: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut left = vec![root];
    while let Some(pid) = left.pop() {
        let threads = fs::read_dir(format!("/proc/{pid}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            let children = children
                .split_whitespace()
                .filter_map(|word| word.parse::<i32>().ok());
            for child in children {
                found.push(child);
                left.push(child);
            }
        }
        if found.len() > 100_000 {
            break;
        }
    }
    found
}

/// A value of `/proc/PID/status` (proc(5)); sizes are in KiB.
fn value(status: &str, key: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

pub(crate) fn memory_of(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let own = value(&status, "RssAnon").saturating_add(value(&status, "RssShmem"));
    own.saturating_add(value(&status, "VmSwap")).saturating_mul(1024)
}

/// The same, with what is shared divided by those who share it.
fn share_of(pid: i32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let own = value(&rollup, "Pss_Anon").saturating_add(value(&rollup, "Pss_Shmem"));
    own.saturating_add(value(&rollup, "SwapPss")).saturating_mul(1024)
}

pub(crate) fn threads_of(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    value(&status, "Threads")
}

fn sent_by(pid: i32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let written = value(&io, "write_bytes");
    written.saturating_sub(value(&io, "cancelled_write_bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_counted_in_blocks_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().to_owned()];
        let before = count(&folders);
        fs::write(folder.path().join("a"), vec![1; 100_000]).unwrap();
        std::os::unix::fs::symlink("/usr", folder.path().join("link")).unwrap();
        let after = count(&folders);
        assert_eq!(after.files - before.files, 2);
        assert!(after.bytes - before.bytes >= 100_000);
        assert!(after.bytes - before.bytes < 1_000_000, "a link was followed");
    }

    #[test]
    fn a_file_without_a_name_is_counted_as_long_as_somebody_has_it() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(&vec![1; 1 << 20]).unwrap();
        file.sync_all().unwrap();
        let (folders, own) = (
            [folder.path().to_owned()],
            [i32::try_from(std::process::id()).unwrap()],
        );
        assert_eq!(unlinked(&folders, &own), 0);
        fs::remove_file(&path).unwrap();
        assert!(unlinked(&folders, &own) >= 1 << 20);
        drop(file);
        assert_eq!(unlinked(&folders, &own), 0);
    }

    #[test]
    fn a_mapping_names_its_file_and_its_size() {
        let line = "7f0000000000-7f0000100000 rw-s 00000000 fe:01 1234 /srv/x (deleted)";
        let device = rustix::fs::makedev(0xfe, 1);
        assert_eq!(mapped(line), Some(((device, 1234), 0x10_0000)));
        assert_eq!(mapped("nonsense (deleted)"), None);
    }

    #[test]
    fn children_of_children_are_found() {
        let mut child = {
            #[expect(clippy::disallowed_methods, reason = "a process to be found")]
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "sleep 60 & sleep 60 & wait"]);
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            command.spawn().unwrap()
        };
        let own = i32::try_from(child.id()).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while tree(own).len() < 2 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(tree(own).len(), 2);
        let _gone = rustix::process::kill_process_group(Pid::from_raw(own).unwrap(), Signal::KILL);
        child.wait().unwrap();
    }
}
