//! The keeper of a program without a cage: a process of one thread, the same binary run again, that starts the program
//! with all rights of the user and ends it with all that it started. What the program leaves behind comes to the keeper
//! (it is a subreaper, prctl(2)), however it detached. When Mantlet goes, the keeper ends the program; when it goes
//! itself, the kernel ends the program's first process.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::net::RecvFlags;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, kill_process_group, set_child_subreaper,
    set_parent_process_death_signal, setpgid, wait,
};
use serde::{Deserialize, Serialize};

use crate::init::HANDED_ON;
use crate::line::Line;
use crate::sys::{self, Forked, Image};
use crate::talk::{self, Order, Word};
use crate::watch::tree;

/// The code of a keeper that could not do its work.
const FAILED: u8 = 125;
/// The code of a program that could not be started, as a shell has it.
const NOT_STARTED: u8 = 126;
/// A program that was killed (128 + SIGKILL).
const KILLED: u8 = 137;
/// Between two rounds in which what is left is killed, and how many there are: a process in the kernel's hands takes
/// its time.
const ROUND: Duration = Duration::from_millis(5);
const ROUNDS: u32 = 400;

/// A program and what it is given. It has all rights of the user.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bare {
    /// The command: never empty, no NUL inside. The program is looked for in `PATH` of `environment`.
    pub argv: Vec<String>,
    /// All of its environment.
    pub environment: Vec<(String, String)>,
    /// Where it starts.
    pub directory: PathBuf,
}

// Arguments and variables may be secrets: neither belongs in a log line.
impl fmt::Debug for Bare {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Bare")
            .field("program", &self.argv.first())
            .finish_non_exhaustive()
    }
}

/// Runs as the keeper: to be called first thing in a process that `keep` made. Returns the code with which that process
/// ends.
#[must_use]
pub fn look_after() -> u8 {
    let Ok(outer) = Line::inherited() else {
        return FAILED;
    };
    match serve(&outer) {
        Ok(code) => code,
        Err(error) => {
            let _gone = outer.say(&Word::Fell(error.to_string()), &[]);
            FAILED
        }
    }
}

fn serve(outer: &Line) -> io::Result<u8> {
    let Some((Order::Keep(bare), _)) = outer.hear()? else {
        return Ok(FAILED);
    };
    let _already_one = rustix::process::setsid();
    let _only_a_name = rustix::thread::set_name(c"mantlet-keeper");
    set_child_subreaper(Some(getpid()))?;
    let image = image(&bare)?;
    let signals = sys::hear_signals(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP])?;
    let (inner, theirs) = talk::pair()?;
    let keeper = getpid();
    let program = match sys::fork()? {
        Forked::Child => start(&image, &bare, keeper, &theirs),
        Forked::Parent(pid) => Pid::from_raw(pid).ok_or_else(|| io::Error::other("no process id"))?,
    };
    drop(theirs);
    let_go_of_streams()?;
    // It ends when the program runs: the other end is closed then.
    if let Some((word, _)) = talk::receive::<Word>(&inner, RecvFlags::empty())? {
        end_all();
        outer.say(&word, &[])?;
        return Ok(NOT_STARTED);
    }
    let code = match outer.say(&Word::Runs, &[]) {
        Ok(()) => watch(outer, program, &signals),
        Err(error) => Err(error),
    };
    end_all();
    let code = code?.unwrap_or(KILLED);
    let _gone = outer.say(&Word::Ended(code), &[]);
    Ok(code)
}

/// The program as it will be run; where it is looked for, as `execvp(3)` does.
fn image(bare: &Bare) -> io::Result<Image> {
    let program = bare.argv.first().map(String::as_str).unwrap_or_default();
    let candidates = if program.contains('/') {
        vec![program.to_owned()]
    } else {
        let path = bare.environment.iter().find(|(name, _)| name == "PATH");
        let path = path.map_or("/usr/local/bin:/usr/bin:/bin", |(_, path)| path.as_str());
        let folders = path.split(':').filter(|folder| !folder.is_empty());
        folders.map(|folder| format!("{folder}/{program}")).collect()
    };
    Image::new(candidates, &bare.argv, &bare.environment)
}

/// The child: becomes the program, or says why it does not.
fn start(image: &Image, bare: &Bare, keeper: Pid, inner: &OwnedFd) -> ! {
    let error = match become_its_own(&bare.directory, keeper) {
        Ok(()) => image.run(),
        Err(error) => error,
    };
    let program = bare.argv.first().map(String::as_str).unwrap_or_default();
    let why = format!("`{program}` could not be started: {error}");
    let _gone = talk::send(inner, &Word::Fell(why), &[]);
    sys::leave(NOT_STARTED)
}

fn become_its_own(directory: &Path, keeper: Pid) -> io::Result<()> {
    sys::forget_signals()?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(keeper) {
        sys::leave(NOT_STARTED);
    }
    setpgid(None, None)?;
    rustix::process::chdir(directory).map_err(|error| {
        io::Error::other(format!(
            "the directory to start in, `{}`: {error}",
            directory.display()
        ))
    })?;
    sys::close_from(3, true)
}

/// The program's input and output are its own: they must end with it.
fn let_go_of_streams() -> io::Result<()> {
    let nothing = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    Ok(())
}

/// Until the program has ended, with its code, or is to be.
fn watch(outer: &Line, program: Pid, signals: &OwnedFd) -> io::Result<Option<u8>> {
    loop {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == program {
                let signalled = status
                    .terminating_signal()
                    .map(|signal| signal.saturating_add(128));
                let code = status.exit_status().or(signalled).unwrap_or_default();
                return Ok(Some(u8::try_from(code).unwrap_or(u8::MAX)));
            }
        }
        let mut waiting = [
            PollFd::new(outer, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        poll(&mut waiting, None)?;
        let [said, signalled] = waiting.map(|one| !one.revents().is_empty());
        if signalled && asked_to_end(signals) {
            let _gone = kill_process_group(program, Signal::TERM);
        }
        if said {
            match outer.hear::<Order>() {
                Ok(Some((Order::Signal(number), _))) => {
                    let handed_on = HANDED_ON.contains(&number);
                    if let Some(signal) = handed_on.then(|| Signal::from_named_raw(number)).flatten() {
                        let _gone = kill_process_group(program, signal);
                    }
                }
                // Gone, or mad: the program does not outlive it.
                Ok(_) | Err(_) => return Ok(None),
            }
        }
    }
}

/// Whether one of the signals asks for the end; the others tell of children.
fn asked_to_end(signals: &OwnedFd) -> bool {
    let mut asked = false;
    let mut heard = [0_u8; size_of::<libc::signalfd_siginfo>()];
    while rustix::io::read(signals, &mut heard).is_ok_and(|read| read > 0) {
        // The number is the first member (signalfd(2)).
        let number = heard
            .first_chunk::<4>()
            .map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        asked |= number != libc::SIGCHLD.unsigned_abs();
    }
    asked
}

/// Kills whatever is left of the program and of what it started, and waits for it.
fn end_all() {
    for _ in 0..ROUNDS {
        for pid in tree(getpid().as_raw_nonzero().get()) {
            if let Some(pid) = Pid::from_raw(pid) {
                let _gone = kill_process(pid, Signal::KILL);
            }
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(rustix::io::Errno::INTR) => {}
                // There are no more.
                Err(_) => return,
            }
        }
        std::thread::sleep(ROUND);
    }
}
