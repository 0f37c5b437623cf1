//! What a folder holds, as one short text. Of the whole content: slow with many files, made once. Of the shape alone
//! (names, kinds, sizes, rights, where links lead): no file is opened, so it can be made at each start.
//!
//! No caged program can write the folder once it is complete. What the shape finds is damage, files that came or went,
//! links that were turned elsewhere; who changes a file outside of a cage, and keeps its size, has the user's rights and
//! needs no package for that.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Files and folders of one package with all that it needs, at most.
const ENTRIES: usize = 500_000;

/// Whether files are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Only what the folders say of them.
    Shape,
    /// What is in them too.
    Content,
}

/// The digest of all that is below a folder. Nothing is followed out of it.
///
/// # Errors
/// Something cannot be read, or there is too much.
pub(super) fn of(folder: &Path, depth: Depth) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut left = vec![folder.to_owned()];
    let mut entries = 0_usize;
    while let Some(path) = left.pop() {
        let mut found: Vec<_> = fs::read_dir(&path)?.collect::<Result<_, _>>()?;
        // The order of a folder is the file system's.
        found.sort_by_key(fs::DirEntry::file_name);
        entries = entries.saturating_add(found.len());
        if entries > ENTRIES {
            return Err(io::Error::other(format!("more than {ENTRIES} files")));
        }
        for entry in found {
            let path = entry.path();
            let facts = path.symlink_metadata()?;
            let name = path.strip_prefix(folder).unwrap_or(&path).as_os_str().as_bytes();
            put(&mut digest, name);
            put(&mut digest, &facts.mode().to_le_bytes());
            if facts.is_symlink() {
                put(&mut digest, fs::read_link(&path)?.as_os_str().as_bytes());
            } else if facts.is_dir() {
                left.push(path);
            } else {
                put(&mut digest, &facts.size().to_le_bytes());
                if depth == Depth::Content && facts.is_file() {
                    put(&mut digest, &of_file(&path)?);
                }
            }
        }
    }
    Ok(format!("sha256:{}", hex(&digest.finalize())))
}

/// With its length, so that no two lists of parts are the same bytes.
pub(super) fn put(digest: &mut Sha256, part: &[u8]) {
    let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
    digest.update(length.to_le_bytes());
    digest.update(part);
}

/// In lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(digest.finalize().to_vec());
        }
        digest.update(buffer.get(..read).unwrap_or_default());
    }
}

/// Opens a file and no link; a pipe that lies there keeps nobody waiting.
fn open(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn both(folder: &Path) -> (String, String) {
        (
            of(folder, Depth::Shape).unwrap(),
            of(folder, Depth::Content).unwrap(),
        )
    }

    #[test]
    fn changes_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("a")).unwrap();
        fs::write(at("a/x"), "one").unwrap();
        symlink("a/x", at("link")).unwrap();
        let first = both(folder.path());
        assert_eq!(first, both(folder.path()));
        let changed = |what: &dyn Fn(), back: &dyn Fn()| {
            what();
            let then = both(folder.path());
            back();
            assert_eq!(both(folder.path()), first);
            (then.0 != first.0, then.1 != first.1)
        };
        let content = changed(&|| fs::write(at("a/x"), "two").unwrap(), &|| {
            fs::write(at("a/x"), "one").unwrap()
        });
        assert_eq!(content, (false, true), "the same size");
        let size = changed(&|| fs::write(at("a/x"), "three").unwrap(), &|| {
            fs::write(at("a/x"), "one").unwrap()
        });
        let new = changed(&|| fs::write(at("b"), "").unwrap(), &|| {
            fs::remove_file(at("b")).unwrap()
        });
        let moved = changed(&|| fs::rename(at("a/x"), at("x")).unwrap(), &|| {
            fs::rename(at("x"), at("a/x")).unwrap()
        });
        let mode = |mode| fs::set_permissions(at("a/x"), fs::Permissions::from_mode(mode)).unwrap();
        let before = at("a/x").metadata().unwrap().permissions().mode();
        let rights = changed(&|| mode(0o755), &|| mode(before));
        let link = |to: &str| {
            fs::remove_file(at("link")).unwrap();
            symlink(to, at("link")).unwrap();
        };
        let turned = changed(&|| link("/etc/passwd"), &|| link("a/x"));
        for seen in [size, new, moved, rights, turned] {
            assert_eq!(seen, (true, true));
        }
    }

    #[test]
    fn a_pipe_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        let _ = both(folder.path());
    }
}
