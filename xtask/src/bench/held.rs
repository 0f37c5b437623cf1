//! A server that runs as long as it is held. It ends when it is dropped, and also when this program is killed: a shell
//! between the two waits for the end of its input, which comes in either case.

#![expect(clippy::disallowed_methods, reason = "this program exists to run programs")]

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Starts the program with its output in `$LOG`, says its process id, and ends it when the input ends or a signal comes.
const KEEPER: &str = r#"trap : INT TERM HUP
"$@" >"$LOG" 2>&1 </dev/null & pid=$!
echo "$pid"
read -r nothing
kill "$pid" 2>/dev/null
wait "$pid" 2>/dev/null"#;

/// Under valgrind all takes fifty times as long.
const START: Duration = Duration::from_secs(120);
/// Longer than the gateway's own `timeouts.drain`.
const END: Duration = Duration::from_secs(20);

/// See the module's head.
#[derive(Debug)]
pub struct Held {
    keeper: Child,
    pub pid: u32,
    pub url: String,
}

impl Held {
    /// Starts a server that says its `http://` URL, with `state` for what it keeps.
    pub fn start(program: &Path, arguments: &[&str], state: &Path, name: &str) -> Result<Self> {
        let log = state.join(format!("{name}.log"));
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(program)
            .args(arguments)
            .env("LOG", &log)
            .env("XDG_STATE_HOME", state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("`sh` could not be started")?;
        let said = keeper.stdout.take();
        // From here on an error ends it.
        let mut held = Self {
            keeper,
            pid: 0,
            url: String::new(),
        };
        let mut line = String::new();
        BufReader::new(said.context("no pipe")?).read_line(&mut line)?;
        held.pid = line.trim().parse().context("no process id")?;
        held.url = held.wait_for_url(&log)?;
        // Past its start, so that its idle memory is that of a gateway at rest.
        std::thread::sleep(Duration::from_millis(300));
        Ok(held)
    }

    fn wait_for_url(&self, log: &PathBuf) -> Result<String> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let whole_lines = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
            let url = whole_lines
                .lines()
                .find_map(|line| line.split_once(" on http://"));
            if let Some((_, rest)) = url {
                return Ok(format!("http://{}", rest.trim()));
            }
            let alive = File::open(format!("/proc/{}/stat", self.pid)).is_ok();
            if !alive {
                bail!("it ended at once: {text}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("`{}` never said where it listens", log.display())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let deadline = Instant::now() + END;
        while Instant::now() < deadline {
            if !matches!(self.keeper.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // INVARIANT: the keeper still waits for it, so that the number belongs to nobody else.
        let _ended = Command::new("kill")
            .args(["-KILL", &self.pid.to_string()])
            .status();
        let _reaped = self.keeper.wait();
    }
}
