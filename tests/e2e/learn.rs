//! `mantlet cage --learn`: what a program does in the recording cage becomes the block with which it works in the real
//! one; nothing that it writes stays, and secrets are neither seen nor proposed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test says what is wrong by panicking, and starts programs"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mantlet_tests::lines::Talk;
use mantlet_tests::{binary, peers};
use serde_json::{Value, json};

/// A home, a state directory, and a folder beside them, outside of `/tmp`, of which a cage has its own.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir_in(outside_of_tmp(env!("CARGO_TARGET_TMPDIR"))).unwrap());
        for folder in ["home", "state", "data"] {
            fs::create_dir(world.path(folder)).unwrap();
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn mantlet(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("mantlet"));
        command
            .args(arguments)
            .env("HOME", self.path("home"))
            .env("XDG_STATE_HOME", self.path("state"));
        command
    }

    /// Learns from a script in Python.
    fn learn(&self, further: &[&str], script: &str) -> Learnt {
        let file = format!("--learn={}", self.text("learnt.json"));
        let path = self.path("script.py");
        fs::write(&path, script).unwrap();
        let mut arguments = vec!["cage", file.as_str(), "--format", "json"];
        arguments.extend(further);
        arguments.extend(["--", "/usr/bin/python3", path.to_str().unwrap()]);
        let output = self.mantlet(&arguments).stdin(Stdio::null()).output().unwrap();
        Learnt {
            proposal: serde_json::from_slice(&fs::read(self.path("learnt.json")).unwrap()).unwrap(),
            output,
        }
    }

    /// Whether a script works in the real cage.
    fn works(&self, grants: &[&str], script: &str) -> Output {
        let path = self.path("script.py");
        fs::write(&path, script).unwrap();
        let mut arguments = vec!["cage"];
        arguments.extend(grants);
        arguments.extend(["--", "/usr/bin/python3", path.to_str().unwrap()]);
        self.mantlet(&arguments).stdin(Stdio::null()).output().unwrap()
    }
}

struct Learnt {
    proposal: Value,
    output: Output,
}

impl Learnt {
    fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    fn refused(&self) -> Vec<&str> {
        let refused = self.proposal["refused"].as_array().unwrap();
        refused.iter().map(|one| one["what"].as_str().unwrap()).collect()
    }
}

/// Lets the filesystem server write a file into its folder; what the server said of it.
fn write_a_file(mut talk: Talk, folder: &Path) -> String {
    let hello = json!({
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    });
    talk.ask(0, "initialize", &hello).unwrap();
    talk.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let call = json!({
        "name": "write_file", "arguments": {"path": folder.join("new.txt"), "content": "kept"},
    });
    let answer = talk.ask(1, "tools/call", &call).unwrap();
    drop(talk);
    answer.to_string()
}

/// A checkout below `/tmp` is covered by the cage's own: then a folder elsewhere, where this user may make one.
fn outside_of_tmp(folder: &str) -> &str {
    if folder.starts_with("/tmp/") || folder.starts_with("/var/tmp/") {
        "/opt"
    } else {
        folder
    }
}

#[test]
fn what_is_proposed_is_enough_for_a_real_server() {
    let world = World::new();
    // Also in `/tmp`, where only what the command names is shown.
    let elsewhere = tempfile::tempdir().unwrap();
    for folder in [world.path("data"), elsewhere.path().canonicalize().unwrap()] {
        let server =
            peers::directory().join("node_modules/@modelcontextprotocol/server-filesystem/dist/index.js");
        let node = peers::node();
        let command = [node.as_path(), server.as_path(), folder.as_path()].map(|path| path.to_str().unwrap());

        let file = format!("--learn={}", world.text("learnt.yaml"));
        let learning = [&["cage", file.as_str(), "--"], command.as_slice()].concat();
        let said = write_a_file(Talk::with(&mut world.mantlet(&learning)), &folder);
        assert!(said.contains("Successfully wrote"), "{said}");
        assert!(
            !folder.join("new.txt").exists(),
            "what is written while learning is thrown away"
        );

        let block = fs::read_to_string(world.path("learnt.yaml")).unwrap();
        assert!(
            block.contains(&format!(
                "write:\n    # an argument; `new.txt` written\n    - \"{}\"\n",
                folder.display()
            )),
            "{block}"
        );
        let block: String = block.lines().map(|line| format!("    {line}\n")).collect();
        let configuration = format!(
            "servers:\n  files:\n    command: {}\n    allow: {{ tools: [\"*\"] }}\n{block}",
            json!(command)
        );
        fs::write(world.path("mantlet.yaml"), configuration).unwrap();
        let configuration = world.text("mantlet.yaml");
        let real = ["wrap", "--config", configuration.as_str()];
        let said = write_a_file(Talk::with(&mut world.mantlet(&real)), &folder);
        assert!(said.contains("Successfully wrote"), "{said}");
        assert_eq!(fs::read_to_string(folder.join("new.txt")).unwrap(), "kept");
    }
}

#[test]
fn secrets_are_not_seen_and_never_proposed() {
    let world = World::new();
    for folder in ["home/dotfiles/ssh", "home/.aws", "state/mantlet", "home/notes"] {
        fs::create_dir_all(world.path(folder)).unwrap();
    }
    std::os::unix::fs::symlink(world.path("home/dotfiles/ssh"), world.path("home/.ssh")).unwrap();
    for file in [
        "home/dotfiles/ssh/id",
        "home/.aws/credentials",
        "home/.netrc",
        "state/mantlet/token",
    ] {
        fs::write(world.path(file), "S3CRET").unwrap();
    }
    fs::write(world.path("home/notes/x"), "a note").unwrap();
    let script = format!(
        r#"
import os
os.chdir({:?})
for path in ["home/.ssh/id", "home/dotfiles/ssh/id", "home/.aws/credentials", "home/.netrc", "state/mantlet/token",
             "home/notes/x", "home/notes/../.netrc", "/etc/shadow"]:
    try: print(path, open(path).read())
    except OSError as error: print(path, error)
for trick in [lambda: os.rename("home/.aws", "home/x"), lambda: os.rename("home", "other"),
              lambda: os.remove("home/.netrc"), lambda: os.link("home/.netrc", "home/y")]:
    try: trick(); print("MOVED")
    except OSError: pass
"#,
        world.0.path()
    );
    let learnt = world.learn(&[], &script);
    let said = learnt.said();
    assert!(said.contains("home/notes/x a note"), "{said}");
    assert!(!said.contains("S3CRET") && !said.contains("root:"), "{said}");
    assert_eq!(
        learnt.proposal["sandbox"]["read"],
        json!([world.text("home/notes/x")])
    );
    let refused = learnt.refused();
    for path in [
        "home/dotfiles/ssh/id",
        "home/.aws/credentials",
        "home/.netrc",
        "state/mantlet/token",
    ] {
        assert!(
            refused.contains(&world.text(path).as_str()),
            "{path}: {refused:?}"
        );
    }
    assert_eq!(fs::read_to_string(world.path("home/.netrc")).unwrap(), "S3CRET");
}

#[test]
fn nothing_reaches_the_machine_but_by_the_network() {
    let world = World::new();
    let listener = UnixListener::bind(world.path("data/socket")).unwrap();
    listener.set_nonblocking(true).unwrap();
    fs::write(world.path("data/kept"), "as it was").unwrap();
    let script = format!(
        r#"
import os, socket
os.chdir({:?})
try:
    socket.socket(socket.AF_UNIX).connect("socket"); print("REACHED")
except OSError as error: print(error)
open("kept", "w").write("changed"); print(open("kept").read())
os.makedirs("new/folder"); open("new/folder/x", "w").write("x")
print(os.path.exists("/run/docker.sock"), os.listdir("/tmp"))
own = socket.socket(socket.AF_UNIX); own.bind("own"); own.listen()
socket.socket(socket.AF_UNIX).connect("own"); print("OWN")
"#,
        world.path("data")
    );
    let learnt = world.learn(&[], &script);
    let said = learnt.said();
    assert!(
        said.contains("changed\nFalse []\nOWN\n") && !said.contains("REACHED"),
        "{said}"
    );
    assert!(listener.accept().is_err());
    assert_eq!(fs::read_to_string(world.path("data/kept")).unwrap(), "as it was");
    let mut left: Vec<_> = fs::read_dir(world.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["kept", "socket"]);
    assert_eq!(
        learnt.proposal["sandbox"],
        json!({ "write": [world.text("data")] })
    );
}

#[test]
fn hosts_and_ports_are_proposed_and_work() {
    let world = World::new();
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = service.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in service.incoming() {
            let mut stream = stream.unwrap();
            let mut heard = [0; 512];
            let _length = stream.read(&mut heard);
            let _gone =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        }
    });
    let script = r#"
import socket, threading, urllib.request
print(urllib.request.urlopen("http://api.example.com/").read())
def tried(host, port):
    try: socket.create_connection((host, port), timeout=5).close()
    except OSError as error: print(host, error)
tried("mail.example.com", 2525)
tried("10.1.2.3", 443)
tried("127.0.0.1", 11434)
server = socket.create_server(("127.0.0.1", 5555))
threading.Thread(target=server.accept).start()
socket.create_connection(("127.0.0.1", 5555)).close()
print("DONE")
"#;
    let detour = format!("api.example.com:80={address}");
    let learnt = world.learn(&["--net", &detour], script);
    let said = learnt.said();
    assert!(said.contains("b'hello'") && said.contains("DONE"), "{said}");
    let expected = json!({
        "network": ["api.example.com:80", "mail.example.com:2525"], "loopback": true,
    });
    assert_eq!(learnt.proposal["sandbox"], expected, "{:#}", learnt.proposal);
    let refused = learnt.refused();
    assert!(
        refused.ends_with(&["10.1.2.3:443", "127.0.0.1:11434"]),
        "{refused:?}"
    );

    let output = world.works(
        &["--loopback", "--net", &detour, "--net", "mail.example.com:2525"],
        script,
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("b'hello'") && said.contains("DONE"), "{said}");
}

#[test]
fn a_program_keeps_its_streams_and_its_code_and_the_proposal_goes_elsewhere() {
    let world = World::new();
    fs::write(world.path("data/x"), "x").unwrap();
    let script = format!("cat; cat {}; exit 7", world.text("data/x"));
    let mut child = world
        .mantlet(&[
            "cage",
            "--learn",
            "--env",
            "TOKEN=s3cret",
            "--",
            "sh",
            "-c",
            &script,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"said\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, b"said\nx");
    assert!(
        told.contains(&format!(
            "  read:\n    # read\n    - \"{}\"\n",
            world.text("data/x")
        )),
        "{told}"
    );
    let flags = format!("mantlet wrap --read {} --env TOKEN -- sh …", world.text("data/x"));
    assert!(told.contains(&flags), "{told}");
    assert!(!told.contains("s3cret"), "{told}");

    let unwritable = world
        .mantlet(&["cage", "--learn=/nowhere/x", "--", "true"])
        .output()
        .unwrap();
    assert_eq!(unwritable.status.code(), Some(3));
}

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
    let directory = tempfile::tempdir_in(outside_of_tmp(env!("CARGO_TARGET_TMPDIR"))).unwrap();
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
