//! From the words of the configuration to what is started: packages that a launcher would fetch are installed first, in
//! a cage of their own; then the program is found, with what it needs.

use std::path::PathBuf;
use std::sync::Arc;

use mantlet_config::CommandLine;
use mantlet_config::cage::{CageSettings, Destination, Host, Tier};
use mantlet_sandbox::egress::Witness;
use mantlet_sandbox::package::{Ask, Launch, Store, prepare};
use mantlet_sandbox::{self as sandbox, Grant, Limits, Machine, Spec, settle};

/// What is to be started.
#[derive(Debug)]
pub enum Start {
    /// A program in a cage.
    Caged(Box<Spec>),
    /// A container, which is a cage of its own: the program that asks for it needs the rights of the user.
    Container(Vec<String>),
}

/// Makes a command ready to be started; installs its package when it is not there yet. What the installation tries goes to
/// the witness. Returns also what the person should know.
///
/// # Errors
/// In words: what is not there, could not be fetched, or must not be granted.
pub async fn ready(
    server: &str,
    line: &CommandLine,
    cage: &CageSettings,
    witness: Arc<dyn Witness>,
) -> Result<(Start, Vec<String>), String> {
    let mut spec = spec(line, cage);
    let machine = machine();
    let variable = |name: &str| {
        let granted = line.environment.get(name).map(|value| value.expose().to_owned());
        granted.or_else(|| std::env::var(name).ok())
    };
    let store = packages();
    if let Some(path) = cage
        .write
        .iter()
        .find(|path| store.starts_with(path) || path.starts_with(&store))
    {
        return Err(format!(
            "`{}` cannot be granted for writing: the packages of other servers are in `{}`",
            path.display(),
            store.display()
        ));
    }
    let ask = Ask {
        argv: &line.argv,
        server,
        machine: &machine,
        variable: &variable,
        further: &[],
        limits: &spec.limits,
        networked: !spec.network.is_empty(),
    };
    let launch = prepare(&ask, &Store::new(store), witness)
        .await
        .map_err(|failure| failure.to_string())?;
    let mut hints = match launch {
        Launch::Plain(hints) => hints,
        Launch::Package(package) => {
            package.apply(&mut spec);
            package.hints
        }
        Launch::Container(container) => return Ok((Start::Container(container.argv), container.hints)),
    };
    hints.extend(settle(&mut spec, &machine)?);
    Ok((Start::Caged(Box::new(spec)), hints))
}

/// This machine, as the user has it.
#[must_use]
pub fn machine() -> Machine {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Machine {
        path: std::env::split_paths(&path).collect(),
        home: folder("HOME"),
        directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
    }
}

/// Where installed packages are (XDG Base Directory Specification).
fn packages() -> PathBuf {
    folder("XDG_CACHE_HOME")
        .or_else(|| Some(folder("HOME")?.join(".cache")))
        .unwrap_or_else(|| PathBuf::from("/var/cache"))
        .join("mantlet/packages")
}

fn folder(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// What the configuration grants, in the words of the cage.
fn spec(line: &CommandLine, settings: &CageSettings) -> Spec {
    let mut spec = Spec::new(line.argv.clone());
    spec.environment = ["LANG", "LC_ALL", "LC_CTYPE", "TZ"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .filter(|(name, _)| !line.environment.contains_key(name))
        .collect();
    let granted = line.environment.iter();
    spec.environment
        .extend(granted.map(|(name, value)| (name.clone(), value.expose().to_owned())));
    spec.directory.clone_from(&line.directory);
    spec.read.clone_from(&settings.read);
    spec.write.clone_from(&settings.write);
    let secrets = settings.secrets.iter();
    spec.secrets = secrets
        .map(|(name, value)| (name.clone(), value.expose().to_owned()))
        .collect();
    let public = settings.network.iter().map(|to| grant(to, false));
    let internal = settings.internal_network.iter().map(|to| grant(to, true));
    spec.network = public.chain(internal).collect();
    spec.loopback = settings.loopback;
    let limits = &settings.limits;
    spec.limits = Limits {
        memory: limits.memory,
        cpu: limits.cpu,
        processes: limits.processes,
        disk: limits.disk,
        files: limits.files,
        descriptors: limits.descriptors,
    };
    spec.minimum = match settings.minimum {
        Tier::Basic => sandbox::Tier::Basic,
        Tier::Standard => sandbox::Tier::Standard,
        Tier::Strong => sandbox::Tier::Strong,
    };
    spec
}

fn grant(to: &Destination, internal: bool) -> Grant {
    Grant {
        host: match &to.host {
            Host::Name(name) => sandbox::Host::Name(name.clone()),
            Host::Below(name) => sandbox::Host::Below(name.clone()),
            Host::Address(address) => sandbox::Host::Address(*address),
        },
        port: to.port,
        dial: None,
        internal,
    }
}
