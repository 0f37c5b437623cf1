//! What the launcher does for whoever holds the other end of its line: the tests here are a network-facing process that
//! was taken over. It gets what the configuration's file names, and nothing else.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test says what is wrong by panicking, and starts programs"
)]

use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mantlet_sandbox::Line;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A launcher, and the end of its line that the network-facing process would have.
struct Launcher {
    child: Child,
    line: Option<Line>,
    folder: TempDir,
}

const BARE: &str =
    "servers: { cat: { command: [cat], sandbox: off }, web: { url: \"http://127.0.0.1:9/mcp\" } }";

impl Launcher {
    fn start(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mantlet.yaml");
        fs::write(&file, configuration).unwrap();
        let (line, theirs) = Line::pair().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mantlet"));
        command
            .args(["launcher".as_ref(), file.as_os_str()])
            .env("XDG_STATE_HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        theirs.hand_to(&mut command);
        let child = command.spawn().unwrap();
        Self {
            child,
            line: Some(line),
            folder,
        }
    }

    /// The same, with its configuration in force.
    fn ready(configuration: &str) -> Self {
        let launcher = Self::start(configuration);
        assert_eq!(launcher.ask(&json!({"Look": {"anyway": true}})).0, "Text");
        assert_eq!(launcher.ask(&json!({"Take": {}})).0, "Taken");
        launcher
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("mantlet.yaml")
    }

    /// Says something as it is, with so many lines for an answer; returns the other end of the last of them.
    fn say(&self, ask: &Value, lines: usize) -> Option<Line> {
        let pairs: Vec<_> = (0..lines).map(|_| Line::pair().unwrap()).collect();
        let beside: Vec<_> = pairs.iter().map(|(_, theirs)| theirs.as_fd()).collect();
        let line = self.line.as_ref().unwrap();
        line.say(ask, &beside).unwrap();
        pairs.into_iter().next_back().map(|(ours, _)| ours)
    }

    fn ask(&self, ask: &Value) -> (Value, Vec<OwnedFd>) {
        let ours = self.say(ask, 1).unwrap();
        ours.hear()
            .unwrap()
            .unwrap_or_else(|| panic!("no answer to {ask}"))
    }

    fn begin(&self, server: &str) -> (Value, Vec<OwnedFd>) {
        self.ask(&json!({"Start": {"server": server}}))
    }

    /// Waits for its end.
    fn ended(&mut self) -> i32 {
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it still runs");
    }

    fn children(&self) -> Vec<String> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        children.split_whitespace().map(str::to_owned).collect()
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        drop(self.line.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The inodes of the sockets that a process holds.
fn sockets(pid: u32) -> BTreeSet<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = links
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    let inode = |link: PathBuf| {
        Some(
            link.to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?
                .to_owned(),
        )
    };
    links.filter_map(inode).collect()
}

/// The inodes of all sockets of the machine that a network could reach.
fn of_the_network() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for table in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet", "netlink"] {
        let text = fs::read_to_string(Path::new("/proc/net").join(table)).unwrap_or_default();
        let column = if matches!(table, "packet" | "netlink") {
            "Inode"
        } else {
            "inode"
        };
        let mut lines = text.lines();
        let names = lines.next().unwrap_or_default();
        // `tx_queue rx_queue` and `tr tm->when` are one column each.
        let names = names
            .replace("tx_queue rx_queue", "queue")
            .replace("tr tm->when", "timer");
        let at = names.split_whitespace().position(|name| name == column);
        found.extend(lines.filter_map(|line| Some(line.split_whitespace().nth(at?)?.to_owned())));
    }
    found
}

#[test]
fn a_server_of_the_configuration_is_started_and_ends_with_its_line() {
    let launcher = Launcher::ready(BARE);
    let (answer, beside) = launcher.begin("cat");
    assert_eq!(answer["Started"]["caged"], false, "{answer}");
    let [input, output, _errors, line] = <[OwnedFd; 4]>::try_from(beside).unwrap();
    let line = Line::from(line);
    assert_eq!(line.hear::<Value>().unwrap().unwrap().0, "Runs");
    File::from(input).write_all(b"hello\n").unwrap();
    let mut said = String::new();
    let mut output = File::from(output);
    // Its input has ended, and so it ends.
    output.read_to_string(&mut said).unwrap();
    assert_eq!(said, "hello\n");
    assert_eq!(line.hear::<Value>().unwrap().unwrap().0, json!({"Ended": 0}));
    until("it is reaped", || launcher.children().is_empty());

    let (_, beside) = launcher.begin("cat");
    assert_eq!(launcher.children().len(), 1);
    drop(beside);
    until("it is ended and reaped", || launcher.children().is_empty());
}

#[test]
fn nothing_but_names_of_the_file_can_be_started() {
    let launcher = Launcher::ready(BARE);
    for name in ["web", "sh", "/bin/sh", "", "cat ", "CAT", "../cat", "cat\0"] {
        let (answer, beside) = launcher.begin(name);
        assert!(answer["Refused"].is_string(), "{name:?}: {answer}");
        assert!(beside.is_empty());
    }
    assert!(launcher.children().is_empty());
}

#[test]
fn before_a_configuration_is_in_force_there_is_nothing_to_start() {
    let launcher = Launcher::start(BARE);
    assert!(launcher.begin("cat").0["Refused"].is_string());
    assert!(launcher.ask(&json!({"Take": {}})).0["Refused"].is_string());
    assert_eq!(launcher.ask(&json!({"Look": {"anyway": false}})).0, "Text");
    assert!(
        launcher.begin("cat").0["Refused"].is_string(),
        "it was only looked at"
    );
    assert_eq!(launcher.ask(&json!({"Take": {}})).0, "Taken");
    assert!(launcher.begin("cat").0["Started"].is_object());
}

#[test]
fn what_it_does_not_know_ends_it() {
    let program = json!({"Start": {"server": "cat", "argv": ["sh"]}});
    for ask in [
        json!({"Run": {"argv": ["sh"]}}),
        program,
        json!({"Start": {}}),
        json!({"Start": {"server": ["cat"]}}),
        json!({"Look": {"anyway": true, "path": "/etc/mantlet.yaml"}}),
        json!("Start"),
        json!([]),
        json!(null),
    ] {
        let mut launcher = Launcher::ready(BARE);
        let ours = launcher.say(&ask, 1).unwrap();
        assert_eq!(launcher.ended(), 3, "{ask}");
        assert!(!matches!(ours.hear::<Value>(), Ok(Some(_))), "{ask} was answered");
    }
}

#[test]
fn an_ask_has_one_line_for_its_answer() {
    for lines in [0, 2, 9] {
        let mut launcher = Launcher::ready(BARE);
        launcher.say(&json!({"Start": {"server": "cat"}}), lines);
        assert_eq!(launcher.ended(), 3, "{lines}");
    }
    // Something else than a line: nothing is said on it, and nothing breaks.
    let launcher = Launcher::ready(BARE);
    let (read, write) = std::io::pipe().unwrap();
    let line = launcher.line.as_ref().unwrap();
    line.say(&json!({"Start": {"server": "cat"}}), &[write.as_fd()])
        .unwrap();
    drop(write);
    let mut said = String::new();
    File::from(OwnedFd::from(read)).read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
    until("what nobody took is ended", || launcher.children().is_empty());
    assert!(launcher.begin("cat").0["Started"].is_object());
}

#[test]
fn it_has_no_socket_that_a_network_could_reach() {
    let launcher = Launcher::ready(BARE);
    let (answer, _held) = launcher.begin("cat");
    assert!(answer["Started"].is_object());
    let held = sockets(launcher.child.id());
    assert!(!held.is_empty());
    let own = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let network = of_the_network();
    let known = sockets(std::process::id());
    assert!(
        known.intersection(&network).next().is_some(),
        "the test does not see {own:?}"
    );
    assert_eq!(held.intersection(&network).count(), 0);
}

#[test]
fn a_changed_file_counts_from_when_it_is_taken() {
    let launcher = Launcher::ready(BARE);
    fs::write(
        launcher.file(),
        "servers: { tac: { command: [tac], sandbox: off } }",
    )
    .unwrap();
    assert!(launcher.begin("tac").0["Refused"].is_string());
    let (answer, beside) = launcher.ask(&json!({"Look": {"anyway": false}}));
    assert_eq!(answer, "Text");
    let [text] = <[OwnedFd; 1]>::try_from(beside).unwrap();
    let mut text = File::from(text);
    let mut read = String::new();
    text.read_to_string(&mut read).unwrap();
    assert!(read.contains("tac"), "{read}");
    assert!(text.write_all(b"x").is_err(), "the text can be changed");
    assert!(
        launcher.begin("cat").0["Started"].is_object(),
        "the old one stays"
    );
    assert_eq!(launcher.ask(&json!({"Take": {}})).0, "Taken");
    assert!(launcher.begin("cat").0["Refused"].is_string());
    assert!(launcher.begin("tac").0["Started"].is_object());

    assert_eq!(launcher.ask(&json!({"Look": {"anyway": false}})).0, "Same");
    fs::write(launcher.file(), "servers: { tac: { comand: [tac] } }").unwrap();
    let (answer, _) = launcher.ask(&json!({"Look": {"anyway": false}}));
    let problems = answer["Problems"].as_str().unwrap();
    assert!(problems.contains("comand"), "{problems}");
    assert_eq!(
        launcher.ask(&json!({"Look": {"anyway": false}})).0,
        "Same",
        "told once"
    );
    assert!(launcher.ask(&json!({"Take": {}})).0["Refused"].is_string());
    assert!(launcher.begin("tac").0["Started"].is_object());
}

#[test]
fn when_the_other_process_goes_it_sees_what_it_started_end() {
    let mut launcher = Launcher::ready(BARE);
    let (_, held) = launcher.begin("cat");
    let keeper = launcher.children().pop().unwrap();
    drop((held, launcher.line.take()));
    assert_eq!(launcher.ended(), 0);
    let left = fs::read_to_string(format!("/proc/{keeper}/comm"));
    assert!(left.is_err(), "{left:?}");
}

#[test]
fn it_is_no_command() {
    let output = Command::new(env!("CARGO_BIN_EXE_mantlet"))
        .args(["launcher", "mantlet.yaml"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("mantlet serve"), "{said}");
}
