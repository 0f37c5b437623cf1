//! What is hardest to cage: a server with a native module, and one that drives a real browser. Both do their work with
//! what is written for them, and are held all the same.

use std::path::Path;

use mantlet_tests::client::Session;
use mantlet_tests::peers;
use mantlet_tests::serving::Serving;
use serde_json::{Value, json};

use crate::{status, text, web};

/// Debian's, without the shell script around it, which reads a folder of `/etc`.
const BROWSER: &str = "/usr/lib/chromium/chromium";

fn serve(words: &[&str], sandbox: &Value) -> Serving {
    let mut command = vec![peers::node().to_string_lossy().into_owned()];
    command.push(peers::directory().join(words[0]).to_string_lossy().into_owned());
    command.extend(words[1..].iter().map(|word| (*word).to_owned()));
    let servers = json!({"only": {"command": command, "sandbox": sandbox}});
    Serving::start(&format!("servers: {servers}\n"))
}

/// No trial from within got through.
fn assert_held(serving: &Serving) {
    let shown = status(serving, "it as up", |status| status["state"] == "up");
    let held = shown["in_force"][0].as_str().unwrap();
    let numbers: Vec<u32> = held
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!(
        held.starts_with("cage: st") && numbers[0] == numbers[1] && numbers[0] > 0,
        "{shown}"
    );
}

#[test]
fn a_native_module_works_in_a_granted_folder() {
    let (granted, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let serving = serve(&["native.mjs"], &json!({"write": [granted.path()]}));
    let session = Session::begin(&serving, Some("only"));
    let (large, small) = (
        granted.path().join("large.png"),
        granted.path().join("small.webp"),
    );
    let made = session.call(1, "make", &json!({"to": large, "width": 1200}));
    assert_eq!(text(&made), "png 1200x1200");
    let shrunk = session.call(2, "shrink", &json!({"from": large, "to": small, "width": 40}));
    assert_eq!(text(&shrunk), "webp 40x40");
    assert!(std::fs::read(&small).unwrap().starts_with(b"RIFF"));
    std::fs::copy(&large, other.path().join("other.png")).unwrap();
    for (id, from, to) in [
        (
            3,
            other.path().join("other.png"),
            granted.path().join("stolen.webp"),
        ),
        (4, large, other.path().join("placed.webp")),
    ] {
        let refused = session.call(id, "shrink", &json!({"from": from, "to": to, "width": 40}));
        assert_eq!(refused["result"]["isError"], true, "{refused}");
        assert!(!to.exists());
    }
    assert_held(&serving);
    let log = serving.log();
    assert!(
        !log.contains(r#""kind":"cage""#),
        "it tried what it may not: {log}"
    );
}

#[test]
fn a_browser_opens_a_page_of_a_granted_host_and_no_other() {
    assert!(
        Path::new(BROWSER).exists(),
        "`{BROWSER}` is not there: run `cargo xtask peers`"
    );
    let page = |_: &str| {
        "<html><head><title>A granted page</title></head><body><h1>A heading</h1><p id=\"p\"></p>\
         <script>document.getElementById('p').textContent = 'made by a script: ' + (20 + 3)</script></body></html>"
            .to_owned()
    };
    let (granted, other) = (web(page), web(page));
    let sandbox = json!({
        "loopback": true, "memory": "3GiB", "processes": 1024, "on_breach": "warn",
        "internal_network": [format!("localhost:{granted}")],
    });
    let words = [
        "node_modules/@playwright/mcp/cli.js",
        "--headless",
        "--no-sandbox",
        "--isolated",
        "--executable-path",
        BROWSER,
    ];
    let serving = serve(&words, &sandbox);
    let session = Session::begin(&serving, Some("only"));
    let url = format!("http://localhost:{granted}/");
    let opened = session.call(1, "browser_navigate", &json!({"url": url}));
    assert!(text(&opened).contains("A granted page"), "{opened}");
    let seen = session.call(2, "browser_snapshot", &json!({}));
    assert!(
        text(&seen).contains("A heading") && text(&seen).contains("made by a script: 23"),
        "{seen}"
    );
    for (id, url) in [
        (3, format!("http://127.0.0.1:{other}/")),
        (4, format!("http://localhost:{other}/")),
        (5, "http://elsewhere.example.com/".to_owned()),
        (6, "file:///etc/shadow".to_owned()),
    ] {
        let refused = session.call(id, "browser_navigate", &json!({"url": url}));
        let shown = refused.to_string();
        assert!(
            shown.contains("rror") && !shown.contains("A granted page"),
            "{url}: {refused}"
        );
    }
    assert_held(&serving);
    crate::recorded(&serving, "elsewhere.example.com");
}
