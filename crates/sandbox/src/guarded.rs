//! Places in a granted folder where writing means running: hooks, and settings of editors and tools that name programs.
//! A server that may write a project may not plant what its user will run outside of the cage.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::landlock::Use;

/// Files and folders that stay as they are, when they are there. Where they are not, their appearing is noticed: most of
/// them run something only after a question to the person.
pub(crate) const KEPT: &[&str] = &[
    ".claude",
    ".cursor",
    ".devcontainer",
    ".envrc",
    ".exrc",
    ".gitmodules",
    ".husky",
    ".idea",
    ".mcp.json",
    ".nvimrc",
    ".vscode",
    ".zed",
];
/// What is made, empty, where it is not there: what is not there cannot be kept from being planted, and Git runs what a
/// repository names without asking. It is taken away again at the end. The others could be kept so as well,
/// but the program and its model would see folders that nobody made.
const MADE: &[&str] = &[".git"];
/// What nobody but Git's own commands puts into the folder of a repository, and those not without changing its settings,
/// which they cannot here: it leads Git to hooks and settings elsewhere (gitrepository-layout(5)). It is taken away at
/// once.
pub(crate) const NEVER: &[&str] = &["commondir", "config.worktree"];
/// In the folder of a Git repository.
const KEPT_OF_GIT: &[&str] = &[
    "config",
    "config.worktree",
    "hooks",
    "info/attributes",
    "commondir",
];
/// The part of a path that stays as it is although a folder above it may be written.
pub(crate) fn kept(path: &Path) -> Option<PathBuf> {
    let mut so_far = PathBuf::new();
    for part in path.components() {
        so_far.push(part);
        let of_git = KEPT_OF_GIT
            .iter()
            .any(|name| so_far.ends_with(Path::new(".git").join(name)));
        let new = so_far.ends_with(".git") && !so_far.exists();
        if of_git || new || KEPT.iter().any(|name| so_far.ends_with(name)) {
            return Some(so_far);
        }
    }
    None
}

/// How deep repositories within the granted folder are looked for, and among how many folders at most.
const DEPTH: u32 = 3;
const FOLDERS: usize = 400;

/// The places within a granted folder that are put there once more, and how: read-only, or writable but in a mount of
/// their own, which cannot be renamed away. In the order in which they must be mounted.
pub(crate) fn within(granted: &Path) -> io::Result<Vec<(PathBuf, Use)>> {
    let mut found = Vec::new();
    let mut looked = 0;
    look(granted, DEPTH, &mut looked, &mut found)?;
    Ok(found)
}

/// The stand-ins for folders that were not there, held as long as the cage stands. Several cages may hold the same one:
/// the last takes it away.
#[derive(Debug, Default)]
pub(crate) struct StandIns(Vec<(PathBuf, std::fs::File)>);

impl StandIns {
    /// Makes those that are missing in granted folders, and joins those that others have made.
    pub(crate) fn make(granted: &[PathBuf]) -> Self {
        let mut held = Vec::new();
        for folder in granted.iter().filter(|path| path.is_dir() && !is_bare(path)) {
            for name in MADE {
                let path = folder.join(name);
                let made = std::fs::DirBuilder::new().mode(STAND_IN).create(&path).is_ok();
                if (made || is_stand_in(&path))
                    && let Ok(folder) = std::fs::File::open(&path)
                    && flock(&folder, FlockOperation::NonBlockingLockShared).is_ok()
                {
                    held.push((path, folder));
                }
            }
        }
        Self(held)
    }
}

impl Drop for StandIns {
    fn drop(&mut self) {
        for (path, folder) in &self.0 {
            if is_stand_in(path) && flock(folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
                // One with something in it stays.
                let _filled = std::fs::remove_dir(path);
            }
        }
    }
}

/// The mode of a stand-in, by which others know it for one.
const STAND_IN: u32 = 0o555;

fn is_stand_in(path: &Path) -> bool {
    is_empty(path)
        && path
            .metadata()
            .is_ok_and(|found| found.mode() & 0o777 == STAND_IN)
}

fn is_empty(path: &Path) -> bool {
    is_itself(path) && std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// The sockets in a granted folder: whoever listens there is on the machine, and not meant.
pub(crate) fn sockets(granted: &Path) -> Vec<PathBuf> {
    let (mut found, mut left, mut looked) = (Vec::new(), vec![(granted.to_owned(), DEPTH)], 0);
    while let Some((folder, depth)) = left.pop() {
        looked += 1;
        if looked > FOLDERS {
            break;
        }
        for entry in std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .take(FOLDERS * 4)
        {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_socket() {
                found.push(entry.path());
            } else if kind.is_dir() && depth > 0 && entry.file_name() != "node_modules" {
                left.push((entry.path(), depth.saturating_sub(1)));
            }
        }
    }
    found
}

/// The folders of repositories in a granted folder.
pub(crate) fn repositories(granted: &Path) -> Vec<PathBuf> {
    let places = within(granted).unwrap_or_default();
    let git = places
        .into_iter()
        .filter(|(path, may)| *may == Use::Write && path.ends_with(".git"));
    git.map(|(path, _)| path).collect()
}

fn look(folder: &Path, depth: u32, looked: &mut usize, found: &mut Vec<(PathBuf, Use)>) -> io::Result<()> {
    *looked = looked.saturating_add(1);
    for name in KEPT {
        let path = folder.join(name);
        if is_itself(&path) {
            found.push((path, Use::Read));
        }
    }
    let git = folder.join(".git");
    if is_itself(&git) {
        if is_empty(&git) {
            found.push((git, Use::Read));
        } else if git.is_dir() {
            repository(&git, found)?;
        } else {
            found.push((git, Use::Read));
        }
    } else if is_bare(folder) {
        found.extend(kept_of_git(folder));
    }
    if depth == 0 || *looked >= FOLDERS {
        return Ok(());
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries.flatten().take(FOLDERS) {
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".") || name == "node_modules";
        if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) && *looked < FOLDERS {
            look(&entry.path(), depth.saturating_sub(1), looked, found)?;
        }
    }
    Ok(())
}

fn repository(git: &Path, found: &mut Vec<(PathBuf, Use)>) -> io::Result<()> {
    found.push((git.to_owned(), Use::Write));
    let hooks = git.join("hooks");
    if hooks.symlink_metadata().is_err() {
        // A folder that is not there cannot be kept from being made.
        match std::fs::create_dir(&hooks) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
            Err(error) => return Err(error),
        }
    }
    found.extend(kept_of_git(git));
    for modules in std::fs::read_dir(git.join("modules"))
        .into_iter()
        .flatten()
        .flatten()
    {
        found.extend(kept_of_git(&modules.path()));
    }
    Ok(())
}

fn kept_of_git(git: &Path) -> impl Iterator<Item = (PathBuf, Use)> {
    let kept: Vec<PathBuf> = KEPT_OF_GIT.iter().map(|name| git.join(name)).collect();
    kept.into_iter()
        .filter(|path| is_itself(path))
        .map(|path| (path, Use::Read))
}

fn is_bare(folder: &Path) -> bool {
    folder.join("HEAD").is_file() && folder.join("objects").is_dir() && folder.join("config").is_file()
}

/// Whether there is something that is no link: a link is never followed to what is protected.
fn is_itself(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| !found.is_symlink())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(found: &[(PathBuf, Use)], top: &Path) -> Vec<(String, Use)> {
        let mut names: Vec<(String, Use)> = found
            .iter()
            .map(|(path, may)| (path.strip_prefix(top).unwrap().display().to_string(), *may))
            .collect();
        names.sort_by(|one, other| one.0.cmp(&other.0));
        names
    }

    #[test]
    fn hooks_and_settings_are_kept_also_further_down() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        for folder in [".git/hooks", ".vscode", "deep/er/.git", "link"] {
            fs::create_dir_all(top.join(folder)).unwrap();
        }
        for file in [".git/config", ".envrc", "deep/er/.git/config", "link/config"] {
            fs::write(top.join(file), "x").unwrap();
        }
        symlink("link", top.join(".husky")).unwrap();
        let found = names(&within(top).unwrap(), top);
        let expected: Vec<(String, Use)> = [
            (".envrc", Use::Read),
            (".git", Use::Write),
            (".git/config", Use::Read),
            (".git/hooks", Use::Read),
            (".vscode", Use::Read),
            ("deep/er/.git", Use::Write),
            ("deep/er/.git/config", Use::Read),
            ("deep/er/.git/hooks", Use::Read),
        ]
        .map(|(name, may)| (name.to_owned(), may))
        .to_vec();
        assert_eq!(found, expected);
    }

    #[test]
    fn stand_ins_go_with_the_last_who_holds_them_and_stay_when_filled() {
        let top = tempfile::tempdir().unwrap();
        let folders = [top.path().to_owned()];
        let first = StandIns::make(&folders);
        let second = StandIns::make(&folders);
        assert!(top.path().join(".git").is_dir());
        drop(first);
        assert!(top.path().join(".git").is_dir(), "another one holds it");
        assert!(
            !top.path().join(".vscode").exists(),
            "nobody sees more than is needed"
        );
        let filled = top.path().join(".git");
        fs::set_permissions(&filled, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        fs::write(filled.join("HEAD"), "").unwrap();
        drop(second);
        assert!(top.path().join(".git/HEAD").exists());
        fs::remove_dir_all(&filled).unwrap();
        drop(StandIns::make(&folders));
        assert!(!top.path().join(".git").exists());
    }

    #[test]
    fn what_was_there_before_is_not_taken_away() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join(".git/hooks")).unwrap();
        fs::create_dir(top.path().join(".idea")).unwrap();
        drop(StandIns::make(&[top.path().to_owned()]));
        assert!(top.path().join(".idea").is_dir());
        assert!(top.path().join(".git/hooks").is_dir());
        assert!(!top.path().join(".husky").exists());
    }

    #[test]
    fn sockets_are_found() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("run")).unwrap();
        let path = top.path().join("run/agent.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(sockets(top.path()), [path]);
    }
}
