//! Which system calls Mantlet's own network-facing process may make: those of a caged program, less whatever runs a
//! program, makes a process, or reaches another one. Local sockets are connected pairs only: behind the others of a
//! machine is often somebody who starts programs when asked (a container daemon, the session's bus).

use std::io;

use libc::c_long;
use seccompiler::{BpfProgram, SeccompAction, SeccompRule};

use super::{
    ALLOWED, FAST_OPEN, KIND, NEW_NAMESPACE, OLDER, Rules, compile, equal, errno, ioctl, masked, none_of,
    number, rule,
};

/// What a caged program may do and Mantlet need not.
const NOT_OURS: &[c_long] = &[
    // Another program, another process.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_setpgid,
    libc::SYS_setsid,
    libc::SYS_setpriority,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    // Another user, other rights; and no further walls, which a filter of its own could make a mockery of these.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_seccomp,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
    // Much of the kernel for nothing that is needed here.
    libc::SYS_mknodat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_splice,
    libc::SYS_tee,
    libc::SYS_vmsplice,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    libc::SYS_io_setup,
    libc::SYS_io_submit,
    libc::SYS_io_getevents,
    libc::SYS_io_cancel,
    libc::SYS_io_destroy,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
];
#[cfg(target_arch = "x86_64")]
const NOT_OURS_OLDER: &[c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_inotify_init,
    libc::SYS_mknod,
];
#[cfg(not(target_arch = "x86_64"))]
const NOT_OURS_OLDER: &[c_long] = &[];

/// The filter; `connects`: whether there is anybody to look up and to connect to. For a process that has one thread yet: all later ones have it.
pub(crate) fn filter(connects: bool) -> io::Result<BpfProgram> {
    let not_ours = |call: &c_long| NOT_OURS.contains(call) || NOT_OURS_OLDER.contains(call);
    let mut rules: Rules = ALLOWED
        .iter()
        .copied()
        .flatten()
        .chain(OLDER)
        .filter(|call| !not_ours(call))
        .map(|call| (*call, Vec::new()))
        .collect();
    if connects {
        rules.insert(libc::SYS_connect, Vec::new());
    }
    // Data sent while connecting would pass by the rules about connecting.
    for (call, flags) in [
        (libc::SYS_sendto, 3),
        (libc::SYS_sendmsg, 2),
        (libc::SYS_sendmmsg, 3),
    ] {
        rules.insert(call, vec![rule(&[none_of(flags, FAST_OPEN)?])?]);
    }
    // Threads only; `clone3` does not exist.
    let thread = number(libc::CLONE_VM | libc::CLONE_THREAD);
    rules.insert(
        libc::SYS_clone,
        vec![rule(&[masked(0, thread | NEW_NAMESPACE, thread)?])?],
    );
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![rule(&[equal(0, own)?])?]);
    rules.insert(libc::SYS_prlimit64, vec![rule(&[equal(0, 0)?])?]);
    rules.insert(libc::SYS_ioctl, vec![ioctl()?]);
    rules.insert(libc::SYS_socket, sockets(connects)?);
    // A pair of datagram sockets could be led elsewhere (unix(7)); these are connected for good.
    let pairs = [libc::SOCK_STREAM, libc::SOCK_SEQPACKET]
        .map(|kind| rule(&[equal(0, number(libc::AF_UNIX))?, masked(1, KIND, number(kind))?]));
    rules.insert(
        libc::SYS_socketpair,
        pairs.into_iter().collect::<io::Result<_>>()?,
    );
    // What was written is never run: code comes from files (libraries of the resolver) and cannot be changed.
    let (write, run) = (number(libc::PROT_WRITE), number(libc::PROT_EXEC));
    rules.insert(libc::SYS_mprotect, vec![rule(&[none_of(2, run)?])?]);
    rules.insert(
        libc::SYS_mmap,
        vec![
            rule(&[none_of(2, run)?])?,
            rule(&[none_of(2, write)?, none_of(3, number(libc::MAP_ANONYMOUS))?])?,
        ],
    );
    compile(
        rules,
        SeccompAction::Errno(errno(libc::ENOSYS)),
        SeccompAction::Allow,
    )
}

/// TCP, to listen and to connect; UDP and the addresses of the machine's interfaces only where names are looked up.
fn sockets(connects: bool) -> io::Result<Vec<SeccompRule>> {
    let (stream, datagram) = (number(libc::SOCK_STREAM), number(libc::SOCK_DGRAM));
    let tcp = [(stream, 0), (stream, 6)];
    let udp = [(datagram, 0), (datagram, 17)];
    let kinds = tcp.iter().chain(udp.iter().filter(|_| connects));
    let mut rules = Vec::new();
    for (kind, protocol) in kinds {
        for family in [libc::AF_INET, libc::AF_INET6] {
            rules.push(rule(&[
                equal(0, number(family))?,
                masked(1, KIND, *kind)?,
                equal(2, *protocol)?,
            ])?);
        }
    }
    if connects {
        rules.push(rule(&[equal(0, number(libc::AF_NETLINK))?, equal(2, 0)?])?);
    }
    Ok(rules)
}
