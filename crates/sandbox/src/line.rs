//! A line between two processes of Mantlet: whole messages, typed and bounded, with descriptors beside them. What is said
//! on it is the business of whoever holds the ends; `talk` is what Mantlet, a helper and a cage say.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;

use rustix::io::FdFlags;
use rustix::net::RecvFlags;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use crate::helper::CHANNEL;
use crate::{sys, talk};

/// One end. Saying and hearing block.
#[derive(Debug)]
pub struct Line(OwnedFd);

impl Line {
    /// Both ends.
    ///
    /// # Errors
    /// The system has no more descriptors.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (ours, theirs) = talk::pair()?;
        Ok((Self(ours), Self(theirs)))
    }

    /// The end that this process was started with. First thing in a process: every other descriptor but the three
    /// streams is closed.
    ///
    /// # Errors
    /// There is none.
    pub fn inherited() -> io::Result<Self> {
        sys::close_from(CHANNEL.unsigned_abs().saturating_add(1), false)?;
        let end = sys::adopt(CHANNEL)?;
        rustix::io::fcntl_setfd(&end, FdFlags::CLOEXEC)?;
        Ok(Self(end))
    }

    /// The process that the command starts finds this end where `inherited` looks for it. To be kept until it is started.
    pub fn hand_to(&self, command: &mut Command) {
        sys::hand_over(command, &self.0, CHANNEL);
    }

    /// Says something.
    ///
    /// # Errors
    /// The other end has gone, or the message is too large.
    pub fn say<M: Serialize>(&self, message: &M, beside: &[BorrowedFd<'_>]) -> io::Result<()> {
        talk::send(&self.0, message, beside)
    }

    /// Waits for the next message; `None` when the other end has gone.
    ///
    /// # Errors
    /// What came is no such message.
    pub fn hear<M: for<'d> Deserialize<'d>>(&self) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        talk::receive(&self.0, RecvFlags::empty())
    }

    /// The same end within a tokio runtime.
    ///
    /// # Errors
    /// It is no end of a line.
    pub fn open(self) -> io::Result<OpenLine> {
        let socket = std::os::unix::net::UnixDatagram::from(self.0);
        socket.set_nonblocking(true)?;
        // The type stands for "a socket that tells whole messages"; only its readiness is used.
        UnixDatagram::from_std(socket).map(OpenLine)
    }
}

impl From<OwnedFd> for Line {
    fn from(end: OwnedFd) -> Self {
        Self(end)
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// One end, within a tokio runtime.
#[derive(Debug)]
pub struct OpenLine(UnixDatagram);

impl OpenLine {
    /// Says something, as soon as the other end can take it.
    ///
    /// # Errors
    /// The other end has gone, or the message is too large.
    pub async fn say<M: Serialize + Sync>(&self, message: &M, beside: &[BorrowedFd<'_>]) -> io::Result<()> {
        let say = || talk::send(&self.0, message, beside);
        self.0.async_io(Interest::WRITABLE, say).await
    }

    /// The same at once, or never.
    pub(crate) fn say_now<M: Serialize>(&self, message: &M) {
        let _gone = talk::send(&self.0, message, &[]);
    }

    /// Waits for the next message; `None` when the other end has gone.
    ///
    /// # Errors
    /// What came is no such message.
    pub async fn hear<M: for<'d> Deserialize<'d>>(&self) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        let hear = || talk::receive(&self.0, RecvFlags::DONTWAIT);
        self.0.async_io(Interest::READABLE, hear).await
    }

    /// From now on nothing is said or heard on it, as if it were dropped.
    pub fn close(&self) {
        let _closed = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Both);
    }

    /// Waits until the other end has gone, or says what it should not.
    pub async fn ends(&self) {
        let _said = self.hear::<Nothing>().await;
    }
}

/// What nobody says.
#[derive(Deserialize)]
enum Nothing {}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn messages_stay_whole_and_bring_their_descriptors() {
        let (ours, theirs) = Line::pair().unwrap();
        let (read, write) = io::pipe().unwrap();
        ours.say(&"one", &[]).unwrap();
        ours.say(&"two", &[write.as_fd()]).unwrap();
        drop((ours, write));
        let (one, none) = theirs.hear::<String>().unwrap().unwrap();
        assert_eq!((one.as_str(), none.len()), ("one", 0));
        let (two, beside) = theirs.hear::<String>().unwrap().unwrap();
        assert_eq!((two.as_str(), beside.len()), ("two", 1));
        assert!(theirs.hear::<String>().unwrap().is_none());
        drop(beside);
        let mut rest = String::new();
        assert_eq!(
            { read }.read_to_string(&mut rest).unwrap(),
            0,
            "the pipe has ended"
        );
    }

    #[test]
    fn what_is_too_large_or_of_another_type_is_an_error() {
        let (ours, theirs) = Line::pair().unwrap();
        assert!(ours.say(&"x".repeat(200_000), &[]).is_err());
        ours.say(&42, &[]).unwrap();
        assert!(theirs.hear::<String>().is_err());
    }

    #[tokio::test]
    async fn an_end_is_heard_of() {
        let (ours, theirs) = Line::pair().unwrap();
        let (ours, theirs) = (ours.open().unwrap(), theirs.open().unwrap());
        ours.say(&"hello", &[]).await.unwrap();
        assert_eq!(theirs.hear::<String>().await.unwrap().unwrap().0, "hello");
        drop(ours);
        theirs.ends().await;
    }

    #[tokio::test]
    async fn what_is_no_end_of_a_line_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let line = Line::from(OwnedFd::from(file));
        let Ok(line) = line.open() else { return };
        assert!(line.hear::<String>().await.is_err());
    }
}
