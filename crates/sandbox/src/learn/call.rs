//! Which system calls are recorded, and which paths they name how. What is read is the caller's memory.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use libc::c_long;

use super::Act;
use crate::sys::{self, Notified};

/// The calls that are heard in a recording cage besides those that always are.
pub(crate) const RECORDED: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_truncate,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_listen,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_creat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
];

/// The longest path (`PATH_MAX`), and the size of a page of memory.
const LONGEST: usize = 4096;
const PAGE: u64 = 4096;

/// A path in a call: the descriptor that it is relative to (none: the current directory), where it is, what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named {
    folder: Option<u64>,
    address: u64,
    act: Act,
}

/// The paths that a call names, absolute, with what it wants of them. An error is one that could not be read.
pub(super) fn paths(call: &Notified) -> Vec<io::Result<(PathBuf, Act)>> {
    let named = named(call);
    let read = |named: Named| Ok((resolve(call.pid, named)?, named.act));
    named.into_iter().map(read).collect()
}

fn named(call: &Notified) -> Vec<Named> {
    let [a, b, c, d, ..] = call.arguments;
    let at = |folder, address, act| Named {
        folder: Some(folder),
        address,
        act,
    };
    let plain = |address, act| Named {
        folder: None,
        address,
        act,
    };
    match c_long::from(call.call) {
        libc::SYS_openat => vec![at(a, b, opened(c))],
        libc::SYS_mkdirat => vec![at(a, b, Act::MakeFolder)],
        libc::SYS_unlinkat => vec![at(a, b, Act::Remove)],
        libc::SYS_renameat | libc::SYS_renameat2 => vec![at(a, b, Act::Remove), at(c, d, Act::Replace)],
        libc::SYS_linkat => vec![at(a, b, Act::Read), at(c, d, Act::Replace)],
        libc::SYS_symlinkat => vec![at(b, c, Act::Replace)],
        libc::SYS_truncate => vec![plain(a, Act::Write)],
        libc::SYS_execve => vec![plain(a, Act::Run)],
        libc::SYS_execveat => vec![at(a, b, Act::Run)],
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => vec![plain(a, opened(b))],
        #[cfg(target_arch = "x86_64")]
        libc::SYS_creat => vec![plain(a, Act::Make)],
        #[cfg(target_arch = "x86_64")]
        libc::SYS_mkdir => vec![plain(a, Act::MakeFolder)],
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rmdir | libc::SYS_unlink => vec![plain(a, Act::Remove)],
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename => vec![plain(a, Act::Remove), plain(b, Act::Replace)],
        #[cfg(target_arch = "x86_64")]
        libc::SYS_link => vec![plain(a, Act::Read), plain(b, Act::Replace)],
        #[cfg(target_arch = "x86_64")]
        libc::SYS_symlink => vec![plain(b, Act::Replace)],
        _ => Vec::new(),
    }
}

/// What the flags of an open say (open(2)).
fn opened(flags: u64) -> Act {
    let has = |flag: libc::c_int| {
        let flag = u64::from(flag.unsigned_abs());
        flags & flag == flag
    };
    if has(libc::O_TMPFILE) {
        Act::Write
    } else if has(libc::O_CREAT) {
        Act::Make
    } else if has(libc::O_WRONLY) || has(libc::O_RDWR) || has(libc::O_TRUNC) {
        Act::Write
    } else {
        Act::Read
    }
}

fn resolve(pid: u32, named: Named) -> io::Result<PathBuf> {
    let path = text(pid, named.address)?;
    let path = Path::new(OsStr::from_bytes(&path));
    if path.is_absolute() {
        return Ok(tidy(path));
    }
    // The kernel takes the lower half; the current directory is a negative number.
    let lower = |folder: u64| folder & 0xffff_ffff;
    let here = lower(u64::from_ne_bytes(i64::from(libc::AT_FDCWD).to_ne_bytes()));
    let link = match named.folder.map(lower) {
        Some(folder) if folder != here => format!("/proc/{pid}/fd/{folder}"),
        _ => format!("/proc/{pid}/cwd"),
    };
    let folder = std::fs::read_link(link)?;
    // What is no file has a name that is no path: `socket:[1]`, `/memfd:x (deleted)`.
    if !folder.is_absolute() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(tidy(&folder.join(path)))
}

/// Without `.` and doubled slashes. `..` stays: behind a link it leads elsewhere than its text says.
fn tidy(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

/// The text at an address up to its NUL. A page at a time: the next one may not be there.
fn text(pid: u32, address: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut at = address;
    while text.len() < LONGEST {
        let left = usize::try_from(PAGE.saturating_sub(at % PAGE)).unwrap_or(LONGEST);
        let mut page = vec![0; left];
        let read = sys::read_memory(pid, at, &mut page)?;
        let page = page.get(..read).unwrap_or_default();
        if let Some(end) = page.iter().position(|byte| *byte == 0) {
            text.extend(page.iter().take(end));
            return Ok(text);
        }
        if read < left {
            break;
        }
        text.extend(page);
        at = at.saturating_add(u64::try_from(read).unwrap_or(PAGE));
    }
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of this very process, which may read its own memory.
    fn call(number: c_long, arguments: &[u64]) -> Notified {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        Notified {
            id: 0,
            pid: std::process::id(),
            call: i32::try_from(number).unwrap(),
            arguments: all,
        }
    }

    fn address(text: &std::ffi::CStr) -> u64 {
        text.as_ptr().addr() as u64
    }

    fn read(call: &Notified) -> Vec<(String, Act)> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        paths(call)
            .into_iter()
            .map(|named| named.map(|(path, act)| (text(path), act)).unwrap())
            .collect()
    }

    const HERE: u64 = (libc::AT_FDCWD as i64).cast_unsigned();

    #[test]
    fn paths_are_read_and_made_absolute() {
        let full = c"/srv//data/./x";
        let open = call(libc::SYS_openat, &[HERE, address(full), 0]);
        assert_eq!(read(&open), [("/srv/data/x".to_owned(), Act::Read)]);
        let here = std::env::current_dir().unwrap();
        let upward = c"../x";
        for folder in [HERE, HERE & 0xffff_ffff] {
            let open = call(libc::SYS_openat, &[folder, address(upward), 0]);
            assert_eq!(read(&open), [(format!("{}/../x", here.display()), Act::Read)]);
        }
        let folder = std::fs::File::open("/usr").unwrap();
        let number = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&folder)).unwrap();
        let inside = c"bin/sh";
        let open = call(libc::SYS_openat, &[number, address(inside), 0]);
        assert_eq!(read(&open), [("/usr/bin/sh".to_owned(), Act::Read)]);
    }

    #[test]
    fn each_call_says_what_it_wants() {
        let (old, new) = (c"/a", c"/b");
        let (a, b) = (address(old), address(new));
        let flags = |flags: libc::c_int| u64::try_from(flags).unwrap();
        for (number, arguments, expected) in [
            (
                libc::SYS_openat,
                vec![HERE, a, flags(libc::O_RDWR)],
                vec![("/a", Act::Write)],
            ),
            (
                libc::SYS_openat,
                vec![HERE, a, flags(libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC)],
                vec![("/a", Act::Make)],
            ),
            (
                libc::SYS_openat,
                vec![HERE, a, flags(libc::O_DIRECTORY)],
                vec![("/a", Act::Read)],
            ),
            (
                libc::SYS_openat,
                vec![HERE, a, flags(libc::O_TMPFILE | libc::O_RDWR)],
                vec![("/a", Act::Write)],
            ),
            (
                libc::SYS_renameat2,
                vec![HERE, a, HERE, b],
                vec![("/a", Act::Remove), ("/b", Act::Replace)],
            ),
            (libc::SYS_symlinkat, vec![a, HERE, b], vec![("/b", Act::Replace)]),
            (libc::SYS_execve, vec![a], vec![("/a", Act::Run)]),
            (libc::SYS_listen, vec![3], vec![]),
        ] {
            let expected: Vec<(String, Act)> = expected
                .iter()
                .map(|(path, act)| ((*path).to_owned(), *act))
                .collect();
            assert_eq!(read(&call(number, &arguments)), expected, "{number}");
        }
    }

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        let open = call(libc::SYS_openat, &[HERE, 16, 0]);
        assert!(paths(&open).iter().all(Result::is_err));
        // Text up to the last byte of a page, without an end.
        let long = vec![b'x'; 3 * LONGEST];
        let open = call(libc::SYS_openat, &[HERE, long.as_ptr().addr() as u64, 0]);
        assert!(paths(&open).iter().all(Result::is_err));
    }
}
