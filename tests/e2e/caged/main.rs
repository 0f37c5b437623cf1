//! Servers in cages behind the built binary: what they try is refused and on record, what they need works (packages, a
//! native module, a browser), and what the machine cannot give is said.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test says what is wrong by panicking, and starts programs"
)]

mod breaches;
mod browser;
mod packages;
mod tiers;
#[path = "../cage/users.rs"]
mod users;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use mantlet_tests::answers::{reason, text};
use mantlet_tests::client::Session;
use mantlet_tests::serving::Serving;
use mantlet_tests::{binary, http, until};
use serde_json::{Value, json};

/// The words that start `server.py`.
fn command() -> Value {
    json!(["/usr/bin/python3", "-c", include_str!("server.py")])
}

/// A gateway with `server.py` as its one server, `only`, with this `sandbox:`.
fn serving(sandbox: &Value) -> Serving {
    let servers = json!({"only": {"command": command(), "sandbox": sandbox}});
    Serving::start(&format!("servers: {servers}\n"))
}

/// Lets the server run code; gives the whole answer.
fn run(session: &Session<'_>, id: i64, code: &str) -> Value {
    session.call(id, "run", &json!({ "code": code }))
}

/// What `mantlet status` says of the server `only`, once it says something that is looked for.
fn status(serving: &Serving, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    until(&format!("the status shows {what}"), || {
        let output = Command::new(binary("mantlet"))
            .args(["status", "--format", "json"])
            .env("XDG_STATE_HOME", serving.state())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let all = http::parse(&String::from_utf8_lossy(&output.stdout)).ok()?;
        let found = all.pointer("/0/status/servers/0")?.clone();
        fits(&found).then_some(found)
    })
}

/// The records of a kind in the log, once there is one with this text.
fn recorded(serving: &Serving, part: &str) -> Value {
    until(&format!("`{part}` is in the log"), || {
        let log = serving.log();
        let line = log
            .lines()
            .find(|line| line.contains(r#""kind":"cage""#) && line.contains(part))?;
        http::parse(line).ok()
    })
}

/// A web server on loopback for as long as the test runs; what it answers is made of the `Host` that it was asked for.
fn web(body: fn(&str) -> String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        // A browser opens more connections than it uses.
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).unwrap_or(0);
                let head = String::from_utf8_lossy(head.get(..read).unwrap_or_default()).into_owned();
                let host = head.lines().find_map(|line| line.strip_prefix("Host: "));
                let body = body(host.unwrap_or("nobody"));
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _gone = stream.write_all(format!("{head}{body}").as_bytes());
            });
        }
    });
    port
}
