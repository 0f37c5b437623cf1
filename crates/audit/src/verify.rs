//! Whether a log is whole: every seal, every link to the line before, every number.

use std::path::Path;

use crate::chain::{self, GENESIS};
use crate::read::lines;

/// What a check of a log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records that hold, up to the first that does not.
    pub records: u64,
    /// Segments that were read.
    pub segments: u64,
    /// Number and hash of the last record that holds: what a checkpoint would name.
    pub head: Option<(u64, String)>,
    /// The first thing that is wrong.
    pub finding: Option<Finding>,
}

/// The first record that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The segment's file name.
    pub segment: String,
    /// Counted from 1.
    pub line: u64,
    /// The number that was expected there.
    pub seq: u64,
    /// What is wrong.
    pub why: String,
}

impl Report {
    /// Nothing was found.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.finding.is_none()
    }
}

/// Checks a log from its first record to its last, in one pass and little memory.
#[must_use]
pub fn verify(directory: &Path) -> Report {
    let mut report = Report::default();
    let lines = match lines(directory) {
        Ok(lines) => lines,
        Err(error) => {
            let why = format!("`{}` cannot be read: {error}", directory.display());
            report.finding = Some(Finding {
                segment: String::new(),
                line: 0,
                seq: 0,
                why,
            });
            return report;
        }
    };
    let (mut next, mut prev, mut segment) = (None::<u64>, GENESIS.to_owned(), String::new());
    for (place, line) in lines {
        if place.segment != segment {
            segment.clone_from(&place.segment);
            report.segments += 1;
        }
        let expected = next.unwrap_or(0);
        let fail = |why: String| Finding {
            segment: place.segment.clone(),
            line: place.line,
            seq: expected,
            why,
        };
        let sealed = match line
            .map_err(|error| error.to_string())
            .and_then(|line| chain::unseal(&line))
        {
            Ok(sealed) => sealed,
            Err(why) => {
                report.finding = Some(fail(why));
                return report;
            }
        };
        if let Some(why) = out_of_place(expected, &prev, &sealed) {
            report.finding = Some(fail(why));
            return report;
        }
        report.records += 1;
        report.head = Some((sealed.seq, sealed.hash.clone()));
        next = Some(expected.saturating_add(1));
        prev = sealed.hash;
    }
    report
}

fn out_of_place(expected: u64, prev: &str, sealed: &chain::Sealed) -> Option<String> {
    if sealed.seq > expected {
        return Some(format!("record {expected} is missing: {} follows", sealed.seq));
    }
    if sealed.seq < expected {
        return Some(format!("record {} is there again, or out of order", sealed.seq));
    }
    (sealed.prev != prev).then(|| "it does not follow the record before it".to_owned())
}
