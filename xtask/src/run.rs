//! Running programs: shown before they run, with a time limit, ended with everything they started.

#![expect(clippy::disallowed_methods, reason = "this program exists to run programs")]

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A command in the root of the repository.
pub fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a command to its end; an exit code other than 0 is an error, and so is taking longer than `limit`.
pub fn run(what: &str, command: &mut Command, limit: Duration) -> Result<()> {
    println!("\n== {what}");
    let begun = Instant::now();
    let mut child = command
        .process_group(0)
        .spawn()
        .with_context(|| format!("{what}: could not be started"))?;
    loop {
        if let Some(status) = child.try_wait()? {
            println!("== {what}: {:.0} s", begun.elapsed().as_secs_f64());
            if !status.success() {
                bail!("{what} failed ({status})");
            }
            return Ok(());
        }
        if begun.elapsed() > limit {
            let _ended = Command::new("kill")
                .args(["-KILL", "--", &format!("-{}", child.id())])
                .status();
            let _reaped = child.wait();
            bail!("{what} took longer than {} s and was ended", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a program can be run.
pub fn has(program: &str, arguments: &[&str]) -> bool {
    command(program, arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
