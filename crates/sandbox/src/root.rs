//! The root of the cage, built up from nothing: what is not put here is not there. Runs as process 1 of the cage, with
//! all capabilities over its own namespaces and none outside.

mod proc;
mod wide;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2, statat, symlinkat,
};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree,
    unmount,
};

use crate::guarded;
use crate::landlock::Use;
use crate::spec::{Limits, Spec};
use crate::sys;

/// The home of the program, and its user.
pub(crate) const HOME: &str = "/home/mcp";
/// User and group id that the program sees.
pub(crate) const USER: u32 = 1000;

/// What every program may read of the machine, where it is there. Nothing in it tells who the user is.
pub(crate) const SYSTEM: &[&str] = &[
    "/usr",
    "/nix/store",
    "/gnu/store",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/python3",
    "/etc/services",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
];
/// Links into `/usr` on most machines, folders of their own on some.
pub(crate) const MERGED: &[&str] = &["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

/// What the program may write, all on one file system of limited size.
const SCRATCH: &[(&str, &str, u32)] = &[
    ("tmp", "/tmp", 0o1777),
    ("var-tmp", "/var/tmp", 0o1777),
    ("shm", "/dev/shm", 0o1777),
    ("home", HOME, 0o700),
];

const FILES: &[(&str, &str)] = &[
    ("passwd", "mcp:x:1000:1000::/home/mcp:/bin/sh\n"),
    ("group", "mcp:x:1000:\n"),
    ("hostname", "mcp\n"),
    ("hosts", "127.0.0.1 localhost\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    (
        "resolv.conf",
        "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n",
    ),
    ("boot_id", "00000000-0000-4000-8000-000000000000\n"),
];

/// Nothing can be written through the mount.
const RDONLY: u64 = MountAttrFlags::MOUNT_ATTR_RDONLY.bits() as u64;

/// A tree to be put into the root.
struct Tree {
    mount: OwnedFd,
    target: PathBuf,
    folder: bool,
}

/// What stands: the paths for the second wall, and what a recording cage could not show.
pub(crate) struct Root {
    pub(crate) paths: Vec<(String, Use)>,
    pub(crate) unseen: Vec<PathBuf>,
}

/// Whether this is in every root.
pub(crate) fn has(path: &Path) -> bool {
    let scratch = SCRATCH.iter().map(|(_, target, _)| *target);
    let all = SYSTEM.iter().chain(MERGED).copied().chain(scratch);
    let file = path.strip_prefix("/etc").ok().and_then(Path::to_str);
    all.chain(["/run/secrets"]).any(|place| path.starts_with(place))
        || file.is_some_and(|file| FILES.iter().any(|(name, _)| *name == file))
}

/// Builds the root and makes it this process's. Nothing of the old one stays in sight.
pub(crate) fn build(spec: &Spec) -> io::Result<Root> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let mut paths = Vec::new();
    // All that comes from the old root is taken before anything covers a part of it.
    let mut trees = system(&mut paths)?;
    let wide = match &spec.learn {
        Some(learning) => Some(wide::take(spec, learning)?),
        None => {
            trees.extend(grants(spec, &mut paths)?);
            None
        }
    };
    let devices = devices(&mut paths)?;
    let root = file_system("tmpfs", &[("size", "4m"), ("nr_inodes", "8k"), ("mode", "0755")])?;
    attach(&root, CWD, "/tmp").or_else(|_| attach(&root, CWD, "/mnt"))?;
    let new = root.as_fd();
    merged(new)?;
    etc(new)?;
    let put_so_far = match wide {
        Some(wide) => wide.put(new, &spec.limits, &mut paths)?,
        None => wide::Put::default(),
    };
    scratch(new, &spec.limits, &mut paths)?;
    secrets(new, spec, &mut paths)?;
    folder(new, Path::new("/dev"))?;
    for tree in trees.iter().chain(&devices).chain(&put_so_far.later) {
        put(new, tree)?;
    }
    links(new, spec)?;
    for (link, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlinkat(target, new, format!("dev/{link}"))?;
    }
    proc::build(new, &spec.limits)?;
    if let Some(learning) = &spec.learn {
        wide::hide(new, learning)?;
    }
    paths.push(("/proc".to_owned(), Use::Read));
    sys::mount_attributes(new, RDONLY, false)?;
    rustix::process::fchdir(new)?;
    rustix::process::pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")?;
    Ok(Root {
        paths,
        unseen: put_so_far.unseen,
    })
}

fn system(paths: &mut Vec<(String, Use)>) -> io::Result<Vec<Tree>> {
    let mut trees = Vec::new();
    let merged = MERGED
        .iter()
        .filter(|path| Path::new(path).is_dir() && !Path::new(path).is_symlink());
    for path in SYSTEM.iter().chain(merged) {
        if Path::new(path).exists() {
            trees.push(tree(Path::new(path), Path::new(path), false)?);
            paths.push(((*path).to_owned(), Use::Read));
        }
    }
    paths.push(("/etc".to_owned(), Use::Read));
    Ok(trees)
}

fn grants(spec: &Spec, paths: &mut Vec<(String, Use)>) -> io::Result<Vec<Tree>> {
    let read = spec
        .runtime
        .iter()
        .chain(&spec.read)
        .map(|path| (path, Use::Read));
    let write = spec.write.iter().map(|path| (path, Use::Write));
    let mut all: Vec<(&PathBuf, Use)> = read.chain(write).collect();
    // What is within another comes after it; of two for the same place the one that allows more.
    all.sort_by_key(|(path, may)| (path.as_os_str().len(), *may == Use::Write));
    let mut trees = Vec::new();
    for (path, may) in all {
        let opened = tree(path, path, may == Use::Write).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("`{}` cannot be granted: {error}", path.display()),
            )
        })?;
        let folder = opened.folder;
        trees.push(opened);
        let text = path.to_str().ok_or_else(|| {
            io::Error::other(format!("`{}` cannot be granted: it is not UTF-8", path.display()))
        })?;
        paths.push((text.to_owned(), may));
        if may == Use::Write && folder {
            for (path, may) in guarded::within(path)? {
                trees.push(tree(&path, &path, may == Use::Write)?);
            }
        }
        if folder {
            for socket in guarded::sockets(path) {
                // Gone meanwhile, perhaps.
                trees.extend(tree(Path::new("/dev/null"), &socket, false).ok());
            }
        }
    }
    Ok(trees)
}

fn devices(paths: &mut Vec<(String, Use)>) -> io::Result<Vec<Tree>> {
    let mut trees = Vec::new();
    for name in DEVICES {
        let path = format!("/dev/{name}");
        let device = take(Path::new(&path))?;
        // A device can be written to through a read-only mount; its mode and owner, which are the machine's, cannot be
        // changed (by a program of root's they could).
        let nosuid = u64::from(MountAttrFlags::MOUNT_ATTR_NOSUID.bits());
        sys::mount_attributes(device.as_fd(), nosuid | RDONLY, true)?;
        trees.push(Tree {
            mount: device,
            target: PathBuf::from(&path),
            folder: false,
        });
        paths.push((path, Use::Device));
    }
    Ok(trees)
}

/// A copy of a tree of the old root, opened without following a link: what was looked at is what is granted (CVE-2024-42472
/// and its kind).
fn tree(from: &Path, target: &Path, write: bool) -> io::Result<Tree> {
    let mount = take(from)?;
    let folder = FileType::from_raw_mode(fstat(&mount)?.st_mode).is_dir();
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    if !write {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    sys::mount_attributes(mount.as_fd(), u64::from(attributes.bits()), true)?;
    Ok(Tree {
        mount,
        target: target.to_owned(),
        folder,
    })
}

fn take(path: &Path) -> io::Result<OwnedFd> {
    let place = openat2(
        CWD,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )?;
    Ok(open_tree(
        place,
        "",
        OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE,
    )?)
}

/// A new file system of this kind.
fn file_system(kind: &str, settings: &[(&str, &str)]) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in settings {
        fsconfig_set_string(context.as_fd(), *key, *value)?;
    }
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
    )?)
}

fn attach(mount: &OwnedFd, folder: BorrowedFd<'_>, path: &str) -> io::Result<()> {
    Ok(move_mount(
        mount,
        "",
        folder,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
}

/// Puts a tree at its place in the new root.
fn put(new: BorrowedFd<'_>, tree: &Tree) -> io::Result<()> {
    if tree.folder {
        folder(new, &tree.target)?;
    } else {
        file(new, &tree.target, "")?;
    }
    let place = within(new, &tree.target)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(&tree.mount, "", place, "", flags)?)
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// A place in the new root. What was mounted there before may be under somebody else's control: no link is followed.
fn within(new: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    Ok(openat2(
        new,
        relative(path),
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )?)
}

/// Makes a folder and those above it, where they are not there yet.
fn folder(new: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let mut so_far = PathBuf::new();
    for part in relative(path).components() {
        so_far.push(part);
        match mkdirat(new, &so_far, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            // It may be there on a file system where nothing can be made.
            Err(_) if within(new, &so_far).is_ok() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Makes a file where there is none yet.
fn file(new: BorrowedFd<'_>, path: &Path, text: &str) -> io::Result<()> {
    if let Some(above) = path.parent() {
        folder(new, above)?;
    }
    if within(new, path).is_ok() {
        return Ok(());
    }
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::EXCL | OFlags::NOFOLLOW;
    let file = openat(new, relative(path), flags, Mode::from_raw_mode(0o444))?;
    rustix::io::write(&file, text.as_bytes())?;
    Ok(())
}

/// `/bin` and its like, where they are links.
fn merged(new: BorrowedFd<'_>) -> io::Result<()> {
    for path in MERGED {
        if let Ok(target) = std::fs::read_link(path) {
            symlinkat(target, new, relative(Path::new(path)))?;
        }
    }
    Ok(())
}

/// Names by which a granted place is known as well.
fn links(new: BorrowedFd<'_>, spec: &Spec) -> io::Result<()> {
    for (path, target) in &spec.links {
        if let Some(above) = path.parent() {
            folder(new, above)?;
        }
        if statat(new, relative(path), rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_err() {
            symlinkat(target, new, relative(path))?;
        }
    }
    Ok(())
}

fn etc(new: BorrowedFd<'_>) -> io::Result<()> {
    for (name, text) in FILES {
        file(new, &Path::new("/etc").join(name), text)?;
    }
    folder(new, Path::new("/run"))?;
    folder(new, Path::new("/var"))?;
    Ok(symlinkat("../run", new, "var/run")?)
}

/// One file system for all that the program may write besides its grants: its size is one limit for all of it.
fn scratch(new: BorrowedFd<'_>, limits: &Limits, paths: &mut Vec<(String, Use)>) -> io::Result<()> {
    let (size, files) = (limits.disk.to_string(), limits.files.to_string());
    let space = file_system(
        "tmpfs",
        &[("size", &size), ("nr_inodes", &files), ("mode", "0700")],
    )?;
    folder(new, Path::new("/run/scratch"))?;
    attach(&space, new, "run/scratch")?;
    for (name, target, mode) in SCRATCH {
        mkdirat(&space, *name, Mode::from_raw_mode(0o700))?;
        rustix::fs::chmodat(
            &space,
            *name,
            Mode::from_raw_mode(*mode),
            rustix::fs::AtFlags::empty(),
        )?;
        let part = open_tree(
            &space,
            *name,
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
        )?;
        folder(new, Path::new(target))?;
        attach(&part, new, target.trim_start_matches('/'))?;
        paths.push(((*target).to_owned(), Use::Write));
    }
    unmount_within(new, "run/scratch")
}

fn unmount_within(new: BorrowedFd<'_>, path: &str) -> io::Result<()> {
    let old = openat(CWD, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    rustix::process::fchdir(new)?;
    let done = unmount(path, UnmountFlags::DETACH);
    rustix::process::fchdir(&old)?;
    Ok(done?)
}

/// Each secret is a file that only the program can read, on a file system in memory.
fn secrets(new: BorrowedFd<'_>, spec: &Spec, paths: &mut Vec<(String, Use)>) -> io::Result<()> {
    if spec.secrets.is_empty() {
        return Ok(());
    }
    let space = file_system("tmpfs", &[("size", "4m"), ("nr_inodes", "1k"), ("mode", "0500")])?;
    for (name, value) in &spec.secrets {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = openat(&space, name.as_str(), flags, Mode::from_raw_mode(0o400))?;
        let mut rest = value.as_bytes();
        while !rest.is_empty() {
            let written = rustix::io::write(&file, rest)?;
            rest = rest.get(written..).unwrap_or_default();
        }
    }
    sys::mount_attributes(space.as_fd(), RDONLY, false)?;
    folder(new, Path::new("/run/secrets"))?;
    paths.push(("/run/secrets".to_owned(), Use::Read));
    attach(&space, new, "run/secrets")
}
