//! `mantlet cage --learn`: what a program used becomes a proposal, what is secret stays hidden, what it wrote is thrown away;
//! and with the proposal the same program works in the real cage.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test says what is wrong by panicking, and starts programs"
)]

use std::path::Path;
use std::process::{Command, Output};

use mantlet_tests::binary;

/// Reads a file of a folder, writes one beside it, tries a key, looks a host up.
const PROGRAM: &str = r"
import os, socket, sys
home, work = sys.argv[1:]
print(open(work + '/given').read().strip())
open(work + '/made', 'w').write('new')
try: print('LEAK', open(home + '/.ssh/id').read())
except OSError: print('no key')
try: socket.getaddrinfo('api.example.com', 443)
except OSError: pass
";

fn cage(home: &Path, arguments: &[&str]) -> Output {
    let work = home.join("work");
    Command::new(binary("mantlet"))
        .arg("cage")
        .args(arguments)
        .args(["--", "/usr/bin/python3", "-c", PROGRAM])
        .args([home, &work])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home)
        .current_dir("/")
        .output()
        .unwrap()
}

#[test]
fn what_was_used_is_proposed_and_what_is_secret_is_not() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let home = directory.path().canonicalize().unwrap().join("ada");
    let work = home.join("work");
    std::fs::create_dir_all(home.join(".ssh")).unwrap();
    std::fs::create_dir_all(&work).unwrap();
    std::fs::write(home.join(".ssh/id"), "private").unwrap();
    std::fs::write(work.join("given"), "granted").unwrap();

    let file = directory.path().join("proposal.yaml");
    let learning = format!("--learn={}", file.display());
    let output = cage(&home, &[&learning]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        said,
        "granted\nno key\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!work.join("made").exists(), "what it wrote was kept");
    let proposal = std::fs::read_to_string(&file).unwrap();
    assert!(proposal.contains("sandbox:"), "{proposal}");
    assert!(
        proposal.contains(&format!("- \"{}\"", work.display())),
        "{proposal}"
    );
    assert!(proposal.contains("api.example.com"), "{proposal}");
    let granted = proposal
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    assert!(!granted.collect::<String>().contains(".ssh"), "{proposal}");

    let work = work.display().to_string();
    let output = cage(&home, &["--write", &work]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        said,
        "granted\nno key\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(std::fs::read_to_string(home.join("work/made")).unwrap(), "new");
}
