//! The containment range: everything in `tests/cage/attacks` must be held by `mantlet cage`, and must get through
//! without it; everything in `tests/cage/uses` must work in it. Root runs all of it twice, once as an ordinary user.
//! `MANTLET_CAGE_ONLY=part,part` runs some of it, `--no-capture` shows every run.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test says what is wrong by panicking, and starts programs"
)]

mod granted;
mod handing;
mod processes;
mod run;
mod script;
mod snapshot;
mod users;
mod witness;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use run::{Outcome, run};
use script::{Plain, Script};
use users::{User, is_root};
use world::Range;

/// Megabytes that are granted.
const MEMORY: u64 = 512;
/// Processes and threads that are granted.
const PROCESSES: u64 = 90;
/// Megabytes on the disk that are granted.
const DISK: u64 = 64;
/// Files that are granted.
const FILES: u64 = 2000;
/// Descriptors that a process may well have; Mantlet gives fewer.
const DESCRIPTORS: u64 = 4096;
/// Runs at a time, beside one that uses much.
const AT_ONCE: usize = 3;

/// Held by what uses much.
static HEAVY: Mutex<()> = Mutex::new(());

#[test]
fn every_attack_is_contained() {
    let scripts = script::all("attacks");
    assert!(
        scripts.len() >= 100 || std::env::var_os("MANTLET_CAGE_ONLY").is_some(),
        "attacks are missing: {}",
        scripts.len()
    );
    let users = users();
    each(&scripts, users.len(), |range, script, number| {
        let user = users[number]();
        let outcome = run(range, script, user, true);
        let verdict = match contained(script, &outcome) {
            Err(text) if script.needs_sums && user.shown() == "user" => Ok(format!("a known gap: {text}")),
            verdict => verdict,
        };
        report(script, user, "caged", &outcome, &verdict)
    });
}

#[test]
fn every_attack_gets_through_without_a_cage() {
    let scripts = script::all("attacks");
    each(&scripts, 1, |range, script, _| {
        let user = if script.plain == Plain::EscapesAsRoot {
            User::Own
        } else {
            User::ordinary()
        };
        if script.plain == Plain::NotRun || (script.plain == Plain::EscapesAsRoot && !is_root()) {
            return None;
        }
        let outcome = run(range, script, user, false);
        let verdict =
            if outcome.escaped.is_empty() && matches!(script.plain, Plain::Escapes | Plain::EscapesAsRoot) {
                Err(format!(
                    "it proves nothing: it does not get through ({})",
                    outcome.tail()
                ))
            } else if !outcome.escaped.is_empty() && script.plain == Plain::Holds {
                Err(format!("it gets through now: {}", outcome.escaped.join("; ")))
            } else {
                Ok(outcome.escaped.join("; "))
            };
        report(script, user, "plain", &outcome, &verdict)
    });
}

#[test]
fn what_servers_do_works_in_a_cage() {
    let scripts = script::all("uses");
    let users = users();
    each(&scripts, users.len() * 2, |range, script, number| {
        let user = users[number / 2]();
        let caged = number % 2 == 0;
        if !caged && script.plain == Plain::NotRun {
            return None;
        }
        let outcome = run(range, script, user, caged);
        let verdict = worked(&outcome);
        report(
            script,
            user,
            if caged { "caged" } else { "plain" },
            &outcome,
            &verdict,
        )
    });
}

/// An ordinary user; and root, where root runs the tests.
fn users() -> Vec<fn() -> User> {
    let mut users: Vec<fn() -> User> = vec![User::ordinary];
    if is_root() {
        users.push(|| User::Own);
    }
    users
}

/// Does so many jobs for each script, a few at a time and one that is heavy, and fails with all that failed.
fn each(scripts: &[Script], times: usize, job: impl Fn(&Range, &Script, usize) -> Option<String> + Sync) {
    let range = Range::new();
    let failures = Mutex::new(Vec::new());
    let (heavy, light): (Vec<&Script>, Vec<&Script>) = scripts.iter().partition(|script| script.heavy);
    let queues = [(heavy, AtomicUsize::new(0)), (light, AtomicUsize::new(0))];
    let work = |queue: &(Vec<&Script>, AtomicUsize)| {
        loop {
            let number = queue.1.fetch_add(1, Ordering::Relaxed);
            let Some(script) = queue.0.get(number / times) else {
                return;
            };
            let _one_at_a_time = script
                .heavy
                .then(|| HEAVY.lock().unwrap_or_else(PoisonError::into_inner));
            let run = std::panic::AssertUnwindSafe(|| job(&range, script, number % times));
            let failure = std::panic::catch_unwind(run)
                .unwrap_or_else(|_| Some(format!("{}: the harness panicked", script.name)));
            failures.lock().unwrap().extend(failure);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| work(&queues[0]));
        for _ in 0..AT_ONCE {
            scope.spawn(|| work(&queues[1]));
        }
    });
    let failures = failures.into_inner().unwrap();
    println!("{} runs, {} failed", scripts.len() * times, failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn contained(script: &Script, outcome: &Outcome) -> Result<String, String> {
    if !outcome.began {
        return Err(format!("it did not start: {}", outcome.tail()));
    }
    if !outcome.escaped.is_empty() {
        return Err(format!("ESCAPED: {}", outcome.escaped.join("; ")));
    }
    if outcome.late {
        return Err(format!("it did not end in time: {}", outcome.tail()));
    }
    if !outcome.judged && !script.may_be_ended {
        return Err(format!("it has no verdict: {}", outcome.tail()));
    }
    let word = outcome.line("CONTAINED").unwrap_or("ended by the cage");
    Ok(word.to_owned())
}

fn worked(outcome: &Outcome) -> Result<String, String> {
    if outcome.line("WORKS").is_none() {
        return Err(format!("it does not work: {}", outcome.tail()));
    }
    // Its output and what it leaves are looked at in the attacks; here only that nothing outside changed.
    if !outcome.escaped.is_empty() {
        return Err(format!("it works, but: {}", outcome.escaped.join("; ")));
    }
    if !outcome.unseen.is_empty() {
        return Err(format!("the host does not see it: {}", outcome.unseen.join("; ")));
    }
    Ok("works".to_owned())
}

/// One line for each run; what failed comes back.
fn report(
    script: &Script,
    user: User,
    how: &str,
    outcome: &Outcome,
    verdict: &Result<String, String>,
) -> Option<String> {
    let (sign, text) = match verdict {
        Ok(text) => ("ok", text),
        Err(text) => ("FAILED", text),
    };
    let head = format!(
        "{how} {:4} {:34} {:4.1}s",
        user.shown(),
        script.name,
        outcome.took.as_secs_f64()
    );
    println!("{head} {sign}: {:.160}", text.replace('\n', " "));
    verdict
        .as_ref()
        .err()
        .map(|text| format!("{how} as {}: {}: {text}", user.shown(), script.name))
}
