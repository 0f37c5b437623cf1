//! Attacks as data: each `tests/attacks/*.yaml` is one attack, or one CVE of a peer, played against the built gateway
//! with a puppet server behind it. See `tests/attacks/README.md` for the format.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod attack;
mod play;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use attack::Attack;

/// Attacks that are played at once.
const AT_ONCE: usize = 4;

#[test]
fn every_attack_is_stopped() {
    let attacks = attack::all();
    assert!(attacks.len() > 30, "attacks are missing: {}", attacks.len());
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((name, attack)) = attacks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for problem in both_ways(attack) {
                        failures.lock().unwrap().push(format!("{name}: {problem}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    println!("{} attacks played, {} got through", attacks.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Over HTTP, and over stdio where the attack does not need HTTP.
fn both_ways(attack: &Attack) -> Vec<String> {
    let play = |how: fn(&Attack) -> Vec<String>, way: &str| {
        std::panic::catch_unwind(|| how(attack))
            .unwrap_or_else(|_| vec!["panicked".to_owned()])
            .into_iter()
            .map(|problem| format!("over {way}: {problem}"))
            .collect::<Vec<_>>()
    };
    let mut problems = play(play::over_http, "HTTP");
    if attack.goes_over_stdio() {
        problems.extend(play(play::over_stdio, "stdio"));
    }
    problems
}
