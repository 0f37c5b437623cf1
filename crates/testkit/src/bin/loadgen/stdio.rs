//! The closed loop over standard input and output: starts the command, keeps so many requests in flight on its one
//! pipe, and ends it. The command is a process group of its own, ended as a whole.

#![expect(
    clippy::disallowed_methods,
    reason = "a client of the gateway starts it itself, and does not share its parser"
)]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::figures::{Outcome, Tally, Usage, Watched};
use crate::message::{self, FIRST_ID, Template};
use crate::options::Options;

/// All requests in flight together must fit a pipe (64 KiB, pipe(7)) even when nobody reads it: so writing never
/// waits, and the two sides cannot wait for each other.
const MAX_IN_FLIGHT_BYTES: usize = 48 * 1024;
const MAX_LINE: u64 = 16 * 1024 * 1024;
/// For the start, the handshake and the warm-up together; and for the answers that are still to come at the end.
const START: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(20);
/// For the command to end by itself once its input has ended.
const GOODBYE: Duration = Duration::from_secs(10);

pub(crate) fn run(options: &Options, words: &[String]) -> Result<Outcome, String> {
    let request = message::request(options);
    if options.connections * (request.len() + 1) > MAX_IN_FLIGHT_BYTES {
        return Err("so many requests in flight do not fit a pipe: fewer, or smaller ones".to_owned());
    }
    let mut started = Started::start(words)?;
    let guard = Guard::set(started.group, START + options.limit + ANSWER);
    let outcome = started.pipe(request).and_then(|mut pipe| {
        pipe.greet(options)?;
        let mut watched: Vec<Watched> = options
            .processes
            .iter()
            .map(|(name, pid)| Watched::new(name, *pid))
            .collect();
        watched.push(Watched::new("command", started.child.id()));
        pipe.measure(options, watched)
    });
    drop(guard);
    let ended = started.end();
    // What came first says more.
    outcome.and_then(|outcome| ended.map(|()| outcome))
}

/// The command while it runs; ended with all that is in its group when dropped.
struct Started {
    child: Child,
    group: Pid,
}

impl Started {
    fn start(words: &[String]) -> Result<Self, String> {
        let [program, arguments @ ..] = words else {
            return Err("there is no command".to_owned());
        };
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("`{program}` could not be started: {error}"))?;
        let group = Pid::from_child(&child);
        Ok(Self { child, group })
    }

    fn pipe(&mut self, request: Template) -> Result<Pipe, String> {
        match (self.child.stdin.take(), self.child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Pipe {
                input,
                output: BufReader::with_capacity(64 * 1024, output),
                line: Vec::new(),
                request,
                next: FIRST_ID,
                in_flight: HashMap::new(),
            }),
            _ => Err("the command has no pipes".to_owned()),
        }
    }

    /// Its input has ended (the pipe was dropped): it should end, too.
    fn end(mut self) -> Result<(), String> {
        let deadline = Instant::now() + GOODBYE;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("the command did not end with its input, and was ended".to_owned())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // INVARIANT: until it was waited for, the group's number belongs to nobody else.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _gone_already = kill_process_group(self.group, Signal::KILL);
            let _reaped = self.child.wait();
        }
    }
}

/// Ends the command when the whole takes too long, so that reading its output ends. Given up when dropped.
struct Guard {
    _give_up: mpsc::Sender<()>,
}

impl Guard {
    fn set(group: Pid, patience: Duration) -> Self {
        let (give_up, given_up) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if given_up.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _gone_already = kill_process_group(group, Signal::KILL);
            }
        });
        Self { _give_up: give_up }
    }
}

struct Pipe {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: Vec<u8>,
    request: Template,
    next: u64,
    in_flight: HashMap<u64, Instant>,
}

impl Pipe {
    /// Afterwards the command has come up: its memory without load can be looked at.
    fn greet(&mut self, options: &Options) -> Result<(), String> {
        self.write(message::hello(options).as_bytes())?;
        let answer = self.answer()?;
        if answer.get("id") != Some(&Value::from(1)) || answer.get("result").is_none() {
            return Err(format!("the handshake was refused: {answer}"));
        }
        if options.is_modern() {
            return Ok(());
        }
        self.write(message::READY.as_bytes())
    }

    fn measure(mut self, options: &Options, mut watched: Vec<Watched>) -> Result<Outcome, String> {
        let no_end = Instant::now() + START;
        self.turns(options, options.warmup, no_end, &mut Tally::default())?;
        for one in &mut watched {
            one.before = Usage::of(one.pid);
        }
        let mut tally = Tally::default();
        let begun = Instant::now();
        let broke = self.turns(options, options.requests, begun + options.limit, &mut tally);
        let time = begun.elapsed();
        for one in &mut watched {
            one.after = Usage::of(one.pid);
        }
        if let Err(error) = broke {
            tally.failed(|| error);
        }
        Ok(Outcome::new(vec![tally], time, watched))
    }

    /// Sends so many requests and waits for all their answers.
    fn turns(
        &mut self,
        options: &Options,
        requests: u64,
        deadline: Instant,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let mut left = requests;
        loop {
            while left > 0 && self.in_flight.len() < options.connections && Instant::now() < deadline {
                self.send()?;
                left -= 1;
            }
            if self.in_flight.is_empty() {
                return Ok(());
            }
            let answer = self.answer()?;
            let now = Instant::now();
            let id = answer.get("id").and_then(Value::as_u64);
            let Some(begun) = id.and_then(|id| self.in_flight.remove(&id)) else {
                return Err(format!("an answer to no request: {:.200}", self.text()));
            };
            if self.is_right(options, &answer) {
                tally.took(now.duration_since(begun));
            } else {
                tally.failed(|| format!("{:.200}", self.text()));
            }
        }
    }

    fn is_right(&self, options: &Options, answer: &Value) -> bool {
        let failed = answer.pointer("/result/isError") == Some(&Value::Bool(true));
        answer.get("result").is_some() && !failed && self.text().contains(&options.expect)
    }

    fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.line)
    }

    fn send(&mut self) -> Result<(), String> {
        self.next += 1;
        let mut bytes = self.request.with(self.next).to_vec();
        bytes.push(b'\n');
        self.in_flight.insert(self.next, Instant::now());
        self.input
            .write_all(&bytes)
            .map_err(|error| format!("the command's input is closed: {error}"))
    }

    fn write(&mut self, text: &[u8]) -> Result<(), String> {
        let line = [text, b"\n"].concat();
        self.input
            .write_all(&line)
            .map_err(|error| format!("the command's input is closed: {error}"))
    }

    /// The next answer; what the command says on its own is passed over.
    fn answer(&mut self) -> Result<Value, String> {
        loop {
            self.line.clear();
            let read = self
                .output
                .by_ref()
                .take(MAX_LINE)
                .read_until(b'\n', &mut self.line);
            match read {
                Ok(0) => return Err("the command's output has ended".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(format!("the command's output broke: {error}")),
            }
            let value: Value = serde_json::from_slice(&self.line)
                .map_err(|error| format!("the command wrote what is not JSON: {error}"))?;
            if value.get("method").is_none() {
                return Ok(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Asked, Target, read};

    /// Runs a shell script as the server.
    fn against(script: &str, more: &[&str]) -> Result<Outcome, String> {
        let mut words: Vec<&str> = vec!["--protocol", "2026-07-28", "--warmup", "0"];
        words.extend(more);
        words.extend(["--", "sh", "-c", script]);
        let Ok(Asked::Load(options)) = read(words.into_iter().map(str::to_owned)) else {
            panic!("not understood");
        };
        let Target::Command(command) = &options.target else {
            panic!("no command")
        };
        run(&options, command)
    }

    const ECHO: &str = r#"while read -r line; do id=${line#*\"id\":}; id=${id%%,*};
        echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{}}"; done"#;

    #[test]
    fn a_server_that_answers_is_measured() {
        let outcome = against(ECHO, &["--requests", "40", "--conns", "4"]).unwrap();
        assert!(outcome.is_clean(), "{outcome:?}");
    }

    #[test]
    fn what_goes_wrong_is_counted_and_never_hidden() {
        // A command that ends early is an error or a failed request, as it comes.
        let clean =
            |script: &str| against(script, &["--requests", "2"]).is_ok_and(|outcome| outcome.is_clean());
        assert!(!clean("read -r line"));
        assert!(!clean(&ECHO.replace("result", "error")));
        assert!(!clean(&ECHO.replace("{}", "{\\\"isError\\\":true}")));
        assert!(!clean(
            r#"while read -r line; do echo '{"jsonrpc":"2.0","id":5,"result":{}}'; done"#
        ));
        assert!(!clean("exit 0"));
        assert!(clean(ECHO));
    }

    #[test]
    fn more_than_a_pipe_holds_is_refused() {
        let long = format!("{{\"message\":\"{}\"}}", "x".repeat(60_000));
        let Err(error) = against(ECHO, &["--args", &long]) else {
            panic!("taken");
        };
        assert!(error.contains("pipe"), "{error}");
    }
}
