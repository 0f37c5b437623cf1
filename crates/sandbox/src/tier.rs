//! Which cage this machine can have, and what to say where it is less than asked for. INVARIANT: a weaker cage than the
//! one asked for is never built.

use std::io;

use crate::basic;
use crate::spec::{Spec, Tier};

/// Namespaces could not be made: why, and what helps.
pub(crate) fn why_no_namespaces(error: &io::Error) -> String {
    let help = match error.raw_os_error() {
        Some(libc::ENOSPC) => "no more user namespaces are allowed: raise `user.max_user_namespaces`",
        Some(libc::ENOSYS) => "this process is in a sandbox that allows no namespaces",
        Some(libc::EINVAL) => "the kernel lacks a kind of namespace",
        _ => {
            "this user may not make namespaces: see `kernel.unprivileged_userns_clone`, and on Ubuntu load the AppArmor profile of docs/operations.md"
        }
    };
    format!("{help} ({error})")
}

/// Whether the weakest cage may stand in. An error says why there is none.
pub(crate) fn basic_instead(spec: &Spec, why: &str) -> io::Result<()> {
    if spec.minimum > Tier::Basic {
        return Err(io::Error::other(format!(
            "a `{}` cage is asked for, and there are no namespaces: {why}",
            spec.minimum
        )));
    }
    match basic::unfit(spec) {
        Some(unfit) => Err(io::Error::other(format!("{unfit}: {why}"))),
        None => Ok(()),
    }
}
