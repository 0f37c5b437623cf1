//! Several servers under one roof, several clients at one gateway: nothing is mixed up.

use std::collections::BTreeSet;

use mantlet_tests::client::{Session, stateless};
use mantlet_tests::puppets::Puppets;
use mantlet_tests::serving::Serving;
use mantlet_tests::until;
use serde_json::{Value, json};

use crate::{answer, assert_log_holds, plain, reason, text};

fn tool(name: &str) -> Value {
    json!({"name": name, "inputSchema": {"type": "object"}})
}

fn names(list: &Value, member: &str, name: &str) -> Vec<String> {
    let items = list["result"][member]
        .as_array()
        .unwrap_or_else(|| panic!("no list in {list}"));
    items
        .iter()
        .map(|item| item[name].as_str().unwrap().to_owned())
        .collect()
}

/// Two servers whose names join to the same text with their tools'.
fn colliding() -> Puppets {
    let capabilities = json!({
        "tools": {"listChanged": true}, "resources": {"listChanged": true, "subscribe": true}, "prompts": {},
    });
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let updated =
        r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///r"}}"#;
    let script = |tool_name: &str, mine: &str| {
        let contents = json!({"contents": [{"uri": "file:///r", "text": mine}]});
        json!({
            "capabilities": capabilities,
            "tools": [tool(tool_name), tool("change"), tool("update")],
            "resources": [{"uri": "file:///r", "name": "r"}],
            "prompts": [{"name": "p"}],
            "calls": {
                tool_name: [answer(mine)],
                "change": [changed, answer("changed")],
                "update": [updated, answer("updated")],
            },
            "on": {"resources/read": [format!(r#"{{"jsonrpc":"2.0","id":{{id}},"result":{contents}}}"#)]},
        })
    };
    let mut puppets = Puppets::one("a_b", &script("c", "first"));
    puppets.add("a", &script("b_c", "second"));
    puppets
}

#[test]
fn names_that_join_to_the_same_text_stay_apart() {
    let puppets = colliding();
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, None);
    let tools = names(&session.ask(1, "tools/list", &json!({})), "tools", "name");
    let distinct: BTreeSet<_> = tools.iter().collect();
    assert_eq!((tools.len(), distinct.len()), (6, 6), "{tools:?}");
    assert_eq!(text(&session.call(2, "a_b__c", &json!({}))), "first");
    assert_eq!(text(&session.call(3, "a__b_c", &json!({}))), "second");
    for guess in ["a__b__c", "a_b_c", "c", "b_c", "a_b__b_c", "a__c"] {
        assert_eq!(
            reason(&session.call(4, guess, &json!({}))),
            "unknown_tool",
            "{guess}"
        );
    }
    let uris = names(&session.ask(5, "resources/list", &json!({})), "resources", "uri");
    assert_eq!(uris.iter().collect::<BTreeSet<_>>().len(), 2, "{uris:?}");
    let mut contents = BTreeSet::new();
    for (id, uri) in (6..).zip(&uris) {
        let read = session.ask(id, "resources/read", &json!({"uri": uri}));
        assert_eq!(read["result"]["contents"][0]["uri"], **uri, "{read}");
        contents.insert(read["result"]["contents"][0]["text"].to_string());
    }
    assert_eq!(contents.len(), 2, "{contents:?}");
    let bare = session.ask(9, "resources/read", &json!({"uri": "file:///r"}));
    assert_eq!(reason(&bare), "invalid_params");
    assert_log_holds(&serving);
}

#[test]
fn a_change_at_one_server_reaches_sessions_and_subscribers_under_the_names_they_know() {
    let puppets = colliding();
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, None);
    let mut general = session.listen();
    assert_eq!(general.status(), 200);
    let uris = names(&session.ask(1, "resources/list", &json!({})), "resources", "uri");
    let mine = uris.iter().find(|uri| uri.contains("a.b")).unwrap();
    let watched = session.ask(2, "resources/subscribe", &json!({"uri": mine}));
    assert!(watched.get("result").is_some(), "{watched}");
    let wanted = json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": [mine]}});
    let mut subscription = stateless(&serving, None, &json!("s"), "subscriptions/listen", &wanted);
    let acknowledged = subscription.message().unwrap();
    assert_eq!(
        acknowledged["params"]["notifications"], wanted["notifications"],
        "{acknowledged}"
    );

    // A session has its own servers; a stateless client those of its kind.
    assert_eq!(text(&session.call(3, "a_b__change", &json!({}))), "changed");
    assert!(
        general
            .find(|message| message["method"] == "notifications/tools/list_changed")
            .is_some()
    );
    assert_eq!(text(&session.call(4, "a_b__update", &json!({}))), "updated");
    let update = general
        .find(|message| message["method"] == "notifications/resources/updated")
        .unwrap();
    assert_eq!(update["params"]["uri"], **mine);

    for (id, tool, method) in [
        ("one", "a__change", "notifications/tools/list_changed"),
        ("two", "a_b__update", "notifications/resources/updated"),
    ] {
        let params = json!({"name": tool, "arguments": {}});
        let mut call = stateless(&serving, None, &json!(id), "tools/call", &params);
        assert!(
            call.find(|message| message["id"] == id)
                .unwrap()
                .get("result")
                .is_some()
        );
        let heard = subscription.message().unwrap();
        assert_eq!(heard["method"], method, "{heard}");
        let tag = &heard["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        assert_eq!(*tag, json!("s"), "{heard}");
    }
}

#[test]
fn a_subscriber_that_leaves_takes_no_other_of_the_same_id_along() {
    let puppets = colliding();
    let serving = Serving::start(&puppets.configuration());
    let wanted = json!({"notifications": {"toolsListChanged": true}});
    let subscribe = || {
        let mut stream = stateless(&serving, Some("a"), &json!(1), "subscriptions/listen", &wanted);
        let acknowledged = stream.message().unwrap();
        assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
        stream
    };
    let (leaving, mut staying) = (subscribe(), subscribe());
    let change = json!({"name": "change", "arguments": {}});
    let mut hears_after_a_change = |id: i64| {
        let mut call = stateless(&serving, Some("a"), &json!(id), "tools/call", &change);
        assert_eq!(text(&call.message().unwrap()), "changed");
        staying
            .message_within(std::time::Duration::from_secs(10))
            .is_some()
    };
    assert!(hears_after_a_change(10));
    drop(leaving);
    until("the gateway has noticed that one has left", || {
        serving.log().contains("\"cancelled\"").then_some(())
    });
    assert!(hears_after_a_change(11), "the other subscription went with it");
    assert_log_holds(&serving);
}

#[test]
fn long_lists_come_in_pages_without_loss_or_repetition() {
    let many =
        |count: usize| -> Vec<Value> { (0..count).map(|number| tool(&format!("t{number}"))).collect() };
    let mut puppets = Puppets::one("long", &json!({"tools": many(730), "page": 100}));
    puppets.add("short", &json!({"tools": many(3), "page": 2}));
    let serving = Serving::start(&puppets.configuration());
    for (server, count, pages) in [(None, 733, 2), (Some("long"), 730, 8), (Some("short"), 3, 2)] {
        let session = Session::begin(&serving, server);
        let (mut found, mut params, mut seen) = (Vec::new(), json!({}), 0);
        loop {
            let page = session.ask(10 + seen, "tools/list", &params);
            found.extend(names(&page, "tools", "name"));
            seen += 1;
            match page["result"]["nextCursor"].as_str() {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => break,
            }
        }
        assert_eq!(
            found.iter().collect::<BTreeSet<_>>().len(),
            found.len(),
            "repetitions"
        );
        assert_eq!((found.len(), seen), (count, pages), "{server:?}");
        let last = if server.is_some() { "t2" } else { "short__t2" };
        let called = session.call(99, last, &json!({}));
        assert_eq!(text(&called), "called t2");
    }
    let session = Session::begin(&serving, None);
    for cursor in ["", "100", "NTAwOmFhYWFhYWFhYWFhYWFhYWE", "💣"] {
        let refused = session.ask(1, "tools/list", &json!({"cursor": cursor}));
        assert_eq!(reason(&refused), "invalid_cursor", "{cursor}");
    }
}

#[test]
fn equal_request_ids_at_the_same_time_each_get_their_own_answer() {
    let puppets = Puppets::one("only", &plain());
    let serving = Serving::start(&puppets.configuration());
    let sessions: Vec<_> = (0..4).map(|_| Session::begin(&serving, Some("only"))).collect();
    let wrong = std::sync::Mutex::new(Vec::new());
    let check = |said: &str, message: &Value, id: &Value| {
        if message["id"] != *id || message["result"]["content"][0]["text"] != *said {
            wrong.lock().unwrap().push(format!("{said}: {message}"));
        }
    };
    std::thread::scope(|scope| {
        for (number, session) in sessions.iter().enumerate() {
            let check = &check;
            scope.spawn(move || {
                for id in 0..40 {
                    let said = format!("session {number} says {id}");
                    check(
                        &said,
                        &session.call(id, "echo", &json!({"message": said})),
                        &json!(id),
                    );
                }
            });
        }
        for number in 0..8 {
            let (check, serving) = (&check, &serving);
            scope.spawn(move || {
                // Numbers and texts that look alike are different ids; all of these run on one connection.
                for round in 0..20 {
                    let id = if number % 2 == 0 {
                        json!(round)
                    } else {
                        json!(round.to_string())
                    };
                    let said = format!("client {number} says {round}");
                    let params = json!({"name": "echo", "arguments": {"message": said}});
                    let mut stream = stateless(serving, Some("only"), &id, "tools/call", &params);
                    let message = stream.find(|message| message.get("id").is_some());
                    check(&said, &message.unwrap_or_default(), &id);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of 320 went wrong: {:?}",
        wrong.len(),
        wrong.first()
    );
    assert_log_holds(&serving);
}

#[test]
fn a_server_that_talks_during_the_handshake_costs_nobody_the_session() {
    let result = json!({
        "protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "logging": {}},
        "serverInfo": {"name": "puppet", "version": "1"},
    });
    let greeting = format!(r#"{{"jsonrpc":"2.0","id":{{id}},"result":{result}}}"#);
    let line =
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"early"}}"#;
    let mut puppets = Puppets::one("early", &json!({"on": {"initialize": [line, greeting]}}));
    // The answer waits for this one, so that the line comes before it.
    puppets.add("late", &json!({"on": {"initialize": ["{sleep:700}", greeting]}}));
    let serving = Serving::start(&puppets.configuration());
    // Fails without a session id, wherever the answer is.
    let session = Session::begin(&serving, None);
    let answer = session.call(1, "early__echo", &json!({"message": "hi"}));
    assert_eq!(text(&answer), "hi");
    assert_log_holds(&serving);
}
