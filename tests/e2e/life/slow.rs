//! Clients that send or read too slowly cost the others nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mantlet_tests::client::{Session, stateless};
use mantlet_tests::processes::memory;
use mantlet_tests::puppets::Puppets;
use mantlet_tests::serving::Serving;
use mantlet_tests::until;
use serde_json::{Value, json};

use crate::{answer, assert_log_holds, text};

/// Updates of a resource, half a megabyte all together, sent on a call.
const BURST: usize = 8;

fn flooding() -> Value {
    let update = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///a","_meta":{"pad":"{flood:65536}"}}}"#;
    let mut lines = vec![update.to_owned(); BURST];
    lines.push(answer("sent"));
    json!({
        "capabilities": {"tools": {}, "resources": {"subscribe": true}},
        "resources": [{"uri": "file:///a", "name": "a"}],
        "calls": {"environment": lines},
    })
}

fn wanted() -> Value {
    json!({"notifications": {"resourceSubscriptions": ["file:///a"]}})
}

#[test]
fn a_subscriber_that_never_reads_holds_no_other_up_and_costs_little() {
    let puppets = Puppets::one("only", &flooding());
    let serving = Serving::start(&puppets.configuration());
    let listen = |id: &str| {
        stateless(
            &serving,
            Some("only"),
            &json!(id),
            "subscriptions/listen",
            &wanted(),
        )
    };
    // Same caller, same capabilities: for the gateway one client with two subscriptions.
    let _never_reads = listen("idle");
    let mut reads = listen("busy");
    assert_eq!(
        reads.message().unwrap()["method"],
        "notifications/subscriptions/acknowledged"
    );
    let before = memory(serving.pid());
    let params = json!({"name": "environment", "arguments": {}});
    let mut heard = 0;
    for id in 0..40 {
        let mut call = stateless(&serving, Some("only"), &json!(id), "tools/call", &params);
        let answer = call.message_within(Duration::from_secs(20));
        let answer =
            answer.unwrap_or_else(|| panic!("call {id} got no answer: the idle subscriber holds it up"));
        assert_eq!(text(&answer), "sent");
        while heard < (id + 1) * BURST {
            let update = reads.message_within(Duration::from_secs(20));
            let update = update.unwrap_or_else(|| panic!("update {heard} did not come"));
            assert_eq!(update["params"]["uri"], "file:///a");
            heard += 1;
        }
    }
    let grown = memory(serving.pid()).saturating_sub(before) / 1_048_576;
    assert!(
        grown < 16,
        "the gateway grew by {grown} MiB while 20 MiB of updates went by"
    );
    assert_log_holds(&serving);
}

#[test]
fn a_session_whose_stream_is_never_read_still_gets_its_answers() {
    let puppets = Puppets::one("only", &flooding());
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let _never_read = session.listen();
    let watched = session.ask(1, "resources/subscribe", &json!({"uri": "file:///a"}));
    assert!(watched.get("result").is_some(), "{watched}");
    for id in 10..60 {
        assert_eq!(text(&session.call(id, "environment", &json!({}))), "sent");
    }
}

#[test]
fn what_waits_for_a_stream_that_nobody_opens_is_bounded_in_bytes() {
    let update = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///a","_meta":{"pad":"{flood:300000}"}}}"#;
    let mut lines = vec![update.to_owned(); 90];
    lines.push(answer("sent"));
    let script = json!({"capabilities": {"tools": {}, "resources": {}}, "calls": {"environment": lines}});
    let puppets = Puppets::one("only", &script);
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    assert_eq!(text(&session.call(1, "environment", &json!({}))), "sent");
    // The updates are taken in on their own time.
    until("the updates are recorded", || {
        (serving.log().matches("resources/updated").count() == 90).then_some(())
    });
    let mut general = session.listen();
    let mut held = 0;
    while let Some(message) = general.message_within(Duration::from_secs(3)) {
        held += message.to_string().len();
    }
    assert!(held > 0, "nothing was kept");
    assert!(
        held < 8_000_000,
        "{held} bytes were kept for a stream that might never be opened"
    );
    assert_log_holds(&serving);
}

#[test]
fn a_call_whose_answer_is_never_read_holds_no_other_up() {
    let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":{token},"progress":1,"message":"{flood:65536}"}}"#;
    let mut lines = vec![note.to_owned(); 200];
    lines.push(answer("sent"));
    let puppets = Puppets::one("only", &json!({"calls": {"environment": lines}}));
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let params = json!({"name": "environment", "arguments": {}, "_meta": {"progressToken": "p"}});
    let before = memory(serving.pid());
    let _never_read: Vec<_> = (1..4)
        .map(|id| session.begin_to_ask(id, "tools/call", &params))
        .collect();
    until("the calls arrive", || {
        (puppets.seen_of("only", "tools/call").len() == 3).then_some(())
    });
    let other = Session::begin(&serving, Some("only"));
    for id in 0..20 {
        assert_eq!(text(&other.call(id, "echo", &json!({"message": "x"}))), "x");
    }
    let grown = memory(serving.pid()).saturating_sub(before) / 1_048_576;
    assert!(
        grown < 24,
        "the gateway grew by {grown} MiB for answers that nobody reads"
    );
}

/// Sends parts slowly; gives what came back when the gateway had enough of it.
fn trickle(serving: &Serving, begin: &str, part: &str) -> String {
    let mut stream = TcpStream::connect(&serving.address).unwrap();
    stream.write_all(begin.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let mut all = Vec::new();
    while Instant::now() < end {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => return String::from_utf8_lossy(&all).into_owned(),
            Ok(count) => all.extend_from_slice(buffer.get(..count).unwrap()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if stream.write_all(part.as_bytes()).is_err() {
                    return String::from_utf8_lossy(&all).into_owned();
                }
            }
            Err(_) => return String::from_utf8_lossy(&all).into_owned(),
        }
    }
    panic!("the gateway bore it for a minute");
}

#[test]
fn headers_and_bodies_that_trickle_in_are_cut_off() {
    let mut puppets = Puppets::one("only", &json!({}));
    puppets.set("/timeouts", json!({"request_body": "1s"}));
    let serving = Serving::start(&puppets.configuration());
    let head = format!("POST /mcp HTTP/1.1\r\nHost: {}\r\n", serving.address);
    let _cut = trickle(&serving, &head, "X-More: a\r\n");
    let head = format!(
        "{head}Authorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: 100000\r\n\r\n{{",
        serving.token
    );
    let answer = trickle(&serving, &head, " ");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("body_too_slow"), "{answer}");
    let _cut = trickle(&serving, "", "");
}

#[test]
fn many_dawdling_connections_leave_room_for_others() {
    let puppets = Puppets::one("only", &json!({}));
    let serving = Serving::start(&puppets.configuration());
    let head = format!("POST /mcp HTTP/1.1\r\nHost: {}\r\n", serving.address);
    let _dawdling: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut stream = TcpStream::connect(&serving.address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let session = Session::begin(&serving, Some("only"));
    assert_eq!(text(&session.call(1, "echo", &json!({"message": "x"}))), "x");
}
