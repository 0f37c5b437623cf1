//! Servers that try what their cage does not grant: on record with the call that was running, and what follows is what
//! the configuration says.

use mantlet_tests::client::Session;
use mantlet_tests::serving::Serving;
use mantlet_tests::until;
use serde_json::{Value, json};

use crate::failing::assert_becomes;
use crate::{assert_log_holds, reason, text};

/// A server with one tool, which looks a host up that nobody granted, waits until that was seen, and answers; `see` says
/// what it finds.
const SERVER: &str = r#"
import json, os, socket, sys, time
def answer(id, result):
    print(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}), flush=True)
schema = {"type": "object"}
for line in sys.stdin:
    message = json.loads(line)
    id, method = message.get("id"), message["method"]
    if method == "initialize":
        answer(id, {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}})
    elif method == "tools/list":
        answer(id, {"tools": [{"name": "try", "inputSchema": schema}, {"name": "see", "inputSchema": schema}]})
    elif method == "tools/call":
        name = message["params"]["name"]
        arguments = message["params"].get("arguments", {})
        said = "tried"
        if name == "try":
            try: socket.getaddrinfo(arguments["host"], 443)
            except OSError: pass
            time.sleep(1)
        else:
            said = json.dumps({
                "secret": open("/run/secrets/key").read() if os.path.exists("/run/secrets/key") else None,
                "home": os.path.expanduser("~"), "token": os.path.exists(arguments.get("token", "/none")),
                "environment": sorted(os.environ),
            })
        answer(id, {"content": [{"type": "text", "text": said}]})
    elif id is not None:
        print(json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no"}}), flush=True)
"#;

fn serving(sandbox: &Value) -> Serving {
    let servers = json!({"only": {"command": ["/usr/bin/python3", "-c", SERVER], "sandbox": sandbox}});
    Serving::start(&format!("servers: {servers}\n"))
}

fn attempt(session: &Session<'_>, id: i64) -> Value {
    session.call(id, "try", &json!({"host": format!("host{id}.example.com")}))
}

#[test]
fn what_is_tried_is_on_record_with_the_call_that_was_running() {
    let serving = serving(&json!({"on_breach": "warn"}));
    let session = Session::begin(&serving, Some("only"));
    for id in 1..=4 {
        assert_eq!(text(&attempt(&session, id)), "tried");
    }
    let log = serving.log();
    assert!(
        log.contains("`host1.example.com` was looked up and is not granted"),
        "{log}"
    );
    assert!(log.contains("while `tools/call` of `try` was running"), "{log}");
    assert!(log.contains(r#""kind":"cage""#), "{log}");
    assert_log_holds(&serving);
}

#[test]
fn the_calls_that_run_fail_where_that_is_written() {
    let serving = serving(&json!({"on_breach": "fail"}));
    let session = Session::begin(&serving, Some("only"));
    assert_eq!(reason(&attempt(&session, 1)), "server_breach");
    // The server is still there.
    assert!(text(&session.call(2, "see", &json!({}))).contains("home"));
}

#[test]
fn the_server_is_started_anew_where_that_is_written() {
    let serving = serving(&json!({"on_breach": "restart"}));
    let session = Session::begin(&serving, Some("only"));
    assert_eq!(reason(&attempt(&session, 1)), "server_breach");
    until("it is back", || {
        let seen = session.call(2, "see", &json!({}));
        seen.get("result").is_some().then_some(())
    });
}

#[test]
fn after_three_breaches_a_server_is_in_quarantine_until_its_configuration_changes() {
    let serving = serving(&json!({}));
    let session = Session::begin(&serving, Some("only"));
    assert_eq!(text(&attempt(&session, 1)), "tried");
    assert_eq!(text(&attempt(&session, 2)), "tried");
    assert_eq!(reason(&attempt(&session, 3)), "server_breach");
    let refused = until("it is not started any more", || {
        let answer = session.call(4, "see", &json!({}));
        (reason(&answer) == "quarantined").then_some(answer)
    });
    assert!(
        !refused.to_string().contains("host3"),
        "details are for the operator"
    );
    assert_becomes(&serving, "only", "in quarantine");
    assert!(
        serving
            .log()
            .contains("3 breaches: the server is not started any more")
    );

    let text = std::fs::read_to_string(serving.configuration()).unwrap();
    let granted = text.replace(r#""sandbox":{}"#, r#""sandbox":{"memory":"512MiB"}"#);
    assert_ne!(granted, text);
    std::fs::write(serving.configuration(), granted).unwrap();
    until("it is let out", || {
        serving
            .said()
            .contains("read again and is in force")
            .then_some(())
    });
    let session = Session::begin(&serving, Some("only"));
    assert!(session.call(5, "see", &json!({})).get("result").is_some());
}

#[test]
fn a_server_finds_its_secret_and_nothing_of_the_gateway() {
    let secret = "s3cret-of-the-test";
    let servers = json!({"only": {
        "command": ["/usr/bin/python3", "-c", SERVER],
        "sandbox": {"secrets": {"key": "${env:MANTLET_TEST_SECRET}"}},
    }});
    let configuration = format!("servers: {servers}\n");
    let serving = Serving::start_with(&configuration, &[("MANTLET_TEST_SECRET", secret)]);
    let session = Session::begin(&serving, Some("only"));
    let token = serving.state().join("mantlet/token");
    assert!(token.exists());
    let seen = session.call(1, "see", &json!({"token": token}));
    let seen: Value = mantlet_tests::http::parse(text(&seen)).unwrap();
    assert_eq!(seen["secret"], secret);
    assert_eq!(seen["home"], "/home/mcp");
    assert_eq!(seen["token"], false);
    let environment = seen["environment"].to_string();
    assert!(
        !environment.contains("MANTLET") && !environment.contains("XDG"),
        "{environment}"
    );
    assert!(!serving.log().contains(secret));
    assert!(!serving.said().contains(secret));
}
