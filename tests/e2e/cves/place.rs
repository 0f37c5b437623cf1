//! Where an attack takes place: a folder that is granted, what lies beside it, and the programs, for whoever runs them.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mantlet_tests::{binary, peers};
use tempfile::TempDir;

use crate::users::User;

/// What nobody who may only use the granted folder must learn.
pub(crate) const SECRET: &str = "the-secret-beside-the-granted-folder";

/// The programs, in a place where the user finds them.
#[derive(Debug)]
pub(crate) struct Tools {
    mantlet: PathBuf,
    node: PathBuf,
    modules: PathBuf,
    venv: PathBuf,
    _copies: TempDir,
}

impl Tools {
    /// As they are installed; of what a command needs and the user cannot go to, copies. `None` where the user can run
    /// neither the Python that the environment was made with nor the system's in its stead.
    pub(crate) fn of(user: User, command: &[String]) -> Option<Self> {
        let copies = tempfile::tempdir().unwrap();
        let needed = |name: &str| command.iter().any(|word| word.contains(name));
        let there = |needed: bool, path: PathBuf| {
            if !needed || may(user, "-r", &path) {
                return path;
            }
            copy(&path, copies.path())
        };
        let vulnerable = peers::vulnerable();
        let mut venv = vulnerable.join(".venv");
        if needed("{venv}") {
            venv = usable(user, venv, copies.path())?;
        }
        let tools = Self {
            mantlet: there(true, binary("mantlet")),
            node: there(needed("{node}"), peers::node()),
            modules: there(needed("{modules}"), vulnerable.join("node_modules")),
            venv,
            _copies: copies,
        };
        user.owns_all(tools._copies.path());
        Some(tools)
    }
}

/// The Python environment, or a copy that is run by the system's Python of the same version.
fn usable(user: User, venv: PathBuf, copies: &Path) -> Option<PathBuf> {
    let python = venv.join("bin/python3");
    if may(user, "-x", &python) {
        return Some(venv);
    }
    let version = python.canonicalize().unwrap().file_name()?.to_owned();
    let system = Path::new("/usr/bin").join(version);
    if !may(user, "-x", &system) {
        return None;
    }
    let copy = copy(&venv, copies);
    std::fs::remove_file(copy.join("bin/python3")).unwrap();
    std::os::unix::fs::symlink(system, copy.join("bin/python3")).unwrap();
    std::fs::write(copy.join("pyvenv.cfg"), "home = /usr/bin\n").unwrap();
    Some(copy)
}

fn may(user: User, what: &str, path: &Path) -> bool {
    let mut command = Command::new("test");
    user.runs(command.arg(what).arg(path).current_dir("/"));
    command.status().unwrap().success()
}

fn copy(path: &Path, to: &Path) -> PathBuf {
    let copy = to.join(path.file_name().unwrap());
    ran(Command::new("cp").arg("-a").args([path, &copy]));
    copy
}

/// A fresh folder: `allowed`, a repository with a note and with links that lead out; beside it `outside` and
/// `allowed_evil`, each with a secret and a file to be changed, and `other`, a repository whose history is secret.
#[derive(Debug)]
pub(crate) struct Place {
    directory: TempDir,
    home: TempDir,
    user: User,
    listener: TcpListener,
}

impl Place {
    /// Lays it out.
    pub(crate) fn new(user: User) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let place = Self {
            directory: tempfile::tempdir().unwrap(),
            home: tempfile::tempdir().unwrap(),
            user,
            listener,
        };
        for folder in ["outside", "allowed_evil"] {
            std::fs::create_dir(place.path(folder)).unwrap();
            place.write(&format!("{folder}/secret.txt"), SECRET);
            place.write(&format!("{folder}/target.txt"), "untouched\n");
        }
        place.repository("other", SECRET);
        place.repository("allowed", "first");
        place.write("allowed/note.txt", "harmless\n");
        for (link, to) in [
            ("link_evil", "allowed_evil"),
            ("link.txt", "outside/secret.txt"),
            ("link_new.txt", "outside/new.txt"),
        ] {
            let link = place.path(&format!("allowed/{link}"));
            std::os::unix::fs::symlink(place.path(to), link).unwrap();
        }
        user.owns_all(place.directory.path());
        user.owns(place.home.path());
        place
    }

    /// A file or folder of it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A repository with a note, which is changed since its only commit.
    fn repository(&self, name: &str, message: &str) {
        std::fs::create_dir(self.path(name)).unwrap();
        self.write(&format!("{name}/note.txt"), "committed\n");
        for arguments in [
            &["init", "-q", "-b", "trunk"][..],
            &["config", "user.name", "somebody"],
            &["config", "user.email", "somebody@example.com"],
            &["add", "note.txt"],
            &["commit", "-q", "-m", message],
        ] {
            let mut git = Command::new("git");
            git.args(arguments).current_dir(self.path(name));
            ran(git.env("HOME", self.home.path()));
        }
    }

    /// Fills in where things are.
    pub(crate) fn fill(&self, tools: &Tools, text: &str) -> String {
        let port = self.listener.local_addr().unwrap().port();
        text.replace("{dir}", &self.directory.path().to_string_lossy())
            .replace("{node}", &tools.node.to_string_lossy())
            .replace("{modules}", &tools.modules.to_string_lossy())
            .replace("{venv}", &tools.venv.to_string_lossy())
            .replace("{port}", &port.to_string())
    }

    /// A server without a cage.
    pub(crate) fn plain(&self, line: &[String]) -> Command {
        let (program, arguments) = line.split_first().unwrap();
        let mut command = Command::new(program);
        command.args(arguments);
        self.ready(command)
    }

    /// A server with nothing granted but the one folder.
    pub(crate) fn caged(&self, tools: &Tools, line: &[String]) -> Command {
        let mut command = Command::new(&tools.mantlet);
        command.args(["cage", "--write"]).arg(self.path("allowed"));
        command.arg("--").args(line);
        self.ready(command)
    }

    fn ready(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.home.path())
            // Nobody is reached by a test: there is no such proxy. Node heeds it when it is told to.
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("NODE_USE_ENV_PROXY", "1")
            .current_dir(self.home.path())
            .stderr(Stdio::inherit());
        self.user.runs(&mut command);
        command
    }

    /// Everything that is not granted, and what must stay as it is although it is: what is in which file.
    pub(crate) fn look(&self) -> BTreeMap<String, Vec<u8>> {
        let mut seen = BTreeMap::new();
        self.walk("", &mut seen);
        seen
    }

    fn walk(&self, folder: &str, seen: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(self.path(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = format!("{folder}{}{name}", if folder.is_empty() { "" } else { "/" });
            if name == "allowed" {
                self.read("allowed/.git/config", seen);
            } else if entry.file_type().unwrap().is_dir() {
                seen.insert(name.clone(), b"a folder".to_vec());
                self.walk(&name, seen);
            } else {
                self.read(&name, seen);
            }
        }
    }

    fn read(&self, name: &str, seen: &mut BTreeMap<String, Vec<u8>>) {
        let path = self.path(name);
        let content = match std::fs::read_link(&path) {
            Ok(to) => to.into_os_string().into_encoded_bytes(),
            Err(_) => std::fs::read(&path).unwrap(),
        };
        seen.insert(name.to_owned(), content);
    }

    /// Whether somebody connected to the listener.
    pub(crate) fn was_called(&self) -> bool {
        self.listener.accept().is_ok()
    }
}

fn ran(command: &mut Command) {
    let done = command.stdin(Stdio::null()).status().unwrap();
    assert!(done.success(), "{command:?}: {done}");
}
