//! Streams of a session that break and are taken up again (MCP 2025-11-25 basic/transports §Resumability).

use std::time::Duration;

use mantlet_tests::client::Session;
use mantlet_tests::puppets::Puppets;
use mantlet_tests::serving::Serving;
use serde_json::{Value, json};

use crate::{answer, assert_log_holds, text};

fn log_line(text: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"{text}"}}}}"#
    )
}

/// Two log lines, half a second apart, and the answer after another.
fn talkative() -> Puppets {
    let pause = "{sleep:500}".to_owned();
    let lines = [
        log_line("one"),
        pause.clone(),
        log_line("two"),
        pause,
        answer("done"),
    ];
    let script = json!({"capabilities": {"tools": {}, "logging": {}}, "calls": {"slow": lines}});
    Puppets::one("only", &script)
}

fn call() -> Value {
    json!({"name": "slow", "arguments": {}})
}

#[test]
fn a_stream_that_broke_goes_on_where_it_ended() {
    let puppets = talkative();
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let mut stream = session.begin_to_ask(1, "tools/call", &call());
    let (event, first) = stream.event().unwrap();
    assert_eq!(first["params"]["data"], "one");
    drop(stream);
    let mut again = session.resume(&event);
    let (_, second) = again.event().unwrap();
    assert_eq!(second["params"]["data"], "two", "nothing twice, nothing lost");
    let (last, end) = again.event().unwrap();
    assert_eq!(text(&end), "done");
    assert_eq!(end["id"], 1);
    assert_eq!(
        puppets.seen_of("only", "tools/call").len(),
        1,
        "the call ran once"
    );
    // Whoever has everything already gets nothing more.
    assert!(session.resume(&last).event().is_none());
    assert_log_holds(&serving);
}

#[test]
fn an_answer_that_came_while_the_client_was_away_is_kept() {
    let puppets = talkative();
    let serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    let mut stream = session.begin_to_ask(1, "tools/call", &call());
    let (event, _) = stream.event().unwrap();
    drop(stream);
    std::thread::sleep(Duration::from_secs(2));
    let mut again = session.resume(&event);
    let rest: Vec<Value> = std::iter::from_fn(|| again.event())
        .map(|(_, message)| message)
        .collect();
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert_eq!(text(&rest[1]), "done");
}

#[test]
fn a_stream_is_its_own_sessions_only() {
    let puppets = talkative();
    let serving = Serving::start(&puppets.configuration());
    let mine = Session::begin(&serving, Some("only"));
    let other = Session::begin(&serving, Some("only"));
    let mut stream = mine.begin_to_ask(1, "tools/call", &call());
    let (event, _) = stream.event().unwrap();
    for made_up in [
        event.as_str(),
        "1-0",
        "0-0",
        "",
        "x",
        "99999999999999999999-1",
        "-1",
    ] {
        assert_eq!(other.resume(made_up).status(), 410, "{made_up}");
    }
    // It still belongs to the one that began it.
    assert_eq!(mine.resume(&event).status(), 200);
}
