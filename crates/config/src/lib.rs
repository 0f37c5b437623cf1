//! The configuration: one strict YAML file in, plain and immutable `Settings` out, or every problem of it with
//! its place. Nothing here opens a socket, starts a process or watches a file.
//!
//! The way of a file, one room each: `yaml` (text to a tree that remembers places) → `reference` (`${env:…}`) →
//! `read` (tree to the types of `file`) → `lower` (to [`Settings`], each value by way of `check`).

mod bounds;
pub mod cage;
mod check;
mod defaults;
mod diagnose;
mod file;
mod hidden;
mod hint;
mod lower;
mod naming;
mod quantity;
mod read;
mod reference;
mod schema;
mod settings;
mod tree;
mod veil;
mod yaml;

use std::io::Read as _;
use std::path::{Path, PathBuf};

pub use diagnose::{Diagnosis, Problem};
pub use hidden::Hidden;
pub use naming::name_for;
pub use reference::{Lookup, ProcessEnvironment};
pub use schema::json_schema;
pub use settings::{
    Audit, CommandLine, HttpKind, HttpServer, Identity, Limits, Listen, Protocol, Restart, Server,
    ServerTimeouts, Settings, Timeouts, Transport,
};

/// Reads a configuration file.
///
/// # Errors
/// The file cannot be read, or it has problems: all that were found, each with its place.
pub fn load(path: &Path, lookup: &dyn Lookup) -> Result<Settings, Diagnosis> {
    of(&read(path)?, path, lookup)
}

/// The text of a configuration file, for whoever hands it on to be understood elsewhere.
///
/// # Errors
/// The file cannot be read, or it is too large or no UTF-8.
pub fn read(path: &Path) -> Result<String, Diagnosis> {
    read_text(path).map_err(|problem| Diagnosis::of_file(&path.display().to_string(), problem))
}

/// What a configuration file with this text means: as `load`, without reading it.
///
/// # Errors
/// Every problem that was found, each with its place.
pub fn of(text: &str, path: &Path, lookup: &dyn Lookup) -> Result<Settings, Diagnosis> {
    // As it was named, and where links lead: neither may be written by a server.
    let paths = [std::path::absolute(path), path.canonicalize()];
    understand(
        text,
        &path.display().to_string(),
        paths.into_iter().flatten().collect(),
        lookup,
    )
}

/// Reads a configuration from text. `name` is what the messages call it, usually the path of the file.
///
/// # Errors
/// Every problem that was found, each with its place.
pub fn parse(text: &str, name: &str, lookup: &dyn Lookup) -> Result<Settings, Diagnosis> {
    understand(text, name, Vec::new(), lookup)
}

fn understand(
    text: &str,
    name: &str,
    paths: Vec<PathBuf>,
    lookup: &dyn Lookup,
) -> Result<Settings, Diagnosis> {
    let mut book = diagnose::Book::default();
    let settings = yaml::compose(text, &mut book).and_then(|mut tree| {
        reference::resolve(&mut tree, lookup, &mut book);
        let file = read::file(&tree, &mut book)?;
        Some(lower::file(file, paths, &tree, lookup, &mut book))
    });
    match settings {
        // INVARIANT: a file with any problem never becomes settings.
        Some(settings) if book.is_empty() => Ok(settings),
        _ => Err(book.close(name, text)),
    }
}

/// Where Mantlet keeps what it must remember (token, audit log) unless told otherwise:
/// `$XDG_STATE_HOME/mantlet`, else `~/.local/state/mantlet`, and for a service that has no home
/// `/var/lib/mantlet`.
#[must_use]
pub fn state_directory(lookup: &dyn Lookup) -> PathBuf {
    // XDG Base Directory: a relative path is invalid and is passed over.
    let absolute = |name: &str| {
        lookup
            .environment(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let root = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    root.unwrap_or_else(|| PathBuf::from("/var/lib")).join("mantlet")
}

fn read_text(path: &Path) -> Result<String, Problem> {
    let cannot = |error: std::io::Error| {
        Problem::new(format!("the file cannot be read: {error}"))
            .help("give the path of a configuration file with `--config`")
    };
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells "just fits" from "too large", whatever the file claims its size is.
    let cap = bounds::FILE_BYTES;
    let more_than_cap = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    file.take(more_than_cap).read_to_end(&mut bytes).map_err(cannot)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::new(format!("the file is not UTF-8 text: byte {at} is no character"))
            .help("save it as UTF-8 (an editor calls this the file's encoding)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_kept_where_the_system_keeps_it() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> = pairs
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect();
            let lookup = move |name: &str| {
                pairs
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value.clone())
            };
            state_directory(&lookup).display().to_string()
        };
        assert_eq!(
            of(&[("XDG_STATE_HOME", "/xdg"), ("HOME", "/home/ada")]),
            "/xdg/mantlet"
        );
        assert_eq!(of(&[("HOME", "/home/ada")]), "/home/ada/.local/state/mantlet");
        assert_eq!(
            of(&[("XDG_STATE_HOME", "relative"), ("HOME", "/home/ada")]),
            "/home/ada/.local/state/mantlet"
        );
        assert_eq!(of(&[("XDG_STATE_HOME", ""), ("HOME", "")]), "/var/lib/mantlet");
        assert_eq!(of(&[]), "/var/lib/mantlet");
    }
}
