//! How much of a cage there is: what the configuration asks for, what the machine can give, and what is said of it.

use std::path::Path;
use std::process::Command;

use mantlet_tests::binary;
use mantlet_tests::client::Session;
use mantlet_tests::http::parse;
use mantlet_tests::lines::Talk;
use serde_json::{Value, json};

use crate::users::{User, is_root};
use crate::{command, run, serving, status, text};

#[test]
fn without_a_cage_it_works_and_the_status_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("not-granted");
    std::fs::write(&file, "x").unwrap();
    let serving = serving(&json!("off"));
    let session = Session::begin(&serving, Some("only"));
    let code = format!(
        "import os\nsaid = os.path.exists({:?})",
        file.display().to_string()
    );
    assert_eq!(text(&run(&session, 1, &code)), "True");
    let shown = status(&serving, "it as up", |status| status["state"] == "up");
    let loose = shown["not_in_force"].to_string();
    assert!(
        loose.contains("cage: off by configuration: the server runs with all rights of this user"),
        "{shown}"
    );
    assert!(!shown["in_force"].to_string().contains("cage: s"), "{shown}");
}

/// What a wrapped server answers first, and what was said on standard error. With `nested`, all of it in a cage.
fn wrapped(user: User, minimum: &str, nested: bool) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    // A home cannot be granted, nor what it is in.
    let place = folder.path().canonicalize().unwrap().join("granted");
    std::fs::create_dir(&place).unwrap();
    let mantlet = place.join("mantlet");
    std::fs::copy(binary("mantlet"), &mantlet).unwrap();
    let configuration = place.join("mantlet.yaml");
    let servers = json!({"only": {"command": command(), "sandbox": {"minimum": minimum}}});
    std::fs::write(&configuration, format!("servers: {servers}\n")).unwrap();
    let mut program = Command::new(&mantlet);
    if nested {
        program.args(["cage", "--write"]);
        program.arg(&place).arg("--").arg(&mantlet);
    }
    program
        .args(["wrap", "--name", "only", "--config"])
        .arg(&configuration)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder.path())
        .env("XDG_STATE_HOME", folder.path().join("state"))
        .current_dir(&place)
        .stderr(std::fs::File::create(place.join("errors")).unwrap());
    user.owns_all(folder.path());
    user.runs(&mut program);
    let mut talk = Talk::with(&mut program);
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"},
    });
    let answer = talk.ask(1, "initialize", &hello).unwrap_or_default();
    drop(talk);
    (answer, std::fs::read_to_string(place.join("errors")).unwrap())
}

/// It is not started, and whoever runs it reads why.
fn assert_refused(user: User, minimum: &str, nested: bool, why: &str) {
    let (answer, said) = wrapped(user, minimum, nested);
    assert!(
        answer.get("result").is_none(),
        "{} has it: {answer}",
        user.shown()
    );
    assert!(said.contains(why), "as {}: {answer}\n{said}", user.shown());
}

#[test]
fn the_strong_cage_is_had_by_root() {
    // A control group that limits memory, of either generation.
    let memory = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory.max"];
    if !is_root() || !memory.iter().any(|path| Path::new(path).exists()) {
        eprintln!("not tried: only root can have it, where control groups are mounted");
        return;
    }
    let (answer, said) = wrapped(User::Own, "strong", false);
    assert!(answer.get("result").is_some(), "{answer}\n{said}");
}

#[test]
fn the_strong_cage_is_refused_to_who_has_no_control_group() {
    let user = User::ordinary();
    if user == User::Own {
        eprintln!("not tried: this user may have a control group of its own");
        return;
    }
    assert_refused(user, "strong", false, "`strong`");
    let (answer, said) = wrapped(user, "standard", false);
    assert!(answer.get("result").is_some(), "{answer}\n{said}");
}

#[test]
fn within_a_cage_there_is_the_basic_one_for_who_asks_for_it() {
    for user in [User::Own, User::ordinary()] {
        assert_refused(user, "standard", true, "`standard` cage is asked for");
        let (answer, said) = wrapped(user, "basic", true);
        assert!(
            answer.get("result").is_some(),
            "as {}: {answer}\n{said}",
            user.shown()
        );
    }
}

#[test]
fn the_basic_cage_says_that_it_is_one() {
    let mantlet = binary("mantlet");
    let output = Command::new(&mantlet)
        .args(["cage", "--"])
        .arg(&mantlet)
        .args(["cage", "--minimum", "basic", "--proof", "--", "true"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let proof = parse(&said).unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(proof["tier"], "basic", "{said}");
    let trials = proof["trials"].as_array().unwrap();
    assert!(trials.iter().all(|trial| trial["held"] == true), "{said}");
    assert!(!proof["missing"].as_array().unwrap().is_empty(), "{said}");
}
