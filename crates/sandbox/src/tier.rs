//! Which cage this machine can have, and what to say where it is less than asked for.

use std::io;

/// Namespaces could not be made: why, and what helps.
pub(crate) fn no_namespaces(error: &io::Error) -> io::Error {
    let help = match error.raw_os_error() {
        Some(libc::ENOSPC) => "the system allows no more user namespaces: raise `user.max_user_namespaces`",
        Some(libc::EPERM) => {
            "the system does not let this user make a user namespace: see `kernel.unprivileged_userns_clone` and `kernel.apparmor_restrict_unprivileged_userns`"
        }
        Some(libc::EINVAL) => "the kernel lacks a kind of namespace",
        _ => "no namespaces could be made",
    };
    io::Error::new(error.kind(), format!("{help} ({error})"))
}
