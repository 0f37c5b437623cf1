//! Reading a log back, line by line, in its order.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use mantlet_wire::Json;

use crate::chain;

/// One record as it was read.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// The whole line.
    pub json: Json,
}

/// Why a line could not be read.
#[derive(Debug, thiserror::Error)]
#[error("`{segment}` line {line}: {why}")]
pub struct ReadError {
    /// The segment's file name.
    pub segment: String,
    /// Counted from 1.
    pub line: u64,
    /// What is wrong.
    pub why: String,
}

/// The segments of a log, the oldest first.
pub(crate) fn segments(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// All records, the oldest first. Checks each line's own seal, not the chain; [`crate::verify`] does both.
///
/// # Errors
/// The directory cannot be read.
pub fn read(directory: &Path) -> std::io::Result<impl Iterator<Item = Result<Entry, ReadError>> + use<>> {
    let lines = lines(directory)?;
    Ok(lines.map(|(place, line)| {
        let line = line.map_err(|error| place.error(error.to_string()))?;
        let sealed = chain::unseal(&line).map_err(|why| place.error(why))?;
        Ok(Entry {
            seq: sealed.seq,
            json: sealed.json,
        })
    }))
}

/// Where a line is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) segment: String,
    pub(crate) line: u64,
}

impl Place {
    pub(crate) fn error(&self, why: String) -> ReadError {
        ReadError {
            segment: self.segment.clone(),
            line: self.line,
            why,
        }
    }
}

/// All lines with their places; a last line without a newline comes with its bytes as they are.
pub(crate) fn lines(
    directory: &Path,
) -> std::io::Result<impl Iterator<Item = (Place, std::io::Result<Vec<u8>>)> + use<>> {
    let segments = segments(directory)?;
    Ok(segments.into_iter().flat_map(|path| {
        let segment = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let (file, failed) = match File::open(&path) {
            Ok(file) => (Some(BufReader::new(file)), None),
            Err(error) => (None, Some(error)),
        };
        let mut file = file;
        let mut failed = failed;
        let mut number = 0;
        std::iter::from_fn(move || {
            number += 1;
            let place = Place {
                segment: segment.clone(),
                line: number,
            };
            if let Some(error) = failed.take() {
                return Some((place, Err(error)));
            }
            let mut line = Vec::new();
            match file.as_mut()?.read_until(b'\n', &mut line) {
                Ok(0) => None,
                Ok(_) => {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    }
                    Some((place, Ok(line)))
                }
                Err(error) => {
                    file = None;
                    Some((place, Err(error)))
                }
            }
        })
    }))
}
