//! Packages that `npx` would fetch, from a registry of the test's own: what an install script and the server itself can
//! do with the folder of the package, and with those of others. The real registries are asked in `packages`.

use std::path::{Path, PathBuf};
use std::process::Command;

use mantlet_tests::binary;
use mantlet_tests::lines::Talk;
use mantlet_tests::upstream::Upstream;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::text;

/// A state directory with its cache, a registry, and a home of nobody.
struct Place {
    folder: TempDir,
    registry: Upstream,
}

/// A wrapped server.
struct Packed {
    talk: Talk,
    next: i64,
    errors: PathBuf,
}

impl Place {
    fn new() -> Self {
        let command = ["/usr/bin/python3", "-c", include_str!("registry.py")];
        Self {
            folder: tempfile::tempdir().unwrap(),
            registry: Upstream::start(&command.map(str::to_owned), Path::new("/")),
        }
    }

    /// Starts `npx -y PACKAGE` as the server of this name. Without `reached`, nobody answers at the registry's address.
    fn start(&self, name: &str, package: &str, reached: bool) -> Packed {
        let registry = if reached {
            // A cage knows names only.
            self.registry.origin.replace("127.0.0.1", "localhost")
        } else {
            "http://localhost:9".to_owned()
        };
        let errors = self.folder.path().join(format!("errors-{name}"));
        let mut program = Command::new(binary("mantlet"));
        program
            .args(["wrap", "--name", name, "--", "npx", "-y", package])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.folder.path().join("home"))
            .env("XDG_STATE_HOME", self.folder.path())
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .env("npm_config_registry", registry)
            .stderr(std::fs::File::create(&errors).unwrap());
        Packed {
            talk: Talk::with(&mut program),
            next: 1,
            errors,
        }
    }

    /// The folders of packages, one for each server and what it asked for.
    fn rooms(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join("cache/mantlet/packages"));
        let mut rooms: Vec<_> = entries.unwrap().map(|entry| entry.unwrap().path()).collect();
        rooms.sort();
        rooms
    }
}

impl Packed {
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.next;
        self.next += 1;
        self.talk.ask(id, method, params).unwrap_or_default()
    }

    fn hello(&mut self) -> Value {
        self.ask(
            "initialize",
            &json!({
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": {"name": "by hand", "version": "1"},
            }),
        )
    }

    /// It answers, and lists its tool.
    fn ready(mut self) -> Self {
        let answer = self.hello();
        assert!(answer.get("result").is_some(), "{answer}\n{}", self.said());
        self.talk
            .say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        let listed = self.ask("tools/list", &json!({}));
        assert_eq!(listed["result"]["tools"][0]["name"], "run", "{listed}");
        self
    }

    /// It is not started; gives what is said of it.
    fn refused(mut self) -> String {
        let answer = self.hello();
        assert!(answer.get("result").is_none(), "{answer}");
        self.said()
    }

    fn run(&mut self, code: &str) -> String {
        let answer = self.ask("tools/call", &json!({"name": "run", "arguments": {"code": code}}));
        text(&answer).to_owned()
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap()
    }
}

#[test]
fn it_is_fetched_once_and_cannot_change_itself() {
    let place = Place::new();
    drop(place.start("only", "plain@1.0.0", true).ready());
    let mut again = place.start("only", "plain@1.0.0", false).ready();
    for code in [
        "require('fs').appendFileSync(process.argv[1], ' ')",
        "require('fs').writeFileSync(require('path').dirname(process.argv[1]) + '/new', '')",
        "require('fs').unlinkSync(require('fs').realpathSync(process.argv[1]))",
        "require('fs').chmodSync(process.argv[1], 0o777)",
    ] {
        let said = again.run(code);
        assert!(
            ["EROFS", "EACCES", "EPERM"].contains(&said.as_str()),
            "{code}: {said}"
        );
    }
    drop(again);
    drop(place.start("only", "plain@1.0.0", false).ready());
}

#[test]
fn two_servers_do_not_share_what_they_fetched() {
    let place = Place::new();
    drop(place.start("first", "plain@1.0.0", true).ready());
    let mut second = place.start("second", "plain@1.0.0", true).ready();
    let rooms = place.rooms();
    assert_eq!(rooms.len(), 2, "{rooms:?}");
    let others = rooms
        .iter()
        .find(|room| room.to_string_lossy().contains("first."));
    let code = format!(
        "require('fs').existsSync({:?}) + ' ' + require('fs').existsSync(process.argv[1])",
        others.unwrap().display().to_string()
    );
    assert_eq!(second.run(&code), "false true");
}

#[test]
fn what_was_changed_since_is_not_started() {
    let place = Place::new();
    drop(place.start("only", "plain@1.0.0", true).ready());
    let server = find(&place.rooms()[0], "server.js").unwrap();
    let text = std::fs::read_to_string(&server).unwrap();
    std::fs::write(&server, text + "// and more\n").unwrap();
    let said = place.start("only", "plain@1.0.0", false).refused();
    assert!(
        said.contains("what is installed was changed since: delete"),
        "{said}"
    );
    // What it says to do helps.
    std::fs::remove_dir_all(&place.rooms()[0]).unwrap();
    drop(place.start("only", "plain@1.0.0", true).ready());
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    for entry in entries {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if path.ends_with(name) && !path.is_symlink() {
            return Some(path);
        }
    }
    None
}

#[test]
fn an_install_script_runs_in_a_cage_and_leaves_no_process() {
    let place = Place::new();
    drop(place.start("only", "scripted@1.0.0", true).ready());
    assert!(
        find(&place.rooms()[0], "made").is_some(),
        "the script did not run"
    );
    let left = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line == b"sleep\x00600\x00"
            && std::fs::read_link(entry.path().join("cwd"))
                .is_ok_and(|cwd| cwd.starts_with(place.folder.path()))
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn an_install_script_that_calls_elsewhere_ends_the_installation() {
    let place = Place::new();
    let said = place.start("only", "calls-home@1.0.0", true).refused();
    assert!(
        said.contains("the installation of the package tried what it may not"),
        "{said}"
    );
    assert!(said.contains("evil.example.com"), "{said}");
    assert!(
        find(&place.rooms()[0], "server.js").is_none(),
        "half of it is left"
    );
}

#[test]
fn a_package_that_is_not_there_is_said_to_be_missing() {
    let place = Place::new();
    let said = place.start("only", "unknown@1.0.0", true).refused();
    assert!(said.contains("`unknown` could not be made ready"), "{said}");
    assert!(said.contains("404"), "{said}");
}
