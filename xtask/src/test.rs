//! `cargo xtask test`: everything that CI runs. Each step says what it does; a step that fails does not keep the
//! others from running, so that one run tells everything.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{deny, peers, run, tidy};

const MINUTE: Duration = Duration::from_secs(60);
/// The peers in Rust. They are built by themselves: what they need of common dependencies must not change the gateway
/// that is tested.
const PEERS: &[&str] = &["-p", "mantlet-testkit", "--all-features"];

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
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ],
        30 * MINUTE,
    );
    tally.note("peers", peers::install(&[]));
    binaries(&mut tally);
    tests(&mut tally, "tests", &["--workspace"]);
    tests(&mut tally, "tests of the peers in Rust", PEERS);
    tally.step(
        "documentation tests",
        &["test", "--workspace", "--doc", "--quiet"],
        15 * MINUTE,
    );
    tally.step(
        "the demo",
        &["run", "--quiet", "-p", "mantlet", "--", "demo", "--once"],
        // By itself the binary has other features of common dependencies: much is built once more.
        15 * MINUTE,
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
    binaries(&mut tally);
    tests(&mut tally, "end to end", &["-p", "mantlet-tests"]);
    tally.close()
}

fn binaries(tally: &mut Tally) {
    tally.step(
        "the peers in Rust",
        &[&["build", "--bins"], PEERS].concat(),
        30 * MINUTE,
    );
    // After them, so that what both build is the gateway's own.
    tally.step("the binaries", &["build", "--workspace", "--bins"], 30 * MINUTE);
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
