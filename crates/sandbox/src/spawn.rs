//! Starting a caged program from Mantlet, which may have threads: the same binary is run again as the helper, with an
//! empty environment and one channel. Everything about the program travels over that channel.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::process::Child;

use crate::egress::Doors;
use crate::event::Event;
use crate::helper::CHANNEL;
use crate::proof::Proof;
use crate::spec::Spec;
use crate::sys;
use crate::talk::{self, Order, Word};

/// The argument with which the binary is run again; its `main` then calls `help` before anything else.
pub const HELPER: &str = "cage-helper";

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

/// A cage that is being built, or stands.
#[derive(Debug)]
pub struct Cage {
    channel: UnixDatagram,
    doors: Option<Doors>,
}

/// What a cage says next.
#[derive(Debug)]
pub enum Said {
    /// The program was seen trying something.
    Saw(Event),
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
    let (ours, theirs) = talk::pair()?;
    talk::send(&ours, &Order::Build(Box::new(spec.clone()), trials), &[])?;
    let mut command = helper()?;
    command
        .stdin(streams.input)
        .stdout(streams.output)
        .stderr(streams.errors);
    sys::hand_over(&mut command, &theirs, CHANNEL);
    #[expect(clippy::disallowed_types, reason = "it is this very program")]
    let child = tokio::process::Command::from(command).spawn()?;
    drop(theirs);
    // The type stands for "a socket that tells whole messages"; only its readiness is used.
    let ours = std::os::unix::net::UnixDatagram::from(ours);
    ours.set_nonblocking(true)?;
    let channel = UnixDatagram::from_std(ours)?;
    Ok((child, Cage { channel, doors: None }))
}

/// The file of this very program: also when it was replaced on disk meanwhile.
fn helper() -> io::Result<Command> {
    let program = PathBuf::from("/proc/self/exe");
    let program = if program.exists() {
        program
    } else {
        std::env::current_exe()?
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "it is this very program, which builds the cage"
    )]
    let mut command = Command::new(program);
    command.arg0("mantlet").arg(HELPER).env_clear().current_dir("/");
    Ok(command)
}

impl Cage {
    /// Waits until the program runs in its cage.
    ///
    /// # Errors
    /// It does not, and why.
    pub async fn stands(&mut self) -> Result<Proof, Fell> {
        loop {
            match self.next().await? {
                Some((Word::Stands(proof), _)) => return Ok(*proof),
                Some((Word::Doors(ports), descriptors)) => self.doors = Some(doors(ports, descriptors)?),
                Some((Word::Fell(why), _)) => return Err(Fell::Cage(why)),
                Some(_) => {}
                None => return Err(Fell::Cage("the helper ended while it built the cage".to_owned())),
            }
        }
    }

    /// The sockets of the cage's network, to be served by `egress`; once.
    pub fn doors(&mut self) -> Option<Doors> {
        self.doors.take()
    }

    /// What it says next; `None` when the helper has gone, and with it the cage.
    ///
    /// # Errors
    /// The channel is broken: the cage ends with it.
    pub async fn said(&self) -> io::Result<Option<Said>> {
        loop {
            match self.next().await? {
                Some((Word::Saw(event), _)) => return Ok(Some(Said::Saw(event))),
                Some((Word::Ended(code), _)) => return Ok(Some(Said::Ended(code))),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Asks the program to end (SIGTERM).
    pub fn terminate(&self) {
        let _gone = talk::send(&self.channel, &Order::Terminate, &[]);
    }

    /// Ends the program with all that it started, at once. So does dropping the cage.
    pub fn kill(&self) {
        let _gone = talk::send(&self.channel, &Order::Kill, &[]);
    }

    async fn next(&self) -> io::Result<Option<(Word, Vec<OwnedFd>)>> {
        let receive = || talk::receive(&self.channel, RecvFlags::DONTWAIT);
        self.channel.async_io(Interest::READABLE, receive).await
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
