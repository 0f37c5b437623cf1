//! The MCP Inspector's command line, in each of its eras, against real servers through `wrap` and through `serve`: it
//! prints what it prints of the server itself.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test says what is wrong by panicking, and starts programs"
)]

use std::process::{Command, Stdio};

use mantlet_tests::compare::compare;
use mantlet_tests::serving::Serving;
use mantlet_tests::upstream::Upstream;
use mantlet_tests::{binary, http, peers};
use serde_json::{Value, json};
use tempfile::TempDir;

const ERAS: [&str; 3] = ["legacy", "auto", "modern"];

/// What the inspector is asked for, and the member of the result that is compared; without one, all of it.
type Ask = (&'static [&'static str], Option<&'static str>);

const LISTS: [Ask; 3] = [
    (&["--method", "tools/list"], Some("tools")),
    (&["--method", "resources/list"], Some("resources")),
    (&["--method", "prompts/list"], Some("prompts")),
];

/// What the inspector prints of a server: `target` is a URL with its options, or `--` and a command.
fn inspect(home: &TempDir, era: &str, (ask, member): Ask, target: &[String]) -> Value {
    let directory = peers::directory();
    let inspector =
        directory.join("node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    let output = Command::new(peers::node())
        .arg(inspector)
        .args(["--cli", "--protocol-era", era, "--format", "json", "-q"])
        .args(ask)
        .args(target)
        .env("HOME", home.path())
        .env("XDG_STATE_HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, talk) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{era} {ask:?} of {target:?}:\n{said}\n{talk}"
    );
    let mut printed = http::parse(said.trim()).unwrap_or_else(|_| panic!("no JSON: {said}\n{talk}"));
    let mut result = printed["result"].take();
    match member {
        Some(member) => result[member].take(),
        None => result,
    }
}

fn in_all_eras(home: &TempDir, ask: Ask, target: &[String]) -> Vec<(&'static str, Value)> {
    std::thread::scope(|scope| {
        let started = ERAS.map(|era| (era, scope.spawn(move || inspect(home, era, ask, target))));
        started
            .into_iter()
            .map(|(era, seen)| (era, seen.join().unwrap()))
            .collect()
    })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_server_behind_wrap_looks_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let node = peers::node().to_string_lossy().into_owned();
    let script =
        peers::directory().join("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    let server = [node.as_str(), &script.to_string_lossy(), "stdio"];
    let direct = words(&[&["--"], &server[..]].concat());
    let mantlet = binary("mantlet").to_string_lossy().into_owned();
    let wrapped = words(
        &[
            &["--", &mantlet, "wrap", "--name", "everything", "--"],
            &server[..],
        ]
        .concat(),
    );
    let call: Ask = (
        &[
            "--method",
            "tools/call",
            "--tool-name",
            "get-sum",
            "--tool-arg",
            "a=2",
            "b=3",
        ],
        None,
    );
    let mut wrong = Vec::new();
    for ask in LISTS.into_iter().chain([call]) {
        // The server itself speaks the old era only.
        let expected = inspect(&home, "legacy", ask, &direct);
        assert!(!expected.is_null(), "{ask:?}");
        for (era, seen) in in_all_eras(&home, ask, &wrapped) {
            let what = format!("{era} {}", ask.0[1]);
            compare(&what, &expected, &seen, false, era != "legacy", &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_server_behind_serve_looks_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let python = peers::directory().join(".venv/bin/python");
    let upstream = Upstream::start(
        &words(&[&python.to_string_lossy(), "py_server.py"]),
        &peers::directory(),
    );
    let url = format!("{}/mcp", upstream.origin);
    let serving = Serving::start(&format!("servers: {}\n", json!({"python": {"url": url}})));
    let direct = words(&["--server-url", &url, "--transport", "http"]);
    let bearer = format!("Authorization: Bearer {}", serving.token);
    let through = serving.url(Some("python"));
    let through = words(&[
        "--server-url",
        &through,
        "--transport",
        "http",
        "--header",
        &bearer,
    ]);
    let call: Ask = (
        &[
            "--method",
            "tools/call",
            "--tool-name",
            "add",
            "--tool-arg",
            "a=2",
            "b=3",
        ],
        None,
    );
    let mut wrong = Vec::new();
    for ask in LISTS.into_iter().chain([call]) {
        // Where it may choose it takes the new era.
        let (old, new) = (
            inspect(&home, "legacy", ask, &direct),
            inspect(&home, "modern", ask, &direct),
        );
        for (era, seen) in in_all_eras(&home, ask, &through) {
            let expected = if era == "legacy" { &old } else { &new };
            assert!(!expected.is_null(), "{ask:?}");
            let what = format!("{era} {}", ask.0[1]);
            compare(&what, expected, &seen, false, false, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!serving.log().contains(&serving.token), "the token is in the log");
}
