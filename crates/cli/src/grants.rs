//! The flags that grant something to a caged program, and what they mean.

use std::net::SocketAddr;
use std::path::{Component, PathBuf};

use clap::Args;
use mantlet_config::cage::{Access, Cage, Destination, Tier, unfit};
use mantlet_config::{CommandLine, Diagnosis, Hidden};

use crate::failure::Failure;
use crate::state;

/// What the command line grants.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct Grants {
    /// A file or folder that it may read; may be given more than once, as all of these
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// A file or folder that it may write
    #[arg(long, value_name = "PATH")]
    write: Vec<PathBuf>,
    /// A host that it may reach: `api.example.com:443`, `*.example.com:443` (`=ADDR:PORT` dials there instead, for tests)
    #[arg(long, value_name = "HOST:PORT[=ADDR:PORT]")]
    net: Vec<String>,
    /// A host that it may reach although its address is not public
    #[arg(long, value_name = "HOST:PORT")]
    internal_net: Vec<String>,
    /// Pass on this variable of the environment (or set it: `NAME=VALUE`)
    #[arg(long = "env", short, value_name = "NAME[=VALUE]")]
    environment: Vec<String>,
    /// A file `/run/secrets/NAME` with the value of this variable of the environment (or this one: `NAME=VALUE`)
    #[arg(long, value_name = "NAME[=VALUE]")]
    secret: Vec<String>,
    /// Memory of all its processes together [default: 1G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Processors that it may keep busy [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    cpu: Option<u32>,
    /// Processes and threads at a time [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    processes: Option<u32>,
    /// Space that it may fill: in its private folders, and again in what it may write [default: 256M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    disk: Option<u64>,
    /// Files that it may add, likewise [default: 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(16..=10_000_000))]
    files: Option<u64>,
    /// It may open TCP ports of its own, seen by nobody outside of the cage
    #[arg(long)]
    loopback: bool,
    /// The weakest cage in which it may start: `strong`, `standard`, `basic`
    #[arg(long, value_name = "TIER", value_parser = tier)]
    minimum: Option<Tier>,
}

/// Where a granted host is dialled instead: for tests.
pub(crate) type Detour = (Destination, SocketAddr);

impl Grants {
    /// The flags that hand something over, by name.
    pub(crate) fn handed(&self) -> Vec<(&'static str, String)> {
        let name = |entry: &String| entry.split('=').next().unwrap_or_default().to_owned();
        let variables = self.environment.iter().map(|entry| ("--env", name(entry)));
        let secrets = self.secret.iter().map(|entry| ("--secret", name(entry)));
        variables.chain(secrets).collect()
    }

    /// Adds what is granted to a command.
    pub(crate) fn apply(&self, line: &mut CommandLine) -> Result<Vec<Detour>, Failure> {
        let Cage::On(cage) = &mut line.cage else {
            return if *self == Self::default() {
                Ok(Vec::new())
            } else {
                Err(Failure::wrong_use(
                    "there is no cage (`sandbox: off`), so nothing can be granted",
                ))
            };
        };
        let machine = mantlet_gateway::machine();
        let state = state::directory();
        let full = |path: &PathBuf, access: Access| -> Result<PathBuf, Failure> {
            let path: PathBuf = machine
                .directory
                .join(path)
                .components()
                .filter(|part| *part != Component::CurDir)
                .collect();
            let home = machine.home.as_deref();
            match unfit(&path, access, home, &[&state]) {
                Some(reason) => Err(Failure::wrong_use(format!(
                    "`{}` cannot be granted: {}\nhelp: {}",
                    path.display(),
                    reason.why,
                    reason.help
                ))),
                None => Ok(path),
            }
        };
        for path in &self.read {
            cage.read.push(full(path, Access::Read)?);
        }
        for path in &self.write {
            cage.write.push(full(path, Access::Write)?);
        }
        let mut detours = Vec::new();
        for text in &self.net {
            let (to, detour) = destination(text)?;
            detours.extend(detour.map(|detour| (to.clone(), detour)));
            cage.network.push(to);
        }
        for text in &self.internal_net {
            let (to, detour) = destination(text)?;
            detours.extend(detour.map(|detour| (to.clone(), detour)));
            cage.internal_network.push(to);
        }
        for entry in &self.secret {
            let (name, value) = variable(entry)?;
            cage.secrets.insert(name, Hidden::new(value));
        }
        for entry in &self.environment {
            let (name, value) = variable(entry)?;
            line.environment.insert(name, Hidden::new(value));
        }
        let limits = &mut cage.limits;
        limits.memory = self.memory.unwrap_or(limits.memory);
        limits.cpu = self.cpu.unwrap_or(limits.cpu);
        limits.processes = self.processes.unwrap_or(limits.processes);
        limits.disk = self.disk.unwrap_or(limits.disk);
        limits.files = self.files.unwrap_or(limits.files);
        cage.loopback |= self.loopback;
        cage.minimum = self.minimum.unwrap_or(cage.minimum);
        Ok(detours)
    }
}

/// `NAME=VALUE`, or `NAME` for what the environment has under that name.
fn variable(entry: &str) -> Result<(String, String), Failure> {
    match entry.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => match std::env::var(entry) {
            Ok(value) => Ok((entry.to_owned(), value)),
            Err(_) => Err(Failure::wrong_use(format!(
                "the variable `{entry}` is not set: set it, or leave it out"
            ))),
        },
    }
}

fn destination(text: &str) -> Result<(Destination, Option<SocketAddr>), Failure> {
    let (host, detour) = match text.split_once('=') {
        Some((host, address)) => {
            let address = address.parse().map_err(|_| {
                Failure::wrong_use(format!(
                    "`{address}` is no ADDRESS:PORT, as `127.0.0.1:8443` is one"
                ))
            })?;
            (host, Some(address))
        }
        None => (text, None),
    };
    let to = Destination::parse(host).map_err(|problem| {
        Failure::wrong_use(Diagnosis::of_file("the command line", problem).render(false))
    })?;
    Ok((to, detour))
}

/// `512M`, `2GiB`, or a number of bytes.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let shift = match unit {
        "" => 0,
        "K" | "k" | "KiB" => 10,
        "M" | "m" | "MiB" => 20,
        "G" | "g" | "GiB" => 30,
        _ => return Err(format!("`{unit}` is no unit: write `K`, `M` or `G`")),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "write a whole number with `K`, `M` or `G`".to_owned())?;
    number
        .checked_mul(1 << shift)
        .filter(|size| *size >= 1 << 20)
        .ok_or_else(|| "it must be at least 1M, and a size".to_owned())
}

fn tier(text: &str) -> Result<Tier, String> {
    match text {
        "strong" => Ok(Tier::Strong),
        "standard" => Ok(Tier::Standard),
        "basic" => Ok(Tier::Basic),
        _ => Err("choose one of `strong`, `standard`, `basic`".to_owned()),
    }
}
