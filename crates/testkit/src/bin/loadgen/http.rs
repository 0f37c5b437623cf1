//! The closed loop over HTTP: each connection is a client on a thread of its own, with its own session where the era
//! has sessions, which it ends when it is done. Not here: the bytes of HTTP.

use std::io::Result as Read;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

mod client;
use client::Client;

use crate::figures::{Outcome, Tally, Usage, Watched};
use crate::message::{self, FIRST_ID, Template};
use crate::options::{Options, Place};

/// What the connections share.
struct Load<'a> {
    options: &'a Options,
    place: &'a Place,
    warmup: AtomicU64,
    requests: AtomicU64,
    barrier: Barrier,
}

/// Takes one of what is left.
fn take(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
        .is_ok()
}

pub(crate) fn run(options: &Options, place: &Place) -> Result<Outcome, String> {
    let load = Load {
        options,
        place,
        warmup: AtomicU64::new(options.warmup),
        requests: AtomicU64::new(options.requests),
        barrier: Barrier::new(options.connections + 1),
    };
    let mut watched: Vec<Watched> = options
        .processes
        .iter()
        .map(|(name, pid)| Watched::new(name, *pid))
        .collect();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..options.connections)
            .map(|_| scope.spawn(|| work(&load)))
            .collect();
        load.barrier.wait(); // all are warm
        for one in &mut watched {
            one.before = Usage::of(one.pid);
        }
        let begun = Instant::now();
        load.barrier.wait(); // go
        load.barrier.wait(); // all have done their part, and no session has ended yet
        let time = begun.elapsed();
        for one in &mut watched {
            one.after = Usage::of(one.pid);
        }
        let tallies = workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .map_err(|_| "a connection's thread ended".to_owned())
            })
            .collect::<Result<_, _>>()?;
        Ok(Outcome::new(tallies, time, watched))
    })
}

/// One connection. Comes to all three barriers, whatever happens.
fn work(load: &Load<'_>) -> Tally {
    let mut tally = Tally::default();
    let mut session = match Session::open(load) {
        Ok(session) => Some(session),
        Err(error) => {
            tally.failed(|| error);
            None
        }
    };
    if let Some(session) = &mut session {
        while take(&load.warmup) && session.call().is_ok() {}
    }
    load.barrier.wait();
    load.barrier.wait();
    if let Some(session) = &mut session {
        turn(load, session, &mut tally);
    }
    load.barrier.wait();
    if let Some(session) = session {
        session.close(load, &mut tally);
    }
    tally
}

fn turn(load: &Load<'_>, session: &mut Session, tally: &mut Tally) {
    let deadline = Instant::now() + load.options.limit;
    while take(&load.requests) {
        let begun = Instant::now();
        if begun >= deadline {
            return;
        }
        match session.call() {
            Ok(status) => {
                let time = begun.elapsed();
                match session.wrong(load.options, status) {
                    None => tally.took(time),
                    Some(what) => tally.failed(|| what),
                }
            }
            // The connection is in an unknown state.
            Err(error) => return tally.failed(|| error.to_string()),
        }
    }
}

/// A connection that is ready for requests.
struct Session {
    client: Client,
    request: Template,
    id: u64,
    name: Option<String>,
}

impl Session {
    fn open(load: &Load<'_>) -> Result<Self, String> {
        let (options, place) = (load.options, load.place);
        let mut client = Client::connect(place).map_err(|error| format!("no connection: {error}"))?;
        let mut extra = vec![format!("mcp-protocol-version: {}", options.protocol)];
        let mut name = None;
        if options.is_modern() {
            extra.push(format!("mcp-method: {}", options.method));
            if options.method == "tools/call" {
                extra.push(format!("mcp-name: {}", options.tool));
            }
        } else {
            name = greet(options, place, &mut client, &extra)?;
            extra.extend(name.iter().map(|name| format!("mcp-session-id: {name}")));
        }
        let body = message::request(options);
        let request = body.after(&head("POST", options, place, &extra, body.len()));
        Ok(Self {
            client,
            request,
            id: FIRST_ID,
            name,
        })
    }

    fn call(&mut self) -> Read<u16> {
        self.id += 1;
        let answer = self.client.exchange(self.request.with(self.id))?;
        Ok(answer.status)
    }

    /// What is wrong with the last answer.
    fn wrong(&self, options: &Options, status: u16) -> Option<String> {
        let body = &self.client.body;
        let has = |text: &str| contains(body, text.as_bytes());
        let failed = options.status == 200 && has("\"isError\":true");
        // The id has ten digits: they are found by chance in no other place.
        let right = status == options.status && has(&options.expect) && !failed;
        if right && (status != 200 || has(&self.id.to_string())) {
            return None;
        }
        let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
        Some(format!("request {}: status {status}: {text}", self.id))
    }

    /// MCP 2025-11-25 basic/transports §Session Management: a client that needs its session no longer says so.
    fn close(mut self, load: &Load<'_>, tally: &mut Tally) {
        let Some(name) = &self.name else { return };
        let extra = [
            format!("mcp-session-id: {name}"),
            format!("mcp-protocol-version: {}", load.options.protocol),
        ];
        let request = head("DELETE", load.options, load.place, &extra, 0);
        match self.client.exchange(request.as_bytes()) {
            Ok(answer) if matches!(answer.status, 200 | 202 | 204 | 405) => {}
            Ok(answer) => {
                tally.failed(|| format!("the session could not be ended: status {}", answer.status))
            }
            // After an error the connection may be gone, and that error is what counts.
            Err(error) if tally.errors == 0 => {
                tally.failed(|| format!("the session could not be ended: {error}"))
            }
            Err(_) => {}
        }
    }
}

/// The handshake; the session's name, where the server gives one.
fn greet(
    options: &Options,
    place: &Place,
    client: &mut Client,
    version: &[String],
) -> Result<Option<String>, String> {
    let hello = message::hello(options);
    let request = head("POST", options, place, &[], hello.len()) + &hello;
    let broke = |error: std::io::Error| format!("the handshake broke off: {error}");
    let answer = client.exchange(request.as_bytes()).map_err(broke)?;
    if answer.status != 200 {
        let body = String::from_utf8_lossy(&client.body);
        return Err(format!(
            "`initialize` was refused: status {} {body}",
            answer.status
        ));
    }
    let mut extra = version.to_vec();
    extra.extend(
        answer
            .session
            .iter()
            .map(|name| format!("mcp-session-id: {name}")),
    );
    let request = head("POST", options, place, &extra, message::READY.len()) + message::READY;
    let ready = client.exchange(request.as_bytes()).map_err(broke)?;
    if (200..300).contains(&ready.status) {
        Ok(answer.session)
    } else {
        Err(format!(
            "`notifications/initialized` was refused: status {}",
            ready.status
        ))
    }
}

fn head(method: &str, options: &Options, place: &Place, extra: &[String], length: usize) -> String {
    let mut text = format!(
        "{method} {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {length}\r\n",
        place.path, place.host,
    );
    for header in options.headers.iter().chain(extra) {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || haystack.windows(needle.len()).any(|part| part == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_never_goes_below_nothing() {
        let left = AtomicU64::new(2);
        assert_eq!(
            [take(&left), take(&left), take(&left), take(&left)],
            [true, true, false, false]
        );
    }

    #[test]
    fn contains_finds_overlapping_starts() {
        assert!(contains(b"aab", b"ab"));
        assert!(contains(b"x", b""));
        assert!(!contains(b"a", b"aa"));
    }
}
