//! The helper: a process of one thread, the same binary run again, that stands between Mantlet and one cage. It makes
//! the namespaces, starts process 1 in them, then watches from outside: limits, refused calls, the end. When Mantlet
//! goes, it ends the cage; when it goes itself, the kernel does.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::net::RecvFlags;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getegid, geteuid, kill_process, pidfd_open,
    pidfd_send_signal, waitid,
};

use crate::basic::Scratch;
use crate::event::Event;
use crate::guarded::StandIns;
use crate::heard::Ear;
use crate::init::{self, Kind};
use crate::limits::Group;
use crate::plants::Plants;
use crate::proof::{self, Proof, Trial};
use crate::seccomp;
use crate::spec::Spec;
use crate::sys::{self, Forked};
use crate::talk::{self, Order, Word};
use crate::tier;
use crate::watch::{Watch, tree};

/// Where Mantlet puts its end of the channel.
pub(crate) const CHANNEL: i32 = 3;
/// The code of a helper that could not do its work.
const FAILED: u8 = 125;
/// A program that was killed (128 + SIGKILL).
const KILLED: u8 = 137;

/// Rounds in which processes that start others faster than they are killed are met.
const ROUNDS: u32 = 20;

const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Runs as the helper: to be called first thing in a process that `start` made, before it has threads. Returns the code
/// with which that process ends.
#[must_use]
pub fn help() -> u8 {
    let Ok(outer) = channel() else { return FAILED };
    match serve(&outer) {
        Ok(code) => code,
        Err(error) => {
            let _gone = talk::send(&outer, &Word::Fell(error.to_string()), &[]);
            FAILED
        }
    }
}

/// Nothing else that was open in Mantlet, or in what started it, may reach the cage.
fn channel() -> io::Result<OwnedFd> {
    sys::close_from(CHANNEL.unsigned_abs().saturating_add(1), false)?;
    let outer = sys::adopt(CHANNEL)?;
    rustix::io::fcntl_setfd(&outer, FdFlags::CLOEXEC)?;
    Ok(outer)
}

fn serve(outer: &OwnedFd) -> io::Result<u8> {
    let _only_a_name = rustix::thread::set_name(c"mantlet-cage");
    let Some((Order::Build(spec, trials), _)) = talk::receive(outer, RecvFlags::empty())? else {
        return Ok(FAILED);
    };
    let _already_one = rustix::process::setsid();
    let stand_ins = StandIns::make(&spec.write);
    let user = Kind::Namespaces(geteuid().as_raw(), getegid().as_raw());
    let scratch;
    let stood = match attempt(outer, &spec, user, trials)? {
        Attempt::Closed(why) => {
            tier::basic_instead(&spec, &why)?;
            scratch = Scratch::make()?;
            attempt(outer, &spec, Kind::Basic(scratch.path()), trials)?
        }
        other => other,
    };
    match stood {
        Attempt::Stood(cage, listener, proof, ear) => {
            let_go_of_streams()?;
            seccomp::confine_helper()?;
            let code = cage.watch(&spec, listener, *proof, *ear);
            drop(stand_ins);
            code
        }
        Attempt::Gone(code) => Ok(code),
        Attempt::Closed(why) => Err(io::Error::other(why)),
    }
}

/// What came of building a cage.
enum Attempt<'a> {
    /// The program runs.
    Stood(Cage<'a>, Option<OwnedFd>, Box<Proof>, Box<Ear>),
    /// This user may not have what it is made of, and why.
    Closed(String),
    /// It ended, and Mantlet knows why, or has gone itself.
    Gone(u8),
}

fn attempt<'a>(outer: &'a OwnedFd, spec: &Spec, kind: Kind<'_>, trials: bool) -> io::Result<Attempt<'a>> {
    let (inner, theirs) = talk::pair()?;
    let namespaces = match kind {
        Kind::Namespaces(..) => NAMESPACES,
        Kind::Basic(_) => 0,
    };
    let pid = match sys::clone_into(namespaces) {
        Ok(Forked::Child) => {
            drop(inner);
            init::run(spec, kind, theirs, trials)
        }
        Ok(Forked::Parent(pid)) => Pid::from_raw(pid).ok_or_else(|| io::Error::other("no process id"))?,
        Err(error) => return Ok(Attempt::Closed(tier::why_no_namespaces(&error))),
    };
    drop(theirs);
    let cage = Cage {
        outer,
        handle: pidfd_open(pid, PidfdFlags::empty())?,
        group: Group::make(&spec.limits, pid.as_raw_nonzero().get()),
        pid,
        basic: namespaces == 0,
    };
    let mut ear = Ear::new(spec);
    let outcome = cage.stand(spec, &inner, &mut ear);
    match outcome {
        Ok(Standing::Stands(listener, proof)) => Ok(Attempt::Stood(cage, listener, proof, Box::new(ear))),
        Ok(Standing::Closed(why)) => {
            cage.kill();
            cage.wait()?;
            Ok(Attempt::Closed(why))
        }
        Ok(Standing::Falls) => {
            cage.kill();
            Ok(Attempt::Gone(cage.wait()?))
        }
        Err(error) => {
            cage.kill();
            Err(error)
        }
    }
}

/// The program's input and output are its own: they must end with it.
fn let_go_of_streams() -> io::Result<()> {
    let nothing = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    Ok(())
}

struct Cage<'a> {
    outer: &'a OwnedFd,
    handle: OwnedFd,
    group: Option<Group>,
    pid: Pid,
    basic: bool,
}

/// Whether a cage stands.
enum Standing {
    Stands(Option<OwnedFd>, Box<Proof>),
    Closed(String),
    Falls,
}

impl Cage<'_> {
    /// Waits until the program runs, or does not.
    fn stand(&self, spec: &Spec, inner: &OwnedFd, ear: &mut Ear) -> io::Result<Standing> {
        talk::send(inner, &Order::Go, &[])?;
        let (mut listener, mut tried): (Option<OwnedFd>, Option<(String, Vec<Trial>)>) = (None, None);
        loop {
            let mut waiting = vec![
                PollFd::new(inner, PollFlags::IN),
                PollFd::new(self.outer, PollFlags::empty()),
            ];
            waiting.extend(
                listener
                    .iter()
                    .map(|listener| PollFd::new(listener, PollFlags::IN)),
            );
            poll(&mut waiting, None)?;
            let ready: Vec<PollFlags> = waiting.iter().map(PollFd::revents).collect();
            if ready.get(1).is_some_and(|flags| flags.contains(PollFlags::HUP)) {
                return Ok(Standing::Falls);
            }
            // In a recording cage the very start of the program is a call that waits to be heard.
            if let Some(heard) = listener
                .as_ref()
                .filter(|_| ready.first().is_some_and(|flags| flags.is_empty()))
            {
                ear.hear(heard.as_fd(), || {});
                continue;
            }
            match talk::receive::<Word>(inner, RecvFlags::empty())? {
                Some((word @ Word::Doors(_), doors)) => {
                    let doors: Vec<_> = doors.iter().map(|door| door.as_fd()).collect();
                    talk::send(self.outer, &word, &doors)?;
                }
                Some((word @ Word::Learnt(_), _)) => talk::send(self.outer, &word, &[])?,
                Some((Word::Listener, beside)) => listener = beside.into_iter().next(),
                Some((Word::Tried(status, trials), _)) => tried = Some((status, trials)),
                Some((word @ Word::Fell(_), _)) => {
                    talk::send(self.outer, &word, &[])?;
                    return Ok(Standing::Falls);
                }
                Some((Word::Closed(why), _)) => return Ok(Standing::Closed(why)),
                Some(_) => return Err(io::Error::other("the cage said what it does not say")),
                None => break,
            }
        }
        if spec.learn.is_some() && listener.is_none() {
            return Err(io::Error::other(
                "nothing can be recorded here: this is within a cage already, or the kernel has no seccomp notification",
            ));
        }
        let keeps = self.group.as_ref().map(|group| group.keeps.as_slice());
        let proof = if self.basic {
            proof::of_basic(spec, listener.is_some(), tried)
        } else {
            proof::gather(spec, keeps.unwrap_or_default(), listener.is_some(), tried)
        };
        Ok(Standing::Stands(listener, Box::new(proof)))
    }

    /// Says that the program runs; then watches it until it ends, or must.
    fn watch(
        &self,
        spec: &Spec,
        mut listener: Option<OwnedFd>,
        proof: Proof,
        mut ear: Ear,
    ) -> io::Result<u8> {
        let signals = sys::hear_signals(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP])?;
        if proof.tier < spec.minimum {
            let why = format!(
                "this machine's cage is `{}`, and `{}` is asked for: {}",
                proof.tier,
                spec.minimum,
                proof.missing.join("; ")
            );
            self.kill();
            talk::send(self.outer, &Word::Fell(why), &[])?;
            return self.end();
        }
        talk::send(self.outer, &Word::Stands(Box::new(proof)), &[])?;
        let plants = Plants::watch(&spec.write);
        let mut watch = Watch::new(spec, self.pid, self.group.as_ref());
        loop {
            let mut waiting = vec![
                PollFd::new(self.outer, PollFlags::IN),
                PollFd::new(&self.handle, PollFlags::IN),
                PollFd::new(&signals, PollFlags::IN),
            ];
            waiting.extend(
                listener
                    .iter()
                    .map(|listener| PollFd::new(listener, PollFlags::IN)),
            );
            waiting.extend(plants.iter().map(|plants| PollFd::new(plants, PollFlags::IN)));
            let pause = Timespec::try_from(watch.pause().min(ear.pause())).map_err(io::Error::other)?;
            poll(&mut waiting, Some(&pause))?;
            let ready: Vec<PollFlags> = waiting.iter().map(PollFd::revents).collect();
            let is = |at: usize| ready.get(at).is_some_and(|flags| !flags.is_empty());
            if is(1) || (is(0) && self.obey()) {
                // What it did last is told as well.
                let last = plants
                    .iter()
                    .flat_map(Plants::look)
                    .chain(ear.ripe())
                    .chain(watch.killed());
                last.into_iter().try_for_each(|event| self.say(event))?;
                return self.end();
            }
            if is(2) {
                let mut heard = [0_u8; size_of::<libc::signalfd_siginfo>()];
                while rustix::io::read(&signals, &mut heard).is_ok_and(|read| read > 0) {}
                self.signal(Signal::TERM);
            }
            let mut over = None;
            if let Some(heard) = listener.as_ref().filter(|_| is(3)) {
                ear.hear(heard.as_fd(), || {
                    over = watch.opens();
                    if over.is_some() {
                        // Before it is answered: the file is not opened any more.
                        self.kill();
                    }
                });
            }
            // Nobody is left who could be heard.
            if ready.get(3).is_some_and(|flags| flags.contains(PollFlags::HUP)) {
                listener = None;
            }
            for event in plants.iter().flat_map(Plants::look).chain(ear.ripe()) {
                self.say(event)?;
            }
            loop {
                let learnt = ear.learnt(self.pid);
                if learnt.is_empty() || talk::send(self.outer, &Word::Learnt(learnt), &[]).is_err() {
                    break;
                }
            }
            if let Some(event) = over.or_else(|| watch.look()) {
                self.kill();
                self.say(event)?;
                return self.end();
            }
        }
    }

    /// Does what Mantlet says; returns whether that ended the cage.
    fn obey(&self) -> bool {
        match talk::receive::<Order>(self.outer, RecvFlags::empty()) {
            Ok(Some((Order::Signal(number), _))) => {
                let handed_on = init::HANDED_ON.contains(&number);
                if let Some(signal) = handed_on.then(|| Signal::from_named_raw(number)).flatten() {
                    self.signal(signal);
                }
                false
            }
            // Gone, or mad: the cage does not outlive it.
            Ok(_) | Err(_) => {
                self.kill();
                true
            }
        }
    }

    /// An event must not hold up the watch: when Mantlet does not listen, it is lost, but the limits are kept.
    fn say(&self, event: Event) -> io::Result<()> {
        talk::send_now(self.outer, &Word::Saw(event))
    }

    fn signal(&self, signal: Signal) {
        let _gone = pidfd_send_signal(&self.handle, signal);
    }

    /// Process 1 of a PID namespace takes everything in it along. Without one, whoever is left comes to its first process,
    /// which is ended last.
    fn kill(&self) {
        for _ in 0..ROUNDS {
            let tree = if self.basic {
                tree(self.pid.as_raw_nonzero().get())
            } else {
                Vec::new()
            };
            if tree.is_empty() {
                break;
            }
            for pid in tree.into_iter().filter_map(Pid::from_raw) {
                let _gone = kill_process(pid, Signal::KILL);
            }
        }
        self.signal(Signal::KILL);
    }

    /// Waits for the end of process 1; with which code the program ended.
    fn wait(&self) -> io::Result<u8> {
        let ended = waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED)?;
        let code = ended.and_then(|status| status.exit_status());
        Ok(code.map_or(KILLED, |code| u8::try_from(code).unwrap_or(u8::MAX)))
    }

    /// Waits for the end, and says so.
    fn end(&self) -> io::Result<u8> {
        let code = self.wait()?;
        let _gone = talk::send(self.outer, &Word::Ended(code), &[]);
        Ok(code)
    }
}
