//! The weakest cage, for machines that let this user have no namespaces, and only where the configuration takes it:
//! Landlock and seccomp alone. The machine's own tree is there, but only what is granted can be opened; there is no
//! network and no socket but pairs; processes of others are seen by name. Everything it started is ended with it, unless
//! the whole of Mantlet is killed at the same moment.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::landlock::{self, Use};
use crate::root;
use crate::spec::Spec;

/// Files that programs look into for their own user's name.
const NAMES: &[&str] = &["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"];
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// A folder on the machine for what the program writes besides its grants; taken away when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes it, for this user only.
    pub(crate) fn make() -> io::Result<Self> {
        let mut number = [0_u8; 16];
        rustix::rand::getrandom(&mut number, rustix::rand::GetRandomFlags::empty())?;
        let name: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = std::env::temp_dir().join(format!("mantlet-{name}"));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        let scratch = Self(path);
        for name in ["home", "tmp"] {
            fs::create_dir(scratch.0.join(name))?;
        }
        Ok(scratch)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing is left to be done about what cannot be removed.
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// What such a cage cannot grant.
pub(crate) fn unfit(spec: &Spec) -> Option<String> {
    let what = if !spec.network.is_empty() || spec.loopback {
        "hosts and ports"
    } else if !spec.secrets.is_empty() {
        "secrets as files"
    } else if !spec.links.is_empty() {
        "paths through links"
    } else if landlock::version() == 0 {
        return Some("there are no namespaces to be had, and no Landlock either".to_owned());
    } else {
        return None;
    };
    Some(format!(
        "{what} cannot be granted in a `basic` cage, and this machine has no other"
    ))
}

/// The paths that the program may use.
pub(crate) fn paths(spec: &Spec, scratch: &Path) -> Vec<(String, Use)> {
    let mut paths: Vec<(String, Use)> = Vec::new();
    let mut add = |path: &Path, may: Use| paths.push((path.display().to_string(), may));
    for path in root::SYSTEM.iter().chain(root::MERGED).chain(NAMES) {
        add(Path::new(path), Use::Read);
    }
    add(Path::new("/proc"), Use::Read);
    for device in DEVICES {
        add(Path::new(device), Use::Device);
    }
    for path in spec.runtime.iter().chain(&spec.read) {
        add(path, Use::Read);
    }
    for path in &spec.write {
        add(path, Use::Write);
    }
    add(scratch, Use::Write);
    paths
}

/// Ends everything that is left below this process, which takes in what has lost its parent.
pub(crate) fn end_descendants() {
    for _ in 0..200 {
        let left = crate::watch::tree(i32::try_from(std::process::id()).unwrap_or_default());
        if left.is_empty() {
            return;
        }
        for pid in left.into_iter().filter_map(Pid::from_raw) {
            let _gone = kill_process(pid, Signal::KILL);
        }
        while matches!(
            rustix::process::wait(rustix::process::WaitOptions::NOHANG),
            Ok(Some(_))
        ) {}
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
