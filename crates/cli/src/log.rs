//! `mantlet log show` and `mantlet log verify`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use mantlet_wire::Raw;

use crate::failure::{self, Failure};
use crate::term::{self, Colour, paint, plain};
use crate::{Format, state};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print records
    #[command(
        after_help = "Examples:\n  mantlet log show --last 20\n  mantlet log show --refused --format json"
    )]
    Show {
        /// The log's directory; without it, all logs of this user
        directory: Option<PathBuf>,
        /// Only the last N records
        #[arg(long, value_name = "N")]
        last: Option<usize>,
        /// Only what was refused
        #[arg(long)]
        refused: bool,
        /// How to write it
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Check that no record was changed, dropped, reordered or added
    #[command(
        after_help = "Exit code 1 and the first record that does not hold, if there is one.\nThe chain alone cannot show that its whole end was cut off or written anew: keep the head that is printed."
    )]
    Verify {
        /// The log's directory; without it, all logs of this user
        directory: Option<PathBuf>,
        /// How to write it
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    match &options.command {
        Command::Show {
            directory,
            last,
            refused,
            format,
        } => {
            for log in logs(directory.as_deref())? {
                show(&log, *last, *refused, *format)?;
            }
            Ok(failure::FINE)
        }
        Command::Verify { directory, format } => {
            let mut code = failure::FINE;
            for log in logs(directory.as_deref())? {
                if !verify(&log, *format) {
                    code = failure::FINDINGS;
                }
            }
            Ok(code)
        }
    }
}

/// The directories with a log in them.
fn logs(given: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    let root = given.map_or_else(|| state::directory().join("audit"), Path::to_path_buf);
    let mut found = Vec::new();
    search(&root, 0, &mut found);
    found.sort();
    if found.is_empty() {
        return Err(Failure::wrong_use(format!(
            "there is no log in `{}`: give the directory that `audit.path` names",
            root.display()
        )));
    }
    Ok(found)
}

fn search(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut has_log = false;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && depth < 4 {
            search(&path, depth + 1, found);
        }
        has_log |= path.extension().is_some_and(|extension| extension == "jsonl");
    }
    if has_log {
        found.push(folder.to_path_buf());
    }
}

fn show(directory: &Path, last: Option<usize>, refused: bool, format: Format) -> Result<(), Failure> {
    let mut kept = std::collections::VecDeque::new();
    for entry in mantlet_audit::read(directory)? {
        match entry {
            Ok(entry) => {
                let decision = entry
                    .json
                    .raw()
                    .pointer(&["verdict", "decision"])
                    .and_then(Raw::text);
                if refused && decision.as_deref() != Some("refuse") {
                    continue;
                }
                kept.push_back(entry);
            }
            Err(error) => term::say(&format!(
                "{}: {error}; see `mantlet log verify`",
                directory.display()
            )),
        }
        if last.is_some_and(|last| kept.len() > last) {
            kept.pop_front();
        }
    }
    for entry in kept {
        match format {
            Format::Json => term::print(entry.json.as_str()),
            Format::Text => term::print(&line(entry.seq, entry.json.raw())),
        }
    }
    Ok(())
}

/// One record as a person reads it.
fn line(seq: u64, record: Raw<'_>) -> String {
    let on = term::colours();
    let text = |path: &[&str]| {
        record
            .pointer(path)
            .and_then(Raw::text)
            .map(|text| plain(&text))
            .unwrap_or_default()
    };
    let decision = text(&["verdict", "decision"]);
    let colour = if decision == "refuse" {
        Colour::Red
    } else {
        Colour::Green
    };
    let micros = record
        .pointer(&["micros", "total"])
        .and_then(Raw::int)
        .unwrap_or_default();
    let mut line = format!(
        "{seq:>6} {} {} {:<15} {:<20} {:<16} {} {micros} µs",
        text(&["time"]),
        paint(&format!("{decision:<6}"), colour, on),
        text(&["kind"]),
        text(&["method"]),
        text(&["server"]),
        text(&["item"]),
    );
    if decision == "refuse" {
        let reasons: Vec<String> = record
            .pointer(&["verdict", "reasons"])
            .into_iter()
            .flat_map(Raw::items)
            .filter_map(Raw::text)
            .map(|text| plain(&text))
            .collect();
        line.push_str(&format!(
            "\n       {}: {}",
            text(&["verdict", "code"]),
            reasons.join("; ")
        ));
    }
    line
}

fn verify(directory: &Path, format: Format) -> bool {
    let report = mantlet_audit::verify(directory);
    let (head_seq, head_hash) = report.head.clone().unzip();
    match format {
        Format::Json => {
            let finding = report.finding.as_ref().map(|finding| {
                serde_json::json!({ "segment": finding.segment, "line": finding.line, "seq": finding.seq, "why": finding.why })
            });
            let value = serde_json::json!({
                "directory": directory.display().to_string(),
                "records": report.records,
                "segments": report.segments,
                "head": { "seq": head_seq, "hash": head_hash },
                "finding": finding,
            });
            term::print(&value.to_string());
        }
        Format::Text => {
            let on = term::colours();
            match &report.finding {
                None => {
                    let head = head_hash
                        .map(|hash| format!(", head {}", hash.get(..16).unwrap_or_default()))
                        .unwrap_or_default();
                    term::print(&format!(
                        "{} {}: {} records in {} segments{head}",
                        paint("holds", Colour::Green, on),
                        directory.display(),
                        report.records,
                        report.segments
                    ));
                }
                Some(finding) => term::print(&format!(
                    "{} {}: `{}` line {} (record {}): {}; the {} records before it hold",
                    paint("BROKEN", Colour::Red, on),
                    directory.display(),
                    finding.segment,
                    finding.line,
                    finding.seq,
                    plain(&finding.why),
                    report.records
                )),
            }
        }
    }
    report.holds()
}
