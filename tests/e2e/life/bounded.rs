//! What callers and servers can make the gateway keep is bounded, and what was given is given back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mantlet_tests::client::{Session, Stream, stateless};
use mantlet_tests::lines::Talk;
use mantlet_tests::puppets::Puppets;
use mantlet_tests::serving::Serving;
use mantlet_tests::{binary, http, until};
use serde_json::{Value, json};

use crate::odd::Odd;
use crate::{answer, mantlet, plain, reason, text};

const LONG: u64 = 600_000;

fn hello() -> Value {
    json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}})
}

fn slow(millis: u64) -> Value {
    json!({"name": "slow", "arguments": {"millis": millis}})
}

/// The `_meta` of a stateless request with capabilities that no other number has.
fn meta(number: u64) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"experimental": {"n": number}},
    })
}

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn wrapped(puppets: &Puppets) -> Talk {
    let file = puppets.file();
    let arguments = ["wrap", "--config", &file.to_string_lossy(), "--name", "only"];
    Talk::start(&binary("mantlet"), &arguments, puppets.directory())
}

fn introduced(puppets: &Puppets) -> Talk {
    let mut talk = wrapped(puppets);
    talk.ask(0, "initialize", &hello()).unwrap();
    talk.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    talk
}

fn wait_for_calls(puppets: &Puppets, count: usize) {
    until("the calls arrive", || {
        (puppets.seen_of("only", "tools/call").len() == count).then_some(())
    });
}

#[test]
fn a_refused_initialize_leaves_no_session_behind() {
    let mut puppets = Puppets::one("only", &plain());
    puppets.set("/limits", json!({"in_flight": 1, "sessions": 4}));
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let mut running = session.begin_to_ask(1, "tools/call", &slow(2_000));
    wait_for_calls(&puppets, 1);
    let initialize = request(0, "initialize", &hello()).to_string();
    for _ in 0..10 {
        let refused = serving.post(Some("only"), &[], &initialize);
        assert_eq!(refused.reason().as_deref(), Some("too_many_in_flight"));
        assert!(refused.header("mcp-session-id").is_none());
    }
    assert_eq!(
        text(&running.find(|message| message["id"] == 1).unwrap()),
        "slept 2000"
    );
    let another = until("there is a place again", || {
        let answer = serving.post(Some("only"), &[], &initialize);
        assert_ne!(answer.reason().as_deref(), Some("session_limit"));
        answer.header("mcp-session-id").map(str::to_owned)
    });
    assert!(!another.is_empty());
}

#[test]
fn a_refused_initialize_over_stdio_can_be_said_again() {
    let mut puppets = Puppets::one("only", &plain());
    puppets.set("/limits", json!({"in_flight": 1}));
    let mut talk = wrapped(&puppets);
    let mut params = slow(2_000);
    params["_meta"] = meta(0);
    talk.say(&request(1, "tools/call", &params).to_string());
    wait_for_calls(&puppets, 1);
    let refused = talk.ask(2, "initialize", &hello()).unwrap();
    assert_eq!(reason(&refused), "too_many_in_flight");
    assert_eq!(text(&talk.answer(&json!(1)).unwrap()), "slept 2000");
    let taken = until("there is a place again", || {
        let answer = talk.ask(3, "initialize", &hello()).unwrap();
        answer.get("result").is_some().then_some(answer)
    });
    assert_eq!(taken["result"]["serverInfo"]["name"], "puppet");
}

#[test]
fn a_wrapper_remembers_only_so_many_clients() {
    let puppets = Puppets::one("only", &plain());
    let mut talk = introduced(&puppets);
    for id in 1..=200 {
        let again = talk.ask(id, "initialize", &hello()).unwrap();
        assert_eq!(reason(&again), "already_initialized");
    }
    for number in 0..40 {
        let params = json!({"name": "echo", "arguments": {"message": "x"}, "_meta": meta(number)});
        let answer = talk.ask(1_000, "tools/call", &params).unwrap();
        assert_eq!(text(&answer), "x");
    }
    until("the processes of the clients that went end", || {
        (puppets.processes().len() <= 17).then_some(())
    });
    until("the status shows what is left", || {
        let (said, _) = mantlet(&["status", "--format", "json"], puppets.directory());
        (http::parse(&said).ok()?[0]["status"]["clients"] == 17).then_some(())
    });
}

/// A stateless call with capabilities of its own.
fn call_as(serving: &Serving, number: u64, tool: &str, arguments: &Value) -> Stream {
    let params = json!({"name": tool, "arguments": arguments, "_meta": meta(number)});
    let headers = [
        ("MCP-Protocol-Version", "2026-07-28".to_owned()),
        ("Mcp-Method", "tools/call".to_owned()),
        ("Mcp-Name", tool.to_owned()),
    ];
    let body = request(number, "tools/call", &params).to_string();
    Stream::open(serving, "POST", Some("only"), &headers, &body)
}

#[test]
fn ever_new_capabilities_get_only_so_many_processes() {
    let puppets = Puppets::one("only", &plain());
    let serving = Serving::start(&puppets.configuration());
    for number in 0..40 {
        let mut call = call_as(&serving, number, "echo", &json!({"message": "x"}));
        assert_eq!(text(&call.message().unwrap()), "x");
    }
    until("the processes of the clients that went end", || {
        (puppets.processes().len() == 16).then_some(())
    });
    let _running: Vec<Stream> = (100..116)
        .map(|number| call_as(&serving, number, "slow", &json!({"millis": LONG})))
        .collect();
    until("all of them run", || {
        let seen = puppets.seen_of("only", "tools/call");
        let slow = seen.iter().filter(|call| call["params"]["name"] == "slow");
        (slow.count() == 16).then_some(())
    });
    let mut refused = call_as(&serving, 200, "echo", &json!({"message": "x"}));
    assert_eq!(reason(&refused.message().unwrap()), "too_many_in_flight");
}

#[test]
fn requests_given_up_while_the_server_learns_their_log_level_take_no_place() {
    let script = json!({"capabilities": {"tools": {}, "logging": {}}, "on": {"logging/setLevel": []}});
    let puppets = Puppets::one("only", &script);
    let serving = Serving::start(&puppets.configuration());
    let params = json!({
        "name": "echo", "arguments": {"message": "x"},
        "_meta": {"io.modelcontextprotocol/logLevel": "debug"},
    });
    for count in 1..=70 {
        let given_up = stateless(&serving, Some("only"), &json!(count), "tools/call", &params);
        until("the server is told the level", || {
            (puppets.seen_of("only", "logging/setLevel").len() >= count).then_some(())
        });
        drop(given_up);
    }
    let params = json!({"name": "echo", "arguments": {"message": "x"}});
    let mut call = stateless(&serving, Some("only"), &json!(0), "tools/call", &params);
    assert_eq!(text(&call.message().unwrap()), "x");
}

fn with(odd: &Odd) -> String {
    let server = json!({"url": odd.origin, "transport": "http", "timeouts": {"start": "1s"}});
    let all = json!({"listen": {"address": "127.0.0.1:0"}, "servers": {"odd": server}});
    format!("{all}\n")
}

#[test]
fn a_server_that_never_answers_a_notification_holds_its_client_up_only_so_long() {
    let odd = Odd::start(false);
    let serving = Serving::start(&with(&odd));
    let params = json!({"name": "echo", "arguments": {}});
    let mut call = stateless(&serving, Some("odd"), &json!(1), "tools/call", &params);
    let refused = call.message_within(Duration::from_secs(20)).unwrap();
    assert_eq!(reason(&refused), "upstream_unavailable");
    assert!(!odd.initialized.lock().unwrap().is_empty());
}

#[test]
fn a_slow_server_of_the_initialize_era_is_found_out_by_a_stateless_client() {
    let odd = Odd::start(true);
    let server = json!({"url": odd.origin, "transport": "http", "timeouts": {"start": "20s"}});
    let all = json!({"listen": {"address": "127.0.0.1:0"}, "servers": {"only": server}});
    let serving = Serving::start(&format!("{all}\n"));
    let mut capabilities = meta(0);
    capabilities["io.modelcontextprotocol/clientCapabilities"] = json!({"experimental": {"ponder": {}}});
    let params = json!({"name": "echo", "arguments": {}, "_meta": capabilities});
    let headers = [
        ("MCP-Protocol-Version", "2026-07-28".to_owned()),
        ("Mcp-Method", "tools/call".to_owned()),
        ("Mcp-Name", "echo".to_owned()),
    ];
    let body = request(1, "tools/call", &params).to_string();
    let mut call = Stream::open(&serving, "POST", Some("only"), &headers, &body);
    assert_eq!(text(&call.message().unwrap()), "called");
}

#[test]
fn a_server_that_wants_its_stream_opened_again_at_once_is_not_called_without_a_pause() {
    let odd = Odd::start(true);
    let serving = Serving::start(&with(&odd));
    let session = Session::begin(&serving, Some("odd"));
    assert_eq!(text(&session.call(1, "echo", &json!({}))), "called");
    std::thread::sleep(Duration::from_secs(4));
    let opened = odd.streams.load(Ordering::SeqCst);
    assert!((2..=10).contains(&opened), "it was called {opened} times in 4 s");
}

#[test]
fn what_no_subscription_watches_any_more_is_not_watched_at_the_server() {
    let script = json!({
        "capabilities": {"tools": {}, "resources": {"subscribe": true}},
        "resources": [{"uri": "file:///a", "name": "a"}],
    });
    let puppets = Puppets::one("only", &script);
    let serving = Serving::start(&puppets.configuration());
    let wanted = json!({"notifications": {"resourceSubscriptions": ["file:///a"]}});
    let subscribe = |id: u64| {
        let mut stream = stateless(
            &serving,
            Some("only"),
            &json!(id),
            "subscriptions/listen",
            &wanted,
        );
        assert_eq!(
            stream.message().unwrap()["method"],
            "notifications/subscriptions/acknowledged"
        );
        stream
    };
    let (first, second) = (subscribe(1), subscribe(2));
    until("the server is told", || {
        puppets.seen_of("only", "resources/subscribe").pop()
    });
    drop(first);
    until("the gateway has noticed", || {
        serving.log().contains("\"cancelled\"").then_some(())
    });
    let mut call = stateless(
        &serving,
        Some("only"),
        &json!(3),
        "tools/call",
        &json!({"name": "echo", "arguments": {"message": "x"}}),
    );
    assert_eq!(text(&call.message().unwrap()), "x");
    assert!(puppets.seen_of("only", "resources/unsubscribe").is_empty());
    drop(second);
    let told = until("the server is told that nobody watches", || {
        puppets.seen_of("only", "resources/unsubscribe").pop()
    });
    assert_eq!(told["params"]["uri"], "file:///a");
    assert_eq!(puppets.seen_of("only", "resources/subscribe").len(), 1);
}

#[test]
fn a_process_that_nobody_uses_ends_and_comes_back_when_it_is_needed() {
    let mut puppets = Puppets::one("only", &plain());
    puppets.set("/servers/only/timeouts", json!({"idle": "1s"}));
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let first = text(&session.call(1, "process", &json!({}))).to_owned();
    // Longer than the idle time, and than the time between two sweeps.
    assert_eq!(
        text(&session.call(2, "slow", &json!({"millis": 17_000}))),
        "slept 17000"
    );
    assert_eq!(puppets.processes_within(), [first.parse::<u32>().unwrap()]);
    let before = puppets.processes();
    until("the process ends", || {
        puppets.processes().is_empty().then_some(())
    });
    assert!(!text(&session.call(3, "process", &json!({}))).is_empty());
    assert_ne!(puppets.processes(), before);
    let (said, _) = mantlet(&["status", "--format", "json"], serving.state());
    let status = http::parse(&said).unwrap();
    assert_eq!(
        status[0]["status"]["servers"][0]["last_error"],
        Value::Null,
        "{status}"
    );
}

#[test]
fn the_list_of_a_server_with_too_many_tools_is_refused() {
    let tools: Vec<Value> = (0..10_001)
        .map(|number| json!({"name": format!("t{number}"), "inputSchema": {"type": "object"}}))
        .collect();
    let puppets = Puppets::one("only", &json!({"tools": tools, "page": 2_000}));
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    assert_eq!(reason(&session.call(1, "t7", &json!({}))), "upstream_broke");
    assert!(
        serving.log().contains("lists more than 10000 items"),
        "the log does not say why"
    );
}

#[test]
fn answers_that_nobody_asked_for_are_counted_in_the_status() {
    let stray = r#"{"jsonrpc":"2.0","id":"nobody","result":{}}"#;
    let script = json!({"calls": {"environment": [stray, "no message", answer("done")]}});
    let puppets = Puppets::one("only", &script);
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    assert_eq!(text(&session.call(1, "environment", &json!({}))), "done");
    until("the status shows them", || {
        let (said, _) = mantlet(&["status", "--format", "json"], serving.state());
        (http::parse(&said).ok()?[0]["status"]["servers"][0]["strays"] == 2).then_some(())
    });
}

#[test]
fn what_runs_while_the_gateway_ends_can_still_be_cancelled() {
    let mut puppets = Puppets::one("only", &plain());
    puppets.set("/timeouts", json!({"drain": "10m"}));
    let mut serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let _running = session.begin_to_ask(1, "tools/call", &slow(LONG));
    wait_for_calls(&puppets, 1);
    serving.signal("TERM");
    until("new requests are refused", || {
        session
            .call(2, "echo", &json!({"message": "late"}))
            .get("error")
            .map(|_| ())
    });
    assert_eq!(
        session.tell("notifications/cancelled", &json!({"requestId": 1})),
        202
    );
    assert_eq!(serving.ended(Duration::from_secs(30)), Some(0));
}

#[test]
fn a_cancellation_over_stdio_gets_past_many_running_requests() {
    let puppets = Puppets::one("only", &plain());
    let mut talk = introduced(&puppets);
    for id in 1..=200 {
        talk.say(&request(id, "tools/call", &slow(LONG)).to_string());
    }
    wait_for_calls(&puppets, 200);
    talk.say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    until("the server is told", || {
        puppets.seen_of("only", "notifications/cancelled").pop()
    });
}

#[test]
fn a_text_that_is_called_initialize_holds_nothing_up() {
    let puppets = Puppets::one("only", &plain());
    let mut talk = introduced(&puppets);
    let mut params = slow(LONG);
    params["arguments"]["note"] = json!("initialize");
    talk.say(&request(1, "tools/call", &params).to_string());
    wait_for_calls(&puppets, 1);
    assert_eq!(talk.ask(2, "ping", &json!({})).unwrap()["result"], json!({}));
}

#[test]
fn what_is_no_request_gets_no_answer_over_stdio() {
    let puppets = Puppets::one("only", &plain());
    let mut talk = introduced(&puppets);
    talk.say(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo","arguments":{}}}"#);
    talk.say(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    talk.say(&request(2, "ping", &json!({})).to_string());
    let first = talk.hear().unwrap();
    assert_eq!(
        (&first["id"], &first["result"]),
        (&json!(2), &json!({})),
        "{first}"
    );
    // Nobody knows what this was.
    talk.say("{");
    let answer = talk.hear().unwrap();
    assert_eq!((reason(&answer), &answer["id"]), ("syntax", &Value::Null));
}

#[test]
fn answers_that_wait_when_the_input_ends_are_written() {
    let puppets = Puppets::one("only", &plain());
    let mut talk = introduced(&puppets);
    let long = json!({"name": "echo", "arguments": {"message": "x".repeat(50_000)}});
    for id in 1..=100 {
        talk.say(&request(id, "tools/call", &long).to_string());
    }
    talk.close();
    let mut heard: Vec<u64> = std::iter::from_fn(|| talk.hear())
        .filter_map(|message| message["id"].as_u64())
        .collect();
    heard.sort_unstable();
    assert_eq!(heard, (1..=100).collect::<Vec<u64>>());
}
