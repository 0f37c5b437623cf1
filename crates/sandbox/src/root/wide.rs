//! The root of a recording cage: the machine's files are in sight, each tree under a layer in memory that takes what is
//! written (overlayfs). The layer has inodes of its own: sockets and pipes of the machine are names without anybody
//! behind them. Not in sight: `/tmp`, `/run`, and places that must stay hidden.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2, symlinkat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::{
    HOME, MERGED, RDONLY, Tree, attach, file_system, folder, put, relative, tree, unmount_within, within,
};
use crate::landlock::Use;
use crate::learn::Learning;
use crate::spec::{Limits, Spec};
use crate::sys;

/// Folders of the machine that are not shown: the cage has its own, or they hold what all programs share.
const OWN: &[&str] = &["/dev", "/lost+found", "/proc", "/run", "/sys", "/tmp", "/usr"];
/// Folders in which the cage has something of its own: they are made anew, and what is in them is shown.
const OPENED: &[&str] = &["/home"];
/// Kinds of file systems that hold no files of people.
const NO_FILES: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];
/// Places of the new root, at most.
const PLACES: usize = 4_000;
/// What the cage has of its own further below.
const OWN_BELOW: &[&str] = &["/var/tmp", HOME];
/// Where the layers are while they are made.
const LAYERS: &str = "run/layers";

/// The machine's trees, taken before anything covers them.
pub(super) struct Wide {
    places: Vec<Place>,
}

enum Place {
    /// A folder that is made anew, and others follow for what is in it.
    Folder(PathBuf),
    Link(PathBuf, PathBuf),
    File(Tree),
    /// A folder to be put under a layer.
    Layer(PathBuf, OwnedFd),
}

/// Looks at what there is.
pub(super) fn take(spec: &Spec, learning: &Learning) -> io::Result<Wide> {
    let mounts = mounts(&std::fs::read_to_string("/proc/self/mountinfo")?);
    let mut wide = Wide { places: Vec::new() };
    for path in entries(Path::new("/"))? {
        let known = OWN.iter().chain(MERGED).any(|own| path == Path::new(own));
        if !known {
            wide.look(&path, &mounts);
        }
    }
    for path in learning.shown.iter().chain(&spec.runtime) {
        if !wide.shows(path) {
            wide.look(path, &mounts);
        }
    }
    Ok(wide)
}

/// What is mounted where, and whether it holds files (proc(5), `/proc/pid/mountinfo`).
fn mounts(text: &str) -> Vec<(PathBuf, bool)> {
    let mount = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?;
        let kind = after.split(' ').next()?;
        Some((PathBuf::from(unescaped(point)), !NO_FILES.contains(&kind)))
    };
    text.lines().filter_map(mount).collect()
}

/// Spaces and the like are written in octal.
fn unescaped(point: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(point.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    all.sort();
    Ok(all)
}

impl Wide {
    fn shows(&self, path: &Path) -> bool {
        self.places.iter().any(|place| match place {
            Place::Layer(folder, _) => path.starts_with(folder),
            Place::File(tree) => path == tree.target,
            Place::Folder(_) | Place::Link(..) => false,
        })
    }

    fn look(&mut self, path: &Path, mounts: &[(PathBuf, bool)]) {
        if self.places.len() >= PLACES {
            return;
        }
        let Ok(found) = path.symlink_metadata() else {
            return;
        };
        if found.is_symlink() {
            if let Ok(target) = std::fs::read_link(path) {
                self.places.push(Place::Link(path.to_owned(), target));
            }
        } else if found.is_file() {
            // Of what cannot be taken the program sees nothing.
            self.places.extend(tree(path, path, false).ok().map(Place::File));
        } else if found.is_dir() {
            let own = mounts.iter().rfind(|(point, _)| point == path);
            let within = mounts
                .iter()
                .any(|(point, _)| point != path && point.starts_with(path));
            if own.is_some_and(|(_, files)| !files) {
                return;
            }
            // A layer shows one file system, and the kernel makes none over a place that hides another.
            if within || OPENED.iter().any(|folder| path == Path::new(folder)) {
                self.places.push(Place::Folder(path.to_owned()));
                for entry in entries(path).unwrap_or_default() {
                    self.look(&entry, mounts);
                }
            } else if let Ok(lower) = place(path) {
                self.places.push(Place::Layer(path.to_owned(), lower));
            }
        }
    }

    /// Puts it into the new root, but for what lies in a folder of the cage's own: that comes back, to be put there when
    /// it is made.
    pub(super) fn put(
        self,
        new: BorrowedFd<'_>,
        limits: &Limits,
        paths: &mut Vec<(String, Use)>,
    ) -> io::Result<Put> {
        let (size, files) = (limits.disk.to_string(), limits.files.to_string());
        let space = file_system(
            "tmpfs",
            &[("size", &size), ("nr_inodes", &files), ("mode", "0700")],
        )?;
        folder(new, Path::new(LAYERS))?;
        attach(&space, new, LAYERS)?;
        let (mut later, mut unseen) = (Vec::new(), Vec::new());
        let (mut tops, mut layers, mut failed) = (BTreeSet::new(), 0_u32, None);
        for place in self.places {
            match place {
                Place::Folder(path) | Place::Link(path, _) if is_own(&path) => {}
                Place::Folder(path) => folder(new, &path)?,
                Place::Link(path, target) => {
                    if within(new, &path).is_err() {
                        let _there = symlinkat(&target, new, relative(&path));
                    }
                }
                // The cage has a file of its own there.
                Place::File(tree) if within(new, &tree.target).is_ok() => {}
                Place::File(tree) => {
                    tops.extend(top(&tree.target));
                    place_now(new, tree, &mut later)?;
                }
                Place::Layer(path, lower) => {
                    tops.extend(top(&path));
                    layers = layers.saturating_add(1);
                    match layer(new, layers, &path, &lower) {
                        Ok(mount) => {
                            let (target, folder) = (path, true);
                            let tree = Tree {
                                mount,
                                target,
                                folder,
                            };
                            place_now(new, tree, &mut later)?;
                        }
                        Err(error) => {
                            failed.get_or_insert(error);
                            unseen.push(path);
                        }
                    }
                }
            }
        }
        unmount_within(new, LAYERS)?;
        if let Some(error) = failed.filter(|_| usize::try_from(layers).is_ok_and(|all| all == unseen.len())) {
            return Err(io::Error::other(format!(
                "a recording cage needs overlayfs in user namespaces (Linux 5.11 and later): {error}"
            )));
        }
        paths.extend(tops.into_iter().map(|path| (path, Use::Write)));
        Ok(Put { later, unseen })
    }
}

/// What is left when the machine's trees stand.
#[derive(Default)]
pub(super) struct Put {
    /// To be put into the root as well, last.
    pub(super) later: Vec<Tree>,
    /// What could not be shown.
    pub(super) unseen: Vec<PathBuf>,
}

fn place_now(new: BorrowedFd<'_>, tree: Tree, later: &mut Vec<Tree>) -> io::Result<()> {
    if is_own(&tree.target) {
        later.push(tree);
        return Ok(());
    }
    put(new, &tree)
}

/// Whether the cage has a folder of its own above this.
fn is_own(path: &Path) -> bool {
    OWN.iter().chain(OWN_BELOW).any(|own| path.starts_with(own))
}

/// What the second wall opens for a place: the folder in `/`, or the place itself where that is one of the cage's own.
fn top(path: &Path) -> Option<String> {
    let first: PathBuf = path.components().take(2).collect();
    let opened = if is_own(path) { path } else { first.as_path() };
    opened.to_str().map(str::to_owned)
}

fn place(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat2(
        CWD,
        path,
        OFlags::PATH | OFlags::CLOEXEC | OFlags::DIRECTORY,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )?)
}

/// A folder of the machine under a layer that takes what is written.
fn layer(new: BorrowedFd<'_>, number: u32, path: &Path, lower: &OwnedFd) -> io::Result<OwnedFd> {
    // By its descriptor: the name may be covered by now.
    let mode = fstat(lower)?.st_mode & 0o1777;
    let make = |kind: &str, mode: u32| {
        let name = format!("{LAYERS}/{kind}{number}");
        mkdirat(new, &name, Mode::from_raw_mode(0o700))?;
        rustix::fs::chmodat(
            new,
            &name,
            Mode::from_raw_mode(mode),
            rustix::fs::AtFlags::empty(),
        )?;
        within(new, Path::new(&name))
    };
    // The layer's own folder is what the program sees the mode of.
    let (upper, work) = (make("upper", mode | 0o700)?, make("work", 0o700)?);
    // Descriptors instead of names: those may hold any letter.
    let named = |descriptor: &OwnedFd| format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let own = (path == Path::new("/etc"))
        .then(|| within(new, path))
        .transpose()?;
    let lowers = own.iter().chain([lower]).map(named).collect::<Vec<_>>().join(":");
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "lowerdir", lowers)?;
    fsconfig_set_string(context.as_fd(), "upperdir", named(&upper))?;
    fsconfig_set_string(context.as_fd(), "workdir", named(&work))?;
    fsconfig_set_flag(context.as_fd(), "userxattr")?;
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
    )?)
}

/// Covers what must stay hidden. What cannot be covered is an error: the program may reach the network.
pub(super) fn hide(new: BorrowedFd<'_>, learning: &Learning) -> io::Result<()> {
    let nothing = file_system("tmpfs", &[("size", "4k"), ("nr_inodes", "2"), ("mode", "0555")])?;
    sys::mount_attributes(nothing.as_fd(), RDONLY, false)?;
    folder(new, Path::new("/run/hidden"))?;
    attach(&nothing, new, "run/hidden")?;
    for path in &learning.hidden {
        let place = match within(new, path) {
            Ok(place) => place,
            // What is not in sight need not be covered.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ENOENT | libc::ENOTDIR | libc::EACCES)
                ) =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        let is_folder = FileType::from_raw_mode(fstat(&place)?.st_mode).is_dir();
        let cover = open_tree(
            new,
            if is_folder { "run/hidden" } else { "dev/null" },
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
        )?;
        sys::mount_attributes(cover.as_fd(), RDONLY, false)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&cover, "", place, "", flags)?;
    }
    unmount_within(new, "run/hidden")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read() {
        let text = "22 1 254:0 / / rw - ext4 /dev/vda rw\n23 22 0:5 / /proc rw shared:1 - proc proc rw\n\
                    24 22 8:1 / /mnt/my\\040disk rw - vfat /dev/sdb rw\nnonsense\n";
        assert_eq!(
            mounts(text),
            [
                ("/".into(), true),
                ("/proc".into(), false),
                ("/mnt/my disk".into(), true)
            ]
        );
    }

    #[test]
    fn the_second_wall_opens_no_folder_of_the_cage() {
        for (path, opened) in [
            ("/home/ada/x", "/home"),
            ("/etc", "/etc"),
            ("/tmp/work", "/tmp/work"),
            ("/run/media/ada", "/run/media/ada"),
        ] {
            assert_eq!(top(Path::new(path)).as_deref(), Some(opened), "{path}");
        }
    }
}
