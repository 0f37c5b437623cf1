//! However a gateway ends, asked or killed, nothing of its servers stays behind.

use std::time::Duration;

use mantlet_tests::client::Session;
use mantlet_tests::lines::Talk;
use mantlet_tests::puppets::Puppets;
use mantlet_tests::serving::{Serving, signal};
use mantlet_tests::{binary, http, processes, until};
use serde_json::{Value, json};

use crate::{plain, reason, text};

const PATIENCE: Duration = Duration::from_secs(30);

fn assert_nothing_left(puppets: &Puppets) {
    let left = processes::left(&puppets.mark(), PATIENCE);
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// A wrapper around a puppet, introduced.
fn wrapped(puppets: &Puppets) -> Talk {
    let file = puppets.file();
    let arguments = ["wrap", "--config", &file.to_string_lossy(), "--name", "only"];
    let mut talk = Talk::start(&binary("mantlet"), &arguments, puppets.directory());
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"},
    });
    talk.ask(0, "initialize", &hello).unwrap();
    talk.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    talk
}

fn call(tool: &str, arguments: &Value) -> Value {
    json!({"name": tool, "arguments": arguments})
}

/// Servers that end when they are asked, and those that do not; in their cages and without.
fn stubborn_or_not() -> impl Iterator<Item = Puppets> {
    let kinds = [(false, true), (true, true), (false, false), (true, false)];
    kinds.into_iter().map(|(stubborn, caged)| {
        let puppets = Puppets::one("only", &json!({"stubborn": stubborn}));
        if caged { puppets } else { puppets.without_cages() }
    })
}

fn ended(talk: &mut Talk) -> Option<i32> {
    until("the wrapper ends", || talk.child.try_wait().unwrap()).code()
}

#[test]
fn asked_to_end_the_gateway_answers_what_runs_and_takes_nothing_new() {
    let mut puppets = Puppets::one("only", &plain());
    puppets.set("/timeouts", json!({"drain": "60s"}));
    let mut serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let spawned = text(&session.call(1, "spawn", &json!({}))).to_owned();
    assert!(puppets.processes_within().contains(&spawned.parse().unwrap()));
    let mut running = session.begin_to_ask(2, "tools/call", &call("slow", &json!({"millis": 3000})));
    until("the call arrives", || {
        (puppets.seen_of("only", "tools/call").len() == 2).then_some(())
    });
    serving.signal("TERM");

    let refused = until("new calls are refused", || {
        let answer = session.call(3, "echo", &json!({"message": "late"}));
        answer.get("error").is_some().then_some(answer)
    });
    assert_eq!(reason(&refused), "draining");
    let answer = running.find(|message| message["id"] == 2).unwrap();
    assert_eq!(text(&answer), "slept 3000");
    assert_eq!(serving.ended(PATIENCE), Some(0), "{}", serving.said());
    assert_nothing_left(&puppets);
}

#[test]
fn open_event_streams_do_not_hold_up_the_end() {
    let mut puppets = Puppets::one("only", &json!({"capabilities": {"tools": {"listChanged": true}}}));
    puppets.set("/timeouts", json!({"drain": "10m"}));
    let mut serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let mut general = session.listen();
    assert_eq!(general.status(), 200);
    let wanted = json!({"notifications": {"toolsListChanged": true}});
    let mut subscription =
        mantlet_tests::client::stateless(&serving, Some("only"), &json!(1), "subscriptions/listen", &wanted);
    let acknowledged = subscription.message().unwrap();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    serving.signal("TERM");
    assert_eq!(serving.ended(PATIENCE), Some(0), "{}", serving.said());
    assert_nothing_left(&puppets);
}

#[test]
fn a_call_that_never_ends_is_cut_off_at_the_drain_deadline() {
    let mut puppets = Puppets::one("only", &plain());
    puppets.set("/timeouts", json!({"drain": "1s"}));
    let mut serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let _running = session.begin_to_ask(2, "tools/call", &call("slow", &json!({"millis": 600_000})));
    until("the call arrives", || puppets.seen_of("only", "tools/call").pop());
    serving.signal("TERM");
    assert_eq!(serving.ended(PATIENCE), Some(0), "{}", serving.said());
    assert_nothing_left(&puppets);
}

#[test]
fn a_killed_gateway_leaves_no_server_behind() {
    for puppets in stubborn_or_not() {
        let mut serving = Serving::start(&puppets.configuration());
        let session = Session::begin(&serving, Some("only"));
        assert!(!text(&session.call(1, "process", &json!({}))).is_empty());
        serving.signal("KILL");
        assert!(serving.ended(PATIENCE).is_some());
        assert_nothing_left(&puppets);
    }
}

#[test]
fn a_killed_wrapper_leaves_no_server_behind() {
    for puppets in stubborn_or_not() {
        let mut talk = wrapped(&puppets);
        let spawned = talk.ask(1, "tools/call", &call("spawn", &json!({}))).unwrap();
        assert!(
            puppets
                .processes_within()
                .contains(&text(&spawned).parse().unwrap())
        );
        signal(talk.child.id(), "KILL");
        assert_eq!(ended(&mut talk), None);
        assert_nothing_left(&puppets);
    }
}

#[test]
fn a_wrapper_ends_with_its_clients_input_and_answers_what_runs() {
    for puppets in stubborn_or_not() {
        let mut talk = wrapped(&puppets);
        let spawned = talk.ask(1, "tools/call", &call("spawn", &json!({}))).unwrap();
        assert!(
            puppets
                .processes_within()
                .contains(&text(&spawned).parse().unwrap())
        );
        let slow = json!({
            "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call("slow", &json!({"millis": 1500})),
        });
        talk.say(&slow.to_string());
        talk.close();
        let answer = talk.answer(&json!(2)).unwrap();
        assert_eq!(text(&answer), "slept 1500");
        assert_eq!(ended(&mut talk), Some(0));
        assert_nothing_left(&puppets);
    }
}

#[test]
fn a_wrapper_that_is_asked_to_end_leaves_no_server_behind() {
    for puppets in stubborn_or_not() {
        let mut talk = wrapped(&puppets);
        let spawned = talk.ask(1, "tools/call", &call("spawn", &json!({}))).unwrap();
        let spawned = text(&spawned).parse().unwrap();
        // It shows whose it is once it runs its own program.
        until("it runs", || {
            puppets.processes_within().contains(&spawned).then_some(())
        });
        signal(talk.child.id(), "TERM");
        assert_eq!(ended(&mut talk), Some(0));
        assert_nothing_left(&puppets);
    }
}

#[test]
fn a_session_that_its_client_ends_takes_its_processes_along() {
    let puppets = Puppets::one("only", &plain());
    let serving = Serving::start(&puppets.configuration());
    let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"by hand","version":"1"}}}"#;
    let answer = serving.post(Some("only"), &[], hello);
    let session = answer.header("mcp-session-id").unwrap();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"spawn","arguments":{}}}"#;
    let spawned = serving.post(Some("only"), &[("Mcp-Session-Id", session)], call);
    let spawned = text(&spawned.message()).parse().unwrap();
    assert!(puppets.processes_within().contains(&spawned));
    let bearer = format!("Bearer {}", serving.token);
    let headers = [("Authorization", bearer.as_str()), ("Mcp-Session-Id", session)];
    let gone = http::request(&serving.address, "DELETE", "/servers/only/mcp", &headers, b"");
    assert_eq!(gone.status, 204, "{}", gone.text());
    until("its processes end", || {
        puppets.processes().is_empty().then_some(())
    });
    let after = serving.post(Some("only"), &[("Mcp-Session-Id", session)], call);
    assert_eq!(after.status, 404);
}
