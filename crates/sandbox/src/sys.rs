//! The kernel calls for which no safe wrapper is at hand, each as small as can be. All `unsafe` of the crate that is
//! not a wrapper's own is here; what the calls are for is told where they are used.

use std::ffi::{CString, c_int, c_long, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// What a fork returned.
pub(crate) enum Forked {
    /// To the new process.
    Child,
    /// To the old one: the new one's process id, as the old one sees it.
    Parent(i32),
}

fn result(code: c_long) -> io::Result<c_long> {
    if code < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(code)
    }
}

/// A copy of this process in new namespaces (`CLONE_NEW…`); the copy sees itself as process 1 where those have a PID
/// namespace. The calling process must have one thread.
pub(crate) fn clone_into(namespaces: c_int) -> io::Result<Forked> {
    let flags = c_long::from(namespaces | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with a null stack this is a fork: the child runs on a copy of all memory. The only
    // thread is this one, so that no lock is held by a thread that the copy lacks.
    let code = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    forked(result(code)?)
}

/// A copy of this process. It must have one thread.
pub(crate) fn fork() -> io::Result<Forked> {
    // SAFETY: as for `clone_into`.
    let code = unsafe { libc::fork() };
    forked(result(c_long::from(code))?)
}

fn forked(code: c_long) -> io::Result<Forked> {
    match i32::try_from(code) {
        Ok(0) => Ok(Forked::Child),
        Ok(pid) => Ok(Forked::Parent(pid)),
        Err(_) => Err(io::Error::other("a process id that is none")),
    }
}

/// Ends this process at once: no destructors, no buffers, no handlers. For copies made by a fork.
pub(crate) fn leave(code: u8) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(c_int::from(code)) }
}

/// Marks all descriptors from `first` on to be closed at the next exec, or closes them now.
pub(crate) fn close_from(first: u32, at_exec: bool) -> io::Result<()> {
    let flags = if at_exec { libc::CLOSE_RANGE_CLOEXEC } else { 0 };
    // SAFETY: takes numbers only. Descriptors that this program still owns must not be among those closed now: the
    // callers do it as the first thing of a process, or only mark.
    let code = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) };
    result(code).map(drop)
}

/// Takes a descriptor that another program put there. Its number must be open and owned by nobody here.
pub(crate) fn adopt(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes a number; a closed one is an error.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
    result(c_long::from(flags))?;
    // SAFETY: it is open (just asked), and the caller says that nobody owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// The program that the command starts finds `descriptor` at this number, open. Must live until after the start.
pub(crate) fn hand_over(command: &mut Command, descriptor: &OwnedFd, number: RawFd) {
    let from = descriptor.as_raw_fd();
    let place = move || {
        let code = if from == number {
            // SAFETY: takes numbers.
            unsafe { libc::fcntl(from, libc::F_SETFD, 0) }
        } else {
            // SAFETY: takes numbers. What was at `number` is closed: a copy of what Mantlet owns, in the copy of Mantlet
            // that is about to be another program.
            unsafe { libc::dup2(from, number) }
        };
        result(c_long::from(code)).map(drop)
    };
    // SAFETY: between fork and exec one system call is made; nothing is allocated, no lock is taken.
    unsafe { command.pre_exec(place) };
}

/// The arguments of `mount_setattr(2)`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Sets attributes (`MOUNT_ATTR_…`) on a mount, with all below it when `below`.
pub(crate) fn mount_attributes(mount: BorrowedFd<'_>, set: u64, below: bool) -> io::Result<()> {
    let attributes = MountAttributes {
        set,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if below { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C text, the attributes live across the call and their size is given.
    let code = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    result(code).map(drop)
}

/// A program with its arguments and environment, ready to be run: nothing is allocated between fork and exec.
pub(crate) struct Image {
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    variables: Vec<CString>,
}

impl Image {
    /// `candidates` are full paths, tried in turn.
    pub(crate) fn new(
        candidates: Vec<String>,
        arguments: &[String],
        variables: &[(String, String)],
    ) -> io::Result<Self> {
        let text = |text: String| CString::new(text).map_err(io::Error::other);
        Ok(Self {
            candidates: candidates.into_iter().map(text).collect::<Result<_, _>>()?,
            arguments: arguments.iter().cloned().map(text).collect::<Result<_, _>>()?,
            variables: variables
                .iter()
                .map(|(name, value)| text(format!("{name}={value}")))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Becomes the program; returns only when that failed.
    pub(crate) fn run(&self) -> io::Error {
        let pointers = |texts: &[CString]| {
            let mut pointers: Vec<*const libc::c_char> = texts.iter().map(|text| text.as_ptr()).collect();
            pointers.push(std::ptr::null());
            pointers
        };
        let (arguments, variables) = (pointers(&self.arguments), pointers(&self.variables));
        let mut last = io::Error::from_raw_os_error(libc::ENOENT);
        for program in &self.candidates {
            // SAFETY: the path is a C text, both lists end with a null pointer and hold pointers to C texts that
            // live in `self`.
            unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), variables.as_ptr()) };
            let error = io::Error::last_os_error();
            let absent = matches!(
                error.raw_os_error(),
                Some(libc::ENOENT | libc::ENOTDIR | libc::EACCES)
            );
            if !absent {
                return error;
            }
            // "Not allowed" says more than "not there".
            if error.raw_os_error() == Some(libc::EACCES) || last.raw_os_error() == Some(libc::ENOENT) {
                last = error;
            }
        }
        last
    }
}

/// Whether this process can be traced and dumped by others of the same user.
pub(crate) fn set_dumpable(dumpable: bool) -> io::Result<()> {
    let value = libc::c_ulong::from(dumpable);
    // SAFETY: takes numbers.
    let code = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, value, 0, 0, 0) };
    result(c_long::from(code)).map(drop)
}

/// See `set_dumpable`.
pub(crate) fn is_dumpable() -> bool {
    // SAFETY: takes numbers.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 }
}

/// Installs a seccomp filter; with `listen`, returns the descriptor on which notified calls are heard.
pub(crate) fn install_filter(
    program: &[seccompiler::sock_filter],
    listen: bool,
) -> io::Result<Option<OwnedFd>> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let filter = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    let flags = if listen {
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER
    } else {
        0
    };
    // SAFETY: the program pointer and its length describe `program`, whose elements have the C layout of
    // `sock_filter`; the kernel reads and copies it.
    let code = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const filter,
        )
    };
    let descriptor = RawFd::try_from(result(code)?).map_err(io::Error::other)?;
    if listen {
        adopt(descriptor).map(Some)
    } else {
        Ok(None)
    }
}

/// A notified system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notified {
    pub(crate) id: u64,
    pub(crate) pid: u32,
    pub(crate) call: i32,
    pub(crate) arguments: [u64; 6],
}

/// `SECCOMP_IOCTL_NOTIF_…`: `_IOWR('!', 0, struct seccomp_notif)`, `_IOWR('!', 1, struct seccomp_notif_resp)` (seccomp_unotify(2)).
const NOTIF_RECV: libc::Ioctl = 0xc050_2100;
const NOTIF_SEND: libc::Ioctl = 0xc018_2101;

/// Takes the next notified call; `None` when its caller has gone meanwhile.
pub(crate) fn next_notified(listener: BorrowedFd<'_>) -> io::Result<Option<Notified>> {
    // SAFETY: all its fields are numbers, for which zero is a value (the kernel demands zeroes).
    let mut heard: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the request fits the structure, which lives across the call.
    let code = unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_RECV, &raw mut heard) };
    match result(c_long::from(code)) {
        Ok(_) => Ok(Some(Notified {
            id: heard.id,
            pid: heard.pid,
            call: heard.data.nr,
            arguments: heard.data.args,
        })),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Answers a notified call: it goes on in the kernel (`None`), or fails with an error number.
pub(crate) fn answer_notified(listener: BorrowedFd<'_>, id: u64, refuse: Option<i32>) {
    // SECCOMP_USER_NOTIF_FLAG_CONTINUE is 1.
    let answer = libc::seccomp_notif_resp {
        id,
        val: 0,
        error: refuse.map_or(0, |number| -number),
        flags: u32::from(refuse.is_none()),
    };
    // SAFETY: the request fits the structure, which lives across the call. The caller may have gone: no matter.
    let _gone = unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_SEND, &raw const answer) };
}

/// A descriptor that becomes readable when one of these signals comes; they no longer interrupt.
pub(crate) fn hear_signals(signals: &[c_int]) -> io::Result<OwnedFd> {
    let set = signal_set(signals);
    mask(libc::SIG_BLOCK, &set)?;
    // SAFETY: the set lives across the call.
    let code = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    result(c_long::from(code))?;
    adopt(code)
}

/// As a program expects it at its start: no signal blocked, each handled in its default way.
pub(crate) fn forget_signals() -> io::Result<()> {
    mask(libc::SIG_SETMASK, &signal_set(&[]))?;
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: sets the default, which is no code of ours. Those that cannot be set say so, which is no matter.
        let _kept = unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    Ok(())
}

fn signal_set(signals: &[c_int]) -> libc::sigset_t {
    // SAFETY: a set is plain memory; it is emptied before it is used.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is ours.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in signals {
        // SAFETY: the set is ours; a wrong number is an error without effect.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}

fn mask(how: c_int, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set lives across the call; the old one is not asked for.
    let code = unsafe { libc::sigprocmask(how, std::ptr::from_ref(set), std::ptr::null_mut()) };
    result(c_long::from(code)).map(drop)
}

/// Keeps the process, and what it starts, to the first `count` of the processors that it may use now.
pub(crate) fn keep_to_processors(count: u32) -> io::Result<()> {
    // SAFETY: a set is plain memory, for which zero is the empty set.
    let mut allowed: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set lives across the call and its size is given.
    let code = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut allowed) };
    result(c_long::from(code))?;
    // SAFETY: as above.
    let mut kept: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let mut left = count;
    for processor in 0..size_of::<libc::cpu_set_t>().saturating_mul(8) {
        // SAFETY: the number is within the set.
        let may = unsafe { libc::CPU_ISSET(processor, &allowed) };
        if may && left > 0 {
            // SAFETY: the number is within the set.
            unsafe { libc::CPU_SET(processor, &mut kept) };
            left = left.saturating_sub(1);
        }
    }
    // SAFETY: the set lives across the call and its size is given.
    let code = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const kept) };
    result(c_long::from(code)).map(drop)
}

/// Brings an interface of this network namespace up.
pub(crate) fn interface_up(name: &[u8]) -> io::Result<()> {
    // SAFETY: all fields are numbers, of which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = libc::c_char::try_from(*from).map_err(io::Error::other)?;
    }
    // SAFETY: takes numbers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    result(c_long::from(socket))?;
    let socket = adopt(socket)?;
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP).map_err(io::Error::other)?;
    // SAFETY: the request fits the structure, which lives across the call.
    let code = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    result(c_long::from(code)).map(drop)
}

/// Reads the memory of another process.
pub(crate) fn read_memory(pid: u32, address: u64, into: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec {
        iov_base: into.as_mut_ptr().cast::<c_void>(),
        iov_len: into.len(),
    };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(usize::try_from(address).map_err(io::Error::other)?),
        iov_len: into.len(),
    };
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: the local vector describes `into`; the remote one is an address in the other process, which the kernel
    // checks.
    let code = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    if code < 0 {
        return Err(io::Error::last_os_error());
    }
    usize::try_from(code).map_err(io::Error::other)
}

/// Calls that must be refused within the cage, made with arguments that do no harm where they are not.
pub(crate) fn forbidden() -> Vec<(&'static str, io::Result<c_long>)> {
    let call = |number: c_long, arguments: [c_long; 4]| {
        let [a, b, c, d] = arguments;
        // SAFETY: all arguments are numbers or null pointers, which each of these calls takes or refuses.
        result(unsafe { libc::syscall(number, a, b, c, d, 0, 0) })
    };
    let family = |family: c_int| [c_long::from(family), c_long::from(libc::SOCK_STREAM), 0, 0];
    vec![
        (
            "make a namespace",
            call(libc::SYS_unshare, [c_long::from(libc::CLONE_NEWUSER), 0, 0, 0]),
        ),
        (
            "trace a process",
            call(libc::SYS_ptrace, [c_long::from(libc::PTRACE_TRACEME), 0, 0, 0]),
        ),
        (
            "make calls past the filter (io_uring)",
            call(libc::SYS_io_uring_setup, [1, 0, 0, 0]),
        ),
        ("load code into the kernel", call(libc::SYS_bpf, [0, 0, 0, 0])),
        (
            "use the keys of the session",
            call(libc::SYS_keyctl, [0, -3, 0, 0]),
        ),
        ("mount", call(libc::SYS_mount, [0, 0, 0, 0])),
        (
            "talk to the virtual machine's host",
            call(libc::SYS_socket, family(libc::AF_VSOCK)),
        ),
        (
            "signal process 1",
            call(libc::SYS_kill, [1, c_long::from(libc::SIGCONT), 0, 0]),
        ),
    ]
}

/// The version of Landlock in the kernel (landlock_create_ruleset(2)); 0 for none.
pub(crate) fn landlock_version() -> u32 {
    /// `LANDLOCK_CREATE_RULESET_VERSION`.
    const VERSION: c_long = 1;
    // SAFETY: with this flag the call takes a null pointer and a zero size.
    let code = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, VERSION) };
    u32::try_from(code).unwrap_or_default()
}

/// Asks for memory that can be written and run, and gives it back.
pub(crate) fn memory_for_code() -> io::Result<()> {
    const SIZE: usize = 4_096;
    let may = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new memory, at a place that the kernel chooses.
    let place = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, may, kind, -1, 0) };
    if place == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was mapped just now with this size, and nothing points into it.
    result(c_long::from(unsafe { libc::munmap(place, SIZE) })).map(drop)
}
