//! One run of the load generator and what it reports; and what several runs come to.

#![expect(clippy::disallowed_methods, reason = "this program exists to run programs")]

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Case;

/// How long each run sends requests.
pub const SECONDS: u64 = 2;
/// Beyond that: start, warm-up, end. The load generator's own limits come first.
const PATIENCE: Duration = Duration::from_secs(120);
const TEXT: &str = "The quick brown fox jumps over the lazy dog";

/// A run of the load generator, ready to be repeated.
#[derive(Debug)]
pub struct Load {
    command: Vec<std::ffi::OsString>,
    watched: Option<String>,
    tail: Vec<std::ffi::OsString>,
}

impl Load {
    fn new(case: Case) -> Self {
        let words = [
            "--protocol",
            case.protocol,
            "--conns",
            &case.connections.to_string(),
            "--max-secs",
            &SECONDS.to_string(),
            "--requests",
            "5000000",
            "--warmup",
            "500",
            "--args",
            &serde_json::json!({ "message": TEXT }).to_string(),
            "--expect",
            &format!("\"text\":\"{TEXT}\""),
        ];
        Self {
            command: words.map(Into::into).to_vec(),
            watched: None,
            tail: Vec::new(),
        }
    }

    pub fn http(case: Case, url: &str) -> Self {
        Self::new(case).with("--url", url.as_ref())
    }

    pub fn command(case: Case, words: &[&OsStr]) -> Self {
        let mut load = Self::new(case);
        load.watched = Some("command".to_owned());
        load.tail.push("--".into());
        load.tail.extend(words.iter().map(Into::into));
        load
    }

    pub fn with_token(self, file: &Path) -> Self {
        self.with("--token-file", file.as_os_str())
    }

    pub fn watching(mut self, pid: u32) -> Self {
        self.watched = Some("gateway".to_owned());
        self.with("--pid", format!("gateway={pid}").as_ref())
    }

    /// So many requests, however long they take.
    pub fn exactly(mut self, requests: u32) -> Self {
        for (flag, value) in [
            ("--requests", requests.to_string()),
            ("--warmup", "10".to_owned()),
            ("--max-secs", PATIENCE.as_secs().to_string()),
        ] {
            if let Some(at) = self.command.iter().position(|word| word == flag)
                && let Some(word) = self.command.get_mut(at + 1)
            {
                *word = value.into();
            }
        }
        self
    }

    fn with(mut self, flag: &str, value: &OsStr) -> Self {
        self.command.extend([flag.into(), value.to_owned()]);
        self
    }

    /// Runs it. Failed requests are no error here: they are in the report.
    pub fn run(&self, loadgen: &Path, state: &Path) -> Result<Report> {
        let mut child = Command::new(loadgen)
            .args(&self.command)
            .args(&self.tail)
            .env("XDG_STATE_HOME", state)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the load generator could not be started")?;
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                bail!("the load generator did not end and was ended");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Its report is far smaller than a pipe, so that it never waits for a reader.
        let mut text = String::new();
        child
            .stdout
            .take()
            .context("no pipe")?
            .read_to_string(&mut text)?;
        let value: Value = text
            .parse()
            .context("the load generator gave no report: see above")?;
        let watched = self.watched.as_deref().map(|name| &value["processes"][name]);
        Report::read(&value, watched)
    }
}

/// What one run reports.
#[derive(Clone, Debug)]
pub struct Report {
    requests: f64,
    errors: u64,
    first_error: Option<String>,
    rps: f64,
    p50: f64,
    p99: f64,
    process: Option<Process>,
}

#[derive(Clone, Copy, Debug)]
struct Process {
    micros: f64,
    idle_kib: f64,
    peak_kib: f64,
}

impl Report {
    /// Why it counts for nothing, if it does.
    pub fn failure(&self) -> Option<String> {
        let first = || self.first_error.clone().unwrap_or_default();
        (self.errors > 0).then(|| format!("{} requests failed: {}", self.errors, first()))
    }

    fn read(value: &Value, process: Option<&Value>) -> Result<Self> {
        let process = match process {
            Some(process) => Some(Process {
                micros: number(process, "cpu_us_per_request")?,
                idle_kib: number(process, "rss_idle_kib")?,
                peak_kib: number(process, "peak_rss_kib")?,
            }),
            None => None,
        };
        let requests = number(value, "requests")?;
        let errors = value["errors"].as_u64().context("no `errors`")?;
        Ok(Self {
            requests,
            // A run without a single answer failed, whatever else it says.
            errors: if requests > 0.0 { errors } else { errors.max(1) },
            first_error: value["first_error"].as_str().map(str::to_owned),
            rps: number(value, "rps")?,
            p50: number(value, "p50_us")?,
            p99: number(value, "p99_us")?,
            process,
        })
    }
}

fn number(value: &Value, key: &str) -> Result<f64> {
    value[key]
        .as_f64()
        .with_context(|| format!("the load generator's report has no `{key}`"))
}

/// What several runs come to: the middle one for times, all together for what adds up.
#[derive(Debug)]
pub struct Measured {
    pub rps: f64,
    pub p50: f64,
    pub p99: f64,
    pub cpu: Option<f64>,
    pub idle_kib: Option<f64>,
    pub peak_kib: Option<f64>,
    pub errors: u64,
    pub first_error: Option<String>,
}

impl Measured {
    pub fn of(reports: &[Report]) -> Self {
        let all = |figure: fn(&Report) -> f64| reports.iter().map(figure).collect::<Vec<f64>>();
        let of_process = |figure: fn(&Process) -> f64| -> Vec<f64> {
            let processes = reports.iter().filter_map(|report| report.process.as_ref());
            processes.map(figure).collect()
        };
        let requests: f64 = all(|report| report.requests).iter().sum();
        let spent: Vec<f64> = reports
            .iter()
            .filter_map(|report| report.process.map(|process| process.micros * report.requests))
            .collect();
        Self {
            rps: middle(all(|report| report.rps)),
            p50: middle(all(|report| report.p50)),
            p99: middle(all(|report| report.p99)),
            cpu: (!spent.is_empty() && requests > 0.0).then(|| spent.iter().sum::<f64>() / requests),
            // Of the first run only: afterwards a gateway has seen load.
            idle_kib: of_process(|process| process.idle_kib).first().copied(),
            peak_kib: of_process(|process| process.peak_kib)
                .into_iter()
                .reduce(f64::max),
            errors: reports.iter().map(|report| report.errors).sum(),
            first_error: reports.iter().find_map(|report| report.first_error.clone()),
        }
    }
}

fn middle(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(requests: u64, rps: f64, cpu: f64) -> Report {
        let value = serde_json::json!({ "requests": requests, "errors": 0, "rps": rps, "p50_us": 1, "p99_us": 2,
            "first_error": null });
        let process =
            serde_json::json!({ "cpu_us_per_request": cpu, "rss_idle_kib": rps, "peak_rss_kib": rps });
        Report::read(&value, Some(&process)).unwrap()
    }

    #[test]
    fn the_middle_counts_and_cpu_is_weighed_by_requests() {
        let measured = Measured::of(&[
            report(100, 30.0, 10.0),
            report(300, 10.0, 50.0),
            report(0, 20.0, 0.0),
        ]);
        assert_eq!(measured.rps, 20.0);
        assert_eq!(measured.cpu, Some(40.0));
        assert_eq!((measured.idle_kib, measured.peak_kib), (Some(30.0), Some(30.0)));
        assert_eq!(measured.errors, 1, "a run without an answer failed");
    }

    #[test]
    fn a_report_that_lacks_something_is_not_taken() {
        let value = serde_json::json!({ "requests": 1, "errors": 0, "rps": 1, "p50_us": 1 });
        assert!(Report::read(&value, None).is_err());
        assert!(Report::read(&value, Some(&Value::Null)).is_err());
    }
}
