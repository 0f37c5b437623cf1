//! What goes through the launcher unchanged: exit codes, signals, input and output; and what it refuses to launch.

use std::io::{Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use mantlet_tests::serving::signal;

use crate::users::User;
use crate::world::Range;

/// Both users, where there are two.
fn users() -> Vec<User> {
    let ordinary = User::ordinary();
    if ordinary == User::Own {
        vec![ordinary]
    } else {
        vec![ordinary, User::Own]
    }
}

/// A launcher with a home of its own, in a process group of its own.
struct Launcher {
    range: Range,
    home: tempfile::TempDir,
    user: User,
}

impl Launcher {
    fn new(user: User) -> Self {
        let home = tempfile::tempdir().unwrap();
        user.owns(home.path());
        Self {
            range: Range::new(),
            home,
            user,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.range.mantlet);
        command
            .arg("cage")
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home.path())
            .current_dir(self.home.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.user.runs(&mut command);
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let child = self.command(arguments).spawn().unwrap();
        within(child, Duration::from_secs(20))
    }

    fn shell(&self, script: &str) -> Output {
        self.output(&["--", "/bin/sh", "-c", script])
    }
}

/// What a child says until it ends; it is killed when that takes too long.
fn within(child: Child, limit: Duration) -> Output {
    let pid = child.id();
    let (sender, over) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if over.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            signal(pid, "KILL");
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(sender);
    guard.join().unwrap();
    output
}

fn ended_by(status: ExitStatus, number: i32) -> bool {
    status.signal() == Some(number) || status.code() == Some(128 + number)
}

#[test]
fn exit_codes_go_through() {
    for user in users() {
        let launcher = Launcher::new(user);
        for code in [0, 1, 2, 7, 42, 126, 127, 255] {
            let output = launcher.shell(&format!("exit {code}"));
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "as {}: {errors}", user.shown());
        }
    }
}

#[test]
fn an_end_by_a_signal_goes_through() {
    for user in users() {
        let launcher = Launcher::new(user);
        for (name, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("INT", 2), ("ABRT", 6)] {
            let output = launcher.shell(&format!("kill -{name} $$; sleep 5"));
            assert!(
                ended_by(output.status, number),
                "{name} as {}: {}",
                user.shown(),
                output.status
            );
        }
    }
}

#[test]
fn signals_to_the_launcher_reach_the_program() {
    let mut wrong = Vec::new();
    for user in users() {
        let launcher = Launcher::new(user);
        for name in ["TERM", "INT", "HUP"] {
            let script =
                format!("trap 'echo got {name}; exit 3' {name}; echo ready; while :; do sleep 0.05; done");
            let mut child = launcher
                .command(&["--", "/bin/sh", "-c", &script])
                .spawn()
                .unwrap();
            let mut first = [0; 6];
            child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
            signal(child.id(), name);
            let output = within(child, Duration::from_secs(5));
            let said = String::from_utf8_lossy(&output.stdout);
            if said.trim() != format!("got {name}") || output.status.code() != Some(3) {
                wrong.push(format!(
                    "{name} as {}: {}, said {said:?}",
                    user.shown(),
                    output.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ten_megabytes_go_through_unchanged() {
    for user in users() {
        let launcher = Launcher::new(user);
        let mut child = launcher
            .command(&["--", "cat"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut number = 1_u32;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            number.to_be_bytes()[0]
        })
        .take(10 << 20)
        .collect();
        let mut stdin = child.stdin.take().unwrap();
        let sent = bytes.clone();
        let writer = std::thread::spawn(move || stdin.write_all(&sent));
        let output = within(child, Duration::from_secs(30));
        let written = writer.join().unwrap();
        assert!(
            output.stdout == bytes,
            "as {}: {} bytes came, {written:?}",
            user.shown(),
            output.stdout.len()
        );
        assert!(output.status.success());
    }
}

#[test]
fn the_end_of_input_and_of_output_are_seen() {
    let launcher = Launcher::new(User::ordinary());
    let output = launcher.shell("cat; echo end");
    assert_eq!(output.stdout, b"end\n");
    // A reader that goes away ends who writes.
    let mut child = launcher.command(&["--", "yes"]).spawn().unwrap();
    let mut some = [0; 100];
    child.stdout.as_mut().unwrap().read_exact(&mut some).unwrap();
    drop(child.stdout.take());
    let begun = Instant::now();
    let output = within(child, Duration::from_secs(10));
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "it goes on writing to nobody"
    );
    assert!(!output.status.success());
}

#[test]
fn a_program_that_is_not_there_is_said_to_be() {
    let launcher = Launcher::new(User::ordinary());
    for program in ["no-such-program", "/no/such/program", "/etc/passwd", "/"] {
        let output = launcher.output(&["--", program]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{program}");
        assert!(!errors.trim().is_empty(), "{program}: nothing is said");
    }
}

#[test]
fn grants_that_undo_the_cage_are_refused_or_said_loudly() {
    let launcher = Launcher::new(User::ordinary());
    let socket = launcher.home.path().join("docker.sock");
    let _service = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let missing = launcher.home.path().join("missing");
    let all = ["/", "/proc", "/sys", "/dev", "/run", "/etc/..", "relative"].map(Path::new);
    for path in all.into_iter().chain([socket.as_path(), &missing]) {
        for option in ["--read", "--write"] {
            let output = launcher.output(&[option, &path.to_string_lossy(), "--", "/bin/echo", "ran"]);
            let refused = !output.status.success() && output.stdout.is_empty();
            let loud = String::from_utf8_lossy(&output.stderr).contains(&*path.to_string_lossy());
            assert!(
                refused || loud,
                "{option} {} is granted without a word",
                path.display()
            );
        }
    }
}
