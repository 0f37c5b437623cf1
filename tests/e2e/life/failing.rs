//! Servers that crash, do not start, flood or stop reading: started again, shown as they are, and nobody else's trouble.

use std::time::Duration;

use mantlet_tests::client::Session;
use mantlet_tests::puppets::Puppets;
use mantlet_tests::serving::Serving;
use mantlet_tests::{http, until};
use serde_json::{Value, json};

use crate::{answer, assert_log_holds, mantlet, plain, reason, text};

/// What `mantlet status` says of a server.
fn status(serving: &Serving, name: &str) -> Value {
    let (said, code) = mantlet(&["status", "--format", "json"], serving.state());
    assert_eq!(code, 0, "{said}");
    let all = http::parse(&said).unwrap();
    let mut servers = all[0]["status"]["servers"].as_array().into_iter().flatten();
    let found = servers.find(|server| server["name"] == name);
    found.cloned().unwrap_or_default()
}

pub(crate) fn assert_becomes(serving: &Serving, name: &str, state: &str) -> Value {
    until(&format!("the status shows `{name}` as `{state}`"), || {
        let status = status(serving, name);
        (status["state"] == state).then_some(status)
    })
}

#[test]
fn a_server_that_crashes_is_started_again_and_the_next_call_works() {
    let puppets = Puppets::one("only", &json!({"calls": {"environment": ["{exit}"]}}));
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    assert!(!text(&session.call(1, "process", &json!({}))).is_empty());
    let first = puppets.processes();
    let crashed = session.call(2, "environment", &json!({}));
    assert_eq!(reason(&crashed), "upstream_unavailable");
    assert!(!text(&session.call(3, "process", &json!({}))).is_empty());
    assert_ne!(puppets.processes(), first);
    assert_eq!(puppets.seen_of("only", "initialize").len(), 2);
    assert_eq!(
        puppets.processes().len(),
        1,
        "the dead server's process is still there"
    );
    assert_log_holds(&serving);
}

#[test]
fn a_server_that_crashes_again_and_again_is_left_alone_for_a_while() {
    let mut puppets = Puppets::one("only", &json!({"calls": {"environment": ["{exit}"]}}));
    puppets.set("/servers/only/restart", json!({"limit": 3, "within": "5m"}));
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    for id in 1..=12 {
        assert_eq!(
            reason(&session.call(id, "environment", &json!({}))),
            "upstream_unavailable"
        );
    }
    let starts = puppets.seen_of("only", "initialize").len();
    assert!(starts <= 5, "it was started {starts} times");
    assert_becomes(&serving, "only", "down");
}

#[test]
fn one_dead_server_takes_no_other_down_and_the_status_shows_it() {
    let mut puppets = Puppets::one("good", &plain());
    puppets.set("/servers/missing", json!({"command": ["/nonexistent/server"]}));
    puppets.set(
        "/servers/mute",
        json!({"command": ["sleep", "600"], "timeouts": {"start": "1s"}}),
    );
    puppets.set("/servers/quits", json!({"command": ["false"]}));
    puppets.set("/servers/far", json!({"url": "http://127.0.0.1:9/mcp"}));
    let serving = Serving::start(&puppets.configuration());
    assert_eq!(status_of_unused(&serving), "not used yet");
    let session = Session::begin(&serving, None);
    let listed = session.ask(1, "tools/list", &json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap();
    assert!(
        !tools.is_empty()
            && tools
                .iter()
                .all(|tool| tool["name"].as_str().unwrap().starts_with("good__"))
    );
    assert_eq!(
        text(&session.call(2, "good__echo", &json!({"message": "x"}))),
        "x"
    );
    assert_becomes(&serving, "good", "up");
    for dead in ["missing", "mute", "quits", "far"] {
        let status = assert_becomes(&serving, dead, "down");
        assert!(
            status["last_error"]
                .as_str()
                .is_some_and(|error| !error.is_empty()),
            "{status}"
        );
    }
    let log = serving.log();
    assert!(
        log.contains("servers could not be used"),
        "the log does not say that the list is not whole"
    );
    assert_log_holds(&serving);
}

fn status_of_unused(serving: &Serving) -> String {
    until("there is a status", || {
        status(serving, "missing")["state"].as_str().map(str::to_owned)
    })
}

#[test]
fn a_server_that_died_is_shown_as_down() {
    let puppets = Puppets::one("only", &json!({"calls": {"environment": ["{exit}"]}}));
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    assert_becomes(&serving, "only", "up");
    let _crashed = session.call(2, "environment", &json!({}));
    assert_becomes(&serving, "only", "down");
}

#[test]
fn a_flood_on_standard_error_holds_nothing_up() {
    // 256 KiB is more than any pipe holds; once without a line end, once in the handshake.
    let mut puppets = Puppets::one(
        "calls",
        &json!({"calls": {"environment": ["{stderr:262144}", answer("flooded")]}}),
    );
    let result = r#"{"jsonrpc":"2.0","id":{id},"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"p","version":"1"}}}"#;
    puppets.add(
        "greets",
        &json!({"on": {"initialize": ["{stderr:262144}", result]}}),
    );
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, None);
    assert_eq!(
        text(&session.call(1, "calls__environment", &json!({}))),
        "flooded"
    );
    assert_eq!(
        text(&session.call(2, "greets__echo", &json!({"message": "x"}))),
        "x"
    );
    let said = serving.said().len();
    assert!(
        said < 100_000,
        "the gateway passed {said} bytes of its servers' talk on"
    );
}

#[test]
fn a_server_that_reads_nothing_any_more_holds_no_other_up() {
    let mut puppets = Puppets::one(
        "deaf",
        &json!({"calls": {"environment": ["{deaf}", answer("deaf now")]}}),
    );
    puppets.add("good", &plain());
    puppets.set("/servers/deaf/timeouts", json!({"call": "2s"}));
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, None);
    assert_eq!(
        text(&session.call(1, "deaf__environment", &json!({}))),
        "deaf now"
    );
    // What it was reading when it went deaf, it may still answer.
    let _last_words = session.call(2, "deaf__echo", &json!({"message": "x"}));
    // More than the pipe holds, so that the gateway's own writing is stuck.
    let long = "x".repeat(200_000);
    let arguments = json!({"name": "deaf__echo", "arguments": {"message": long}});
    let mut stuck: Vec<_> = (10..20)
        .map(|id| session.begin_to_ask(id, "tools/call", &arguments))
        .collect();
    for id in 30..40 {
        assert_eq!(
            text(&session.call(id, "good__echo", &json!({"message": "x"}))),
            "x"
        );
    }
    assert_eq!(session.tell("notifications/roots/list_changed", &json!({})), 202);
    for (stream, id) in stuck.iter_mut().zip(10..) {
        let late = stream.find(|message| message["id"] == id).unwrap();
        assert!(
            ["upstream_timeout", "upstream_unavailable"].contains(&reason(&late)),
            "{late}"
        );
    }
    let other = Session::begin(&serving, Some("good"));
    assert_eq!(text(&other.call(1, "echo", &json!({"message": "x"}))), "x");
    assert_log_holds(&serving);
}

#[test]
fn a_wrapper_reads_on_while_its_server_reads_nothing() {
    let mut puppets = Puppets::one(
        "only",
        &json!({"calls": {"environment": ["{deaf}", answer("deaf now")]}}),
    );
    puppets.set("/servers/only/timeouts", json!({"call": "2s"}));
    let file = puppets.file();
    let arguments = ["wrap", "--config", &file.to_string_lossy(), "--name", "only"];
    let mut talk =
        mantlet_tests::lines::Talk::start(&mantlet_tests::binary("mantlet"), &arguments, puppets.directory());
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"},
    });
    talk.ask(0, "initialize", &hello).unwrap();
    talk.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let deaf = json!({"name": "environment", "arguments": {}});
    assert_eq!(text(&talk.ask(1, "tools/call", &deaf).unwrap()), "deaf now");
    let long = json!({"name": "echo", "arguments": {"message": "x".repeat(200_000)}});
    for id in 10..90 {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": long});
        talk.say(&message.to_string());
        talk.say(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);
    }
    // The gateway answers this by itself.
    let pong = talk.ask(99, "ping", &json!({})).unwrap();
    assert_eq!(pong["result"], json!({}));
    talk.close();
    let end = until("the wrapper ends", || talk.child.try_wait().unwrap());
    assert_eq!(end.code(), Some(0));
    let left = mantlet_tests::processes::left(&puppets.mark(), Duration::from_secs(20));
    assert!(left.is_empty(), "{left:?}");
}
