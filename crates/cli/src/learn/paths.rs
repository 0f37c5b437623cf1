//! Of the paths that were seen: folders and files to grant, few and small, and those that are never granted. Whether a
//! call worked is not known, so what counts is what the machine has: what is not there was not read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use mantlet_config::cage::{Access, Reason};
use mantlet_sandbox::learn::Act;

use super::proposal::{Facts, Grant, Proposal, Refused};
use super::seen::Seen;

/// More files of one folder, or folders side by side, than these are granted as the folder that they are in.
const FEW: usize = 3;
/// Refused paths, and notes of one kind, that are told.
const TOLD: usize = 40;
/// The home of the program in its cage.
const PRIVATE: &str = "/home/mcp";
/// Folders that are there in every cage, with little in them.
const BARE: &[&str] = &["/", "/etc", "/home", "/run", "/tmp", "/var"];
/// What programs look into by habit, and do without.
const HABITS: &[&str] = &[
    "/etc/bash.bashrc",
    "/etc/debian_version",
    "/etc/environment",
    "/etc/host.conf",
    "/etc/inputrc",
    "/etc/ld.so.preload",
    "/etc/lsb-release",
    "/etc/machine-id",
    "/etc/mailcap",
    "/etc/os-release",
    "/etc/profile",
    "/etc/redhat-release",
];
/// Folders in which strangers lie side by side.
const MIXED: &[&str] = &[
    "/boot", "/etc", "/media", "/mnt", "/opt", "/root", "/srv", "/var", "/var/lib",
];
/// In a home, what is written for the next time only: without it a program is slower.
const CACHES: &[&str] = &[".cache", ".npm"];

/// Adds what was read and written, what was refused, and notes.
pub(super) fn propose(seen: &Seen, facts: &Facts, proposal: &mut Proposal) {
    let mut sorter = Sorter::new(facts);
    for (path, act) in &seen.paths {
        sorter.sort(path, *act);
    }
    for (path, why) in &facts.named {
        sorter.named(path, why);
    }
    for path in &seen.sockets {
        if !facts.has(path) && path.exists() {
            let reason = facts.unfit(path, Access::Read).unwrap_or_else(|| Reason {
                why: "is a socket of this machine, which no cage reaches".to_owned(),
                help: "",
            });
            sorter.refuse(path, reason);
        }
    }
    sorter.finish(proposal);
}

/// Why something is granted.
#[derive(Clone, Debug, Default)]
struct Why {
    files: BTreeSet<String>,
    listed: bool,
    named: Option<String>,
}

impl Why {
    fn join(&mut self, other: Self, below: &Path) {
        let within = |file: String| below.join(file).display().to_string();
        self.files.extend(other.files.into_iter().map(within));
        self.listed |= other.listed;
        if self.named.is_none() {
            self.named = other.named;
        }
    }

    fn tell(&self, verb: &str) -> String {
        let mut parts: Vec<String> = self.named.iter().cloned().collect();
        if self.listed {
            parts.push("listed".to_owned());
        }
        if let Some(first) = self.files.first() {
            parts.push(match self.files.len() {
                1 => format!("`{first}` {verb}"),
                count => format!("{count} files {verb}, the first `{first}`"),
            });
        }
        if parts.is_empty() {
            verb.to_owned()
        } else {
            parts.join("; ")
        }
    }
}

type Places = BTreeMap<PathBuf, Why>;

struct Sorter<'a> {
    facts: &'a Facts,
    /// Files that were read, and folders that were listed.
    files: Places,
    folders: Places,
    /// Files that were written where they are, and folders in which something was made or taken away.
    written: Places,
    changed: Places,
    refused: BTreeMap<PathBuf, Reason>,
    notes: BTreeSet<String>,
}

impl<'a> Sorter<'a> {
    fn new(facts: &'a Facts) -> Self {
        Self {
            facts,
            files: Places::new(),
            folders: Places::new(),
            written: Places::new(),
            changed: Places::new(),
            refused: BTreeMap::new(),
            notes: BTreeSet::new(),
        }
    }

    fn sort(&mut self, path: &Path, act: Act) {
        if let Ok(inside) = path.strip_prefix(PRIVATE) {
            self.in_its_home(inside, act);
            return;
        }
        let Some(real) = real(path) else { return };
        if self.facts.has(&real) && !matches!(act, Act::Make | Act::Write | Act::Replace | Act::MakeFolder) {
            return;
        }
        if self.facts.is_everywhere(&real) || HABITS.iter().any(|habit| real == Path::new(habit)) {
            return;
        }
        let found = real.symlink_metadata().ok();
        match (act, &found) {
            (Act::Read | Act::Run, Some(found)) => {
                self.link(path, &real);
                if found.is_dir() {
                    self.listed(&real);
                } else if found.is_file() {
                    self.read(&real);
                    if act == Act::Run {
                        self.interpreter(&real);
                    }
                }
            }
            (Act::Read | Act::Run | Act::Write | Act::Remove, None) | (Act::MakeFolder, Some(_)) => {}
            _ if self.is_idle(&real) => {}
            (Act::Write | Act::Make, Some(found)) => {
                self.link(path, &real);
                if found.is_dir() {
                    self.change(&real.join("."));
                } else if found.is_file() {
                    self.write(&real);
                }
            }
            (Act::Make | Act::MakeFolder | Act::Remove | Act::Replace, _) => self.change(&real),
        }
    }

    /// What it did not find at home, and the user has.
    fn in_its_home(&mut self, inside: &Path, act: Act) {
        let Some(home) = &self.facts.home else { return };
        let theirs = home.join(inside);
        let there = inside.components().next().is_some() && theirs.exists();
        let cache = CACHES.iter().any(|cache| inside.starts_with(cache));
        if act == Act::Read && there && !cache && self.facts.may_see(&theirs) {
            self.note(format!(
                "it looked for `{}` in its own home, and did not find yours: if it needs that, learn again with `--env HOME={}`",
                inside.display(),
                home.display()
            ));
        }
    }

    /// Written for the next time only, or without use in a cage.
    fn is_idle(&mut self, path: &Path) -> bool {
        if path.components().any(|part| part.as_os_str() == "__pycache__") {
            return true;
        }
        let inside = self
            .facts
            .home
            .as_ref()
            .and_then(|home| path.strip_prefix(home).ok());
        let cache = inside.and_then(|inside| CACHES.iter().find(|cache| inside.starts_with(cache)));
        if let Some(cache) = cache {
            self.note(format!(
                "what it wrote to `~/{cache}` is left out: a program does without"
            ));
        }
        cache.is_some()
    }

    fn note(&mut self, text: String) {
        if self.notes.len() < TOLD {
            self.notes.insert(text);
        }
    }

    fn refuse(&mut self, path: &Path, reason: Reason) {
        if self.refused.len() < TOLD {
            self.refused.entry(path.to_owned()).or_insert(reason);
        }
    }

    fn fits(&mut self, path: &Path, access: Access) -> bool {
        match self.facts.unfit(path, access) {
            Some(reason) => {
                self.refuse(path, reason);
                false
            }
            None => true,
        }
    }

    fn read(&mut self, path: &Path) {
        if !self.facts.has(path) && self.fits(path, Access::Read) {
            self.files.entry(path.to_owned()).or_default();
        }
    }

    fn listed(&mut self, path: &Path) {
        let bare = BARE.iter().any(|bare| path == Path::new(bare));
        if !bare && !self.facts.has(path) && self.fits(path, Access::Read) {
            self.folders.entry(path.to_owned()).or_default().listed = true;
        }
    }

    fn named(&mut self, path: &Path, why: &str) {
        if self.facts.has(path) || !self.fits(path, Access::Read) {
            return;
        }
        let places = if path.is_dir() {
            &mut self.folders
        } else {
            &mut self.files
        };
        places.entry(path.to_owned()).or_default().named = Some(why.to_owned());
    }

    /// What runs a script has to be there as well.
    fn interpreter(&mut self, program: &Path) {
        let mut head = [0; 256];
        let read = fs::File::open(program)
            .and_then(|mut file| file.read(&mut head))
            .unwrap_or_default();
        let line = head.get(..read).unwrap_or_default().strip_prefix(b"#!");
        let line = line.and_then(|line| line.split(|byte| *byte == b'\n').next());
        let word = line
            .and_then(|line| std::str::from_utf8(line).ok())
            .and_then(|line| line.split_whitespace().next());
        if let Some(real) = word
            .and_then(|word| real(Path::new(word)))
            .filter(|real| real.is_file())
        {
            self.read(&real);
        }
    }

    fn write(&mut self, path: &Path) {
        if !may_write(path) {
            // It may have asked for more than it needs.
            self.read(path);
        } else if !self.is_kept(path) && self.fits(path, Access::Write) {
            self.written.entry(path.to_owned()).or_default();
        }
    }

    /// Whether this stays as it is in every cage; then it is told.
    fn is_kept(&mut self, path: &Path) -> bool {
        let kept = mantlet_sandbox::learn::kept(path);
        if let Some(kept) = &kept {
            self.note(format!(
                "it wanted to change `{}`, which makes other programs run something: no grant opens that",
                kept.display()
            ));
        }
        kept.is_some()
    }

    /// Something is made or taken away: the folder has to be writable.
    fn change(&mut self, path: &Path) {
        if self.is_kept(path) {
            return;
        }
        let Some(folder) = path.ancestors().skip(1).find(|folder| folder.is_dir()) else {
            return;
        };
        if self.facts.is_everywhere(folder) {
            return;
        }
        if !may_write(folder) {
            self.note(format!(
                "it wanted to write in `{}`, which this user may not",
                folder.display()
            ));
        } else if let Some(reason) = self.facts.unfit(folder, Access::Write) {
            let Reason { why, help } = reason;
            let why = format!("cannot be written: `{}` {why}", folder.display());
            self.refuse(path, Reason { why, help });
        } else {
            let inside = path.strip_prefix(folder).unwrap_or(path).display().to_string();
            let why = self.changed.entry(folder.to_owned()).or_default();
            if !inside.is_empty() {
                why.files.insert(inside);
            }
        }
    }

    /// A link is not there in a cage, only what it leads to.
    fn link(&mut self, path: &Path, real: &Path) {
        if self.facts.has(real) {
            return;
        }
        let mut so_far = PathBuf::new();
        for part in path.components() {
            so_far.push(part);
            let link = so_far.symlink_metadata().is_ok_and(|found| found.is_symlink());
            if link && !self.facts.has(&so_far) {
                let target = so_far.canonicalize().unwrap_or_default();
                self.note(format!(
                    "`{}` is a link: a cage has only what is granted, so let the program use `{}`",
                    so_far.display(),
                    target.display()
                ));
                return;
            }
        }
    }

    fn finish(mut self, proposal: &mut Proposal) {
        let facts = self.facts;
        let writable = |path: &Path| may_write(path) && facts.unfit(path, Access::Write).is_none();
        let mut write = self.changed;
        let alone = fold(self.written, &mut write, &writable);
        let mut write = nested(gathered(write, &writable));
        let mut read = self.folders;
        for (path, why) in &mut write {
            why.named = read.get(path).and_then(|read| read.named.clone());
        }
        read.retain(|path, _| !within(&write, path));
        let files = self.files.into_iter().filter(|(path, _)| !within(&write, path));
        let readable = |path: &Path| facts.may_see(path);
        let mut files = fold(files.collect(), &mut read, &readable);
        let read = nested(gathered(read, &readable));
        files.retain(|path, _| !within(&read, path) && !alone.contains_key(path));
        for path in write.keys().filter(|path| facts.has(path)) {
            self.notes.insert(format!(
                "`{}` is part of the program itself: rather have it write elsewhere",
                path.display()
            ));
        }
        proposal.read = grants(read.into_iter().chain(files), "read");
        proposal.write = grants(write.into_iter().chain(alone), "written");
        let refused = self.refused.into_iter().map(|(path, reason)| Refused {
            what: path.display().to_string(),
            why: reason.why,
            help: reason.help.to_owned(),
        });
        proposal.refused.extend(refused);
        proposal.notes.extend(self.notes);
    }
}

/// Where a path leads on this machine, as far as it is there. `None` where that cannot be told.
fn real(path: &Path) -> Option<PathBuf> {
    for above in path.ancestors() {
        if let Ok(real) = above.canonicalize() {
            let rest = path.strip_prefix(above).ok()?;
            let plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
            return plain.then(|| real.components().chain(rest.components()).collect());
        }
    }
    None
}

fn may_write(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Files of a folder that is granted go with it, and more than a few make it one. Returns those that stand alone.
fn fold(files: Places, folders: &mut Places, fits: &impl Fn(&Path) -> bool) -> Places {
    let mut by_folder: BTreeMap<PathBuf, Places> = BTreeMap::new();
    for (path, why) in files {
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        by_folder.entry(folder).or_default().insert(path, why);
    }
    let mut alone = Places::new();
    for (folder, files) in by_folder {
        let above = folder.ancestors().find(|above| folders.contains_key(*above));
        let above = above.map(Path::to_owned);
        let many = files.len() > FEW && !is_mixed(&folder) && fits(&folder);
        let Some(place) = above.or_else(|| many.then(|| folder.clone())) else {
            alone.extend(files);
            continue;
        };
        let why = folders.entry(place.clone()).or_default();
        let names = files.keys().filter_map(|path| path.strip_prefix(&place).ok());
        why.files.extend(names.map(|name| name.display().to_string()));
    }
    alone
}

/// Folders of which more than a few lie side by side become the one that they are in.
fn gathered(mut folders: Places, fits: &impl Fn(&Path) -> bool) -> Places {
    loop {
        let mut beside: BTreeMap<&Path, usize> = BTreeMap::new();
        for folder in folders.keys() {
            if let Some(above) = folder.parent() {
                let count = beside.entry(above).or_default();
                *count = count.saturating_add(1);
            }
        }
        let many = |(above, count): &(&Path, usize)| *count > FEW && !is_mixed(above) && fits(above);
        let Some(above) = beside.into_iter().find(many).map(|(above, _)| above.to_owned()) else {
            return folders;
        };
        let mut all = folders.remove(&above).unwrap_or_default();
        let (inside, rest): (Places, Places) = folders
            .into_iter()
            .partition(|(folder, _)| folder.starts_with(&above));
        for (folder, why) in inside {
            let below = folder.strip_prefix(&above).unwrap_or(&folder).to_owned();
            all.join(why, &below);
        }
        folders = rest;
        folders.insert(above, all);
    }
}

fn is_mixed(folder: &Path) -> bool {
    folder.components().count() < 2 || MIXED.iter().any(|mixed| folder == Path::new(mixed))
}

/// Without those that lie in another.
fn nested(folders: Places) -> Places {
    let mut all = Places::new();
    // What is above comes first.
    for (folder, why) in folders {
        let above = folder.ancestors().skip(1).find(|above| all.contains_key(*above));
        let above = above.map(Path::to_owned);
        match above.as_ref().and_then(|above| all.get_mut(above)) {
            Some(known) => {
                let below = above.and_then(|above| Some(folder.strip_prefix(above).ok()?.to_owned()));
                known.join(why, &below.unwrap_or_default());
            }
            None => drop(all.insert(folder, why)),
        }
    }
    all
}

fn within(places: &Places, path: &Path) -> bool {
    path.ancestors().any(|above| places.contains_key(above))
}

fn grants(places: impl Iterator<Item = (PathBuf, Why)>, verb: &str) -> Vec<Grant> {
    let mut grants: Vec<Grant> = places
        .filter_map(|(path, why)| {
            Some(Grant {
                what: path.to_str()?.to_owned(),
                why: why.tell(verb),
            })
        })
        .collect();
    grants.sort_by(|a, b| a.what.cmp(&b.what));
    grants
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use mantlet_sandbox::learn::Trace;

    use super::*;

    /// A machine with a home, outside of the folders that cages have of their own.
    struct Machine {
        _kept: tempfile::TempDir,
        root: PathBuf,
        seen: Seen,
    }

    /// A checkout below `/tmp` is covered by the cage's own: then a folder elsewhere, where this user may make one.
    fn outside_of_tmp(folder: &str) -> &str {
        if folder.starts_with("/tmp/") || folder.starts_with("/var/tmp/") {
            "/opt"
        } else {
            folder
        }
    }

    impl Machine {
        fn new() -> Self {
            // Not in `/tmp`, of which a cage has its own.
            let kept = tempfile::tempdir_in(outside_of_tmp(env!("CARGO_MANIFEST_DIR"))).unwrap();
            let root = kept.path().canonicalize().unwrap();
            fs::create_dir_all(root.join("home")).unwrap();
            Self {
                _kept: kept,
                root,
                seen: Seen::default(),
            }
        }

        fn file(&self, path: &str) {
            let path = self.root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }

        fn did(&mut self, path: &str, act: Act) {
            let path = self.root.join(path);
            self.seen.learnt(vec![Trace::Path { path, act }]);
        }

        fn proposed(&self, named: &[&str]) -> Proposal {
            let facts = Facts {
                home: Some(self.root.join("home")),
                own: vec![self.root.join("home/state")],
                runtime: vec![self.root.join("program")],
                named: named
                    .iter()
                    .map(|path| (self.root.join(path), "an argument".to_owned()))
                    .collect(),
                ..Facts::default()
            };
            let mut proposal = Proposal::default();
            propose(&self.seen, &facts, &mut proposal);
            proposal
        }

        fn shown(&self, grants: &[Grant]) -> Vec<String> {
            let root = format!("{}/", self.root.display());
            grants.iter().map(|grant| grant.what.replace(&root, "")).collect()
        }
    }

    #[test]
    fn few_files_are_files_and_many_are_their_folder() {
        let mut machine = Machine::new();
        for name in ["a", "b", "c", "d"] {
            machine.file(&format!("many/{name}"));
            machine.did(&format!("many/{name}"), Act::Read);
            machine.file(&format!("tree/{name}/deep/x"));
            machine.did(&format!("tree/{name}/deep"), Act::Read);
        }
        machine.file("few/a");
        machine.file("few/b");
        machine.did("few/a", Act::Read);
        machine.did("few/b", Act::Run);
        machine.did("few/absent", Act::Read);
        machine.file("program/lib/x");
        machine.did("program/lib/x", Act::Read);
        let proposal = machine.proposed(&[]);
        assert_eq!(
            machine.shown(&proposal.read),
            [
                "few/a",
                "few/b",
                "many",
                "tree/a/deep",
                "tree/b/deep",
                "tree/c/deep",
                "tree/d/deep"
            ]
        );
        assert_eq!(proposal.read[2].why, "4 files read, the first `a`");
        assert_eq!(proposal.read[3].why, "listed");
        assert_eq!(proposal.write, []);
        for name in ["a", "b", "c", "d"] {
            machine.did(&format!("tree/{name}"), Act::Read);
        }
        assert_eq!(
            machine.shown(&machine.proposed(&[]).read),
            ["few/a", "few/b", "many", "tree"]
        );
    }

    #[test]
    fn what_is_written_in_place_is_a_file_and_what_is_made_needs_its_folder() {
        let mut machine = Machine::new();
        machine.file("log/today");
        machine.did("log/today", Act::Make);
        machine.file("data/index");
        machine.did("data/index", Act::Read);
        machine.did("data/index.tmp", Act::Make);
        machine.did("data/index.tmp", Act::Remove);
        machine.did("data/index", Act::Replace);
        machine.did("data/new/sub", Act::MakeFolder);
        machine.did("data/new/sub/x", Act::Make);
        machine.file("kept/x");
        machine.did("kept", Act::MakeFolder);
        machine.did("kept/gone", Act::Remove);
        machine.did("program/__pycache__/x.pyc", Act::Make);
        machine.file("data/.git/config");
        machine.did("data/.git/config.lock", Act::Remove);
        machine.did("data/.git/hooks/x", Act::Make);
        let proposal = machine.proposed(&["data"]);
        assert_eq!(proposal.notes.len(), 1, "{:?}", proposal.notes);
        assert_eq!(machine.shown(&proposal.write), ["data", "log/today"]);
        assert_eq!(proposal.read, []);
        assert_eq!(
            proposal.write[0].why,
            "an argument; 4 files written, the first `index`"
        );
    }

    #[test]
    fn arguments_are_granted_though_nothing_was_done_there() {
        let mut machine = Machine::new();
        machine.file("notes/x");
        machine.file("one.txt");
        machine.file("home/.ssh/id");
        let proposal = machine.proposed(&["notes", "one.txt", "home", "home/.ssh"]);
        assert_eq!(machine.shown(&proposal.read), ["notes", "one.txt"]);
        assert_eq!(proposal.read[0].why, "an argument");
        assert_eq!(proposal.refused.len(), 2);
        machine.did("notes/sub", Act::MakeFolder);
        let proposal = machine.proposed(&["notes"]);
        assert_eq!(machine.shown(&proposal.write), ["notes"]);
        assert_eq!(proposal.read, []);
    }

    #[test]
    fn what_is_never_granted_is_told_with_its_reason() {
        let mut machine = Machine::new();
        machine.file("home/.ssh/id");
        machine.did("home/.ssh/id", Act::Read);
        machine.did("home/.ssh/absent", Act::Read);
        machine.file("home/state/token");
        machine.did("home/state/token", Act::Read);
        machine.file("home/.bashrc");
        machine.did("home/.bashrc", Act::Write);
        machine.did("home/memory.json", Act::Make);
        machine.did("home", Act::Read);
        machine.seen.learnt(vec![Trace::Socket("/dev/null".into())]);
        let proposal = machine.proposed(&[]);
        assert_eq!((&proposal.read, &proposal.write), (&vec![], &vec![]));
        let refused: BTreeMap<String, &str> = proposal
            .refused
            .iter()
            .map(|one| {
                (
                    one.what.replace(machine.root.to_str().unwrap(), ""),
                    one.why.as_str(),
                )
            })
            .collect();
        let expected = [
            "/home",
            "/home/.bashrc",
            "/home/.ssh/id",
            "/home/memory.json",
            "/home/state/token",
        ];
        let told: Vec<&str> = refused
            .keys()
            .map(String::as_str)
            .filter(|what| *what != "/dev/null")
            .collect();
        assert_eq!(told, expected);
        assert_eq!(
            refused["/home/.ssh/id"],
            "lies in `~/.ssh`, which holds keys of SSH"
        );
        assert!(refused["/home/memory.json"].starts_with("cannot be written: "));
    }

    #[test]
    fn caches_links_and_its_own_home_are_notes() {
        let mut machine = Machine::new();
        machine.file("home/.cache/tool/x");
        machine.did("home/.cache/tool/y", Act::Make);
        machine.file("real/x");
        symlink(machine.root.join("real"), machine.root.join("link")).unwrap();
        machine.did("link/x", Act::Read);
        machine.file("home/.config/tool/settings");
        for path in ["/home/mcp/.config/tool/settings", "/home/mcp/.config/other"] {
            let path = path.into();
            machine.seen.learnt(vec![Trace::Path { path, act: Act::Read }]);
        }
        let proposal = machine.proposed(&[]);
        assert_eq!(machine.shown(&proposal.read), ["real/x"]);
        assert_eq!(proposal.write, []);
        assert_eq!(proposal.notes.len(), 3, "{:?}", proposal.notes);
    }

    #[test]
    fn a_script_needs_what_runs_it() {
        let mut machine = Machine::new();
        machine.file("tool/run");
        machine.file("tool/interpreter");
        let line = format!("#!{} -x\n", machine.root.join("tool/interpreter").display());
        fs::write(machine.root.join("tool/run"), line).unwrap();
        machine.did("tool/run", Act::Run);
        let proposal = machine.proposed(&[]);
        assert_eq!(machine.shown(&proposal.read), ["tool/interpreter", "tool/run"]);
    }
}
