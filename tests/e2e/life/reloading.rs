//! A changed configuration is taken while sessions stay; a broken one is not.

use std::time::Duration;

use mantlet_tests::client::Session;
use mantlet_tests::puppets::Puppets;
use mantlet_tests::serving::Serving;
use mantlet_tests::{processes, until};
use serde_json::json;

use crate::{assert_log_holds, plain, reason, text};

const TAKEN: &str = "the configuration was read again and is in force";
const KEPT: &str = "the old one stays";

/// Writes a configuration and waits until the gateway has said what becomes of it.
fn reload(serving: &Serving, configuration: &str, outcome: &str) {
    let before = serving.said().matches(outcome).count();
    std::fs::write(serving.configuration(), configuration).unwrap();
    serving.signal("HUP");
    until(outcome, || {
        (serving.said().matches(outcome).count() > before).then_some(())
    });
}

#[test]
fn a_server_that_is_added_can_be_used_in_a_session_that_stays() {
    let mut puppets = Puppets::one("first", &plain());
    puppets.add("second", &plain());
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, None);
    let process = session.call(1, "first__process", &json!({}));
    puppets.add("third", &plain());
    reload(&serving, &puppets.configuration(), TAKEN);

    let added = session.call(2, "third__echo", &json!({"message": "new"}));
    assert_eq!(text(&added), "new");
    let listed = session.ask(3, "tools/list", &json!({}));
    assert!(listed.to_string().contains("third__echo"), "{listed}");
    let after = session.call(4, "first__process", &json!({}));
    assert_eq!(
        text(&after),
        text(&process),
        "a server that nobody changed was restarted"
    );
    assert_log_holds(&serving);
}

#[test]
fn a_server_that_is_removed_is_refused_and_its_process_ends() {
    let mut puppets = Puppets::one("first", &plain());
    puppets.add("second", &plain());
    puppets.add("third", &plain());
    let serving = Serving::start(&puppets.configuration());
    let all = Session::begin(&serving, None);
    let one = Session::begin(&serving, Some("second"));
    let process = text(&all.call(1, "second__process", &json!({}))).to_owned();
    assert_eq!(puppets.processes().len(), 4);
    puppets.remove("second");
    reload(&serving, &puppets.configuration(), TAKEN);

    assert_eq!(
        reason(&all.call(2, "second__echo", &json!({"message": "x"}))),
        "unknown_tool"
    );
    assert_eq!(text(&all.call(3, "first__echo", &json!({"message": "x"}))), "x");
    let gone = one.call(1, "echo", &json!({"message": "x"}));
    assert_eq!(reason(&gone), "not_found", "{gone}");
    until("the removed server's processes end", || {
        (puppets.processes().len() == 2).then_some(())
    });
    assert!(!puppets.processes().contains(&process.parse().unwrap()));
}

#[test]
fn a_narrowed_allow_list_holds_from_the_next_message_on() {
    let mut puppets = Puppets::one("only", &plain());
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    assert_eq!(text(&session.call(1, "echo", &json!({"message": "x"}))), "x");
    assert!(
        text(&session.call(2, "process", &json!({})))
            .parse::<u32>()
            .is_ok()
    );
    puppets.set("/servers/only/allow", json!({"tools": ["echo"]}));
    reload(&serving, &puppets.configuration(), TAKEN);

    assert_eq!(text(&session.call(3, "echo", &json!({"message": "y"}))), "y");
    assert_eq!(reason(&session.call(4, "process", &json!({}))), "policy_denied");
    let listed = session.ask(5, "tools/list", &json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 1, "{listed}");
    assert_eq!(
        puppets.seen_of("only", "tools/call").len(),
        3,
        "the refused call was forwarded"
    );
}

#[test]
fn a_broken_configuration_is_told_and_the_old_one_stays() {
    let mut puppets = Puppets::one("only", &plain());
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let process = text(&session.call(1, "process", &json!({}))).to_owned();
    let good = puppets.configuration();
    for (broken, told) in [
        ("servers: { only: { comand: [x] } }\n", "comand"),
        ("servers: [", "mantlet.yaml"),
        ("", "servers"),
    ] {
        reload(&serving, broken, KEPT);
        assert!(serving.said().contains(told), "{told} is not named");
        assert_eq!(text(&session.call(2, "process", &json!({}))), process);
    }
    puppets.set("/servers/only/refuse", json!({"tools": ["process"]}));
    reload(&serving, &puppets.configuration(), TAKEN);
    assert_eq!(reason(&session.call(3, "process", &json!({}))), "policy_denied");
    reload(&serving, &good, TAKEN);
    assert!(
        text(&session.call(4, "process", &json!({})))
            .parse::<u32>()
            .is_ok()
    );
    assert_log_holds(&serving);
}

#[test]
fn what_only_a_restart_can_change_is_told() {
    let mut puppets = Puppets::one("only", &plain());
    let serving = Serving::start(&puppets.configuration());
    puppets.set("/audit", json!({"path": puppets.directory().join("elsewhere")}));
    puppets.set("/listen/allowed_hosts", json!(["gateway.example.com"]));
    reload(&serving, &puppets.configuration(), "restart");
    for member in ["`audit.path`", "`listen.allowed_hosts`"] {
        assert!(
            serving.said().contains(member),
            "{member} is not named: {}",
            serving.said()
        );
    }
}

#[test]
fn a_call_that_runs_on_a_server_nobody_changed_survives_a_reload() {
    let mut puppets = Puppets::one("first", &plain());
    puppets.add("second", &plain());
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, None);
    let mut running = session.begin_to_ask(
        1,
        "tools/call",
        &json!({"name": "first__slow", "arguments": {"millis": 3000}}),
    );
    until("the call arrives", || {
        puppets.seen_of("first", "tools/call").pop()
    });
    puppets.set("/servers/second/refuse", json!({"tools": ["process"]}));
    reload(&serving, &puppets.configuration(), TAKEN);
    let answer = running.find(|message| message["id"] == 1).unwrap();
    assert_eq!(text(&answer), "slept 3000");
    drop((running, serving));
    let left = processes::left(&puppets.mark(), Duration::from_secs(10));
    assert!(left.is_empty(), "{left:?}");
}
