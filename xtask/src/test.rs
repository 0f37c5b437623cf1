//! `cargo xtask test`: everything that CI runs. Each step says what it does; a step that fails does not keep the
//! others from running, so that one run tells everything.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{deny, peers, run, tidy};

const MINUTE: Duration = Duration::from_secs(60);
/// One set of features for all steps, so that nothing is built twice: the peers in Rust are behind features.
const ALL: &[&str] = &["--workspace", "--all-features"];

struct Tally {
    passed: u32,
    failed: Vec<String>,
}

impl Tally {
    fn step(&mut self, what: &str, arguments: &[&str], limit: Duration) {
        let outcome = run::run(what, &mut run::command("cargo", arguments), limit);
        self.note(what, outcome);
    }

    fn note(&mut self, what: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(error) => {
                eprintln!("xtask: {error:#}");
                self.failed.push(what.to_owned());
            }
        }
    }
}

pub fn run(_arguments: &[String]) -> Result<()> {
    let mut tally = Tally {
        passed: 0,
        failed: Vec::new(),
    };
    tally.step("format", &["fmt", "--all", "--check"], MINUTE);
    tally.step(
        "lints",
        &[&["clippy", "--all-targets"], ALL, &["--", "-D", "warnings"]].concat(),
        30 * MINUTE,
    );
    tally.note("peers", peers::install(&[]));
    tally.step("the binaries", &[&["build", "--bins"], ALL].concat(), 30 * MINUTE);
    tests(&mut tally, "tests", ALL);
    tally.step(
        "documentation tests",
        &[&["test", "--doc", "--quiet"], ALL].concat(),
        15 * MINUTE,
    );
    tally.step(
        "the demo",
        &["run", "--quiet", "-p", "mantlet", "--", "demo", "--once"],
        2 * MINUTE,
    );
    tally.note("licences", deny::check());
    println!("\n== tidy");
    tally.note("tidy", tidy::run(&[]));
    tally.close()
}

/// Only what runs the built binary between clients and servers.
pub fn end_to_end() -> Result<()> {
    let mut tally = Tally {
        passed: 0,
        failed: Vec::new(),
    };
    tally.note("peers", peers::install(&[]));
    tally.step("the binaries", &[&["build", "--bins"], ALL].concat(), 30 * MINUTE);
    tests(&mut tally, "end to end", &["-p", "mantlet-tests"]);
    tally.close()
}

fn tests(tally: &mut Tally, what: &str, which: &[&str]) {
    let runner: &[&str] = if run::has("cargo", &["nextest", "--version"]) {
        &["nextest", "run", "--no-fail-fast"]
    } else {
        &["test", "--no-fail-fast"]
    };
    tally.step(what, &[runner, which].concat(), 40 * MINUTE);
}

impl Tally {
    fn close(self) -> Result<()> {
        let tally = self;
        let failed = tally.failed.len();
        println!("\nsteps: {} passed, {failed} failed", tally.passed);
        if failed > 0 {
            bail!("failed: {}", tally.failed.join(", "));
        }
        Ok(())
    }
}
