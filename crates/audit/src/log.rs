//! The writer. Segments of lines, appended and never rewritten; one writer per log. What `append` has
//! acknowledged is in the file: behind write(2), or behind fsync(2) where the settings say so.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};

use crate::chain::{self, GENESIS};
use crate::read::segments;
use crate::record::Record;
use crate::time::Timestamp;

/// When a record counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// In the page cache: survives a crash of the process.
    Write,
    /// On the disk: survives a loss of power.
    Fsync,
}

/// Where and how the log is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The log's own directory.
    pub directory: PathBuf,
    /// When a record counts as written.
    pub durability: Durability,
    /// A new segment begins beyond this size, in bytes.
    pub segment_bytes: u64,
    /// The name of this instance, in every record.
    pub instance: String,
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it cannot be used.
    #[error("`{path}` cannot be used: {cause}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Another process writes it.
    #[error("another process writes the log in `{path}`: stop it, or give this one its own `audit.path`")]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// The last record does not hold.
    #[error(
        "the last record in `{path}` does not hold ({why}): keep the directory as evidence and set another `audit.path`"
    )]
    Broken {
        /// The segment.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// A record could not be written. The log tries again with the next one.
#[derive(Debug, thiserror::Error)]
#[error("the record could not be written: {0}")]
pub struct Unavailable(String);

/// An open log.
#[derive(Debug)]
pub struct Log {
    settings: Settings,
    state: Mutex<State>,
    synced: Condvar,
    recovered: Option<PathBuf>,
    _lock: File,
}

#[derive(Debug)]
struct State {
    file: File,
    length: u64,
    /// Bytes after `length` may be half a line that failed.
    dirty: bool,
    next: u64,
    prev: String,
    /// Records up to here (exclusive) are on the disk.
    durable: u64,
    syncing: bool,
    failed_sync: Option<String>,
}

impl Log {
    /// Opens the log, or begins it.
    ///
    /// # Errors
    /// The directory cannot be used, somebody else writes it, or its last record does not hold.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        let directory = settings.directory.clone();
        let io = |path: &Path| {
            let path = path.to_owned();
            move |cause| OpenError::Io { path, cause }
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(io(&directory))?;
        let lock_path = directory.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io(&lock_path))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| OpenError::Locked {
            path: directory.clone(),
        })?;
        let last = segments(&directory).map_err(io(&directory))?.pop();
        let (state, recovered) = match last {
            Some(path) => resume(&path)?,
            None => (
                begin(&directory, 0, GENESIS.to_owned()).map_err(io(&directory))?,
                None,
            ),
        };
        Ok(Self {
            settings,
            state: Mutex::new(state),
            synced: Condvar::new(),
            recovered,
            _lock: lock,
        })
    }

    /// Where a torn last line was put aside when the log was opened.
    #[must_use]
    pub fn recovered(&self) -> Option<&Path> {
        self.recovered.as_deref()
    }

    /// Appends a record and gives its number. Blocks until it is written as the settings say.
    ///
    /// # Errors
    /// It is not written; no trace of it is left, and the next append tries again.
    pub fn append(&self, record: &Record, now: Timestamp) -> Result<u64, Unavailable> {
        let mut state = self.lock();
        state.repair().map_err(|error| Unavailable(error.to_string()))?;
        if state.length >= self.settings.segment_bytes {
            self.rotate(&mut state)
                .map_err(|error| Unavailable(error.to_string()))?;
        }
        let seq = state.next;
        let sealed = chain::seal(seq, now, &self.settings.instance, &state.prev, record);
        let (line, hash) = sealed.map_err(|error| Unavailable(error.to_string()))?;
        state.dirty = true;
        state
            .file
            .write_all(line.as_bytes())
            .map_err(|error| Unavailable(error.to_string()))?;
        state.dirty = false;
        state.length = state
            .length
            .saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        state.next = seq.saturating_add(1);
        state.prev = hash;
        match self.settings.durability {
            Durability::Write => Ok(seq),
            Durability::Fsync => self.sync(state, seq),
        }
    }

    /// Group commit: one of those who wait syncs for all that have written by then.
    fn sync<'s>(&'s self, mut state: MutexGuard<'s, State>, seq: u64) -> Result<u64, Unavailable> {
        loop {
            if state.durable > seq {
                return Ok(seq);
            }
            if state.syncing {
                state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.syncing = true;
            let upto = state.next;
            let file = state.file.try_clone();
            drop(state);
            let outcome = file.and_then(|file| file.sync_data());
            state = self.lock();
            state.syncing = false;
            match outcome {
                Ok(()) => state.durable = state.durable.max(upto),
                Err(error) => state.failed_sync = Some(error.to_string()),
            }
            self.synced.notify_all();
            if let Some(error) = state.failed_sync.clone() {
                // After a failed fsync the kernel may have dropped the pages: nothing later can be trusted to
                // be on the disk, so this log takes no more.
                return Err(Unavailable(error));
            }
        }
    }

    fn rotate(&self, state: &mut State) -> std::io::Result<()> {
        state.file.sync_data()?;
        let next = begin(&self.settings.directory, state.next, state.prev.clone())?;
        *state = State {
            durable: state.durable,
            ..next
        };
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Cuts off half a line that a full disk or a broken write left.
    fn repair(&mut self) -> std::io::Result<()> {
        if let Some(error) = &self.failed_sync {
            return Err(std::io::Error::other(error.clone()));
        }
        if self.dirty {
            self.file.set_len(self.length)?;
            self.dirty = false;
        }
        Ok(())
    }
}

fn begin(directory: &Path, seq: u64, prev: String) -> std::io::Result<State> {
    let path = directory.join(format!("{seq:020}.jsonl"));
    let file = OpenOptions::new()
        .create_new(true)
        .append(true)
        .mode(0o600)
        .open(&path)?;
    Ok(State {
        file,
        length: 0,
        dirty: false,
        next: seq,
        prev,
        durable: seq,
        syncing: false,
        failed_sync: None,
    })
}

/// Takes up the last segment where it ended. A last line without its newline is what a loss of power leaves: it
/// was never acknowledged; it is put aside, not thrown away.
fn resume(path: &Path) -> Result<(State, Option<PathBuf>), OpenError> {
    let io = |cause| OpenError::Io {
        path: path.to_owned(),
        cause,
    };
    let broken = |why: String| OpenError::Broken {
        path: path.to_owned(),
        why,
    };
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .open(path)
        .map_err(io)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(io)?;
    let whole = memchr_last_newline(&text);
    let torn = text.get(whole..).unwrap_or_default();
    let mut aside = None;
    if !torn.is_empty() {
        let place = path.with_extension("torn");
        let mut copy = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&place)
            .map_err(io)?;
        copy.write_all(torn).map_err(io)?;
        copy.sync_all().map_err(io)?;
        file.set_len(u64::try_from(whole).unwrap_or(u64::MAX))
            .map_err(io)?;
        aside = Some(place);
    }
    let kept = text.get(..whole).unwrap_or_default();
    let (next, prev) = match kept.strip_suffix(b"\n").map(last_line) {
        Some(line) => {
            let sealed = chain::unseal(line).map_err(broken)?;
            (sealed.seq.saturating_add(1), sealed.hash)
        }
        // An empty segment: it begins with its own number, after the last record of the segment before.
        None => before(path).map_err(|why| OpenError::Broken {
            path: path.to_owned(),
            why,
        })?,
    };
    file.seek(SeekFrom::End(0)).map_err(io)?;
    let length = u64::try_from(whole).unwrap_or(u64::MAX);
    let state = State {
        file,
        length,
        dirty: false,
        next,
        prev,
        durable: next,
        syncing: false,
        failed_sync: None,
    };
    Ok((state, aside))
}

fn memchr_last_newline(text: &[u8]) -> usize {
    text.iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1)
}

fn last_line(text: &[u8]) -> &[u8] {
    text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default()
}

fn before(path: &Path) -> Result<(u64, String), String> {
    let number: u64 = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .and_then(|stem| stem.parse().ok())
        .ok_or("its name is no number")?;
    let directory = path.parent().ok_or("it is in no directory")?;
    let all = segments(directory).map_err(|error| error.to_string())?;
    let earlier = all.iter().rev().find(|other| other.as_path() < path);
    match earlier {
        None => Ok((number, GENESIS.to_owned())),
        Some(earlier) => {
            let text = std::fs::read(earlier).map_err(|error| error.to_string())?;
            let line = text
                .strip_suffix(b"\n")
                .map(last_line)
                .ok_or("the segment before it is torn")?;
            let sealed = chain::unseal(line)?;
            Ok((number, sealed.hash))
        }
    }
}
