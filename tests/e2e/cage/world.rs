//! The host as one run finds it: a user's home with secrets and start files, a granted project in it, a folder that is
//! granted for reading, services, and, where it is asked for, a process to attack.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::granted::NAME;
use crate::script::{Script, folder};
use crate::snapshot::Snapshot;
use crate::users::{User, is_root};
use crate::witness::Witness;
use crate::{DESCRIPTORS, DISK, FILES, MEMORY, PROCESSES};

/// What all runs share: the built program and the scripts, where every user can read them.
#[derive(Debug)]
pub(crate) struct Range {
    directory: TempDir,
    /// The program under test.
    pub(crate) mantlet: PathBuf,
    /// The scripts.
    pub(crate) scripts: PathBuf,
}

impl Range {
    /// Copies what every run needs.
    pub(crate) fn new() -> Self {
        // On a disk: `/tmp` is in memory on many machines.
        let disk = Path::new("/var/tmp");
        let place = if disk.is_dir() {
            disk.to_owned()
        } else {
            std::env::temp_dir()
        };
        let directory = tempfile::Builder::new()
            .prefix("mantlet-cage-")
            .tempdir_in(place)
            .unwrap();
        mode(directory.path(), 0o755);
        let scripts = directory.path().join("range");
        std::fs::create_dir(&scripts).unwrap();
        for kind in ["attacks", "uses"] {
            for entry in std::fs::read_dir(folder(kind)).unwrap() {
                copy(&entry.unwrap().path(), &scripts);
            }
        }
        copy(&folder("common.py"), &scripts);
        let built = std::env::var_os("MANTLET_UNDER_TEST");
        let built = built.map_or_else(|| mantlet_tests::binary("mantlet"), PathBuf::from);
        let mantlet = directory.path().join("mantlet");
        std::fs::copy(built, &mantlet).unwrap();
        mode(&mantlet, 0o755);
        Self {
            directory,
            mantlet,
            scripts,
        }
    }
}

/// One run's host.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) mark: String,
    pub(crate) canary: String,
    pub(crate) user: User,
    /// Everything of this run.
    pub(crate) directory: PathBuf,
    /// The launcher's program, where the user owns it: always without a cage.
    pub(crate) launcher: PathBuf,
    /// What it is a copy of.
    pub(crate) original: PathBuf,
    pub(crate) witness: Witness,
    pub(crate) before: Snapshot,
    caged: bool,
    number: u32,
    victim: Option<Child>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl World {
    /// Makes it.
    pub(crate) fn new(range: &Range, script: &Script, user: User, caged: bool) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("cage{}x{number}", std::process::id());
        let canary = format!(
            "CANARY{:016x}",
            u64::from(std::process::id()) << 32 | u64::from(number) << 8 | 0x5a
        );
        let directory = range.directory.path().join(&mark);
        furnish(&directory, &canary, script.bare);
        let launcher = directory.join("launcher/launcher");
        let original = if caged && script.own_launcher {
            range.mantlet.clone()
        } else {
            PathBuf::from("/bin/sh")
        };
        std::fs::copy(&original, &launcher).unwrap();
        let sockets = [
            "run/docker.sock",
            "run/agent.sock",
            "run/bus",
            "home/project/service.sock",
            "readonly/service.sock",
        ];
        let sockets: Vec<PathBuf> = sockets.iter().map(|name| directory.join(name)).collect();
        let witness = Witness::start(&mark, &canary, &sockets, script.watch_granted);
        user.owns_all(&directory);
        let mut world = Self {
            before: Snapshot::take(&directory),
            mark,
            canary,
            user,
            launcher,
            original,
            witness,
            directory,
            caged,
            number,
            victim: None,
        };
        world.write_facts(range, &Value::Null);
        if script.victim {
            let told = world.start_victim();
            world.write_facts(range, &told);
        }
        world
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The granted folder that may be written.
    pub(crate) fn project(&self) -> PathBuf {
        self.path("home/project")
    }

    /// The facts that scripts read.
    pub(crate) fn facts(&self) -> PathBuf {
        self.path("facts/facts.json")
    }

    /// The process that is attacked.
    pub(crate) fn victim(&self) -> Option<u32> {
        self.victim.as_ref().map(Child::id)
    }

    /// Ends the victim and says what happened to it.
    pub(crate) fn end_victim(&mut self) -> Vec<String> {
        let Some(mut victim) = self.victim.take() else {
            return Vec::new();
        };
        let mut seen = Vec::new();
        let state = std::fs::read_to_string(format!("/proc/{}/stat", victim.id())).unwrap_or_default();
        let state = state
            .rsplit_once(") ")
            .map_or("gone", |(_, rest)| &rest[..1])
            .to_owned();
        if !["S", "R"].contains(&state.as_str()) {
            seen.push(format!("the victim's state is {state}"));
        }
        drop(victim.stdin.take());
        if state != "S" && state != "R" {
            let _gone = victim.kill();
        }
        let _status = victim.wait();
        let signals = std::fs::read_to_string(self.path("run/signals")).unwrap_or_default();
        if !signals.is_empty() {
            seen.push(format!("the victim got signals: {signals}"));
        }
        seen
    }

    fn start_victim(&mut self) -> Value {
        let mut command = Command::new("/usr/bin/python3");
        command
            .arg("-B")
            .arg(folder("host").join("victim.py"))
            .arg(self.facts())
            .arg(self.path("run/signals"))
            .env("HOST_SECRET", &self.canary)
            .current_dir(self.path("home"))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        self.user.runs(&mut command);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        assert!(line.starts_with("READY"), "the victim did not start: {line}");
        let numbers: Vec<u64> = line.split_whitespace().flat_map(str::parse).collect();
        self.victim = Some(child);
        json!({"victim": numbers[0], "victim_descriptor": numbers[1], "victim_address": numbers[2]})
    }

    fn write_facts(&self, range: &Range, victim: &Value) {
        let ports = &self.witness.ports;
        let mut facts = json!({
            "canary": self.canary.chars().rev().collect::<String>(),
            "mark": self.mark,
            "base": range.directory.path(),
            "home": self.path("home"),
            "project": self.project(),
            "readonly": self.path("readonly"),
            "outside": self.path("outside"),
            "run": self.path("run"),
            "secrets": [self.path("home/.ssh/id_ed25519"), self.path("home/.aws/credentials"), self.path("outside/token")],
            "sockets": [self.path("run/docker.sock"), self.path("run/agent.sock"), self.path("run/bus")],
            "names": names(),
            "host_name": read("/proc/sys/kernel/hostname"),
            "boot_id": read("/proc/sys/kernel/random/boot_id"),
            "granted_name": NAME,
            // Nobody else knows the name.
            "granted_hosts": [if self.caged { NAME } else { "127.0.0.1" }],
            "granted_port": ports.granted,
            "forbidden_port": ports.forbidden,
            "udp_port": ports.udp,
            "resolver_port": ports.resolver,
            "listen_port": ports.listen,
            "abstract": ports.abstract_stream,
            "abstract_datagrams": ports.abstract_datagrams,
            "own_addresses": own_addresses(),
            "ipc_key": 0x6d00_0000 + std::process::id() % 4096 * 1000 + self.number % 1000,
            "limits": {
                "memory": MEMORY, "processes": PROCESSES, "disk": DISK, "files": FILES, "descriptors": DESCRIPTORS,
            },
        });
        if let (Some(facts), Some(victim)) = (facts.as_object_mut(), victim.as_object()) {
            facts.extend(victim.clone());
        }
        let path = self.facts();
        std::fs::write(&path, facts.to_string()).unwrap();
        self.user.owns(&path);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end_victim();
        let _the_rest_goes_with_the_range = std::fs::remove_dir_all(&self.directory);
    }
}

/// Puts everything into its place.
fn furnish(directory: &Path, canary: &str, bare: bool) {
    let key = format!("private key {canary}\n");
    let hook = "#!/bin/sh\n# original\n";
    let mut files = vec![
        ("home/.ssh/id_ed25519", key.as_str()),
        ("home/.ssh/authorized_keys", "key\n"),
        ("home/.aws/credentials", &key),
        ("home/.bashrc", "# original\n"),
        ("home/.profile", "# original\n"),
        ("home/.gitconfig", "[user]\n"),
        ("home/.npmrc", "# original\n"),
        ("home/.npm/_cacache/index", ""),
        ("home/.cache/uv/index", ""),
        ("home/.local/bin/npx", "# original\n"),
        ("home/project/readme.txt", "granted\n"),
        ("home/project/removed.txt", "x"),
        ("home/project/removed/inner.txt", "x"),
        ("home/project/sub/inner.txt", "x"),
        ("outside/token", &key),
        ("outside/log", ""),
        ("readonly/kept.txt", "kept\n"),
        ("readonly/lib/granted_package/__init__.py", ""),
        (
            "readonly/lib/granted_package/inner.py",
            "def answer():\n    return 42\n",
        ),
        ("readonly/bin/tool", "#!/bin/sh\necho tool \"$@\"\n"),
        ("facts/facts.json", ""),
        ("run/user", ""),
        ("launcher/launcher", ""),
    ];
    if !bare {
        files.extend([
            ("home/project/.git/HEAD", "ref: refs/heads/main\n"),
            ("home/project/.git/config", "[core]\n"),
            ("home/project/.git/hooks/pre-commit", hook),
            ("home/project/.git/hooks/pre-push.sample", hook),
            ("home/project/.git/objects/info/packs", ""),
            ("home/project/.vscode/tasks.json", "{}\n"),
            ("home/project/.vscode/settings.json", "{}\n"),
            ("home/project/.idea/workspace.xml", "<x/>\n"),
            ("home/project/.claude/settings.json", "{}\n"),
            ("home/project/.cursor/mcp.json", "{}\n"),
            ("home/project/.mcp.json", "{}\n"),
            ("home/project/.envrc", "# original\n"),
            ("home/project/.husky/pre-commit", hook),
            ("home/project/lib/part/.git/HEAD", "ref: refs/heads/main\n"),
            ("home/project/lib/part/.git/config", "[core]\n"),
            ("home/project/lib/part/.git/hooks/pre-commit", hook),
        ]);
    }
    for (name, text) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    for name in ["readonly/bin/tool", "launcher/launcher"] {
        mode(&directory.join(name), 0o755);
    }
    for name in ["home/.ssh/id_ed25519", "home/.aws/credentials", "outside/token"] {
        mode(&directory.join(name), 0o600);
    }
}

/// The names by which people know the users of this machine: the launching one's, and those of people.
fn names() -> Vec<String> {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let users = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let number: u32 = fields.nth(1)?.parse().ok()?;
        ((1000..60_000).contains(&number) || (number == 0 && is_root())).then_some(name)
    });
    users.collect()
}

/// The addresses of this machine on the way out; nothing is sent.
fn own_addresses() -> Vec<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let connected = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    connected
        .map(|address| address.ip().to_string())
        .into_iter()
        .collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn copy(path: &Path, to: &Path) {
    let target = to.join(path.file_name().unwrap());
    if path.is_file() {
        std::fs::copy(path, &target).unwrap();
        mode(&target, 0o644);
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
