//! A cancellation reaches the server that works on the request, and no other, in both forms.

use std::time::Duration;

use mantlet_tests::client::{Session, stateless};
use mantlet_tests::puppets::Puppets;
use mantlet_tests::serving::Serving;
use mantlet_tests::until;
use serde_json::{Value, json};

use crate::{plain, text};

const LONG: u64 = 600_000;

fn slow(millis: u64) -> Value {
    json!({"name": "slow", "arguments": {"millis": millis}})
}

/// The ids under which the server got calls.
fn calls(puppets: &Puppets) -> Vec<Value> {
    let seen = puppets.seen_of("only", "tools/call");
    seen.iter().map(|message| message["id"].clone()).collect()
}

/// The ids whose cancellation the server got.
fn cancelled(puppets: &Puppets) -> Vec<Value> {
    let seen = puppets.seen_of("only", "notifications/cancelled");
    seen.iter()
        .map(|message| message["params"]["requestId"].clone())
        .collect()
}

fn wait_for_calls(puppets: &Puppets, count: usize) -> Vec<Value> {
    until("the calls arrive", || {
        Some(calls(puppets)).filter(|calls| calls.len() == count)
    })
}

#[test]
fn a_sessions_cancellation_reaches_the_server_under_the_id_it_knows() {
    let puppets = Puppets::one("only", &plain());
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let mut running = session.begin_to_ask(77, "tools/call", &slow(LONG));
    let known = wait_for_calls(&puppets, 1);
    let cancel = json!({"requestId": 77, "reason": "enough"});
    assert_eq!(session.tell("notifications/cancelled", &cancel), 202);
    until("the server is told", || {
        (cancelled(&puppets) == known).then_some(())
    });
    // The client has given up; whatever comes still is no result.
    if let Some(message) = running.message_within(Duration::from_secs(5)) {
        assert!(message.get("result").is_none(), "{message}");
    }
    assert_eq!(text(&session.call(78, "echo", &json!({"message": "x"}))), "x");
}

#[test]
fn a_sessions_cancellation_stops_no_request_of_another_session() {
    let puppets = Puppets::one("only", &plain());
    let serving = Serving::start(&puppets.configuration());
    let (mine, theirs) = (
        Session::begin(&serving, Some("only")),
        Session::begin(&serving, Some("only")),
    );
    let mut running = mine.begin_to_ask(5, "tools/call", &slow(3_000));
    wait_for_calls(&puppets, 1);
    assert_eq!(
        theirs.tell("notifications/cancelled", &json!({"requestId": 5})),
        202
    );
    let answer = running.find(|message| message["id"] == 5).unwrap();
    assert_eq!(text(&answer), "slept 3000");
    assert!(cancelled(&puppets).is_empty());
}

#[test]
fn leaving_cancels_a_stateless_request() {
    let puppets = Puppets::one("only", &plain());
    let serving = Serving::start(&puppets.configuration());
    let leaving = stateless(&serving, Some("only"), &json!("same"), "tools/call", &slow(LONG));
    let first = wait_for_calls(&puppets, 1);
    let mut staying = stateless(&serving, Some("only"), &json!("same"), "tools/call", &slow(3_000));
    wait_for_calls(&puppets, 2);
    drop(leaving);
    until("the server is told", || {
        (!cancelled(&puppets).is_empty()).then_some(())
    });
    assert_eq!(cancelled(&puppets), first);
    let answer = staying.find(|message| message["id"] == "same").unwrap();
    assert_eq!(text(&answer), "slept 3000");
    assert_eq!(cancelled(&puppets), first);
}

#[test]
fn leaving_does_not_cancel_a_request_of_a_session() {
    let puppets = Puppets::one("only", &plain());
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let leaving = session.begin_to_ask(1, "tools/call", &slow(1_000));
    wait_for_calls(&puppets, 1);
    drop(leaving);
    // MCP 2025-11-25 basic/transports §Sending Messages: a disconnection is not a cancellation.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(
        text(&session.call(2, "slow", &json!({"millis": 600}))),
        "slept 600"
    );
    assert!(cancelled(&puppets).is_empty(), "{:?}", cancelled(&puppets));
}

#[test]
fn cancellations_over_stdio_reach_the_server_in_both_eras() {
    let puppets = Puppets::one("only", &plain());
    let file = puppets.file();
    let arguments = ["wrap", "--config", &file.to_string_lossy(), "--name", "only"];
    let mut talk =
        mantlet_tests::lines::Talk::start(&mantlet_tests::binary("mantlet"), &arguments, puppets.directory());
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"},
    });
    talk.ask(0, "initialize", &hello).unwrap();
    talk.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let mut new = slow(LONG);
    new["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for (count, (id, params)) in [(json!("old"), slow(LONG)), (json!("new"), new)]
        .into_iter()
        .enumerate()
    {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        talk.say(&message.to_string());
        let known = wait_for_calls(&puppets, count + 1);
        let mut cancel = json!({"requestId": id});
        if count == 1 {
            cancel["_meta"] = params["_meta"].clone();
        }
        let note = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel});
        talk.say(&note.to_string());
        until("the server is told", || {
            (cancelled(&puppets) == known).then_some(())
        });
    }
}
