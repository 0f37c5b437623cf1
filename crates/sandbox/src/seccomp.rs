//! Which system calls a caged program may make: an allow-list by purpose, everything else is "not implemented". A few
//! calls that no server makes by accident are heard by the helper, which refuses and reports them; so is `connect`,
//! which it reports and lets go on, since the network of the cage decides about that.
//!
//! Known ways round a filter are closed here: calls of another architecture end the program (32-bit calls are not the
//! same numbers), `clone3` does not exist (its flags are in memory, where a filter cannot look), arguments are compared
//! as the 32 bits that the kernel takes (CVE-2019-10063), io_uring does not exist (it makes calls that no filter sees),
//! and data cannot be sent while connecting (TCP fast open passes by `connect`).

mod calls;
pub(crate) mod itself;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use self::calls::{ALLOWED, NOT_OF_THE_HELPER, OLDER, TELLING};
use crate::sys;

/// `SECCOMP_RET_USER_NOTIF` (seccomp(2)), for which the library has no name.
const HEARD: u32 = 0x7fc0_0000;
/// A stand-in that is replaced by it: no other rule returns this.
const STAND_IN: u32 = 0x4d54;
const RET_TRACE: u32 = 0x7ff0_0000;
/// A return statement with a constant (`BPF_RET | BPF_K`).
const BPF_RETURN: u16 = 0x06;

/// Whether this call opens a file for writing: such a one is heard, and goes on.
pub(crate) fn opens(call: i32) -> bool {
    let call = c_long::from(call);
    #[cfg(target_arch = "x86_64")]
    if call == libc::SYS_creat {
        return true;
    }
    OPEN.iter().any(|(number, ..)| *number == call)
}

/// The name of a telling call.
pub(crate) fn telling(call: i32) -> Option<&'static str> {
    let call = c_long::from(call);
    let set_ids = CHANGE_MODE.iter().any(|(number, _)| *number == call);
    let told = TELLING.iter().find(|(_, number)| *number == call);
    told.map(|(name, _)| *name)
        .or(set_ids.then_some("chmod (set-user-ID)"))
}

/// Which sockets there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sockets {
    /// Local ones, TCP and UDP: in a network of its own.
    Inside,
    /// Connected pairs only: in the network of the machine.
    Pairs,
}

/// Both filters, made before the fork: what a child does between fork and exec is kept small.
pub(crate) struct Filters {
    allow: BpfProgram,
    lacking: BpfProgram,
    heard: Option<BpfProgram>,
}

impl Filters {
    /// `heard`: whether the helper can hear calls.
    pub(crate) fn new(heard: bool, sockets: Sockets) -> io::Result<Self> {
        let heard = if heard { Some(hearing(&[])?) } else { None };
        let allow = allowing(heard.is_some(), sockets)?;
        Ok(Self {
            allow,
            lacking: lacking()?,
            heard,
        })
    }

    /// Those of a recording cage: the helper also hears these calls, and lets them go on.
    pub(crate) fn recording(further: &[c_long], sockets: Sockets) -> io::Result<Self> {
        Ok(Self {
            heard: Some(hearing(further)?),
            ..Self::new(true, sockets)?
        })
    }

    /// Installs them in this process for good; it must not be able to gain privileges any more. Returns where the
    /// heard calls are heard.
    pub(crate) fn install(&self) -> io::Result<Option<OwnedFd>> {
        let listener = match &self.heard {
            Some(program) => sys::install_filter(program, true)?,
            None => None,
        };
        sys::install_filter(&self.lacking, false)?;
        sys::install_filter(&self.allow, false)?;
        Ok(listener)
    }
}

/// Holds the helper itself, for good.
pub(crate) fn confine_helper() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    let rules: Rules = NOT_OF_THE_HELPER.iter().map(|call| (*call, Vec::new())).collect();
    let program = compile(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno(libc::EPERM)),
    )?;
    sys::install_filter(&program, false).map(drop)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn allowing(heard: bool, sockets: Sockets) -> io::Result<BpfProgram> {
    let mut rules: Rules = ALLOWED
        .iter()
        .copied()
        .flatten()
        .chain(OLDER)
        .map(|call| (*call, Vec::new()))
        .collect();
    if heard {
        // The other filter refuses them; this one would win over it.
        rules.extend(TELLING.iter().map(|(_, call)| (*call, Vec::new())));
    }
    // Limits of this process only: those of process 1 are not the program's.
    rules.insert(libc::SYS_prlimit64, vec![rule(&[equal(0, 0)?])?]);
    without_set_ids(&mut rules, heard)?;
    // Threads and children, but no new namespace.
    rules.insert(libc::SYS_clone, vec![rule(&[none_of(0, NEW_NAMESPACE)?])?]);
    // Without a network of its own not even a local socket: it could be connected to those of the machine.
    // A pair of datagram sockets could be connected elsewhere as well (unix(7)).
    if sockets == Sockets::Inside {
        rules.insert(libc::SYS_connect, Vec::new());
        rules.insert(libc::SYS_socket, sockets_inside()?);
        rules.insert(libc::SYS_socketpair, local_sockets()?);
    } else {
        rules.insert(libc::SYS_socketpair, pairs()?);
    }
    rules.insert(libc::SYS_sendto, vec![rule(&[none_of(3, FAST_OPEN)?])?]);
    rules.insert(libc::SYS_sendmsg, vec![rule(&[none_of(2, FAST_OPEN)?])?]);
    rules.insert(libc::SYS_sendmmsg, vec![rule(&[none_of(3, FAST_OPEN)?])?]);
    rules.insert(libc::SYS_ioctl, vec![ioctl()?]);
    // The execution domain can be asked for, and be what it is.
    let plain = [0, 0xffff_ffff].map(|value| rule(&[equal(0, value)?]));
    rules.insert(
        libc::SYS_personality,
        plain.into_iter().collect::<io::Result<_>>()?,
    );
    let rules = without_special_files(rules)?;
    // ENOSYS: programs that probe for a call then take another way.
    compile(
        rules,
        SeccompAction::Errno(errno(libc::ENOSYS)),
        SeccompAction::Allow,
    )
}

fn hearing(further: &[c_long]) -> io::Result<BpfProgram> {
    let mut rules: Rules = TELLING.iter().map(|(_, call)| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_connect, Vec::new());
    for (call, argument) in CHANGE_MODE {
        rules.insert(*call, with_set_ids(*argument)?);
    }
    for (call, flags, _) in OPEN {
        let mode = number(libc::O_ACCMODE);
        let writes = [libc::O_WRONLY, libc::O_RDWR].map(|how| rule(&[masked(*flags, mode, number(how))?]));
        rules.insert(*call, writes.into_iter().collect::<io::Result<_>>()?);
    }
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_creat, Vec::new());
    // A recording cage hears of each, whatever its arguments; but set-user-id bits are refused there as well.
    let recorded = further
        .iter()
        .filter(|call| !CHANGE_MODE.iter().any(|(number, _)| number == *call));
    rules.extend(recorded.map(|call| (*call, Vec::new())));
    let mut program = compile(rules, SeccompAction::Allow, SeccompAction::Trace(STAND_IN))?;
    for statement in &mut program {
        if statement.code == BPF_RETURN && statement.k == RET_TRACE | STAND_IN {
            statement.k = HEARD;
        }
    }
    Ok(program)
}

/// All of `CLONE_NEW…`.
const NEW_NAMESPACE: u64 = 0x7e02_0000;
const FAST_OPEN: u64 = 0x2000_0000;
/// The type of a socket without its flags.
const KIND: u64 = 0xf;

fn sockets_inside() -> io::Result<Vec<SeccompRule>> {
    let (stream, datagram) = (number(libc::SOCK_STREAM), number(libc::SOCK_DGRAM));
    let mut rules = local_sockets()?;
    for family in [libc::AF_INET, libc::AF_INET6] {
        // The protocol is part of it: others (MPTCP, SCTP, raw) go past rules made for TCP and UDP.
        for (kind, protocol) in [(stream, 0), (stream, 6), (datagram, 0), (datagram, 17)] {
            rules.push(rule(&[
                equal(0, number(family))?,
                masked(1, KIND, kind)?,
                equal(2, protocol)?,
            ])?);
        }
    }
    // Asking for the addresses of one's own interfaces (`NETLINK_ROUTE`).
    rules.push(rule(&[equal(0, number(libc::AF_NETLINK))?, equal(2, 0)?])?);
    Ok(rules)
}

fn pairs() -> io::Result<Vec<SeccompRule>> {
    [libc::SOCK_STREAM, libc::SOCK_SEQPACKET]
        .map(|kind| rule(&[equal(0, number(libc::AF_UNIX))?, masked(1, KIND, number(kind))?]))
        .into_iter()
        .collect()
}

fn local_sockets() -> io::Result<Vec<SeccompRule>> {
    Ok(vec![rule(&[equal(0, number(libc::AF_UNIX))?])?])
}

/// No keystrokes into a terminal, no other console, no terminal to control, no line discipline.
fn ioctl() -> io::Result<SeccompRule> {
    let refused = [
        libc::TIOCSTI,
        libc::TIOCLINUX,
        libc::TIOCCONS,
        libc::TIOCSCTTY,
        libc::TIOCSETD,
        libc::TIOCVHANGUP,
    ];
    let conditions = refused.map(|request| condition(1, Is::Ne, request & 0xffff_ffff));
    rule(&conditions.into_iter().collect::<io::Result<Vec<_>>>()?)
}

/// `mknod` makes ordinary files, pipes and sockets, no devices.
fn without_special_files(mut rules: Rules) -> io::Result<Rules> {
    let ordinary = |argument| {
        [0, libc::S_IFREG, libc::S_IFIFO, libc::S_IFSOCK]
            .map(|kind| {
                let kind = masked(argument, u64::from(libc::S_IFMT), u64::from(kind))?;
                rule(&[kind, none_of(argument, SET_IDS)?])
            })
            .into_iter()
            .collect::<io::Result<Vec<_>>>()
    };
    rules.insert(libc::SYS_mknodat, ordinary(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_mknod, ordinary(1)?);
    Ok(rules)
}

/// A file that runs with its owner's rights would do so outside of the cage as well, where it was planted.
const SET_IDS: u64 = (libc::S_ISUID | libc::S_ISGID) as u64;

/// The calls that change a file's mode, and which of their arguments that is.
const CHANGE_MODE: &[(c_long, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (libc::SYS_fchmodat2, 2),
];
/// Those that make a file with a mode: the arguments with flags, which say whether one is made, and with the mode.
const OPEN: &[(c_long, u8, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1, 2),
    (libc::SYS_openat, 2, 3),
];

fn without_set_ids(rules: &mut Rules, heard: bool) -> io::Result<()> {
    for (call, argument) in CHANGE_MODE {
        // Where they are heard the other filter refuses them.
        if !heard {
            rules.insert(*call, vec![rule(&[none_of(*argument, SET_IDS)?])?]);
        }
    }
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_creat, vec![rule(&[none_of(1, SET_IDS)?])?]);
    let makes = number(libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY));
    for (call, flags, mode) in OPEN {
        let opens = rule(&[none_of(*flags, makes)?])?;
        rules.insert(*call, vec![opens, rule(&[none_of(*mode, SET_IDS)?])?]);
    }
    Ok(())
}

/// The set-id bits in a mode, each way: a filter compares for equality.
fn with_set_ids(argument: u8) -> io::Result<Vec<SeccompRule>> {
    [libc::S_ISUID, libc::S_ISGID]
        .map(|bit| rule(&[masked(argument, u64::from(bit), u64::from(bit))?]))
        .into_iter()
        .collect()
}

/// Calls that a program can do without when it is told that the file system lacks them: space that is allocated without
/// being written is not seen by those who count it.
fn lacking() -> io::Result<BpfProgram> {
    let rules = Rules::from([(libc::SYS_fallocate, Vec::new())]);
    compile(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno(libc::EOPNOTSUPP)),
    )
}

fn compile(rules: Rules, otherwise: SeccompAction, listed: SeccompAction) -> io::Result<BpfProgram> {
    let machine = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    SeccompFilter::new(rules, otherwise, listed, machine)
        .and_then(BpfProgram::try_from)
        .map_err(io::Error::other)
}

fn rule(conditions: &[SeccompCondition]) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions.to_vec()).map_err(io::Error::other)
}

// Each of these arguments is an `int` in the kernel: the upper half of the register is not looked at, there and here.
fn condition(argument: u8, is: Is, value: u64) -> io::Result<SeccompCondition> {
    SeccompCondition::new(argument, Width::Dword, is, value).map_err(io::Error::other)
}

fn equal(argument: u8, value: u64) -> io::Result<SeccompCondition> {
    condition(argument, Is::Eq, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> io::Result<SeccompCondition> {
    condition(argument, Is::MaskedEq(mask), value)
}

fn none_of(argument: u8, bits: u64) -> io::Result<SeccompCondition> {
    masked(argument, bits, 0)
}

fn number(constant: libc::c_int) -> u64 {
    u64::from(constant.unsigned_abs())
}

fn errno(number: libc::c_int) -> u32 {
    number.unsigned_abs()
}
