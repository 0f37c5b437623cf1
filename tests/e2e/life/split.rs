//! `serve` is two processes: the one that faces the network can start nothing, the launcher listens to nobody else, and
//! neither stays behind without the other.

use std::fs;
use std::time::Duration;

use mantlet_tests::client::Session;
use mantlet_tests::puppets::Puppets;
use mantlet_tests::serving::{Serving, signal};
use mantlet_tests::{binary, processes, until};
use serde_json::{Value, json};

use crate::{mantlet, plain, text};

const PATIENCE: Duration = Duration::from_secs(30);

fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|child| child.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

/// The launcher of a gateway.
fn launcher(serving: &Serving) -> u32 {
    let children = children(serving.pid());
    assert_eq!(children.len(), 1, "{children:?}");
    assert_eq!(name(children[0]), "mantlet-launch");
    children[0]
}

fn value(pid: u32, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key}")).trim().to_owned()
}

fn assert_nothing_left(puppets: &Puppets) {
    let left = processes::left(&puppets.mark(), PATIENCE);
    assert!(left.is_empty(), "left behind: {left:?}");
}

fn caged_or_not() -> [Puppets; 2] {
    [
        Puppets::one("only", &plain()),
        Puppets::one("only", &plain()).without_cages(),
    ]
}

#[test]
fn the_process_that_faces_the_network_has_walls_around_it() {
    for puppets in caged_or_not() {
        let serving = Serving::start(&puppets.configuration());
        let session = Session::begin(&serving, Some("only"));
        assert!(!text(&session.call(1, "process", &json!({}))).is_empty());
        let gateway = serving.pid();
        for thread in fs::read_dir(format!("/proc/{gateway}/task")).unwrap().flatten() {
            let thread = thread.file_name().to_str().unwrap().parse().unwrap();
            assert_eq!(
                (value(thread, "Seccomp"), value(thread, "NoNewPrivs")),
                ("2".into(), "1".into())
            );
        }
        // What it started, it did not start itself.
        let launcher = launcher(&serving);
        assert_eq!(children(launcher).len(), 1);

        let status = until("the note is written", || {
            let (said, _) = mantlet(&["status", "--format", "json"], serving.state());
            serde_json::from_str::<Value>(&said).unwrap().get(0).cloned()
        });
        let itself = &status["status"]["itself"];
        let in_force = itself["in_force"].to_string();
        for wall in ["two processes", "seccomp", "no_new_privs", "tries at the start"] {
            assert!(in_force.contains(wall), "{wall}: {itself}");
        }
        let (said, _) = mantlet(&["status"], serving.state());
        assert!(said.contains("itself\n") && said.contains("seccomp"), "{said}");
    }
}

#[test]
fn without_its_launcher_a_gateway_lets_what_runs_end_and_ends() {
    for puppets in caged_or_not() {
        let mut serving = Serving::start(&puppets.configuration());
        let session = Session::begin(&serving, Some("only"));
        let slow = json!({"name": "slow", "arguments": {"millis": 1500}});
        let mut running = session.begin_to_ask(1, "tools/call", &slow);
        until("the call arrives", || puppets.seen_of("only", "tools/call").pop());
        signal(launcher(&serving), "KILL");
        let answer = running.find(|message| message["id"] == 1).unwrap();
        assert_eq!(text(&answer), "slept 1500");
        assert_eq!(serving.ended(PATIENCE), Some(3), "{}", serving.said());
        assert!(serving.said().contains("launcher has gone"), "{}", serving.said());
        assert_nothing_left(&puppets);
    }
}

#[test]
fn without_its_gateway_a_launcher_ends() {
    for puppets in caged_or_not() {
        let mut serving = Serving::start(&puppets.configuration());
        let session = Session::begin(&serving, Some("only"));
        assert!(!text(&session.call(1, "process", &json!({}))).is_empty());
        let launcher = launcher(&serving);
        serving.signal("KILL");
        assert!(serving.ended(PATIENCE).is_some());
        until("the launcher ends", || {
            (name(launcher) != "mantlet-launch").then_some(())
        });
        assert_nothing_left(&puppets);
    }
}

/// As a service manager does that signals every process of a service.
#[test]
fn a_launcher_that_is_asked_to_end_ends_with_its_gateway() {
    let mut puppets = Puppets::one("first", &plain());
    puppets.add("second", &plain());
    let mut serving = Serving::start(&puppets.configuration());
    let launcher = launcher(&serving);
    for asked in ["TERM", "INT", "HUP"] {
        signal(launcher, asked);
    }
    for server in ["first", "second"] {
        let session = Session::begin(&serving, Some(server));
        assert!(!text(&session.call(1, "process", &json!({}))).is_empty());
    }
    serving.signal("TERM");
    assert_eq!(serving.ended(PATIENCE), Some(0), "{}", serving.said());
    assert_ne!(name(launcher), "mantlet-launch", "it was waited for");
    assert_nothing_left(&puppets);
}

#[test]
fn a_network_that_was_closed_at_the_start_takes_a_restart() {
    let mut puppets = Puppets::one("only", &plain());
    let serving = Serving::start(&puppets.configuration());
    puppets.set("/servers/web", json!({"url": "http://127.0.0.1:9/mcp"}));
    fs::write(serving.configuration(), puppets.configuration()).unwrap();
    serving.signal("HUP");
    until("it is told", || {
        serving.said().contains("takes a restart").then_some(())
    });
    assert!(serving.said().contains("the network"), "{}", serving.said());
}

/// A server without a cage that leaves something behind which hides: it has a session of its own, nobody for a parent, and
/// nothing in its environment to be known by.
fn hiding(stays: &str) -> Puppets {
    let mut puppets = Puppets::one("only", &plain());
    let command = &puppets_command(&puppets);
    let script = format!("(setsid env -i sleep {stays} &); exec \"$0\" \"$@\"");
    let mut all = vec![json!("sh"), json!("-c"), json!(script)];
    all.extend(command.as_array().unwrap().iter().cloned());
    puppets.set("/servers/only/command", json!(all));
    puppets.without_cages()
}

fn puppets_command(puppets: &Puppets) -> Value {
    let configuration: Value = serde_json::from_str(&puppets.configuration()).unwrap();
    let command = configuration["servers"]["only"]["command"].clone();
    assert_eq!(command[0], json!(binary("mantlet-puppet")));
    command
}

fn sleeps(stays: &str) -> bool {
    let wanted = format!("sleep\0{stays}\0");
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .any(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == wanted.as_bytes()))
}

#[test]
fn what_hides_from_its_server_ends_with_it() {
    let stays = format!("86400.{}", std::process::id());
    let end_one = |end: &dyn Fn(&Serving, Session<'_>)| {
        let puppets = hiding(&stays);
        let serving = Serving::start(&puppets.configuration());
        let session = Session::begin(&serving, Some("only"));
        assert!(!text(&session.call(1, "process", &json!({}))).is_empty());
        until("it hides", || sleeps(&stays).then_some(()));
        end(&serving, session);
        until("it ends", || (!sleeps(&stays)).then_some(()));
    };
    end_one(&|serving, _session| serving.signal("TERM"));
    end_one(&|serving, _session| serving.signal("KILL"));
    end_one(&|serving, _session| signal(launcher(serving), "KILL"));
}
