//! Places in a granted folder where writing means running: hooks, and settings of editors and tools that name programs.
//! A server that may write a project may not plant what its user will run outside of the cage.

use std::io;
use std::path::{Path, PathBuf};

use crate::landlock::Use;

/// Files and folders that stay as they are, when they are there.
const KEPT: &[&str] = &[
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
/// In the folder of a Git repository.
const KEPT_OF_GIT: &[&str] = &[
    "config",
    "config.worktree",
    "hooks",
    "info/attributes",
    "commondir",
];
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
        if git.is_dir() {
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
