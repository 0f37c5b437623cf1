//! Where installed packages are kept: a folder for each server and what it asked for, so that no server's packages are
//! another's. What is in it:
//!
//! - `lock`: held by the one process that installs;
//! - `tree-N`: the package with all that it needs. All that an installation can write, and read-only ever after. It is
//!   made where it stays, since a Python environment holds its own path;
//! - `installed.json`: the record. It is written last: a tree without it is not complete, and is made anew.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use super::digest::{hex, put};

/// What an installation may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// Between two tries to get the lock.
const PAUSE: Duration = Duration::from_millis(100);
/// No record is larger.
const CAP: u64 = 1 << 20;
const RECORD: &str = "installed.json";
/// The number of the record's form: one of another form is as good as none.
const FORM: u32 = 1;

/// The folder of all packages.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    patience: Duration,
}

impl Store {
    /// In this folder, which is made when the first package comes: `packages` in the state directory.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            patience: PATIENCE,
        }
    }

    /// With another limit on the time that one installation may take; it is five minutes.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// The room of what this server asked for; made when it is not there.
    pub(super) fn room(&self, server: &str, package: &str, asked: &[String]) -> Result<Room, String> {
        let path = self.folder.join(key(server, package, asked));
        let failed = |error: io::Error| {
            format!(
                "the folder for packages, `{}`, cannot be used: {error}",
                path.display()
            )
        };
        let mut make = DirBuilder::new();
        make.recursive(true).mode(0o700).create(&path).map_err(failed)?;
        // A grant must not lead over a link.
        let folder = path.canonicalize().map_err(failed)?;
        Ok(Room { folder })
    }
}

/// A readable beginning, and a digest over all of it.
fn key(server: &str, package: &str, asked: &[String]) -> String {
    let mut digest = Sha256::new();
    put(&mut digest, server.as_bytes());
    for word in asked {
        put(&mut digest, word.as_bytes());
    }
    let digest = hex(&digest.finalize());
    let readable = |text: &str| -> String {
        let text = text.trim_start_matches('@').chars().take(40);
        text.map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect()
    };
    format!(
        "{}.{}.{}",
        readable(server),
        readable(package),
        digest.get(..20).unwrap_or(&digest)
    )
}

/// What is there of one package.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Record {
    form: u32,
    /// The server and the words that made the key.
    pub(super) server: String,
    pub(super) asked: Vec<String>,
    /// The package and its version as it turned out.
    pub(super) package: String,
    pub(super) version: String,
    /// What the registry says that the package's archive is (npm: Subresource Integrity).
    pub(super) integrity: Option<String>,
    /// The name of the tree's folder.
    tree: String,
    /// The words that start it, before its arguments.
    pub(super) program: Vec<String>,
    /// The interpreter outside of the tree that the tree is made for, where there is one.
    pub(super) interpreter: Option<PathBuf>,
    /// Digests of the tree.
    pub(super) shape: String,
    pub(super) content: String,
}

/// What an installation found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Installed {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) integrity: Option<String>,
    pub(super) program: Vec<String>,
    pub(super) interpreter: Option<PathBuf>,
}

/// The place of one package of one server.
#[derive(Clone, Debug)]
pub(super) struct Room {
    folder: PathBuf,
}

impl Room {
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of a record's tree.
    pub(super) fn tree(&self, record: &Record) -> PathBuf {
        self.folder.join(&record.tree)
    }

    /// What is recorded; `None` when nothing is complete.
    pub(super) fn record(&self) -> Result<Option<Record>, String> {
        let path = self.folder.join(RECORD);
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("`{}` cannot be read: {error}", path.display())),
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "a file of Mantlet's own, and no message of MCP"
        )]
        let record: Option<Record> = serde_json::from_slice(&bytes).ok();
        Ok(record.filter(|record| record.form == FORM && is_tree(&record.tree)))
    }

    /// Waits until no other process installs here. Nobody else does while the file is held.
    pub(super) async fn lock(&self, patience: Duration) -> Result<File, String> {
        let path = self.folder.join("lock");
        let failed = |error: io::Error| format!("`{}` cannot be locked: {error}", path.display());
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let since = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if since.elapsed() < patience => sleep(PAUSE).await,
                Err(TryLockError::WouldBlock) => {
                    return Err(format!(
                        "another process has been installing into `{}` all the time",
                        self.folder.display()
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    /// Removes what was left unfinished. With the lock held, and where nothing is recorded.
    pub(super) fn discard(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(is_tree) {
                // What cannot be removed stays; a new tree has another name.
                let _stays = fs::remove_dir_all(entry.path()).or_else(|_| {
                    open_up(entry.path());
                    fs::remove_dir_all(entry.path())
                });
            }
        }
    }

    /// A new, empty tree, in place of what was left unfinished. With the lock held.
    pub(super) fn fresh(&self) -> Result<PathBuf, String> {
        let failed = |error: io::Error| format!("`{}` cannot be used: {error}", self.folder.display());
        self.discard();
        for number in 1..10_000 {
            let path = self.folder.join(format!("tree-{number}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(io::Error::other("too many trees are left there")))
    }

    /// Says that a tree is complete. With the lock held.
    pub(super) fn complete(
        &self,
        asked: (&str, &[String]),
        tree: &Path,
        installed: Installed,
        (shape, content): (String, String),
    ) -> Result<Record, String> {
        let failed = |error: String| {
            format!(
                "`{}` cannot be written: {error}",
                self.folder.join(RECORD).display()
            )
        };
        let record = Record {
            form: FORM,
            server: asked.0.to_owned(),
            asked: asked.1.to_vec(),
            package: installed.package,
            version: installed.version,
            integrity: installed.integrity,
            tree: tree
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            program: installed.program,
            interpreter: installed.interpreter,
            shape,
            content,
        };
        let text = serde_json::to_string_pretty(&record).map_err(|error| failed(error.to_string()))?;
        let half = self.folder.join(".installed.tmp");
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&half)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&half, self.folder.join(RECORD))
        };
        write().map_err(|error: io::Error| failed(error.to_string()))?;
        Ok(record)
    }
}

/// Folders that an installation closed, even to their owner, would fill the disk bit by bit.
fn open_up(folder: PathBuf) {
    let mut left = vec![folder];
    while let Some(path) = left.pop() {
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            let _closed = fs::set_permissions(&path, fs::Permissions::from_mode(0o700));
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path()));
        }
    }
}

fn is_tree(name: &str) -> bool {
    let number = name.strip_prefix("tree-").unwrap_or_default();
    !number.is_empty() && number.chars().all(|letter| letter.is_ascii_digit())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    File::open(path)?.take(CAP).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file that a package brought along: not more than this, and none outside of the tree, whatever links say.
pub(super) fn read_within(tree: &Path, path: &Path, cap: u64) -> io::Result<Vec<u8>> {
    use std::io::Read as _;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
    let folder = openat(
        CWD,
        tree,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let file = openat2(
        &folder,
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
    )?;
    let file = File::from(file);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(cap).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn each_server_and_each_wish_has_a_room() {
        let one = key("files", "@a/b", &words("npm @a/b@1"));
        assert!(one.starts_with("files.a-b."), "{one}");
        assert_eq!(one, key("files", "@a/b", &words("npm @a/b@1")));
        for other in [
            key("other", "@a/b", &words("npm @a/b@1")),
            key("files", "@a/b", &words("npm @a/b@2")),
            key("files", "@a/b", &words("npm @a/b @1")),
            key("filesnpm", "@a/b", &words("@a/b@1")),
        ] {
            assert_ne!(one, other);
        }
        let strange = key("../../x y", "..", &[]);
        assert!(
            !strange.contains(['/', ' ']) && !strange.starts_with('.'),
            "{strange}"
        );
    }

    fn room(folder: &Path) -> Room {
        Store::new(folder.join("packages"))
            .room("s", "p", &words("npm p"))
            .unwrap()
    }

    #[test]
    fn a_tree_counts_once_it_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let room = room(folder.path());
        assert_eq!(room.record().unwrap(), None);
        let tree = room.fresh().unwrap();
        fs::write(tree.join("x"), "x").unwrap();
        assert_eq!(room.record().unwrap(), None);
        fs::create_dir_all(tree.join("closed/within")).unwrap();
        fs::set_permissions(tree.join("closed"), fs::Permissions::from_mode(0o0)).unwrap();
        let again = room.fresh().unwrap();
        assert_eq!(again, tree, "what was unfinished is gone");
        assert!(!tree.join("x").exists());
        let installed = Installed {
            package: "p".to_owned(),
            version: "1.0.0".to_owned(),
            integrity: None,
            program: words("node x"),
            interpreter: None,
        };
        let asked = words("npm p");
        let digests = ("s".to_owned(), "c".to_owned());
        let record = room.complete(("s", &asked), &tree, installed, digests).unwrap();
        assert_eq!(room.record().unwrap().unwrap(), record);
        assert_eq!(room.tree(&record), tree);
        let path = room.folder().join(RECORD);
        let text = fs::read_to_string(&path).unwrap();
        for (from, to) in [("tree-1", "../x"), ("\"form\": 1", "\"form\": 2"), ("{", "")] {
            fs::write(&path, text.replacen(from, to, 1)).unwrap();
            assert_eq!(room.record().unwrap(), None, "{to}");
        }
    }

    #[tokio::test]
    async fn one_installs_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let room = room(folder.path());
        let held = room.lock(PAUSE).await.unwrap();
        assert!(room.lock(PAUSE).await.is_err());
        drop(held);
        assert!(room.lock(PAUSE).await.is_ok());
    }

    #[test]
    fn files_of_a_package_are_within_it() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("a")).unwrap();
        fs::write(folder.path().join("secret"), "s").unwrap();
        fs::write(tree.join("a/x"), "12345").unwrap();
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, tree.join(name)).unwrap();
        link("a/x", "fine");
        link("../secret", "out");
        link("/etc/passwd", "far");
        let read = |name: &str| read_within(&tree, Path::new(name), 3);
        assert_eq!(read("a/x").unwrap(), b"123");
        assert_eq!(read("fine").unwrap(), b"123");
        for name in ["out", "far", "../secret", "/etc/passwd", "a", "none"] {
            assert!(read(name).is_err(), "{name}");
        }
    }
}
