//! Who runs an attack: this user, or, where that is root, an ordinary one whose number nobody else has.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// The one who runs the tests.
    Own,
    /// One with this number, without a name.
    Lent(u32),
}

/// Numbers of users, for each process of tests others.
static NEXT: AtomicU32 = AtomicU32::new(0);

impl User {
    /// A user who is not root, and no one else's: its processes can be ended by its number alone.
    pub(crate) fn ordinary() -> Self {
        if !is_root() {
            return Self::Own;
        }
        let first = 20_000 + std::process::id() % 190 * 210;
        Self::Lent(first + NEXT.fetch_add(1, Ordering::Relaxed) % 210)
    }

    /// Lets a command run as this user.
    pub(crate) fn runs(self, command: &mut Command) {
        if let Self::Lent(number) = self {
            command.uid(number).gid(number);
        }
    }

    /// Gives it a file or folder.
    pub(crate) fn owns(self, path: &Path) {
        if let Self::Lent(number) = self {
            std::os::unix::fs::lchown(path, Some(number), Some(number)).unwrap();
        }
    }

    /// Gives it a folder with all that is in it.
    pub(crate) fn owns_all(self, path: &Path) {
        self.owns(path);
        if path.is_dir() && !path.is_symlink() {
            for entry in std::fs::read_dir(path).unwrap() {
                self.owns_all(&entry.unwrap().path());
            }
        }
    }

    /// For people.
    pub(crate) fn shown(self) -> &'static str {
        match (self, is_root()) {
            (Self::Lent(_), _) | (Self::Own, false) => "user",
            (Self::Own, true) => "root",
        }
    }
}

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}
