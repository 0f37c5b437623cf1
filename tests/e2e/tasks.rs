//! Tasks of 2025-11-25 where both sides know them: server-everything's long query, through the wrapper and directly.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

use std::time::Duration;

use mantlet_tests::lines::Talk;
use mantlet_tests::{binary, peers};
use serde_json::{Value, json};

/// The query takes four seconds.
const POLLS: i64 = 60;

#[test]
fn a_long_query_runs_as_a_task_through_the_wrapper_as_it_does_directly() {
    let direct = query(&[]);
    let wrapped = query(&["wrap", "--"]);
    assert_eq!(direct, wrapped);
    assert!(direct.contains("Research Report: rivers"), "{direct}");
}

/// Runs the query as a task and gives its result's text.
fn query(before: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let node = peers::node();
    let server =
        peers::directory().join("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    let (node, server) = (node.to_string_lossy(), server.to_string_lossy());
    let mut talk = if before.is_empty() {
        Talk::start(node.as_ref().as_ref(), &[&server, "stdio"], directory.path())
    } else {
        let arguments = [before, &[&node, &server, "stdio"]].concat();
        Talk::start(&binary("mantlet"), &arguments, directory.path())
    };
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "tasks", "version": "1"},
    });
    let greeting = talk.ask(0, "initialize", &hello).unwrap();
    assert!(greeting["result"]["capabilities"]["tasks"]["requests"]["tools"]["call"].is_object());
    talk.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let call = json!({
        "name": "simulate-research-query", "arguments": {"topic": "rivers"}, "task": {"ttl": 60_000},
    });
    let begun = talk.ask(1, "tools/call", &call).unwrap();
    let task = begun["result"]["task"]["taskId"].as_str().unwrap().to_owned();
    let which = json!({ "taskId": task });
    for poll in 0..POLLS {
        let state = talk.ask(10 + poll, "tasks/get", &which).unwrap();
        if state["result"]["status"] == "completed" {
            break;
        }
        assert_eq!(state["result"]["status"], "working", "{state}");
        std::thread::sleep(Duration::from_millis(500));
    }
    let all = talk.ask(2, "tasks/list", &json!({})).unwrap();
    assert!(holds(&all, &task), "{all}");
    let result = talk.ask(3, "tasks/result", &which).unwrap();
    result["result"]["content"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn holds(all: &Value, task: &str) -> bool {
    let tasks = all["result"]["tasks"].as_array();
    tasks.is_some_and(|tasks| tasks.iter().any(|one| one["taskId"] == task))
}
