//! The official conformance suite in server mode: what the fixture passes alone it must pass behind Mantlet, over HTTP
//! and over stdio, in both eras and in the crossings between them. Not here: the suite's client mode.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking, starts programs, and shows what it counted"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use mantlet_tests::serving::Serving;
use mantlet_tests::suite::{self, Counted};
use mantlet_tests::{binary, root};
use serde::Deserialize;
use serde_json::json;

const OLD: &str = "2025-11-25";
const NEW: &str = "2026-07-28";

#[test]
fn the_fixture_alone_passes_everything() {
    for (revision, checks) in [(OLD, 83), (NEW, 197)] {
        let alone = alone(revision);
        println!(
            "{revision}, alone: {} passed, {} failed",
            alone.passes(),
            alone.failed.len()
        );
        assert!(alone.content && alone.passes() == checks, "{}", alone.said);
    }
}

#[test]
fn old_client_old_server() {
    nothing_is_lost(OLD, "legacy");
}

#[test]
fn new_client_new_server() {
    nothing_is_lost(NEW, "modern");
}

#[test]
fn old_client_new_server() {
    nothing_is_lost(OLD, "modern");
}

#[test]
fn new_client_old_server() {
    nothing_is_lost(NEW, "legacy");
}

/// What the suite checks at a revision, with a server that speaks this era only, over both transports.
fn nothing_is_lost(revision: &str, era: &str) {
    let alone = alone(revision);
    let mut wrong = Vec::new();
    let both = std::thread::scope(|scope| {
        let running = ["http", "stdio"].map(|transport| {
            let run = scope.spawn(move || through(revision, transport, era));
            (transport, run)
        });
        running.map(|(transport, run)| (transport, run.join().unwrap()))
    });
    for (transport, seen) in both {
        println!(
            "{revision}, {era} server over {transport}: {} of {} checks passed",
            seen.passes(),
            alone.passes(),
        );
        wrong.extend(unexpected(revision, era, &alone, &seen));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn alone(revision: &str) -> Counted {
    let fixture = Fixture::start("both");
    suite::run(
        &["server", "--url", &fixture.url, "--requirements", revision],
        &[],
    )
}

fn through(revision: &str, transport: &str, era: &str) -> Counted {
    let (fixture, upstream) = match transport {
        "http" => {
            let fixture = Fixture::start(era);
            let upstream = json!({ "url": fixture.url });
            (Some(fixture), upstream)
        }
        _ => {
            let command = json!([binary("mantlet-fixture"), "stdio", "--era", era]);
            (None, json!({ "command": command }))
        }
    };
    let mut server = upstream;
    server["allow"] = json!({
        "tools": ["*"], "resources": ["*"], "prompts": ["*"], "methods": ["*"],
        "asks": ["sampling", "elicitation", "roots"],
    });
    // The suite sends no token.
    let configuration = json!({
        "listen": { "address": "127.0.0.1:0" },
        "identity": { "anonymous": "loopback" },
        "servers": { "fixture": server },
    });
    let serving = Serving::start(&format!("{configuration}\n"));
    let url = serving.url(Some("fixture"));
    let counted = suite::run(&["server", "--url", &url, "--requirements", revision], &[]);
    drop(serving);
    drop(fixture);
    counted
}

/// What may be lost, in `conformance.yaml`: by revision and the server's era, a scenario or one check of it, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Loss {
    revision: String,
    server: String,
    scenario: String,
    check: Option<String>,
    #[expect(dead_code, reason = "for the reader; its presence is checked by the form")]
    why: String,
}

impl Loss {
    fn covers(&self, check: &(String, String)) -> bool {
        self.scenario == check.0
            && self
                .check
                .as_ref()
                .is_none_or(|id| check.1.starts_with(id.as_str()))
    }
}

/// Lost checks that are not on the list, and entries of the list that lose nothing any more.
fn unexpected(revision: &str, era: &str, alone: &Counted, seen: &Counted) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("tests/e2e/conformance.yaml")).unwrap();
    let losses: Vec<Loss> = serde_saphyr::from_str(&text).unwrap();
    let known: Vec<&Loss> = losses
        .iter()
        .filter(|loss| loss.revision == revision && loss.server == era)
        .collect();
    let lost = seen.lost_against(alone);
    let mut wrong: Vec<String> = lost
        .iter()
        .filter(|check| !known.iter().any(|loss| loss.covers(check)))
        .map(|check| {
            let why = seen.failed.get(check).cloned().unwrap_or_default();
            format!("lost: {} {}: {why}", check.0, check.1)
        })
        .collect();
    let failed = seen.failed.iter();
    wrong.extend(
        failed
            .filter(|(check, _)| !lost.contains(check) && !known.iter().any(|loss| loss.covers(check)))
            .map(|(check, why)| format!("failed: {} {}: {why}", check.0, check.1)),
    );
    let stale = known
        .iter()
        .filter(|loss| !lost.iter().any(|check| loss.covers(check)));
    wrong.extend(stale.map(|loss| format!("{} loses nothing any more: take it off the list", loss.scenario)));
    wrong
}

/// The fixture over HTTP.
struct Fixture {
    child: Child,
    url: String,
}

impl Fixture {
    fn start(era: &str) -> Self {
        let mut child = Command::new(binary("mantlet-fixture"))
            .args(["http", "--port", "0", "--era", era])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, url }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Every loss on the list is of a cell that is played.
#[test]
fn the_list_of_losses_is_about_what_is_played() {
    let text = std::fs::read_to_string(root().join("tests/e2e/conformance.yaml")).unwrap();
    let losses: Vec<Loss> = serde_saphyr::from_str(&text).unwrap();
    let mut cells: BTreeMap<(String, String), usize> = BTreeMap::new();
    for loss in losses {
        *cells.entry((loss.revision, loss.server)).or_default() += 1;
    }
    for (revision, server) in cells.keys() {
        assert!([OLD, NEW].contains(&revision.as_str()) && ["legacy", "modern"].contains(&server.as_str()));
    }
}
