//! `npx` and `uvx` behind `wrap`, as people have them in their clients' files: the package is fetched in a cage of its own,
//! then run without a network; the second time nothing is fetched.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test says what is wrong by panicking, and starts programs"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mantlet_tests::binary;
use mantlet_tests::lines::Talk;
use serde_json::{Value, json};

/// Nobody listens there: a registry that cannot be reached.
const NOWHERE: &str = "http://127.0.0.1:9/";
/// An installation may take that long on a slow line.
const INSTALLATION: Duration = Duration::from_secs(180);

fn wrapped(state: &Path, command: &[&str], environment: &[(&str, &str)]) -> Talk {
    let mut program = Command::new(binary("mantlet"));
    program
        .args(["wrap", "--name", "packed", "--"])
        .args(command)
        .env("XDG_STATE_HOME", state)
        .env("XDG_CACHE_HOME", state.join("cache"))
        .envs(environment.iter().copied())
        .stderr(Stdio::inherit());
    Talk::with(&mut program)
}

/// The names of the tools, once the server has answered.
fn tools(talk: &mut Talk) -> Vec<String> {
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    });
    let begun = Instant::now();
    let line = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello});
    talk.say(&line.to_string());
    let answer = loop {
        match talk.answer(&json!(1)) {
            Some(answer) => break answer,
            None => assert!(begun.elapsed() < INSTALLATION, "no answer"),
        }
    };
    assert!(answer.get("result").is_some(), "{answer}");
    talk.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let listed = talk.ask(2, "tools/list", &json!({})).unwrap();
    let tools = listed.pointer("/result/tools").and_then(Value::as_array);
    let names = tools.unwrap().iter().filter_map(|tool| tool["name"].as_str());
    names.map(str::to_owned).collect()
}

fn twice(command: &[&str], registry: &[(&str, &str)], tool: &str) {
    let state = tempfile::tempdir().unwrap();
    let first = tools(&mut wrapped(state.path(), command, &[]));
    assert!(first.iter().any(|name| name == tool), "{first:?}");
    let again = tools(&mut wrapped(state.path(), command, registry));
    assert_eq!(again, first);
}

#[test]
fn npx_fetches_once_and_runs_without_a_network() {
    twice(
        &[
            "npx",
            "-y",
            "@modelcontextprotocol/server-sequential-thinking@2026.7.4",
        ],
        &[("npm_config_registry", NOWHERE)],
        "sequentialthinking",
    );
}

#[test]
fn uvx_fetches_once_and_runs_without_a_network() {
    twice(
        &["uvx", "mcp-server-time@2026.10.19"],
        &[("UV_DEFAULT_INDEX", NOWHERE), ("PIP_INDEX_URL", NOWHERE)],
        "get_current_time",
    );
}
