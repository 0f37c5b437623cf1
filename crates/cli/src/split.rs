//! How `serve` becomes two processes: the launcher is started, then walls are raised around this one, before it has
//! threads or a network.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use mantlet_config::cage::Cage;
use mantlet_config::{ProcessEnvironment, Settings, Transport};
use mantlet_gateway::launcher::{self, LAUNCHER};
use mantlet_sandbox::{Itself, Line, Needs};

use crate::failure::Failure;
use crate::{state, term};

/// How long the launcher may take to see what it started end.
const PATIENCE: Duration = Duration::from_secs(12);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(10);

/// Where the system's resolver and the platform's certificates are.
const RESOLVING: &[&str] = &[
    "/etc",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/var/lib/ca-certificates",
];
/// Files there that are often links to somewhere else.
const LINKS: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];
/// Variables that name other certificates (openssl-env(7)).
const CERTIFICATES: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The launcher's process.
#[derive(Debug)]
pub(crate) struct Running(Child);

/// Starts the launcher for a configuration's file. Returns the line to it, and the configuration as it read it. Before
/// there are threads.
pub(crate) fn start(path: &Path) -> Result<(Running, Line, Settings), Failure> {
    let failed =
        |error: std::io::Error| Failure::could_not_run(format!("the launcher could not be started: {error}"));
    let (line, theirs) = Line::pair().map_err(failed)?;
    let mut command = mantlet_sandbox::again(LAUNCHER).map_err(failed)?;
    command
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // What is sent to the group of this process, such as Ctrl-C, is not meant for it.
        .process_group(0);
    theirs.hand_to(&mut command);
    let running = Running(command.spawn().map_err(failed)?);
    drop(theirs);
    let text = launcher::first(&line).map_err(Failure::wrong_use)?;
    let settings = mantlet_config::of(&text, path, &ProcessEnvironment)
        .map_err(|problems| Failure::wrong_use(problems.render(false)))?;
    Ok((running, line, settings))
}

/// Raises the walls around this process. Makes the folders that it writes, since only those that are there can be
/// granted. Before there are threads.
pub(crate) fn confine(
    settings: &Settings,
    configuration: &Path,
    launcher: &Running,
) -> Result<Itself, Failure> {
    let write = vec![settings.audit.path.clone(), state::notes()];
    for folder in &write {
        state::make(folder)?;
    }
    let needs = Needs {
        read: if connects(settings) {
            resolving()
        } else {
            Vec::new()
        },
        write,
        connects: connects(settings),
        listens: vec![settings.listen.address.port()],
    };
    let mut itself = mantlet_sandbox::confine(&needs).map_err(|error| {
        Failure::could_not_run(format!(
            "the walls around the gateway itself could not be raised: {error}"
        ))
    })?;
    itself.in_force.insert(
        0,
        format!(
            "two processes: this one starts nothing; process {} starts what the configuration names, and listens to nobody else",
            launcher.0.id()
        ),
    );
    if needs.write.iter().any(|folder| holds(folder, configuration)) {
        itself
            .not_in_force
            .push("the configuration's file is in a folder that this process writes: move it".to_owned());
    }
    for what in &itself.not_in_force {
        term::say(&format!("note: not in force for the gateway itself: {what}"));
    }
    Ok(itself)
}

fn holds(folder: &Path, file: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(file).starts_with(real(folder))
}

/// Whether the network-facing process opens connections: to servers, to hosts that servers may reach, to where packages
/// come from.
pub(crate) fn connects(settings: &Settings) -> bool {
    settings.servers.iter().any(|server| match &server.transport {
        Transport::Http(_) => true,
        Transport::Command(line) => match &line.cage {
            Cage::On(cage) => {
                !cage.network.is_empty()
                    || !cage.internal_network.is_empty()
                    || mantlet_sandbox::package::is_fetched(&line.argv)
            }
            Cage::Off => false,
        },
    })
}

fn resolving() -> Vec<PathBuf> {
    let known = RESOLVING.iter().map(PathBuf::from);
    let behind = LINKS
        .iter()
        .filter_map(|link| Some(Path::new(link).canonicalize().ok()?.parent()?.to_owned()))
        // A folder of something else is not opened for one file.
        .filter(|folder| folder.components().count() > 2);
    let named = CERTIFICATES
        .iter()
        .filter_map(|name| std::env::var_os(name).map(PathBuf::from));
    known.chain(behind).chain(named).collect()
}

impl Running {
    /// Waits until it has seen what it started end; its line must have been left.
    pub(crate) fn wait(mut self) {
        let end = Instant::now().checked_add(PATIENCE);
        while matches!(self.0.try_wait(), Ok(None)) && end.is_some_and(|end| Instant::now() < end) {
            std::thread::sleep(LOOK);
        }
    }
}
