//! The scripts of the range: `tests/cage/attacks` must be contained, `tests/cage/uses` must work. How one is to be run
//! is said in its header, on lines that begin with `range:`; see `tests/cage/README.md`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mantlet_tests::root;

/// What a run without a cage must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// It gets through, as an ordinary user.
    Escapes,
    /// It gets through, but only as root: an ordinary user is held by the kernel itself, or by some kernels.
    EscapesAsRoot,
    /// It cannot get through on any machine; the header says why it is worth running in a cage.
    Holds,
    /// That depends on the machine; the header says on what.
    Either,
    /// It is not run without a cage; the header says why.
    NotRun,
}

/// What the host does while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing: it ends by itself.
    ByItself,
    /// When it is ready, asks the launcher to end, and expects that.
    Asked,
    /// When it is ready, asks the launcher to end, and kills it when that does not help.
    AskedThenKilled,
    /// When it is ready, kills the launcher.
    Killed,
}

/// One script.
#[derive(Debug)]
pub(crate) struct Script {
    /// Its file's name.
    pub(crate) name: String,
    /// What a run without a cage must show.
    pub(crate) plain: Plain,
    /// What the host does.
    pub(crate) end: End,
    /// It is held only where the kernel sums up what all processes use: a known gap for ordinary users without that.
    pub(crate) needs_sums: bool,
    /// It may be ended by the cage before it has a verdict.
    pub(crate) may_be_ended: bool,
    /// It uses much: one such at a time.
    pub(crate) heavy: bool,
    /// The program of `tests/cage/host` that starts the launcher.
    pub(crate) with: Option<String>,
    /// A process of the same user is there to be attacked.
    pub(crate) victim: bool,
    /// The granted folder has no repository and no start files yet.
    pub(crate) bare: bool,
    /// It is granted ports of its own.
    pub(crate) loopback: bool,
    /// It is started in the user's home.
    pub(crate) from_home: bool,
    /// The user owns the launcher's program.
    pub(crate) own_launcher: bool,
    /// The granted service must see nobody.
    pub(crate) watch_granted: bool,
    /// It ends within this time.
    pub(crate) limit: Duration,
    only: Option<String>,
}

impl Script {
    /// The program and the arguments that run it, where the scripts lie.
    pub(crate) fn command(&self, scripts: &Path, facts: &Path) -> Vec<PathBuf> {
        let interpreter: &[&str] = match self.name.rsplit_once('.') {
            Some((_, "py")) => &["/usr/bin/python3", "-B"],
            Some((_, "sh")) => &["/bin/sh"],
            _ => &["/usr/bin/env", "node"],
        };
        let mut command: Vec<PathBuf> = interpreter.iter().map(PathBuf::from).collect();
        command.push(scripts.join(&self.name));
        command.push(facts.to_owned());
        command
    }

    /// Whether this machine can run it at all.
    pub(crate) fn is_for_this_machine(&self) -> bool {
        self.only
            .as_deref()
            .is_none_or(|only| only == std::env::consts::ARCH)
    }
}

/// The folder of the scripts.
pub(crate) fn folder(name: &str) -> PathBuf {
    root().join("tests/cage").join(name)
}

/// All scripts of a folder, by name.
pub(crate) fn all(kind: &str) -> Vec<Script> {
    let entries = std::fs::read_dir(folder(kind)).unwrap();
    let mut scripts: Vec<Script> = entries.map(|entry| read(&entry.unwrap().path())).collect();
    // For work on a few of them.
    if let Ok(only) = std::env::var("MANTLET_CAGE_ONLY") {
        scripts.retain(|script| only.split(',').any(|part| script.name.contains(part)));
    }
    scripts.retain(Script::is_for_this_machine);
    scripts.sort_by(|one, other| one.name.cmp(&other.name));
    scripts
}

fn read(path: &Path) -> Script {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let comment = |line: &str| {
        let line = line.trim_start_matches(['#', '/']).trim();
        line.to_owned()
    };
    let first = text.lines().next().map(comment).unwrap_or_default();
    assert!(
        first.len() > 20,
        "{name} does not say in its first line what it tries"
    );
    let mut script = Script {
        name,
        plain: Plain::Escapes,
        end: End::ByItself,
        needs_sums: false,
        may_be_ended: false,
        heavy: false,
        with: None,
        victim: false,
        bare: false,
        loopback: false,
        from_home: false,
        own_launcher: false,
        watch_granted: false,
        limit: Duration::from_secs(20),
        only: None,
    };
    let header = text.lines().take_while(|line| line.starts_with(['#', '/']));
    for line in header.map(comment) {
        for word in line.strip_prefix("range:").unwrap_or_default().split_whitespace() {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            set(&mut script, key, value);
        }
    }
    script
}

fn set(script: &mut Script, key: &str, value: &str) {
    match (key, value) {
        ("plain", "root") => script.plain = Plain::EscapesAsRoot,
        ("plain", "holds") => script.plain = Plain::Holds,
        ("plain", "either") => script.plain = Plain::Either,
        ("plain", "not-run") => script.plain = Plain::NotRun,
        ("end", "term") => script.end = End::Asked,
        ("end", "term-kill") => script.end = End::AskedThenKilled,
        ("end", "kill") => script.end = End::Killed,
        ("caged", "sums") => script.needs_sums = true,
        ("ended", "yes") => script.may_be_ended = true,
        ("heavy", "yes") => script.heavy = true,
        ("with", "own-launcher") => script.own_launcher = true,
        ("with", program) => script.with = Some(format!("{program}.py")),
        ("world", "victim") => script.victim = true,
        ("world", "bare") => script.bare = true,
        ("grants", "loopback") => script.loopback = true,
        ("cwd", "home") => script.from_home = true,
        ("watch", "granted") => script.watch_granted = true,
        ("seconds", seconds) => script.limit = Duration::from_secs(seconds.parse().unwrap()),
        ("only", machine) => script.only = Some(machine.to_owned()),
        _ => panic!("{}: what is `{key}={value}`?", script.name),
    }
}
