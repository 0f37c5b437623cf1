//! A program that talks in lines over stdio, such as `mantlet wrap`: lines in, lines out, with a limit on waiting.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::http::parse;

/// A running program.
#[derive(Debug)]
pub struct Talk {
    /// The program.
    pub child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Talk {
    /// Starts it with a state directory of its own.
    #[must_use]
    pub fn start<S: AsRef<OsStr>>(program: &Path, arguments: &[S], state: &Path) -> Self {
        Self::with(
            Command::new(program)
                .args(arguments)
                .env("XDG_STATE_HOME", state)
                .stderr(Stdio::inherit()),
        )
    }

    /// Starts it; where its standard error goes is the command's to say.
    #[must_use]
    pub fn with(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
        }
    }

    /// Says one line.
    pub fn say(&mut self, line: &str) {
        self.say_bytes(line.as_bytes());
    }

    /// Says bytes and ends the line.
    pub fn say_bytes(&mut self, line: &[u8]) {
        if let Some(stdin) = &mut self.stdin {
            // It may have ended; the next `hear` shows that.
            let _gone = stdin.write_all(&[line, b"\n"].concat());
            let _gone = stdin.flush();
        }
    }

    /// The next line, within 30 s.
    pub fn hear(&mut self) -> Option<Value> {
        let line = self.lines.recv_timeout(Duration::from_secs(30)).ok()?;
        Some(parse(&line).unwrap_or(Value::String(line)))
    }

    /// The answer to an id; what comes before it is dropped.
    pub fn answer(&mut self, id: &Value) -> Option<Value> {
        loop {
            let heard = self.hear()?;
            if heard.get("id") == Some(id) && heard.get("method").is_none() {
                return Some(heard);
            }
        }
    }

    /// Says a line and hears its answer.
    pub fn ask(&mut self, id: i64, method: &str, params: &Value) -> Option<Value> {
        let message = serde_json::json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.say(&message.to_string());
        self.answer(&id.into())
    }

    /// Ends its input.
    pub fn close(&mut self) {
        self.stdin = None;
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.close();
        for _ in 0..300 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
