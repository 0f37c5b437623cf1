//! What a run measured, and the report of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::options::Options;

/// Hundredths of a second: Linux counts CPU time for programs in these, whatever its own clock does.
const MICROS_PER_TICK: f64 = 10_000.0;

/// What one connection saw.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How long each answer took that was right.
    pub(crate) nanos: Vec<u64>,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

impl Tally {
    pub(crate) fn took(&mut self, time: Duration) {
        self.nanos
            .push(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn failed(&mut self, what: impl FnOnce() -> String) {
        self.errors += 1;
        self.first_error.get_or_insert_with(what);
    }
}

/// CPU time and memory of a process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    ticks: u64,
    resident_kib: u64,
    peak_kib: u64,
}

impl Usage {
    /// Reads them; `None` when there is no such process.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Self::read(&stat, &status)
    }

    fn read(stat: &str, status: &str) -> Option<Self> {
        // The name in parentheses may hold anything, spaces and parentheses too; utime and stime are the 12th and
        // 13th field after it (proc(5)).
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim().strip_suffix(" kB")?.trim().parse().ok()
        };
        Some(Self {
            ticks: ticks()?.checked_add(ticks()?)?,
            resident_kib: kib("VmRSS:")?,
            peak_kib: kib("VmHWM:")?,
        })
    }
}

/// A process over the time of a run.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) idle: Option<Usage>,
    pub(crate) before: Option<Usage>,
    pub(crate) after: Option<Usage>,
}

impl Watched {
    /// Begins before there is any load.
    pub(crate) fn new(name: &str, pid: u32) -> Self {
        Self {
            name: name.to_owned(),
            pid,
            idle: Usage::of(pid),
            before: None,
            after: None,
        }
    }

    fn report(&self, requests: usize) -> Option<Value> {
        let (idle, before, after) = (self.idle?, self.before?, self.after?);
        let ticks = after.ticks.saturating_sub(before.ticks);
        Some(json!({
            "cpu_us_per_request": tenths(ticks as f64 * MICROS_PER_TICK / requests.max(1) as f64),
            "rss_idle_kib": idle.resident_kib,
            "rss_kib": after.resident_kib,
            "peak_rss_kib": after.peak_kib,
        }))
    }
}

/// A whole run.
#[derive(Debug)]
pub(crate) struct Outcome {
    nanos: Vec<u64>,
    errors: u64,
    first_error: Option<String>,
    time: Duration,
    watched: Vec<Watched>,
}

impl Outcome {
    pub(crate) fn new(tallies: Vec<Tally>, time: Duration, watched: Vec<Watched>) -> Self {
        let mut outcome = Self {
            nanos: Vec::new(),
            errors: 0,
            first_error: None,
            time,
            watched,
        };
        for tally in tallies {
            outcome.nanos.extend(tally.nanos);
            outcome.errors += tally.errors;
            outcome.first_error = outcome.first_error.or(tally.first_error);
        }
        outcome.nanos.sort_unstable();
        outcome
    }

    /// Something was measured and nothing went wrong, nor did a watched process vanish.
    pub(crate) fn is_clean(&self) -> bool {
        self.errors == 0 && !self.nanos.is_empty() && self.watched.iter().all(|one| one.report(1).is_some())
    }

    /// One JSON object.
    pub(crate) fn report(&self, options: &Options) -> Value {
        let requests = self.nanos.len();
        let seconds = self.time.as_secs_f64();
        let processes: serde_json::Map<String, Value> = self
            .watched
            .iter()
            .map(|one| (one.name.clone(), one.report(requests).unwrap_or_default()))
            .collect();
        json!({
            "label": options.label,
            "connections": options.connections,
            "protocol": options.protocol,
            "requests": requests,
            "errors": self.errors,
            "first_error": self.first_error,
            "seconds": seconds,
            "rps": if seconds > 0.0 { tenths(requests as f64 / seconds) } else { 0.0 },
            "p50_us": self.micros(500),
            "p90_us": self.micros(900),
            "p99_us": self.micros(990),
            "p999_us": self.micros(999),
            "max_us": self.micros(1_000),
            "processes": processes,
        })
    }

    /// The time within which so many of a thousand answers came (nearest rank).
    fn micros(&self, per_mille: usize) -> f64 {
        let rank = (self.nanos.len() * per_mille).div_ceil(1_000);
        let nanos = self.nanos.get(rank.saturating_sub(1)).copied();
        tenths(nanos.unwrap_or_default() as f64 / 1_000.0)
    }
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(micros: impl Iterator<Item = u64>) -> Outcome {
        let mut tally = Tally::default();
        for time in micros {
            tally.took(Duration::from_micros(time));
        }
        Outcome::new(vec![tally], Duration::from_secs(1), Vec::new())
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let hundred = outcome((1..=100).rev());
        assert_eq!(hundred.micros(500), 50.0);
        assert_eq!(hundred.micros(990), 99.0);
        assert_eq!(hundred.micros(1_000), 100.0);
        assert_eq!(outcome(std::iter::once(7)).micros(500), 7.0);
        assert_eq!(outcome(std::iter::empty()).micros(990), 0.0);
    }

    #[test]
    fn a_run_without_answers_or_with_an_error_is_not_clean() {
        assert!(outcome(1..=3).is_clean());
        assert!(!outcome(std::iter::empty()).is_clean());
        let mut tally = Tally::default();
        tally.took(Duration::from_micros(1));
        tally.failed(|| "first".to_owned());
        tally.failed(|| "second".to_owned());
        let failed = Outcome::new(vec![tally], Duration::from_secs(1), Vec::new());
        assert!(!failed.is_clean());
        assert_eq!((failed.errors, failed.first_error.as_deref()), (2, Some("first")));
        let gone = Watched::new("gone", u32::MAX);
        let mut tally = Tally::default();
        tally.took(Duration::from_micros(1));
        assert!(!Outcome::new(vec![tally], Duration::from_secs(1), vec![gone]).is_clean());
    }

    #[test]
    fn a_process_with_a_strange_name_is_read() {
        let stat = "12 (a) R (b c) S 1 2 3 4 5 6 7 8 9 10 70 30 0 0 20 0";
        let usage = Usage::read(stat, "VmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n").unwrap();
        assert_eq!(
            (usage.ticks, usage.resident_kib, usage.peak_kib),
            (100, 1024, 2048)
        );
        assert!(Usage::read("12 (x) S 1", "VmRSS: 1 kB").is_none());
        assert!(Usage::of(std::process::id()).is_some());
    }
}
