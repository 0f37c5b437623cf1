//! What the cage costs: starting a program in it and without it, by turns and in the same run. `true` is the start
//! alone; a real server shows what a person waits for; echoes show that nothing is paid once it runs.

#![expect(clippy::disallowed_methods, reason = "this program exists to run programs")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Starts of each kind; the middle one counts.
const STARTS: usize = 15;
/// Echoes of one server, of which the middle one counts.
const ECHOES: usize = 2_000;
const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const READY: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Prints the table. `server` is the script of a real server for `node`, where one is installed.
pub fn print(mantlet: &Path, echo: &Path, server: Option<&Path>) -> Result<()> {
    println!("\nthe cage: {STARTS} starts, {ECHOES} echoes, plain and caged by turns (medians)\n");
    println!("| | plain | caged | ratio |\n| --- | --- | --- | --- |");
    let truth = vec!["/bin/true".to_owned()];
    let (plain, caged) = starts(mantlet, &truth, |command| {
        let status = command.status()?;
        if status.success() {
            Ok(())
        } else {
            bail!("`true` ended with {status}")
        }
    })?;
    row("start and end of `true`", plain, caged);
    if let Some(server) = server {
        let script = vec![
            "node".to_owned(),
            server.display().to_string(),
            "stdio".to_owned(),
        ];
        let (plain, caged) = starts(mantlet, &script, |command| Talk::start(command)?.hello())?;
        row("`server-everything` to the answer of `initialize`", plain, caged);
    }
    let echo = vec![echo.display().to_string(), "stdio".to_owned()];
    let (mut plain, mut caged) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        plain.push(echoes(&mut command(None, &echo))?);
        caged.push(echoes(&mut command(Some(mantlet), &echo))?);
    }
    row("one echo", median(plain), median(caged));
    Ok(())
}

fn row(what: &str, plain: Duration, caged: Duration) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "| {what} | {:.0} µs | {:.0} µs | {:.2} |",
        micros(plain),
        micros(caged),
        micros(caged) / micros(plain)
    );
}

fn command(cage: Option<&Path>, argv: &[String]) -> Command {
    let mut command = match cage {
        Some(mantlet) => {
            let mut command = Command::new(mantlet);
            command.args(["cage", "--"]).args(argv);
            command
        }
        None => {
            let (program, arguments) = argv
                .split_first()
                .map_or(("true", &[][..]), |(program, rest)| (program, rest));
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
    };
    // The cage's environment is made from nothing. So is the other's here, or variables such as `NODE_EXTRA_CA_CERTS`,
    // which cost a server tens of milliseconds, would be counted for one side only.
    let kept = ["PATH", "HOME"].map(|name| (name, std::env::var_os(name).unwrap_or_default()));
    command
        .env_clear()
        .envs(kept)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

fn starts(
    mantlet: &Path,
    argv: &[String],
    run: impl Fn(&mut Command) -> Result<()>,
) -> Result<(Duration, Duration)> {
    let timed = |cage: Option<&Path>| -> Result<Duration> {
        let begun = Instant::now();
        run(&mut command(cage, argv))?;
        Ok(begun.elapsed())
    };
    let (mut plain, mut caged) = (Vec::new(), Vec::new());
    timed(None)?;
    timed(Some(mantlet))?;
    for round in 0..STARTS {
        // Every second round in the other order, so that neither always comes second.
        if round % 2 == 0 {
            plain.push(timed(None)?);
            caged.push(timed(Some(mantlet))?);
        } else {
            caged.push(timed(Some(mantlet))?);
            plain.push(timed(None)?);
        }
    }
    Ok((median(plain), median(caged)))
}

fn echoes(command: &mut Command) -> Result<Duration> {
    let mut talk = Talk::start(command)?;
    talk.hello()?;
    talk.say(READY)?;
    let mut times = Vec::with_capacity(ECHOES);
    for id in 0..ECHOES {
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"hello"}}}}}}"#,
            id + 10
        );
        let begun = Instant::now();
        talk.say(&call)?;
        talk.hear()?;
        times.push(begun.elapsed());
    }
    Ok(median(times))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A server and its pipes; ended when dropped.
struct Talk {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Talk {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.spawn().context("the server could not be started")?;
        let lines = BufReader::new(child.stdout.take().context("no pipe")?);
        Ok(Self { child, lines })
    }

    fn hello(&mut self) -> Result<()> {
        self.say(HELLO)?;
        self.hear()
    }

    fn say(&mut self, line: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("no pipe")?;
        Ok(input.write_all(format!("{line}\n").as_bytes())?)
    }

    fn hear(&mut self) -> Result<()> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            bail!("the server ended");
        }
        Ok(())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Its end is not measured.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The real server among the peers of the tests, where they are installed.
pub fn real_server(root: &Path) -> Option<PathBuf> {
    let script = root.join("tests/peers/node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    script.is_file().then_some(script)
}
