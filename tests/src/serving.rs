//! `mantlet serve` as a child of the test: its own state, a free port, ended with the test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{binary, http};

/// A running gateway.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    directory: TempDir,
    said: Arc<Mutex<String>>,
    /// Where it listens, as `127.0.0.1:PORT`.
    pub address: String,
    /// What a client sends as bearer token.
    pub token: String,
}

impl Serving {
    /// Starts a gateway for a configuration without `listen.address`; it gets a free port.
    #[must_use]
    pub fn start(configuration: &str) -> Self {
        Self::start_with(configuration, &[])
    }

    /// The same, with variables added to its environment.
    #[must_use]
    pub fn start_with(configuration: &str, environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mantlet.yaml");
        let listen = if configuration.contains("listen") {
            ""
        } else {
            "listen: { address: 127.0.0.1:0 }\n"
        };
        std::fs::write(&path, format!("{listen}{configuration}")).unwrap();
        let mut child = Command::new(binary("mantlet"))
            .args(["serve", "--config"])
            .arg(&path)
            .env("XDG_STATE_HOME", directory.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let said = Arc::new(Mutex::new(String::new()));
        let address = address(&mut stderr, &said);
        let more = Arc::clone(&said);
        std::thread::spawn(move || listen_on(&mut stderr, &more));
        let token = std::fs::read_to_string(directory.path().join("mantlet/token")).unwrap_or_default();
        Self {
            child,
            directory,
            said,
            address,
            token: token.trim().to_owned(),
        }
    }

    /// The URL of one server's endpoint, or of all with `None`.
    #[must_use]
    pub fn url(&self, server: Option<&str>) -> String {
        match server {
            Some(server) => format!("http://{}/servers/{server}/mcp", self.address),
            None => format!("http://{}/mcp", self.address),
        }
    }

    /// What it has said on stderr so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its configuration file.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.directory.path().join("mantlet.yaml")
    }

    /// Its state directory.
    #[must_use]
    pub fn state(&self) -> &Path {
        self.directory.path()
    }

    /// Everything in its audit log, as text.
    #[must_use]
    pub fn log(&self) -> String {
        let mut text = String::new();
        let directory = self.directory.path().join("mantlet/audit");
        let mut files: Vec<_> = std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .collect();
        files.sort();
        for file in files {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()));
        }
        text
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for its end, at most so long.
    pub fn ended(&mut self, patience: Duration) -> Option<i32> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status.code().unwrap_or(-1));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Posts a message as the token's holder.
    #[must_use]
    pub fn post(&self, server: Option<&str>, headers: &[(&str, &str)], body: &str) -> http::Answer {
        let path = match server {
            Some(server) => format!("/servers/{server}/mcp"),
            None => "/mcp".to_owned(),
        };
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        all.extend(headers);
        http::request(&self.address, "POST", &path, &all, body.as_bytes())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        signal(self.child.id(), "TERM");
        if self.ended(Duration::from_secs(8)).is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        if std::thread::panicking() {
            eprintln!("--- the gateway said:\n{}", self.said());
        }
    }
}

/// Sends a signal to a process by the signal's name.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .stderr(Stdio::null())
        .status();
    assert!(sent.is_ok(), "`kill` could not be run");
}

fn address(stderr: &mut impl BufRead, said: &Mutex<String>) -> String {
    loop {
        let mut line = String::new();
        let count = stderr.read_line(&mut line).unwrap();
        said.lock().unwrap().push_str(&line);
        assert!(count > 0, "the gateway ended: {}", said.lock().unwrap());
        if let Some((_, rest)) = line.split_once(" on http://") {
            // The last line of the greeting comes after the token was written.
            return rest.trim().trim_end_matches("/mcp").to_owned();
        }
    }
}

fn listen_on(stderr: &mut impl std::io::Read, said: &Mutex<String>) {
    let mut buffer = [0; 4096];
    while let Ok(count) = stderr.by_ref().read(&mut buffer) {
        if count == 0 {
            return;
        }
        let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default()).into_owned();
        said.lock().unwrap().push_str(&text);
    }
}
