//! Which system calls a caged program may make: an allow-list by purpose, everything else is "not implemented". A few
//! calls that no server makes by accident are heard by the helper, which refuses and reports them; so is `connect`,
//! which it reports and lets go on, since the network of the cage decides about that.
//!
//! Known ways round a filter are closed here: calls of another architecture end the program (32-bit calls are not the
//! same numbers), `clone3` does not exist (its flags are in memory, where a filter cannot look), arguments are compared
//! as the 32 bits that the kernel takes (CVE-2019-10063), io_uring does not exist (it makes calls that no filter sees),
//! and data cannot be sent while connecting (TCP fast open passes by `connect`).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use crate::sys;

/// `SECCOMP_RET_USER_NOTIF` (seccomp(2)), for which the library has no name.
const HEARD: u32 = 0x7fc0_0000;
/// A stand-in that is replaced by it: no other rule returns this.
const STAND_IN: u32 = 0x4d54;
const RET_TRACE: u32 = 0x7ff0_0000;
/// A return statement with a constant (`BPF_RET | BPF_K`).
const BPF_RETURN: u16 = 0x06;

/// The calls by purpose.
const ALLOWED: &[&[c_long]] = &[
    // Files and folders, by path and by descriptor.
    &[
        libc::SYS_openat,
        libc::SYS_close,
        libc::SYS_close_range,
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_pread64,
        libc::SYS_pwrite64,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_preadv,
        libc::SYS_pwritev,
        libc::SYS_preadv2,
        libc::SYS_pwritev2,
        libc::SYS_lseek,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_getdents64,
        libc::SYS_getcwd,
        libc::SYS_chdir,
        libc::SYS_fchdir,
        libc::SYS_mkdirat,
        libc::SYS_unlinkat,
        libc::SYS_renameat,
        libc::SYS_renameat2,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_readlinkat,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_fchmodat2,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_utimensat,
        libc::SYS_truncate,
        libc::SYS_ftruncate,
        libc::SYS_fallocate,
        libc::SYS_fadvise64,
        libc::SYS_readahead,
        libc::SYS_sync,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_syncfs,
        libc::SYS_sync_file_range,
        libc::SYS_flock,
        libc::SYS_statfs,
        libc::SYS_fstatfs,
        libc::SYS_umask,
        libc::SYS_copy_file_range,
        libc::SYS_sendfile,
        libc::SYS_splice,
        libc::SYS_tee,
        libc::SYS_vmsplice,
        libc::SYS_getxattr,
        libc::SYS_lgetxattr,
        libc::SYS_fgetxattr,
        libc::SYS_listxattr,
        libc::SYS_llistxattr,
        libc::SYS_flistxattr,
        libc::SYS_setxattr,
        libc::SYS_lsetxattr,
        libc::SYS_fsetxattr,
        libc::SYS_removexattr,
        libc::SYS_lremovexattr,
        libc::SYS_fremovexattr,
        libc::SYS_mknodat,
    ],
    // Descriptors, waiting, notification.
    &[
        libc::SYS_dup,
        libc::SYS_dup3,
        libc::SYS_fcntl,
        libc::SYS_pipe2,
        libc::SYS_ppoll,
        libc::SYS_pselect6,
        libc::SYS_epoll_create1,
        libc::SYS_epoll_ctl,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
        libc::SYS_eventfd2,
        libc::SYS_signalfd4,
        libc::SYS_timerfd_create,
        libc::SYS_timerfd_settime,
        libc::SYS_timerfd_gettime,
        libc::SYS_inotify_init1,
        libc::SYS_inotify_add_watch,
        libc::SYS_inotify_rm_watch,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_send_signal,
        libc::SYS_io_setup,
        libc::SYS_io_submit,
        libc::SYS_io_getevents,
        libc::SYS_io_cancel,
        libc::SYS_io_destroy,
    ],
    // Memory.
    &[
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_msync,
        libc::SYS_mincore,
        libc::SYS_mlock,
        libc::SYS_mlock2,
        libc::SYS_munlock,
        libc::SYS_mlockall,
        libc::SYS_munlockall,
        libc::SYS_membarrier,
        libc::SYS_pkey_alloc,
        libc::SYS_pkey_free,
        libc::SYS_pkey_mprotect,
        libc::SYS_get_mempolicy,
        libc::SYS_set_mempolicy,
        libc::SYS_mbind,
        libc::SYS_rseq,
    ],
    // Processes, threads, signals.
    &[
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_wait4,
        libc::SYS_waitid,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_tgkill,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigsuspend,
        libc::SYS_rt_sigpending,
        libc::SYS_rt_sigtimedwait,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_futex,
        libc::SYS_futex_waitv,
        libc::SYS_set_robust_list,
        libc::SYS_get_robust_list,
        libc::SYS_set_tid_address,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_getppid,
        libc::SYS_getpgid,
        libc::SYS_setpgid,
        libc::SYS_getsid,
        libc::SYS_setsid,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_getparam,
        libc::SYS_sched_setparam,
        libc::SYS_sched_getscheduler,
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_get_priority_max,
        libc::SYS_sched_get_priority_min,
        libc::SYS_sched_rr_get_interval,
        libc::SYS_sched_getattr,
        libc::SYS_getpriority,
        libc::SYS_setpriority,
        libc::SYS_ioprio_get,
        libc::SYS_getcpu,
        libc::SYS_prlimit64,
        libc::SYS_getrlimit,
        libc::SYS_setrlimit,
        libc::SYS_getrusage,
        libc::SYS_times,
        libc::SYS_setitimer,
        libc::SYS_getitimer,
        libc::SYS_timer_create,
        libc::SYS_timer_settime,
        libc::SYS_timer_gettime,
        libc::SYS_timer_getoverrun,
        libc::SYS_timer_delete,
        libc::SYS_seccomp,
        libc::SYS_prctl,
        libc::SYS_capget,
        libc::SYS_capset,
        libc::SYS_landlock_create_ruleset,
        libc::SYS_landlock_add_rule,
        libc::SYS_landlock_restrict_self,
    ],
    // Who and where am I, what time is it, give me randomness. Setting a user id is allowed: there is only one.
    &[
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getegid,
        libc::SYS_getresuid,
        libc::SYS_getresgid,
        libc::SYS_getgroups,
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setfsuid,
        libc::SYS_setfsgid,
        libc::SYS_setgroups,
        libc::SYS_uname,
        libc::SYS_sysinfo,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_gettimeofday,
    ],
    // Sockets: `socket`, `socketpair` and what sends are ruled below.
    &[
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_getsockname,
        libc::SYS_getpeername,
        libc::SYS_setsockopt,
        libc::SYS_getsockopt,
        libc::SYS_recvfrom,
        libc::SYS_recvmsg,
        libc::SYS_recvmmsg,
        libc::SYS_shutdown,
    ],
];

/// Calls that were there before others took their place, on the architectures that have them.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_readlink,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_getdents,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_signalfd,
    libc::SYS_inotify_init,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_getpgrp,
    libc::SYS_pause,
    libc::SYS_alarm,
    libc::SYS_time,
    libc::SYS_arch_prctl,
    libc::SYS_mknod,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

/// Calls that no server makes by accident, with their names: heard, refused and reported.
const TELLING: &[(&str, c_long)] = &[
    ("ptrace", libc::SYS_ptrace),
    ("process_vm_readv", libc::SYS_process_vm_readv),
    ("process_vm_writev", libc::SYS_process_vm_writev),
    ("mount", libc::SYS_mount),
    ("umount2", libc::SYS_umount2),
    ("pivot_root", libc::SYS_pivot_root),
    ("open_tree", libc::SYS_open_tree),
    ("move_mount", libc::SYS_move_mount),
    ("mount_setattr", libc::SYS_mount_setattr),
    ("fsopen", libc::SYS_fsopen),
    ("fspick", libc::SYS_fspick),
    ("setns", libc::SYS_setns),
    ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ("bpf", libc::SYS_bpf),
    ("init_module", libc::SYS_init_module),
    ("finit_module", libc::SYS_finit_module),
    ("delete_module", libc::SYS_delete_module),
    ("kexec_load", libc::SYS_kexec_load),
    ("reboot", libc::SYS_reboot),
    ("swapon", libc::SYS_swapon),
    ("swapoff", libc::SYS_swapoff),
    ("acct", libc::SYS_acct),
    ("settimeofday", libc::SYS_settimeofday),
    ("clock_settime", libc::SYS_clock_settime),
    ("sethostname", libc::SYS_sethostname),
    ("setdomainname", libc::SYS_setdomainname),
    ("pidfd_getfd", libc::SYS_pidfd_getfd),
];

/// The name of a telling call.
pub(crate) fn telling(call: i32) -> Option<&'static str> {
    TELLING
        .iter()
        .find(|(_, number)| *number == c_long::from(call))
        .map(|(name, _)| *name)
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
    heard: Option<BpfProgram>,
}

impl Filters {
    /// `heard`: whether the helper can hear calls.
    pub(crate) fn new(heard: bool, sockets: Sockets) -> io::Result<Self> {
        let heard = if heard { Some(hearing()?) } else { None };
        let allow = allowing(heard.is_some(), sockets)?;
        Ok(Self { allow, heard })
    }

    /// Installs them in this process for good; it must not be able to gain privileges any more. Returns where the
    /// heard calls are heard.
    pub(crate) fn install(&self) -> io::Result<Option<OwnedFd>> {
        let listener = match &self.heard {
            Some(program) => sys::install_filter(program, true)?,
            None => None,
        };
        sys::install_filter(&self.allow, false)?;
        Ok(listener)
    }
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
    rules.insert(libc::SYS_connect, Vec::new());
    if heard {
        // The other filter refuses them; this one would win over it.
        rules.extend(TELLING.iter().map(|(_, call)| (*call, Vec::new())));
    }
    // Threads and children, but no new namespace.
    rules.insert(libc::SYS_clone, vec![rule(&[none_of(0, NEW_NAMESPACE)?])?]);
    // Without a network of its own not even a local socket: it could be connected to those of the machine.
    if sockets == Sockets::Inside {
        rules.insert(libc::SYS_socket, sockets_inside()?);
    }
    rules.insert(libc::SYS_socketpair, local_sockets()?);
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

fn hearing() -> io::Result<BpfProgram> {
    let mut rules: Rules = TELLING.iter().map(|(_, call)| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_connect, Vec::new());
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
            .map(|kind| rule(&[masked(argument, u64::from(libc::S_IFMT), u64::from(kind))?]))
            .into_iter()
            .collect::<io::Result<Vec<_>>>()
    };
    rules.insert(libc::SYS_mknodat, ordinary(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_mknod, ordinary(1)?);
    Ok(rules)
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
