//! Starting a program from Mantlet, which may have threads: the same binary is run again, as the helper of a cage or as
//! the keeper of a program without one, with an empty environment and one line. Everything about the program travels
//! over that line; who holds its other end holds the program.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tokio::process::Child;

use crate::egress::Doors;
use crate::event::Event;
use crate::keeper::Bare;
use crate::learn::Trace;
use crate::line::{Line, OpenLine};
use crate::proof::Proof;
use crate::spec::Spec;
use crate::talk::{Order, Word};

/// The argument with which the binary is run again; its `main` then calls `help` before anything else.
pub const HELPER: &str = "cage-helper";
/// The same for `look_after`.
pub const KEEPER: &str = "server-keeper";

/// The three streams of the program.
#[derive(Debug)]
pub struct Streams {
    /// Its standard input.
    pub input: Stdio,
    /// Its standard output.
    pub output: Stdio,
    /// Its standard error.
    pub errors: Stdio,
}

/// A cage that is being built, or stands; or a keeper, with the program that it keeps.
#[derive(Debug)]
pub struct Cage {
    line: OpenLine,
    doors: Option<Doors>,
    learnt: Vec<Trace>,
}

/// What a cage says next.
#[derive(Debug)]
pub enum Said {
    /// The program was seen trying something.
    Saw(Event),
    /// The program of a recording cage used this.
    Learnt(Vec<Trace>),
    /// The program has ended with this code, with all that it started.
    Ended(u8),
}

/// Why there is no cage.
#[derive(Debug, thiserror::Error)]
pub enum Fell {
    /// The helper could not be started, or went away.
    #[error("the helper that builds the cage could not be run: {0}")]
    Helper(#[from] io::Error),
    /// The cage could not be built, or the program not started in it.
    #[error("{0}")]
    Cage(String),
}

/// Starts the helper for this program. Returns the helper's process, which must be waited for, and the cage, which must
/// be waited for with `stands`. Within a tokio runtime. `trials`: a process within the walls first tries what it must
/// not be able to do.
///
/// # Errors
/// The helper could not be started.
pub fn start(spec: &Spec, streams: Streams, trials: bool) -> Result<(Child, Cage), Fell> {
    let (child, line) = build(spec, streams, trials)?;
    Ok((child, Cage::at(line)?))
}

/// The same, for whoever hands the line on to another process.
///
/// # Errors
/// The helper could not be started.
pub fn build(spec: &Spec, streams: Streams, trials: bool) -> Result<(Child, Line), Fell> {
    order(HELPER, &Order::Build(Box::new(spec.clone()), trials), streams)
}

/// Starts a keeper for this program, which gets no cage. To be waited for with `runs`, otherwise as `build`.
///
/// # Errors
/// The keeper could not be started.
pub fn keep(bare: Bare, streams: Streams) -> Result<(Child, Line), Fell> {
    order(KEEPER, &Order::Keep(Box::new(bare)), streams)
}

fn order(argument: &str, order: &Order, streams: Streams) -> Result<(Child, Line), Fell> {
    let (ours, theirs) = Line::pair()?;
    ours.say(order, &[])?;
    let mut command = again(argument)?;
    command
        .env_clear()
        .current_dir("/")
        .stdin(streams.input)
        .stdout(streams.output)
        .stderr(streams.errors);
    theirs.hand_to(&mut command);
    let child = tokio::process::Command::from(command).spawn()?;
    Ok((child, ours))
}

/// A command that runs this very program again, also when its file was replaced meanwhile.
///
/// # Errors
/// The program's file cannot be found.
pub fn again(argument: &str) -> io::Result<Command> {
    let program = PathBuf::from("/proc/self/exe");
    let program = if program.exists() {
        program
    } else {
        std::env::current_exe()?
    };
    #[expect(clippy::disallowed_methods, reason = "it is this very program")]
    let mut command = Command::new(program);
    command.arg0("mantlet").arg(argument);
    Ok(command)
}

impl Cage {
    /// The cage, or the keeper, at the other end of a line. Within a tokio runtime.
    ///
    /// # Errors
    /// There is nothing at its other end.
    pub fn at(line: Line) -> io::Result<Self> {
        Ok(Self {
            line: line.open()?,
            doors: None,
            learnt: Vec::new(),
        })
    }

    /// Waits until the program runs in its cage.
    ///
    /// # Errors
    /// It does not, and why.
    pub async fn stands(&mut self) -> Result<Proof, Fell> {
        loop {
            match self.next().await? {
                Some((Word::Stands(proof), _)) => return Ok(*proof),
                Some((Word::Doors(ports), descriptors)) => self.doors = Some(doors(ports, descriptors)?),
                Some((Word::Learnt(traces), _)) => self.learnt.extend(traces),
                Some((Word::Fell(why), _)) => return Err(Fell::Cage(why)),
                Some(_) => {}
                None => return Err(Fell::Cage("the helper ended while it built the cage".to_owned())),
            }
        }
    }

    /// Waits until the program runs with its keeper, without a cage.
    ///
    /// # Errors
    /// It does not, and why.
    pub async fn runs(&self) -> Result<(), Fell> {
        match self.next().await? {
            Some((Word::Runs, _)) => Ok(()),
            Some((Word::Fell(why), _)) => Err(Fell::Cage(why)),
            Some(_) | None => Err(Fell::Cage("the keeper did not start the program".to_owned())),
        }
    }

    /// The sockets of the cage's network, to be served by `egress`; once.
    pub fn doors(&mut self) -> Option<Doors> {
        self.doors.take()
    }

    /// What a recording cage told while it was built; once.
    pub fn learnt(&mut self) -> Vec<Trace> {
        std::mem::take(&mut self.learnt)
    }

    /// What it says next; `None` when the helper has gone, and with it the cage.
    ///
    /// # Errors
    /// The channel is broken: the cage ends with it.
    pub async fn said(&self) -> io::Result<Option<Said>> {
        loop {
            match self.next().await? {
                Some((Word::Saw(event), _)) => return Ok(Some(Said::Saw(event))),
                Some((Word::Learnt(traces), _)) => return Ok(Some(Said::Learnt(traces))),
                Some((Word::Ended(code), _)) => return Ok(Some(Said::Ended(code))),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Asks the program to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(libc::SIGTERM);
    }

    /// Sends a signal to the program: one of those by which programs are told to end, to stop, or to look again.
    pub fn signal(&self, number: i32) {
        self.line.say_now(&Order::Signal(number));
    }

    /// Ends the program with all that it started, at once. So does dropping the cage.
    pub fn kill(&self) {
        self.line.say_now(&Order::Kill);
    }

    async fn next(&self) -> io::Result<Option<(Word, Vec<OwnedFd>)>> {
        self.line.hear().await
    }
}

fn doors(ports: Vec<u16>, descriptors: Vec<OwnedFd>) -> io::Result<Doors> {
    let mut descriptors = descriptors.into_iter();
    let resolver = descriptors.next().map(UdpSocket::from);
    let listeners = ports
        .into_iter()
        .zip(descriptors.map(TcpListener::from))
        .collect();
    Ok(Doors { resolver, listeners })
}
