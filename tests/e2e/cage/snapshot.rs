//! Files as they were before a run and as they are after it, and what of a change is an escape.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::{DISK, FILES};

/// Folders of which nothing is granted.
const NOT_GRANTED: &[&str] = &["home", "outside", "readonly"];
/// What runs by itself, in a folder that is granted.
const PROTECTED: &[&str] = &[
    ".git/hooks",
    ".git/config",
    ".git/config.worktree",
    ".git/commondir",
    ".vscode",
    ".idea",
    ".claude",
    ".cursor",
    ".mcp.json",
    ".envrc",
    ".husky",
];
/// What Mantlet itself may keep in a home.
const ITS_OWN: &[&str] = &[
    "home/.local/state",
    "home/.local/share",
    "home/.config/mantlet",
    "home/.cache/mantlet",
];
/// Where a marker may be left for others.
const SHARED: &[&str] = &[
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/run",
    "/run/lock",
    "/var/crash",
    "/var/spool/cron",
    "/usr/local/bin",
    "/usr/lib/python3/dist-packages",
    "/etc",
    "/etc/cron.d",
    "/etc/profile.d",
    "/etc/ld.so.conf.d",
    "/var/lib",
    "/opt",
    "/boot",
    "/lib/modules",
    "/var/log",
];

/// Files by name: what kind they are, their mode and what is in them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    outside: BTreeMap<String, String>,
    protected: BTreeMap<String, String>,
}

impl Snapshot {
    /// Looks at everything that a caged program must not change.
    pub(crate) fn take(directory: &Path) -> Self {
        let mut outside = BTreeMap::new();
        for name in NOT_GRANTED {
            walk(directory, name, &mut outside);
        }
        let mut protected = BTreeMap::new();
        for repository in ["home/project", "home/project/lib/part"] {
            let git = format!("{repository}/.git");
            // Of `.git` itself only what it is: a file or a link in its place leads elsewhere.
            let what = describe(&directory.join(&git));
            if what.as_deref().is_some_and(|what| !what.starts_with("folder")) {
                protected.extend(what.map(|what| (git, what)));
            }
            for name in PROTECTED {
                walk(directory, &format!("{repository}/{name}"), &mut protected);
            }
        }
        Self { outside, protected }
    }

    /// What changed that must not.
    pub(crate) fn changes(&self, after: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, was) in &self.outside {
            match after.outside.get(name) {
                Some(is) if is == was => {}
                Some(is) => changes.push(format!("{name} was {was:.40?} and is {is:.40?}")),
                None => changes.push(format!("{name} is gone")),
            }
        }
        let new = after
            .outside
            .keys()
            .filter(|name| !self.outside.contains_key(*name));
        changes.extend(new.map(|name| format!("{name} is new")));
        for (name, is) in &after.protected {
            // An empty file is what a cage may put there, so that nothing else is put there.
            let harmless =
                self.protected.get(name) == Some(is) || is.starts_with("folder") || is.ends_with(": ");
            if !harmless {
                changes.push(format!("{name} is now {is:.60?}"));
            }
        }
        changes
    }
}

/// Things in the granted folder that are too many, too big, or dangerous for others.
pub(crate) fn excesses(project: &Path) -> Vec<String> {
    let mut all = Vec::new();
    collect(project, &mut all);
    let mut found = Vec::new();
    let (mut blocks, mut files) = (0, 0);
    for (name, data) in &all {
        files += 1;
        blocks += data.blocks();
        if data.permissions().mode() & 0o6000 != 0 && !data.is_symlink() {
            found.push(format!("{name} has the mode {:o}", data.permissions().mode()));
        }
        if data.file_type().is_block_device() || data.file_type().is_char_device() {
            found.push(format!("{name} is a device"));
        }
    }
    let size = blocks >> 11;
    // A little more than granted is there before the cage ends it.
    if size > DISK * 2 {
        found.push(format!("{size} MB lie in the granted folder"));
    }
    if files > FILES * 2 {
        found.push(format!("{files} files lie in the granted folder"));
    }
    found
}

fn collect(folder: &Path, into: &mut Vec<(String, std::fs::Metadata)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Ok(data) = entry.path().symlink_metadata() {
            let is_folder = data.is_dir();
            into.push((entry.file_name().to_string_lossy().into_owned(), data));
            if is_folder {
                collect(&entry.path(), into);
            }
        }
    }
}

/// Files with this mark in places that everybody uses; they are removed.
pub(crate) fn left_in_shared_places(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for folder in SHARED {
        for name in [mark.to_owned(), format!("{mark}.own")] {
            let path = Path::new(folder).join(name);
            if path.symlink_metadata().is_ok_and(|data| data.is_file()) {
                found.push(format!("{} was left", path.display()));
                let _gone = std::fs::remove_file(&path);
            }
        }
    }
    found
}

fn walk(directory: &Path, name: &str, into: &mut BTreeMap<String, String>) {
    let path = directory.join(name);
    let Some(what) = describe(&path) else {
        return;
    };
    if ITS_OWN.contains(&name) || name == "home/project" {
        return;
    }
    let is_folder = what.starts_with("folder");
    into.insert(name.to_owned(), what);
    if is_folder {
        for entry in std::fs::read_dir(&path).into_iter().flatten().flatten() {
            walk(
                directory,
                &format!("{name}/{}", entry.file_name().to_string_lossy()),
                into,
            );
        }
    }
}

fn describe(path: &Path) -> Option<String> {
    let data = path.symlink_metadata().ok()?;
    let mode = data.permissions().mode() & 0o7777;
    Some(if data.is_dir() {
        format!("folder {mode:o}")
    } else if data.is_symlink() {
        format!("link to {}", std::fs::read_link(path).ok()?.display())
    } else if data.is_file() {
        let text = std::fs::read(path).unwrap_or_default();
        format!("file {mode:o}: {}", String::from_utf8_lossy(&text))
    } else {
        format!("something else {mode:o}")
    })
}
