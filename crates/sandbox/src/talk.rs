//! What Mantlet, the helper and the cage say to each other, over sequenced packets on an inherited socket: one message
//! a packet, JSON, bounded, with descriptors beside it where a message has some.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::keeper::Bare;
use crate::learn::Trace;
use crate::proof::{Proof, Trial};
use crate::spec::Spec;

/// Bytes of one message.
const PACKET: usize = 160 * 1024;
/// Descriptors beside one message.
const DESCRIPTORS: usize = 64;

/// From Mantlet to the helper.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Order {
    /// Build this cage, and try its walls first when so said.
    Build(Box<Spec>, bool),
    /// To a keeper: start this program.
    Keep(Box<Bare>),
    /// To process 1 of the cage: everything outside is ready.
    Go,
    /// Send this signal to the program.
    Signal(i32),
    /// End it, with all that it started.
    Kill,
}

/// From the helper, and from within the cage while it is built, to Mantlet.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Word {
    /// Sockets of the cage's network: the resolver's first, then the listeners of these ports.
    Doors(Vec<u16>),
    /// The descriptor on which refused calls are heard: for the helper.
    Listener,
    /// What Landlock is, and what a process within the walls tried: for the helper.
    Tried(String, Vec<Trial>),
    /// The program runs, in this cage.
    Stands(Box<Proof>),
    /// The program runs, without a cage.
    Runs,
    /// It does not, and why.
    Fell(String),
    /// This user may not have what the cage is made of, and why: for the helper.
    Closed(String),
    /// Something was tried.
    Saw(Event),
    /// The program of a recording cage used this.
    Learnt(Vec<Trace>),
    /// The program has ended with this code (128 and the signal, when one ended it).
    Ended(u8),
}

/// Two ends of a channel, closed at exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Sends one message.
pub(crate) fn send<M: Serialize>(
    channel: impl AsFd,
    message: &M,
    beside: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    if text.len() > PACKET {
        return Err(io::Error::other(format!(
            "the grants, arguments and variables of one program take more than {PACKET} bytes"
        )));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !beside.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(beside)) {
        return Err(io::Error::other(format!(
            "more than {DESCRIPTORS} network grants"
        )));
    }
    sendmsg(
        channel,
        &[IoSlice::new(&text)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Sends one message if the other side can take it now.
pub(crate) fn send_now<M: Serialize>(channel: impl AsFd, message: &M) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let _lost = rustix::net::send(channel, &text, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    Ok(())
}

/// Takes the next message with its descriptors; `None` when the other side has gone.
pub(crate) fn receive<M: for<'d> Deserialize<'d>>(
    channel: impl AsFd,
    flags: RecvFlags,
) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
    let mut text = vec![0; PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let heard = recvmsg(
        channel,
        &mut [IoSliceMut::new(&mut text)],
        &mut ancillary,
        flags | RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut beside = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            beside.extend(descriptors);
        }
    }
    if heard.bytes == 0 {
        return Ok(None);
    }
    let text = text.get(..heard.bytes).unwrap_or_default();
    #[expect(
        clippy::disallowed_methods,
        reason = "no message of a client or server: our own words"
    )]
    let message = serde_json::from_slice(text)?;
    Ok(Some((message, beside)))
}
