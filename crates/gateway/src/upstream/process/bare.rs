//! A server without a cage, as `sandbox: off` asks for: it has all rights of the user, but an environment that starts
//! empty. Its keeper (in the crate `sandbox`) ends it with all that it started.

use std::path::PathBuf;

use mantlet_config::CommandLine;
use mantlet_sandbox::Bare;

/// What a server's process inherits besides what the configuration grants: where to find programs and its
/// home, how to write text; no variable that usually holds a secret.
const INHERITED: &[&str] = &[
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
];

/// What the keeper is told.
pub(crate) fn bare(line: &CommandLine) -> Bare {
    let inherited = INHERITED
        .iter()
        .filter(|name| !line.environment.contains_key(**name))
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    let granted = line
        .environment
        .iter()
        .map(|(name, value)| (name.clone(), value.expose().to_owned()));
    let here = || std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    Bare {
        argv: line.argv.clone(),
        environment: inherited.chain(granted).collect(),
        directory: line.directory.clone().unwrap_or_else(here),
    }
}
