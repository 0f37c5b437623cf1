//! No record, no reply; and a record that was tampered with is found.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mantlet_tests::client::{Session, stateless};
use mantlet_tests::http;
use mantlet_tests::puppets::Puppets;
use mantlet_tests::serving::Serving;
use serde_json::{Value, json};

use crate::{answer, assert_log_holds, mantlet, plain, reason, text};

/// Lets a process write files up to a size only, as a full disk does.
fn limit_files(pid: u32, bytes: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--fsize={bytes}:unlimited")])
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "`prlimit` failed");
}

/// The newest segment of a log.
fn segment(directory: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    files.pop().unwrap()
}

#[test]
fn without_room_for_a_record_nothing_is_answered_until_there_is() {
    let change = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    for durability in ["write", "fsync"] {
        let script = json!({
            "capabilities": {"tools": {"listChanged": true}},
            "calls": {"environment": [change, answer("sent")]},
        });
        let mut puppets = Puppets::one("only", &script);
        puppets.set("/audit", json!({"durability": durability}));
        let mut serving = Serving::start(&puppets.configuration());
        let session = Session::begin(&serving, Some("only"));
        let mut general = session.listen();
        assert_eq!(general.status(), 200);
        assert_eq!(
            text(&session.call(1, "echo", &json!({"message": "before"}))),
            "before"
        );
        let log = segment(&serving.state().join("mantlet/audit"));
        let length = std::fs::metadata(&log).unwrap().len();

        // Room for half a record, so that the write breaks off in the middle.
        limit_files(serving.pid(), &(length + 100).to_string());
        for id in 2..5 {
            let refused = session.call(id, "environment", &json!({}));
            assert_eq!(reason(&refused), "audit_unavailable", "{refused}");
        }
        let modern = json!({"name": "echo", "arguments": {"message": "x"}});
        let mut refused = stateless(&serving, Some("only"), &json!(5), "tools/call", &modern);
        assert_eq!(reason(&refused.message().unwrap()), "audit_unavailable");
        // The first of them was on its way when the log failed; no other ran.
        assert_eq!(puppets.seen_of("only", "tools/call").len(), 2, "before, and one");
        // What a server sends meanwhile is not delivered either.
        let early = general.message_within(std::time::Duration::from_millis(500));
        assert_eq!(early, None);
        let unauthenticated = http::request(&serving.address, "POST", "/mcp", &[], b"{}");
        assert_eq!(unauthenticated.reason().as_deref(), Some("audit_unavailable"));

        limit_files(serving.pid(), "unlimited");
        assert_eq!(
            text(&session.call(10, "echo", &json!({"message": "after"}))),
            "after"
        );
        assert_log_holds(&serving);
        serving.signal("TERM");
        assert_eq!(
            serving.ended(std::time::Duration::from_secs(30)),
            Some(0),
            "{}",
            serving.said()
        );
        assert_log_holds(&serving);
    }
}

#[test]
fn the_first_record_that_does_not_hold_is_named() {
    let puppets = Puppets::one("only", &plain());
    let mut serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    for id in 1..9 {
        assert_eq!(text(&session.call(id, "echo", &json!({"message": "x"}))), "x");
    }
    serving.signal("TERM");
    assert_eq!(serving.ended(std::time::Duration::from_secs(30)), Some(0));
    assert_log_holds(&serving);
    let log = segment(&serving.state().join("mantlet/audit"));
    let good = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    assert_eq!(lines.len(), 10);
    let joined = |lines: &[&str]| format!("{}\n", lines.join("\n"));
    let swapped = {
        let mut lines = lines.clone();
        lines.swap(3, 4);
        joined(&lines)
    };
    let without = |gone: usize| {
        let mut lines = lines.clone();
        lines.remove(gone);
        joined(&lines)
    };
    let changed = |at: usize, from: &str, to: &str| {
        let line = lines[at].replacen(from, to, 1);
        assert_ne!(line, lines[at], "`{from}` is not in the record");
        let mut lines = lines.clone();
        lines[at] = &line;
        joined(&lines)
    };
    let doubled = {
        let mut lines = lines.clone();
        lines.insert(5, lines[4]);
        joined(&lines)
    };
    for (what, text, seq) in [
        ("changed", changed(5, "allow", "refuse"), 5),
        ("changed in the first record", changed(0, "allow", "refuse"), 0),
        ("changed in the last record", changed(9, "allow", "refuse"), 9),
        ("dropped", without(4), 4),
        ("the first dropped", without(0), 0),
        ("reordered", swapped, 3),
        ("repeated", doubled, 5),
        ("truncated", good.get(..good.len() - 20).unwrap().to_owned(), 9),
        ("added", format!("{good}{{}}\n"), 10),
    ] {
        std::fs::write(&log, text).unwrap();
        let (said, code) = mantlet(&["log", "verify", "--format", "json"], serving.state());
        assert_eq!(code, 1, "{what}: {said}");
        let report: Value = http::parse(said.trim()).unwrap();
        assert_eq!(report["finding"]["seq"], seq, "{what}: {said}");
        assert_eq!(report["finding"]["line"], seq + 1, "{what}: {said}");
        let (said, code) = mantlet(&["log", "verify"], serving.state());
        assert_eq!(code, 1, "{what}: {said}");
        assert!(said.contains(&format!("(record {seq})")), "{what}: {said}");
    }
    std::fs::write(&log, &good).unwrap();
    assert_log_holds(&serving);

    // A whole end that was cut off shows only in the head, which is why it is printed.
    let head = |directory: &Path| -> Value {
        let (said, _) = mantlet(&["log", "verify", "--format", "json"], directory);
        http::parse(said.trim()).unwrap()["head"].clone()
    };
    let before = head(serving.state());
    std::fs::write(&log, without(9)).unwrap();
    assert_ne!(head(serving.state()), before);
}

#[test]
fn a_log_that_was_torn_is_taken_up_and_a_broken_one_is_not() {
    let puppets = Puppets::one("only", &plain());
    let mut serving = Serving::start(&puppets.configuration());
    let session = Session::begin(&serving, Some("only"));
    assert_eq!(text(&session.call(1, "echo", &json!({"message": "x"}))), "x");
    serving.signal("KILL");
    assert!(serving.ended(std::time::Duration::from_secs(30)).is_some());
    let directory = serving.state().join("mantlet/audit");
    let log = segment(&directory);
    let whole = std::fs::read(&log).unwrap();
    let again = |configuration: &Path| {
        Command::new(mantlet_tests::binary("mantlet"))
            .args(["serve", "--config"])
            .arg(configuration)
            .env("XDG_STATE_HOME", serving.state())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };

    let last = whole.len() - 30;
    std::fs::write(&log, &whole[..last]).unwrap();
    let mut child = again(&serving.configuration());
    mantlet_tests::until("the torn record is put aside", || {
        std::fs::read_dir(&directory).unwrap().flatten().find(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "torn")
        })
    });
    mantlet_tests::until("the log ends with a whole record", || {
        std::fs::read(&log)
            .is_ok_and(|text| text.ends_with(b"\n"))
            .then_some(())
    });
    mantlet_tests::serving::signal(child.id(), "KILL");
    drop(child.wait());
    assert_log_holds(&serving);

    let text = String::from_utf8(whole).unwrap().replace("allow", "refuse");
    std::fs::write(&log, text).unwrap();
    let refused = again(&serving.configuration()).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("does not hold"), "{said}");
}
