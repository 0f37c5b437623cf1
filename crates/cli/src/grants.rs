//! The flags that grant something to a caged program, and what they mean.

use std::path::PathBuf;

use clap::Args;
use mantlet_sandbox::{Grant, Host, Machine, Spec, Tier};

use crate::failure::Failure;

/// What the command line grants.
#[derive(Clone, Debug, Default, Args)]
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

impl Grants {
    /// Adds what is granted.
    pub(crate) fn apply(&self, spec: &mut Spec) -> Result<(), Failure> {
        let machine = machine();
        let full = |path: &PathBuf| -> PathBuf {
            let path = machine.directory.join(path);
            path.components()
                .filter(|part| *part != std::path::Component::CurDir)
                .collect()
        };
        spec.read.extend(self.read.iter().map(full));
        spec.write.extend(self.write.iter().map(full));
        for text in &self.net {
            spec.network.push(grant(text, false)?);
        }
        for text in &self.internal_net {
            spec.network.push(grant(text, true)?);
        }
        let limits = &mut spec.limits;
        limits.memory = self.memory.unwrap_or(limits.memory);
        limits.cpu = self.cpu.unwrap_or(limits.cpu);
        limits.processes = self.processes.unwrap_or(limits.processes);
        limits.disk = self.disk.unwrap_or(limits.disk);
        limits.files = self.files.unwrap_or(limits.files);
        spec.loopback |= self.loopback;
        spec.minimum = self.minimum.unwrap_or(spec.minimum);
        Ok(())
    }
}

/// This machine, as the person who runs the command has it.
pub(crate) fn machine() -> Machine {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Machine {
        path: std::env::split_paths(&path).collect(),
        home: std::env::var_os("HOME")
            .map(PathBuf::from)
            .filter(|home| home.is_absolute()),
        directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
    }
}

fn grant(text: &str, internal: bool) -> Result<Grant, Failure> {
    let (host, dial) = match text.split_once('=') {
        Some((host, address)) => {
            let address = address.parse().map_err(|_| {
                Failure::wrong_use(format!("`{address}` is no ADDRESS:PORT, as `127.0.0.1:8443`"))
            })?;
            (host, Some(address))
        }
        None => (text, None),
    };
    let (host, port) = host
        .rsplit_once(':')
        .ok_or_else(|| Failure::wrong_use("no port"))?;
    let host = match (host.parse(), host.strip_prefix("*.")) {
        (Ok(address), _) => Host::Address(address),
        (_, Some(below)) => Host::Below(below.to_owned()),
        _ => Host::Name(host.to_owned()),
    };
    Ok(Grant {
        host,
        port: port.parse().map_err(|_| Failure::wrong_use("no port"))?,
        dial,
        internal,
    })
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
