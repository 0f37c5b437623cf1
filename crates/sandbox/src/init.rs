//! Process 1 of the cage: builds what is inside, starts the program within its walls, and ends when that ends. Not
//! here: what watches from outside (`helper`).

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use landlock::RulesetStatus;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::net::RecvFlags;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, wait};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits, set_no_new_privs,
};

use crate::landlock::{Ports, Use, restrict};
use crate::learn::{RECORDED, Trace};
use crate::limits;
use crate::network;
use crate::proof;
use crate::root::{self, HOME, USER};
use crate::seccomp::{Filters, Sockets};
use crate::spec::Spec;
use crate::sys::{self, Forked, Image};
use crate::talk::{Order, Word, receive, send};

/// What the program may be told; handed on to it.
pub(crate) const HANDED_ON: &[libc::c_int] = &[
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
];
/// The code of a program that could not be started, as a shell has it.
const NOT_STARTED: u8 = 126;
/// The last capability that any kernel has, with room for more.
const CAPABILITIES: u32 = 63;

/// Places that a recording cage cannot show, at most: they are told in one message.
const UNSEEN: usize = 16;

/// What is the same for the program and for what tries its walls.
struct Walls {
    paths: Vec<(String, Use)>,
    ports: Ports,
    filters: Filters,
    sockets: Sockets,
    home: PathBuf,
}

/// What kind of cage this process is in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    /// New namespaces; the ids of user and group outside.
    Namespaces(u32, u32),
    /// None (`basic`); where the program may write.
    Basic(&'a Path),
}

/// Runs as process 1 and does not return. `inner` is the channel to the helper.
pub(crate) fn run(spec: &Spec, kind: Kind<'_>, inner: OwnedFd, trials: bool) -> ! {
    let code = match build(spec, kind, &inner, trials) {
        Ok((server, signals)) => {
            drop(inner);
            look_after(server, &signals)
        }
        Err(error) => {
            let why = error.to_string();
            let closed = matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
                || error.kind() == io::ErrorKind::PermissionDenied;
            let word = if closed && matches!(kind, Kind::Namespaces(..)) {
                Word::Closed(why)
            } else {
                Word::Fell(why)
            };
            let _gone = send(&inner, &word, &[]);
            Ok(NOT_STARTED)
        }
    };
    if let Kind::Basic(_) = kind {
        crate::basic::end_descendants();
    }
    sys::leave(code.unwrap_or(NOT_STARTED))
}

fn build(spec: &Spec, kind: Kind<'_>, inner: &OwnedFd, trials: bool) -> io::Result<(Pid, OwnedFd)> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let walls = match kind {
        Kind::Namespaces(user, group) => apart(spec, (user, group), inner)?,
        Kind::Basic(scratch) => basic(spec, scratch)?,
    };
    // Meanwhile the helper has put this process into its control group, where all that it starts will be; or it had gone
    // before its death could be noticed.
    match receive::<Order>(inner, RecvFlags::empty())? {
        Some((Order::Go, _)) => {}
        _ => sys::leave(NOT_STARTED),
    }
    if trials {
        try_out(&walls, spec, inner)?;
    }
    let image = image(spec, kind)?;
    let signals = sys::hear_signals(&[HANDED_ON, &[libc::SIGCHLD]].concat())?;
    let server = match sys::fork()? {
        Forked::Child => start(&walls, spec, &image, inner),
        Forked::Parent(pid) => Pid::from_raw(pid).ok_or_else(|| io::Error::other("no process id"))?,
    };
    // From here on this process holds nothing that the program could want: no memory to look into, no rights.
    sys::set_dumpable(false)?;
    give_up_privileges()?;
    Ok((server, signals))
}

/// Namespaces with what belongs into them.
fn apart(spec: &Spec, user: (u32, u32), inner: &OwnedFd) -> io::Result<Walls> {
    step("the user of the cage", become_user(user))?;
    let sockets = step("the network of the cage", network::build(spec))?;
    step(
        "the name of the cage",
        rustix::system::sethostname(b"mcp").map_err(io::Error::from),
    )?;
    let _no_matter = rustix::system::setdomainname(b"(none)");
    let root = step("the root of the cage", root::build(spec))?;
    let descriptors: Vec<_> = sockets
        .descriptors
        .iter()
        .map(|descriptor| descriptor.as_fd())
        .collect();
    send(inner, &Word::Doors(sockets.ports), &descriptors)?;
    if !root.unseen.is_empty() {
        let unseen = root.unseen.into_iter().take(UNSEEN).map(Trace::Unseen);
        send(inner, &Word::Learnt(unseen.collect()), &[])?;
    }
    let filters = match spec.learn {
        Some(_) => Filters::recording(RECORDED, Sockets::Inside),
        None => Filters::new(true, Sockets::Inside),
    };
    Ok(Walls {
        paths: root.paths,
        // Within the cage ports lead nowhere but to Mantlet. A program that may open its own may connect to any.
        ports: (!spec.loopback).then(|| spec.network.iter().map(|grant| grant.port).collect()),
        filters: step("the filter of system calls", filters)?,
        sockets: Sockets::Inside,
        home: HOME.into(),
    })
}

/// The machine's own tree and network, behind Landlock and seccomp.
fn basic(spec: &Spec, scratch: &Path) -> io::Result<Walls> {
    rustix::process::set_child_subreaper(Pid::from_raw(1))?;
    Ok(Walls {
        paths: crate::basic::paths(spec, scratch),
        ports: Some(Vec::new()),
        filters: step("the filter of system calls", Filters::new(true, Sockets::Pairs))?,
        sockets: Sockets::Pairs,
        home: scratch.join("home"),
    })
}

fn step<T>(what: &str, outcome: io::Result<T>) -> io::Result<T> {
    outcome.map_err(|error| io::Error::new(error.kind(), format!("{what}: {error}")))
}

/// One user id within stands for the one outside; there are no others (user_namespaces(7)).
fn become_user((user, group): (u32, u32)) -> io::Result<()> {
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{USER} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{USER} {group} 1"))
}

/// The program as it will be run: the few variables that every program needs, then those that are granted.
fn image(spec: &Spec, kind: Kind<'_>) -> io::Result<Image> {
    let (home, temporary) = match kind {
        Kind::Namespaces(..) => (HOME.to_owned(), "/tmp".to_owned()),
        Kind::Basic(scratch) => (
            scratch.join("home").display().to_string(),
            scratch.join("tmp").display().to_string(),
        ),
    };
    let mut path: Vec<String> = spec
        .path
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    path.extend(
        [
            "/usr/local/bin",
            "/usr/bin",
            "/bin",
            "/usr/local/sbin",
            "/usr/sbin",
            "/sbin",
        ]
        .map(str::to_owned),
    );
    let mut variables: Vec<(String, String)> = [
        ("PATH", path.join(":").as_str()),
        ("HOME", home.as_str()),
        ("USER", "mcp"),
        ("LOGNAME", "mcp"),
        ("SHELL", "/bin/sh"),
        ("TMPDIR", temporary.as_str()),
        ("LANG", "C.UTF-8"),
    ]
    .into_iter()
    .filter(|(name, _)| !spec.environment.iter().any(|(granted, _)| granted == name))
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    variables.extend(spec.environment.iter().cloned());
    let candidates = vec![spec.program.display().to_string()];
    Image::new(candidates, &spec.argv, &variables)
}

/// The child: goes within its walls and becomes the program.
fn start(walls: &Walls, spec: &Spec, image: &Image, inner: &OwnedFd) -> ! {
    let error = match confine(walls, spec) {
        Ok((_, listener)) => {
            let told = match &listener {
                Some(listener) => send(inner, &Word::Listener, &[listener.as_fd()]),
                None => Ok(()),
            };
            drop(listener);
            match told.and_then(|()| sys::close_from(3, true)) {
                Ok(()) => {
                    let error = image.run();
                    let program = spec.argv.first().map(String::as_str).unwrap_or_default();
                    io::Error::new(error.kind(), format!("`{program}` could not be started: {error}"))
                }
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    let _gone = send(inner, &Word::Fell(error.to_string()), &[]);
    sys::leave(NOT_STARTED)
}

/// All walls, in the order in which each can still be set up by what the ones before it leave.
fn confine(walls: &Walls, spec: &Spec) -> io::Result<(RulesetStatus, Option<OwnedFd>)> {
    step("signals", sys::forget_signals())?;
    // A session of its own: no terminal to control, no group to signal.
    rustix::process::setsid()?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let directory = spec.directory.as_deref().unwrap_or(&walls.home);
    step(
        "the directory to start in",
        rustix::process::chdir(directory).map_err(io::Error::from),
    )?;
    if spec.limits.cpu > 0 {
        step("the processors", sys::keep_to_processors(spec.limits.cpu))?;
    }
    step("the limits of a process", limits::set(&spec.limits))?;
    step("the privileges", give_up_privileges())?;
    let status = step("Landlock", restrict(&walls.paths, &walls.ports))?;
    let listener = match walls.filters.install() {
        // Within a cage another one hears its calls already: they are refused, but not heard.
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
            let unheard = Filters::new(false, walls.sockets)?;
            step("seccomp", unheard.install())?
        }
        outcome => step("seccomp", outcome)?,
    };
    Ok((status, listener))
}

/// No capability, none to be had from a file or a user id, and none to be gained by running anything.
fn give_up_privileges() -> io::Result<()> {
    // Without any there is no right to give up more; what is left to be gained, `no_new_privs` withholds.
    if !capabilities(None)?.permitted.is_empty() {
        for capability in 0..=CAPABILITIES {
            // The first that the kernel does not know is behind the last that it has.
            if remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << capability)).is_err()
            {
                break;
            }
        }
        let locked = CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
        set_capabilities_secure_bits(locked)?;
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none)?;
    Ok(set_no_new_privs(true)?)
}

/// A process goes within the same walls and tries what it must not be able to do.
fn try_out(walls: &Walls, spec: &Spec, inner: &OwnedFd) -> io::Result<()> {
    let unheard = Walls {
        paths: walls.paths.clone(),
        ports: walls.ports.clone(),
        filters: Filters::new(false, walls.sockets)?,
        sockets: walls.sockets,
        home: walls.home.clone(),
    };
    match sys::fork()? {
        Forked::Child => {
            let word = match confine(&unheard, spec) {
                Ok((status, _)) => Word::Tried(format!("{status:?}"), proof::trials()),
                Err(error) => Word::Fell(error.to_string()),
            };
            let _gone = send(inner, &word, &[]);
            sys::leave(0)
        }
        Forked::Parent(pid) => {
            let pid = Pid::from_raw(pid);
            rustix::process::waitpid(pid, WaitOptions::empty())?;
            Ok(())
        }
    }
}

/// Takes in what is left without a parent, hands on what asks the program to end, and ends with it: the kernel then
/// ends everything else in here.
fn look_after(server: Pid, signals: &OwnedFd) -> io::Result<u8> {
    let nothing = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, Mode::empty())?;
    // The program's input and output are its own: they must end with it.
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    loop {
        while let Some((pid, status)) = wait(WaitOptions::NOHANG)? {
            if pid == server {
                let signalled = status
                    .terminating_signal()
                    .map(|signal| signal.saturating_add(128));
                let code = status.exit_status().or(signalled).unwrap_or_default();
                return Ok(u8::try_from(code).unwrap_or(u8::MAX));
            }
        }
        poll(&mut [PollFd::new(signals, PollFlags::IN)], None)?;
        let mut heard = [0_u8; size_of::<libc::signalfd_siginfo>()];
        while rustix::io::read(signals, &mut heard).is_ok_and(|read| read > 0) {
            // The number is the first member (signalfd(2)).
            let number = heard
                .first_chunk::<4>()
                .map_or(0, |bytes| u32::from_ne_bytes(*bytes));
            let number = i32::try_from(number).unwrap_or_default();
            let signal = HANDED_ON
                .contains(&number)
                .then(|| Signal::from_named_raw(number))
                .flatten();
            if let Some(signal) = signal {
                let _gone = kill_process(server, signal);
            }
        }
    }
}
