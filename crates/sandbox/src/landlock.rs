//! The second wall: what the mounts and the network of the cage leave in sight is granted here again, path by path and
//! port by port, and signals and abstract sockets end at the cage. A mistake in one wall is held by the other.

use std::io;
use std::os::fd::AsFd as _;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, NetPort, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{Mode, OFlags, open};

/// What may be done below a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Read and run.
    Read,
    /// Everything.
    Write,
    /// Read and write what is there: a device.
    Device,
}

/// TCP ports that may be connected to, and whether ports may be opened. `None`: any.
pub(crate) type Ports = Option<Vec<u16>>;

/// The newest rules that this program knows; the kernel enforces those of them that it has.
const NEWEST: ABI = ABI::V9;

/// Restricts this process, and what it starts, for good. Returns whether the kernel enforces all, some, or none of it.
pub(crate) fn restrict(paths: &[(String, Use)], ports: &Ports) -> io::Result<RulesetStatus> {
    let rules = ruleset(paths, ports).map_err(io::Error::other)?;
    let status = rules.restrict_self().map_err(io::Error::other)?;
    Ok(status.ruleset)
}

fn ruleset(paths: &[(String, Use)], ports: &Ports) -> Result<RulesetCreated, RulesetError> {
    let mut handled = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    if ports.is_some() {
        handled = handled.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let mut rules = handled.create()?;
    for (path, may) in paths {
        let access = match may {
            Use::Read => AccessFs::from_read(NEWEST),
            // A device file is never made, and no call of a device's own is needed but on those that are there.
            Use::Write => AccessFs::from_all(NEWEST) & !(AccessFs::MakeBlock | AccessFs::MakeChar),
            Use::Device => AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev,
        };
        // What is not there needs no rule.
        let Ok(place) = open(path.as_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
            continue;
        };
        let folder = rustix::fs::fstat(place.as_fd())
            .is_ok_and(|found| rustix::fs::FileType::from_raw_mode(found.st_mode).is_dir());
        let access = if folder {
            access
        } else {
            access & AccessFs::from_file(NEWEST)
        };
        rules = rules.add_rule(PathBeneath::new(place, access))?;
    }
    for port in ports.iter().flatten() {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    Ok(rules)
}

/// The version of Landlock that the kernel has; 0 for none.
pub(crate) fn version() -> u32 {
    crate::sys::landlock_version()
}

/// What a version can hold.
pub(crate) fn scope_of(version: u32) -> &'static str {
    match version {
        1..=3 => "files",
        4 | 5 => "files, TCP ports",
        _ => "files, TCP ports, signals, abstract sockets",
    }
}
