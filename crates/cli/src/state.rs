//! What Mantlet keeps between runs: the token, the log, and a note of what runs now. Directories 0700, files 0600.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use mantlet_access::LocalToken;
use mantlet_config::ProcessEnvironment;

/// The directory of everything.
pub(crate) fn directory() -> PathBuf {
    mantlet_config::state_directory(&ProcessEnvironment)
}

/// Makes a directory that only its owner can read.
pub(crate) fn make(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("`{}` could not be made", path.display()))
}

/// The token out of its file; made, with the file, when there is none.
pub(crate) fn token(path: &Path) -> Result<LocalToken> {
    if let Some(parent) = path.parent() {
        make(parent)?;
    }
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(mut file) => {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes)
                .map_err(|error| anyhow::anyhow!("the machine has no randomness: {error}"))?;
            let token = LocalToken::from_random(bytes);
            file.write_all(format!("{}\n", token.expose()).as_bytes())?;
            file.sync_all()?;
            Ok(token)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => read_token(path),
        Err(error) => {
            Err(error).with_context(|| format!("the token file `{}` could not be made", path.display()))
        }
    }
}

fn read_token(path: &Path) -> Result<LocalToken> {
    let file = std::fs::File::open(path)
        .with_context(|| format!("the token file `{}` cannot be read", path.display()))?;
    let facts = file.metadata()?;
    if facts.mode() & 0o077 != 0 {
        bail!(
            "others can read the token file `{}`: delete it and a new one is made, or `chmod 600` it",
            path.display()
        );
    }
    let mut text = String::new();
    file.take(1_024).read_to_string(&mut text)?;
    LocalToken::parse(&text).with_context(|| {
        format!(
            "`{}` holds no token of Mantlet: delete it and a new one is made",
            path.display()
        )
    })
}

/// The notes of running processes.
pub(crate) fn notes() -> PathBuf {
    directory().join("run")
}

/// Writes the note of this process, all at once.
pub(crate) fn write_note(note: &serde_json::Value) -> Result<PathBuf> {
    let folder = notes();
    make(&folder)?;
    let path = folder.join(format!("{}.json", std::process::id()));
    let half = folder.join(format!(".{}.tmp", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&half)?;
    file.write_all(note.to_string().as_bytes())?;
    drop(file);
    std::fs::rename(&half, &path)?;
    Ok(path)
}
