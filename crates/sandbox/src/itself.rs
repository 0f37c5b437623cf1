//! The walls of Mantlet's own network-facing process: it cannot run a program, make a process, reach another one, or open
//! a file that it was not told of. Whoever takes it over through what it reads from the network has what it has, and
//! nothing to get further with. Programs are started by another process, which has no network (the launcher).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::process::{Pid, WaitOptions};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use serde::{Deserialize, Serialize};

use crate::proof::Trial;
use crate::sys::{self, Forked, Image};
use crate::{landlock as wall, seccomp};

/// The newest rules that this program knows; the kernel enforces those of them that it has.
const NEWEST: ABI = ABI::V7;
/// Devices that programs need.
const DEVICES: &[&str] = &["/dev/null", "/dev/urandom", "/dev/random"];
/// What is read about this process and this machine by the runtime and the C library.
const OWN: &[&str] = &["/proc/self", "/sys/devices/system/cpu"];
/// What stays of the rights of root, where they are there: files of others within the walls, and low ports.
const KEPT: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::NET_BIND_SERVICE);
/// The last capability that any kernel has, with room for more.
const CAPABILITIES: u32 = 63;

/// What the process needs of the machine.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Files and folders that it reads.
    pub read: Vec<PathBuf>,
    /// Folders that it also writes: they must be there.
    pub write: Vec<PathBuf>,
    /// Whether it opens TCP connections.
    pub connects: bool,
    /// The TCP ports that it may listen on.
    pub listens: Vec<u16>,
}

/// What holds this process, as found out and not as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Itself {
    /// What is in force.
    pub in_force: Vec<String>,
    /// What is not.
    pub not_in_force: Vec<String>,
}

/// Raises the walls around this process, for good. It must have one thread yet: all later ones are within.
///
/// # Errors
/// They do not stand. Landlock is an exception: where the kernel has none, the result says so.
pub fn confine(needs: &Needs) -> io::Result<Itself> {
    if value("Threads") != "1" {
        return Err(io::Error::other(
            "there is more than one thread: only this one would be within the walls",
        ));
    }
    let filter = seccomp::itself::filter(needs.connects)?;
    keep_memory_private()?;
    give_up_capabilities()?;
    set_no_new_privs(true)?;
    let version = wall::version();
    let landlock = restrict(needs).map_err(io::Error::other)?;
    sys::install_filter(&filter, false)?;
    let trials = trials(landlock != RulesetStatus::NotEnforced);
    if let Some(trial) = trials.iter().find(|trial| !trial.held) {
        return Err(io::Error::other(format!(
            "the walls do not hold: it could {}",
            trial.what
        )));
    }
    Ok(found(needs, (landlock, version), trials.len()))
}

/// The memory of this process is not written to the disk when it breaks down, and others of the same user cannot look into
/// it. Ends with the next program that it becomes.
///
/// # Errors
/// The kernel refuses.
pub fn keep_memory_private() -> io::Result<()> {
    sys::set_dumpable(false)
}

fn give_up_capabilities() -> io::Result<()> {
    let now = capabilities(None)?;
    let kept = now.permitted.intersection(KEPT);
    for capability in 0..=CAPABILITIES {
        // One that the kernel does not know, or that this user may not drop, is an error without effect.
        let one = CapabilitySet::from_bits_retain(1 << capability);
        if !KEPT.contains(one) {
            let _unknown = remove_capability_from_bounding_set(one);
        }
    }
    clear_ambient_capability_set()?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(())
}

fn restrict(needs: &Needs) -> Result<RulesetStatus, RulesetError> {
    // Handled and not allowed is refused. Nothing here is for running: the filter has no call for that either.
    let mut handled = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(NEWEST))?;
    if !needs.connects {
        handled = handled.handle_access(AccessNet::ConnectTcp)?;
    }
    let mut rules = handled.create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::from_all(NEWEST)
        & !(AccessFs::Execute
            | AccessFs::MakeBlock
            | AccessFs::MakeChar
            | AccessFs::MakeFifo
            | AccessFs::MakeSock
            | AccessFs::MakeSym
            | AccessFs::IoctlDev);
    for path in needs
        .read
        .iter()
        .map(PathBuf::as_path)
        .chain(OWN.iter().map(Path::new))
    {
        rules = beneath(rules, path, read)?;
    }
    for path in &needs.write {
        rules = beneath(rules, path, write)?;
    }
    for path in DEVICES {
        rules = beneath(rules, Path::new(path), AccessFs::ReadFile | AccessFs::WriteFile)?;
    }
    for port in &needs.listens {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

/// What is not there needs no rule.
fn beneath(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(place) = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
        return Ok(rules);
    };
    let folder = rustix::fs::fstat(&place).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_dir());
    let access = if folder {
        access
    } else {
        access & AccessFs::from_file(NEWEST)
    };
    rules.add_rule(PathBeneath::new(place, access))
}

/// Tries what whoever takes the process over would try first. Harmless where it succeeds.
fn trials(landlock: bool) -> Vec<Trial> {
    let mut trials = vec![
        held("run a program", run()),
        held("make a process", make_a_process()),
        held("run what it wrote to memory", sys::memory_for_code()),
    ];
    for (what, outcome) in sys::forbidden() {
        // A user's own process 1 may be signalled where there is nothing to forbid it.
        if landlock || what != "signal process 1" {
            trials.push(held(what, outcome.map(drop)));
        }
    }
    trials.push(held(
        "open a local socket",
        rustix::net::socket(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            None,
        )
        .map(drop)
        .map_err(io::Error::from),
    ));
    if landlock {
        trials.push(held("see the files of the machine", fs::read_dir("/").map(drop)));
        trials.push(held(
            "look into another process",
            fs::read("/proc/1/status").map(drop),
        ));
        let place = std::env::temp_dir().join(format!("mantlet-trial-{}", std::process::id()));
        let wrote = fs::write(&place, "").and_then(|()| fs::remove_file(&place));
        trials.push(held("write outside of its folders", wrote));
    }
    trials
}

fn held(what: &str, outcome: io::Result<()>) -> Trial {
    Trial {
        what: what.to_owned(),
        held: outcome.is_err(),
        said: outcome.map_or_else(|error| error.to_string(), |()| "it worked".to_owned()),
    }
}

/// A program that is not there: whoever may run programs is told so.
fn run() -> io::Result<()> {
    let error = Image::new(
        vec!["/proc/self/nothing".to_owned()],
        &["nothing".to_owned()],
        &[],
    )?
    .run();
    if error.kind() == io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

fn make_a_process() -> io::Result<()> {
    match sys::fork()? {
        Forked::Child => sys::leave(0),
        Forked::Parent(pid) => {
            rustix::process::waitpid(Pid::from_raw(pid), WaitOptions::empty())?;
            Ok(())
        }
    }
}

/// A value of `/proc/self/status` (proc(5)).
fn value(key: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map(str::trim)
        .unwrap_or_default()
        .to_owned()
}

/// What stands, out of what the kernel says of this process.
fn found(needs: &Needs, (landlock, version): (RulesetStatus, u32), trials: usize) -> Itself {
    let mut itself = Itself::default();
    let mut claim = |holds: bool, what: String| {
        let list = if holds {
            &mut itself.in_force
        } else {
            &mut itself.not_in_force
        };
        list.push(what);
    };
    claim(
        value("Seccomp") == "2",
        "seccomp: allow-list of system calls, none of which runs a program or makes a process".to_owned(),
    );
    claim(
        value("NoNewPrivs") == "1",
        "no privileges to be gained (no_new_privs)".to_owned(),
    );
    claim(
        !sys::is_dumpable(),
        "memory: not dumped, and closed to other processes of this user".to_owned(),
    );
    let rights = u64::from_str_radix(&value("CapEff"), 16).unwrap_or(u64::MAX);
    if rights == 0 {
        claim(true, "no capabilities".to_owned());
    } else {
        let less = rights & !KEPT.bits() == 0;
        claim(
            less,
            "capabilities: none but for files of others and low ports".to_owned(),
        );
    }
    let files = {
        let folders: Vec<String> = needs
            .write
            .iter()
            .map(|folder| format!("`{}`", folder.display()))
            .collect();
        let network = if needs.connects {
            "any host may be reached"
        } else {
            "no host can be reached"
        };
        let writes = if folders.is_empty() {
            "nothing".to_owned()
        } else {
            format!("only {}", folders.join(", "))
        };
        format!(
            "Landlock: version {version}: {}; writes {writes}; {network}",
            wall::scope_of(version),
        )
    };
    match landlock {
        RulesetStatus::FullyEnforced => claim(true, files),
        RulesetStatus::PartiallyEnforced => {
            claim(true, format!("{files} (as far as this kernel's version goes)"));
        }
        RulesetStatus::NotEnforced => claim(
            false,
            "Landlock: not in this kernel, or not switched on (`lsm=landlock,…`): all files of this user can be opened"
                .to_owned(),
        ),
    }
    claim(
        true,
        format!("{trials} of {trials} tries at the start were prevented"),
    );
    itself
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Runs something in a process of its own: whatever it raises is gone afterwards. True when it held.
    fn apart(what: impl FnOnce() -> bool) -> bool {
        // The copy has only this thread; it takes no lock that another may have held but that of the allocator, which
        // the C library looks after.
        match sys::fork().unwrap() {
            Forked::Child => {
                let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(what)).unwrap_or(false);
                sys::leave(u8::from(!held))
            }
            Forked::Parent(pid) => {
                let (_, status) = rustix::process::waitpid(Pid::from_raw(pid), WaitOptions::empty())
                    .unwrap()
                    .unwrap();
                status.exit_status() == Some(0)
            }
        }
    }

    fn become_true() -> io::Result<()> {
        Err(Image::new(vec!["/bin/true".to_owned()], &["true".to_owned()], &[])?.run())
    }

    fn refused<T>(outcome: io::Result<T>) -> bool {
        let kinds = [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported];
        outcome.is_err_and(|error| kinds.contains(&error.kind()))
    }

    #[test]
    fn nothing_is_run_and_no_process_is_made() {
        assert!(apart(|| {
            let itself = confine(&Needs::default()).unwrap();
            itself.in_force.iter().any(|line| line.starts_with("seccomp"))
                && refused(become_true())
                && refused(sys::memory_for_code())
                && refused(make_a_process())
                && std::thread::spawn(|| refused(make_a_process())).join().unwrap()
        }));
    }

    #[test]
    fn every_try_at_the_start_is_prevented() {
        assert!(apart(|| {
            let itself = confine(&Needs::default()).unwrap();
            eprintln!("{itself:#?}");
            itself.not_in_force.is_empty() || wall::version() == 0
        }));
    }

    #[test]
    fn only_the_named_folders_are_open() {
        if wall::version() == 0 {
            return;
        }
        let (mine, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let read = tempfile::tempdir().unwrap();
        fs::write(read.path().join("a"), "a").unwrap();
        let needs = Needs {
            read: vec![read.path().to_owned()],
            write: vec![mine.path().to_owned()],
            ..Needs::default()
        };
        assert!(apart(|| {
            confine(&needs).unwrap();
            fs::write(mine.path().join("half"), "x").unwrap();
            fs::rename(mine.path().join("half"), mine.path().join("whole")).unwrap();
            fs::read_to_string(read.path().join("a")).unwrap() == "a"
                && refused(fs::write(read.path().join("a"), "b"))
                && refused(fs::write(other.path().join("a"), "b"))
                && refused(fs::read("/etc/passwd"))
                && refused(fs::read("/proc/1/cmdline"))
                && fs::read("/proc/self/status").is_ok()
        }));
    }

    #[test]
    fn the_network_is_what_is_needed() {
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = open.local_addr().unwrap();
        assert!(apart(|| {
            let needs = Needs {
                connects: true,
                ..Needs::default()
            };
            confine(&needs).unwrap();
            let listens = TcpListener::bind("127.0.0.1:0");
            TcpStream::connect(address).is_ok()
                && (wall::version() < 4 || refused(listens))
                && std::net::UdpSocket::bind("127.0.0.1:0").is_ok()
        }));
        assert!(apart(|| {
            let needs = Needs {
                listens: vec![0],
                ..Needs::default()
            };
            confine(&needs).unwrap();
            let connected = TcpStream::connect(address);
            TcpListener::bind("127.0.0.1:0").is_ok()
                && refused(connected)
                && refused(std::net::UdpSocket::bind("127.0.0.1:0"))
        }));
    }

    #[test]
    fn local_sockets_are_pairs_that_lead_nowhere_else() {
        use std::os::unix::net::{UnixDatagram, UnixStream};
        assert!(apart(|| {
            confine(&Needs::default()).unwrap();
            UnixStream::pair().is_ok()
                && crate::line::Line::pair().is_ok()
                && refused(UnixDatagram::pair())
                && refused(UnixStream::connect("/run/docker.sock"))
        }));
    }

    #[test]
    fn a_process_with_threads_is_refused() {
        let (tell, told) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || told.recv());
        assert!(confine(&Needs::default()).is_err());
        drop(tell);
        other.join().unwrap().unwrap_err();
    }
}
