//! `/proc` of the cage: its own processes only, nothing of the machine, nothing to write.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{OpenTreeFlags, open_tree};

use super::{RDONLY, attach, file_system, folder, unmount_within, within};
use crate::spec::Limits;
use crate::sys;

/// Files of `/proc` that tell of the machine, or move it.
const HIDDEN_FILES: &[&str] = &[
    "cmdline",
    "config.gz",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "modules",
    "sched_debug",
    "slabinfo",
    "sysrq-trigger",
    "timer_list",
    "vmallocinfo",
];
const HIDDEN_FOLDERS: &[&str] = &["acpi", "asound", "bus", "driver", "fs", "irq", "scsi"];
/// Where each start of the machine has a number of its own.
const BOOT: &str = "sys/kernel/random/boot_id";

/// `/proc` with the processes of the cage only, and nothing in it to write.
pub(super) fn build(new: BorrowedFd<'_>, limits: &Limits) -> io::Result<()> {
    let proc = file_system("proc", &[("hidepid", "invisible")])?;
    // No cage within the cage; not many more process ids than there may be processes. The first 300 are given out once
    // only. Before 6.14 that setting is the whole machine's, and root could change it.
    let ids = limits.processes.saturating_add(332).to_string();
    let own_ids = kernel() >= (6, 14);
    for (setting, value) in [
        ("sys/user/max_user_namespaces", Some("0")),
        ("sys/kernel/pid_max", own_ids.then_some(ids.as_str())),
    ] {
        let file = openat(&proc, setting, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        if let (Ok(file), Some(value)) = (file, value) {
            let _refused = rustix::io::write(&file, value.as_bytes());
        }
    }
    sys::mount_attributes(proc.as_fd(), RDONLY, false)?;
    folder(new, Path::new("/proc"))?;
    attach(&proc, new, "proc")?;
    for name in HIDDEN_FILES {
        cover(new, &format!("proc/{name}"), "dev/null")?;
    }
    cover(new, &format!("proc/{BOOT}"), "etc/boot_id")?;
    let nothing = file_system("tmpfs", &[("size", "4k"), ("nr_inodes", "2"), ("mode", "0555")])?;
    sys::mount_attributes(nothing.as_fd(), RDONLY, false)?;
    folder(new, Path::new("/run/nothing"))?;
    attach(&nothing, new, "run/nothing")?;
    for name in HIDDEN_FOLDERS {
        cover(new, &format!("proc/{name}"), "run/nothing")?;
    }
    unmount_within(new, "run/nothing")
}

/// The version of the kernel (uname(2)).
fn kernel() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release
        .split(['.', '-'])
        .map(|part| part.parse().unwrap_or_default());
    (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    )
}

/// Covers a place with another one of the new root, when it is there.
fn cover(new: BorrowedFd<'_>, path: &str, with: &str) -> io::Result<()> {
    if within(new, Path::new(path)).is_err() {
        return Ok(());
    }
    let cover = open_tree(
        new,
        with,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    )?;
    sys::mount_attributes(cover.as_fd(), RDONLY, false)?;
    attach(&cover, new, path)
}
