//! Real clients walk through real servers that are reached over HTTP: Streamable HTTP in both eras, and the deprecated
//! HTTP+SSE; once directly and once through Mantlet, by `wrap` with a configuration and by `serve`.

use mantlet_tests::client::{Session, stateless};
use mantlet_tests::serving::Serving;
use mantlet_tests::upstream::Upstream;
use mantlet_tests::walks::all_ways;
use mantlet_tests::{peers, until};
use serde_json::json;

#[test]
fn everything_over_streamable_http() {
    all_ways("everything-http");
}

#[test]
fn everything_over_http_and_sse() {
    all_ways("everything-sse");
}

#[test]
fn a_python_server_of_both_eras() {
    all_ways("python-http");
}

#[test]
fn a_cancellation_reaches_a_server_over_http_whatever_the_two_hops_speak() {
    let python = peers::directory().join(".venv/bin/python");
    let command = [python.to_string_lossy().into_owned(), "py_server.py".to_owned()];
    let upstream = Upstream::start(&command, &peers::directory());
    let directory = tempfile::tempdir().unwrap();
    for protocol in ["legacy", "modern"] {
        let server = json!({"python": {"url": format!("{}/mcp", upstream.origin), "protocol": protocol}});
        let serving = Serving::start(&format!("servers: {server}\n"));
        let session = Session::begin(&serving, Some("python"));
        for era in ["legacy", "modern"] {
            let file = directory.path().join(format!("{era}-{protocol}"));
            let has = |line: &str| {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                text.lines().any(|found| found == line).then_some(())
            };
            let params = json!({"name": "linger", "arguments": {"file": file}});
            let running = match era {
                "legacy" => session.begin_to_ask(7, "tools/call", &params),
                _ => stateless(&serving, Some("python"), &json!(7), "tools/call", &params),
            };
            until("the tool begins", || has("began"));
            if era == "legacy" {
                let told = session.tell("notifications/cancelled", &json!({"requestId": 7}));
                assert_eq!(told, 202);
            } else {
                drop(running);
            }
            until(
                &format!("a {protocol} server hears of a {era} cancellation"),
                || has("cancelled"),
            );
        }
    }
}
