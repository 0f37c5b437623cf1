//! What a single value must be, and the value made of it. Nothing here knows the rest of the file.

mod cage;
mod listen;
mod remote;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bounds;
use crate::diagnose::{Problem, quoted};
use crate::naming::near_name;
use crate::quantity::{NotOne, Pause, Size, Whole};
use crate::reference::{Lookup, is_name};

pub(crate) use cage::{destination, grant, plain, public, secret_name};
pub(crate) use listen::{address, host, origin};
pub(crate) use remote::{Reach, header_name, header_value, in_the_clear, is_own, url};

/// Why a value does not do. It never holds the value, which may have come from a reference.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// Follows the value: "`0.0.0.0:1` …".
    why: String,
    help: Vec<String>,
    /// What was probably meant.
    meant: Option<String>,
    /// The file may hold a password here.
    pub(crate) secret: bool,
}

impl Unfit {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            help: Vec::new(),
            meant: None,
            secret: false,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    fn meant(mut self, meant: Option<String>) -> Self {
        self.meant = meant;
        self
    }

    /// The problem with a value that was `written` so. What was meant is named only where the file itself says
    /// the value, not where a reference stands for it.
    pub(crate) fn problem(self, written: &str, referenced: bool) -> Problem {
        let subject = if self.secret {
            "the value".to_owned()
        } else {
            quoted(written)
        };
        let problem = Problem::new(format!("{subject} {}", self.why));
        let problem = match self.meant {
            Some(meant) if !referenced => problem.label(format!("did you mean {}?", quoted(&meant))),
            _ => problem,
        };
        self.help.into_iter().fold(problem, Problem::help)
    }
}

/// A name of a server. `__` stands between it and a tool's name, and its edges must not blur there.
pub(crate) fn server_name(name: &str) -> Result<(), Unfit> {
    let edge = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let inner = |letter: char| edge(letter) || letter == '-' || letter == '_';
    let fits = name.starts_with(edge) && name.ends_with(edge) && name.chars().all(inner);
    if fits && name.len() <= bounds::SERVER_NAME && !name.contains("__") {
        return Ok(());
    }
    let help = "a name has 1 to 32 lower-case letters, digits, `-` and `_`, no `__`, and a letter or digit at both ends";
    Err(Unfit::new("is no name for a server")
        .help(help)
        .meant(near_name(name)))
}

/// A full path; `~/` is the home directory.
pub(crate) fn path(text: &str, lookup: &dyn Lookup) -> Result<PathBuf, Unfit> {
    if text.contains('\0') {
        return Err(Unfit::new("holds a NUL character"));
    }
    let path = match text.strip_prefix("~/") {
        Some(rest) => match lookup.environment("HOME").map(PathBuf::from) {
            Some(home) if home.is_absolute() => home.join(rest),
            _ => {
                return Err(
                    Unfit::new("needs a home directory, and `HOME` is not set").help("write the full path")
                );
            }
        },
        None => PathBuf::from(text),
    };
    if !path.is_absolute() {
        let help = "write the full path, from `/` or `~/`: where the gateway is started from must not matter";
        return Err(Unfit::new("is not a full path").help(help));
    }
    Ok(path)
}

/// The program of a command.
pub(crate) fn program(text: &str, alone: bool) -> Result<(), Unfit> {
    if text.is_empty() {
        return Err(
            Unfit::new("is no program").help("write the program first: `command: [PROGRAM, ARGUMENT, …]`")
        );
    }
    if alone && text.contains(char::is_whitespace) && !text.starts_with('/') {
        return Err(Unfit::new("is a whole command line").help(
            "no shell reads it; write the program and each argument apart: `command: [PROGRAM, ARGUMENT, …]`",
        ));
    }
    if text.contains('/') && !Path::new(text).is_absolute() {
        return Err(Unfit::new("is not a full path")
            .help("write the program's name, to be found in `PATH`, or its full path; `${env:HOME}` stands for the home directory"));
    }
    argument(text)
}

/// Any part of a command, and the value of a variable.
pub(crate) fn argument(text: &str) -> Result<(), Unfit> {
    if text.contains('\0') {
        Err(Unfit::new("holds a NUL character"))
    } else {
        Ok(())
    }
}

/// The name of a variable for a program.
pub(crate) fn variable(name: &str) -> Result<(), Unfit> {
    if is_name(name) {
        return Ok(());
    }
    Err(Unfit::new("is no name of a variable")
        .help("a name has letters, digits and `_`, and does not begin with a digit"))
}

/// A pattern of an `allow` or `refuse` list.
pub(crate) fn pattern(text: &str) -> Result<(), Unfit> {
    if text.is_empty() {
        return Err(Unfit::new("matches nothing").help("write a name, `*` for any, or leave the line out"));
    }
    if text.len() > bounds::PATTERN_BYTES {
        return Err(Unfit::new(format!(
            "is longer than {} bytes",
            bounds::PATTERN_BYTES
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(
            Unfit::new("holds a control character").help("names of tools, prompts and resources have none")
        );
    }
    Ok(())
}

/// A host with an optional port: a name, an IPv4 address, or an IPv6 address in brackets.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((inside, after)) if inside.parse::<core::net::Ipv6Addr>().is_ok() => {
                ("", after.strip_prefix(':').or((!after.is_empty()).then_some("-")))
            }
            _ => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_')
    };
    let digits = |port: &str| {
        port.chars().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    (text.starts_with('[') || host.split('.').all(is_label)) && port.is_none_or(digits) && text.len() <= 255
}

/// A size within bounds.
pub(crate) fn size(size: &Size, bounds: RangeInclusive<u64>) -> Result<usize, Unfit> {
    let fits = volume(size, bounds.clone())?;
    usize::try_from(fits).map_err(|_| outside(&bytes(*bounds.start()), &bytes(*bounds.end())))
}

/// The same, for what need not fit into the gateway's own memory.
pub(crate) fn volume(size: &Size, bounds: RangeInclusive<u64>) -> Result<u64, Unfit> {
    within(size.bytes()?, &bounds, bytes)
}

/// A whole number within bounds.
pub(crate) fn whole(number: &Whole, bounds: RangeInclusive<u64>) -> Result<usize, Unfit> {
    let say = |number: u64| number.to_string();
    let fits = within(number.number()?, &bounds, say)?;
    usize::try_from(fits).map_err(|_| outside(&say(*bounds.start()), &say(*bounds.end())))
}

/// The same, for numbers that are kept small.
pub(crate) fn count(number: &Whole, bounds: RangeInclusive<u32>) -> Result<u32, Unfit> {
    let fits = u32::try_from(number.number()?)
        .ok()
        .filter(|number| bounds.contains(number));
    fits.ok_or_else(|| outside(&bounds.start().to_string(), &bounds.end().to_string()))
}

/// A duration within bounds.
pub(crate) fn pause(pause: &Pause, bounds: RangeInclusive<Duration>) -> Result<Duration, Unfit> {
    let pause = Duration::from_millis(pause.millis()?);
    if bounds.contains(&pause) {
        Ok(pause)
    } else {
        Err(outside(&time(*bounds.start()), &time(*bounds.end())))
    }
}

fn within(number: u64, bounds: &RangeInclusive<u64>, say: impl Fn(u64) -> String) -> Result<u64, Unfit> {
    if bounds.contains(&number) {
        Ok(number)
    } else {
        Err(outside(&say(*bounds.start()), &say(*bounds.end())))
    }
}

fn outside(least: &str, most: &str) -> Unfit {
    Unfit::new("is out of bounds").help(format!("write something from {least} to {most}"))
}

impl From<NotOne> for Unfit {
    fn from(not: NotOne) -> Self {
        Self::new(not.why).help(not.help).meant(not.meant)
    }
}

fn bytes(number: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = units.into_iter().find(|(unit, _)| number.is_multiple_of(*unit));
    fits.map_or_else(
        || number.to_string(),
        |(unit, name)| format!("{}{name}", number / unit),
    )
}

fn time(pause: Duration) -> String {
    let millis = pause.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let fits = units.into_iter().find(|(unit, _)| millis.is_multiple_of(*unit));
    fits.map_or_else(
        || format!("{millis}ms"),
        |(unit, name)| format!("{}{name}", millis / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names_keep_their_edges() {
        for name in ["a", "files", "a-b_c", "0", "a1", &"x".repeat(32)] {
            assert_eq!(server_name(name), Ok(()), "{name}");
        }
        let long = "x".repeat(33);
        for name in [
            "",
            "Files",
            "a__b",
            "a_",
            "a-",
            "_a",
            "-a",
            "a.b",
            "a b",
            "a/b",
            "é",
            "a\n",
            "a\u{200b}b",
            "__",
            &long,
        ] {
            assert!(server_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn paths_are_full() {
        let home = |name: &str| (name == "HOME").then(|| "/home/ada".to_owned());
        let nowhere = |_: &str| None;
        assert_eq!(path("/var/log", &nowhere), Ok(PathBuf::from("/var/log")));
        assert_eq!(path("~/log", &home), Ok(PathBuf::from("/home/ada/log")));
        assert!(path("~/log", &nowhere).is_err());
        for text in ["", "log", "./log", "../log", "~", "~root/x", "/a\0b"] {
            assert!(path(text, &home).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_program_is_no_command_line() {
        assert_eq!(program("npx", true), Ok(()));
        assert_eq!(program("/opt/My Program/run", true), Ok(()));
        for text in ["", "npx -y thing", "./run", "bin/run", "~/run", "a\0b"] {
            assert!(program(text, true).is_err(), "{text:?}");
        }
    }

    #[test]
    fn bounds_hold_at_both_ends() {
        let of = |text: &str| size(&Size(text.to_owned()), 1024..=4096);
        assert_eq!(of("1KiB"), Ok(1024));
        assert_eq!(of("4096"), Ok(4096));
        assert!(of("1023").is_err() && of("4097").is_err() && of("0").is_err());
        let wait = |text: &str| pause(&Pause(text.to_owned()), bounds::WAIT);
        assert_eq!(wait("10m"), Ok(Duration::from_secs(600)));
        assert!(wait("99ms").is_err() && wait("601s").is_err() && wait("0s").is_err());
        assert_eq!(count(&Whole("7".to_owned()), 1..=7), Ok(7));
        assert!(
            count(&Whole("4294967297".to_owned()), 1..=7).is_err(),
            "no wrapping"
        );
    }

    #[test]
    fn bounds_are_told_as_they_are_written() {
        assert_eq!(
            (bytes(4 << 20), bytes(64 << 10), bytes(100)),
            ("4MiB".into(), "64KiB".into(), "100".into())
        );
        let times = [
            (100, "100ms"),
            (1000, "1s"),
            (90_000, "90s"),
            (600_000, "10m"),
            (3_600_000, "1h"),
        ];
        for (millis, said) in times {
            assert_eq!(time(Duration::from_millis(millis)), said);
        }
    }
}
