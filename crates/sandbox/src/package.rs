//! Launchers that fetch what they run (`npx`, `uvx` and their like). The package is installed in a cage of its own, which
//! reaches the registry and writes one folder; the server is then started from that folder, which it can only read,
//! without the launcher and without its network. Also what starts a container, which is a cage of its own.
//!
//! What is installed stays: a server does not change from one start to the next because somebody published something.
//! Nothing here keeps a person from granting a server the store itself (`write`): that grant is to be refused elsewhere.

mod container;
mod digest;
mod flags;
mod node;
mod npx;
mod phase;
mod python;
mod registry;
mod start;
mod store;
mod uvx;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

pub use container::Container;
pub use store::Store;

use crate::egress::Witness;
use crate::settle::{Hint, Machine};
use crate::spec::{Grant, Limits, Spec};
use digest::Depth;
use store::{Record, Room};

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The command as it was written.
    pub argv: &'a [String],
    /// The server's name: its packages are its own.
    pub server: &'a str,
    /// The machine.
    pub machine: &'a Machine,
    /// The variables that the command would have had. Only a few are asked for, by name: where packages come from.
    pub variable: &'a (dyn Fn(&str) -> Option<String> + Send + Sync),
    /// Hosts that an installation may reach besides the registry.
    pub further: &'a [Grant],
    /// The limits of the server, for a container.
    pub limits: &'a Limits,
    /// Whether something of the network is granted to the server, for a container.
    pub networked: bool,
}

/// How the command is to be run.
#[derive(Clone, Debug)]
pub enum Launch {
    /// As it is written, in its cage.
    Plain(Vec<Hint>),
    /// From an installed package, in its cage.
    Package(Package),
    /// Outside of a cage, with other words.
    Container(Container),
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// What is run in place of the command.
    pub argv: Vec<String>,
    /// The folder that it needs, to be read only.
    pub runtime: PathBuf,
    /// Its name, and its version as far as it says.
    pub name: String,
    /// See `name`.
    pub version: String,
    /// Whether it was installed just now.
    pub fresh: bool,
    /// What the person should know.
    pub hints: Vec<Hint>,
}

impl Package {
    /// Puts it in the place of the command, before the specification is settled.
    pub fn apply(&self, spec: &mut Spec) {
        spec.argv.clone_from(&self.argv);
        spec.runtime.push(self.runtime.clone());
    }
}

/// Why a command cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It never can: what is written must change.
    #[error("{0}")]
    Unfit(String),
    /// It could not now.
    #[error("{0}")]
    Failed(String),
}

/// What a command is, by its words alone.
enum Wanted {
    Plain(Vec<Hint>),
    Npm(npx::Wanted),
    Python(uvx::Wanted),
    Container,
}

/// What the parts of an installation need to know.
struct Context<'a> {
    ask: &'a Ask<'a>,
    /// With the launcher's own folder first: its installer is beside it.
    machine: &'a Machine,
    witness: &'a Arc<dyn Witness>,
}

/// Finds out how a command is to be run, and installs its package when it is not there yet: in a cage, within the time
/// that the store gives, and not twice at once. What the installation tries goes to the witness. Within a tokio runtime;
/// dropping the future ends the installation.
///
/// # Errors
/// See [`Failure`].
pub async fn prepare(ask: &Ask<'_>, store: &Store, witness: Arc<dyn Witness>) -> Result<Launch, Failure> {
    let wanted = recognise(ask.argv).map_err(Failure::Unfit)?;
    let wanted = match wanted {
        Wanted::Plain(hints) => return Ok(Launch::Plain(hints)),
        Wanted::Container => {
            let container = container::harden(ask.argv, ask.machine, ask.limits, ask.networked);
            return container.map(Launch::Container).map_err(Failure::Unfit);
        }
        wanted => wanted,
    };
    if let Wanted::Npm(npm) = &wanted
        && let Some(local) = node::local(npm, &ask.machine.directory)
    {
        let (program, runtime) = local.map_err(|why| Failure::Unfit(phase::readable(why.as_bytes())))?;
        return Ok(Launch::Package(of_this_folder(npm, program, runtime)));
    }
    let machine = machine_of(ask);
    let context = Context {
        ask,
        machine: &machine,
        witness: &witness,
    };
    installed(&wanted, &context, store)
        .await
        .map(Launch::Package)
        // A package has its say in some of the words.
        .map_err(|why| phase::readable(why.as_bytes()))
        .map_err(|why| Failure::Failed(format!("`{}` could not be made ready: {why}", wanted.package())))
}

/// Whether this command fetches a package, so that making it ready may need the network.
#[must_use]
pub fn is_fetched(argv: &[String]) -> bool {
    matches!(recognise(argv), Ok(Wanted::Npm(_) | Wanted::Python(_)))
}

fn recognise(argv: &[String]) -> Result<Wanted, String> {
    let [program, words @ ..] = argv else {
        return Ok(Wanted::Plain(Vec::new()));
    };
    let name = program.rsplit('/').next().unwrap_or(program);
    if let Some(words) = npx::recognise(name, words) {
        return npx::read(name, words).map(Wanted::Npm);
    }
    if let Some(words) = uvx::recognise(name, words) {
        return uvx::read(name, words).map(Wanted::Python);
    }
    if container::is_client(name) {
        return Ok(Wanted::Container);
    }
    Ok(Wanted::Plain(fetches(name, words).into_iter().collect()))
}

/// What fetches things when it starts and is no launcher of packages: it gets a cage like everything else, and a word of
/// help for whoever wonders why it fails.
fn fetches(name: &str, words: &[String]) -> Option<Hint> {
    let first = words
        .iter()
        .find(|word| !word.starts_with('-'))
        .map(String::as_str);
    let says = |what: &str| words.iter().any(|word| word == what);
    match name {
        "uv" if says("run") => Some(
            "`uv run` fetches what its project needs, which a cage without network cannot: run `uv sync` once in the \
             project, then write its program as the command (`PROJECT/.venv/bin/NAME`) and grant the project (`read`)"
                .to_owned(),
        ),
        "deno" if words.iter().any(|word| word.starts_with("npm:") || word.starts_with("jsr:")) => Some(
            "`deno` fetches its packages when it runs, which a cage without network cannot: for one of npm write \
             `npx`, or install it first"
                .to_owned(),
        ),
        "go" | "cargo" | "dotnet" | "pnpm" | "yarn" | "npm" if first == Some("run") || first == Some("start") => Some(format!(
            "`{name}` in a cage has its project only where that is granted (`read`), and no network: better write the \
             program that it starts"
        )),
        _ => None,
    }
}

impl Wanted {
    /// The package, by name.
    fn package(&self) -> &str {
        match self {
            Self::Npm(npm) => npm.packages.first().map_or("npm", |package| &package.name),
            Self::Python(python) => python
                .requirements
                .first()
                .map_or("python", |main| uvx::name_of(main)),
            Self::Plain(_) | Self::Container => "",
        }
    }

    /// All that decides what is installed, and what of it is started.
    fn asked(&self) -> Vec<String> {
        let mut words = Vec::new();
        match self {
            Self::Npm(npm) => {
                words.push("npm".to_owned());
                words.extend(npm.packages.iter().map(npx::Named::written));
                words.extend(npm.options.iter().cloned());
                words.extend(
                    npm.registry
                        .iter()
                        .map(|registry| format!("--registry={registry}")),
                );
                words.extend(npm.command.iter().map(|command| format!("run={command}")));
            }
            Self::Python(python) => {
                words.push("python".to_owned());
                words.extend(python.requirements.iter().cloned());
                words.extend(python.options.iter().cloned());
                words.extend(python.python.iter().map(|version| format!("--python={version}")));
                words.extend(python.index.iter().map(|index| format!("--index={index}")));
                words.extend(python.extra.iter().map(|index| format!("--extra={index}")));
                words.push(format!("run={}", python.command));
            }
            Self::Plain(_) | Self::Container => {}
        }
        words
    }

    fn arguments(&self) -> &[String] {
        match self {
            Self::Npm(npm) => &npm.arguments,
            Self::Python(python) => &python.arguments,
            Self::Plain(_) | Self::Container => &[],
        }
    }

    fn is_exact(&self) -> bool {
        match self {
            Self::Npm(npm) => npm.packages.iter().all(npx::Named::is_exact),
            Self::Python(python) => python.requirements.iter().all(|main| uvx::is_exact(main)),
            Self::Plain(_) | Self::Container => true,
        }
    }
}

fn machine_of(ask: &Ask<'_>) -> Machine {
    let mut machine = ask.machine.clone();
    let program = ask.argv.first().map(Path::new);
    if let Some(folder) = program
        .and_then(Path::parent)
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let folder = machine.directory.join(folder);
        machine.path.insert(0, folder);
    }
    machine
}

fn of_this_folder(npm: &npx::Wanted, program: Vec<String>, runtime: PathBuf) -> Package {
    let name = npm
        .packages
        .first()
        .map(|package| package.name.clone())
        .unwrap_or_default();
    Package {
        argv: program.into_iter().chain(npm.arguments.iter().cloned()).collect(),
        hints: vec![format!(
            "`{name}` is the one in `{}`, as `{}` prefers it; to have the registry's, name its version",
            runtime.display(),
            npm.launcher
        )],
        runtime,
        name,
        version: String::new(),
        fresh: false,
    }
}

async fn installed(wanted: &Wanted, context: &Context<'_>, store: &Store) -> Result<Package, String> {
    let asked = wanted.asked();
    let room = store.room(context.ask.server, wanted.package(), &asked)?;
    if let Some(record) = room.record()? {
        return found(wanted, &room, record).await;
    }
    // Who waits for another's installation waits as long as that may take, and then has its own time.
    let lock = room
        .lock(store.patience().saturating_add(Duration::from_secs(10)))
        .await?;
    if let Some(record) = room.record()? {
        return found(wanted, &room, record).await;
    }
    let mut hints = proxies(context);
    let tree = room.fresh()?;
    let install = async {
        match wanted {
            Wanted::Npm(npm) => node::install(npm, context, &tree, &mut hints).await,
            Wanted::Python(python) => python::install(python, context, &tree, &mut hints).await,
            Wanted::Plain(_) | Wanted::Container => Err("it is no package".to_owned()),
        }
    };
    let install = timeout(store.patience(), install);
    let record = async {
        let mut installed = install.await.map_err(|_| {
            format!(
                "the installation took longer than {} s",
                store.patience().as_secs()
            )
        })??;
        installed.version = phase::readable(installed.version.as_bytes());
        let digests = digests(&tree).await?;
        room.complete((context.ask.server, &asked), &tree, installed, digests)
    };
    let record = match record.await {
        Ok(record) => record,
        Err(why) => {
            room.discard();
            return Err(why);
        }
    };
    drop(lock);
    hints.push(format!(
        "`{}` {} was installed into `{}`",
        record.package,
        record.version,
        room.folder().display()
    ));
    Ok(package(wanted, &room, &record, true, hints))
}

/// What is there, when it is still what was installed.
async fn found(wanted: &Wanted, room: &Room, record: Record) -> Result<Package, String> {
    let again = |why: &str| {
        format!(
            "{why}: delete `{}`, and it is installed anew",
            room.folder().display()
        )
    };
    if let Some(interpreter) = &record.interpreter {
        let python = room.tree(&record).join("venv/bin/python");
        if python.canonicalize().ok().as_ref() != Some(interpreter) {
            return Err(again(&format!(
                "it was installed for `{}`, which is not there any more",
                interpreter.display()
            )));
        }
    }
    let shape = of(room.tree(&record), Depth::Shape).await?;
    if shape != record.shape {
        return Err(again("what is installed was changed since"));
    }
    let mut hints = Vec::new();
    if !wanted.is_exact() {
        hints.push(format!(
            "`{}` stays at {}; to have another version, name it, or delete `{}`",
            record.package,
            record.version,
            room.folder().display()
        ));
    }
    Ok(package(wanted, room, &record, false, hints))
}

fn package(wanted: &Wanted, room: &Room, record: &Record, fresh: bool, hints: Vec<Hint>) -> Package {
    Package {
        argv: record.program.iter().chain(wanted.arguments()).cloned().collect(),
        runtime: room.tree(record),
        name: record.package.clone(),
        version: record.version.clone(),
        fresh,
        hints,
    }
}

/// A proxy is not used: a cage has a way to the registry, and to nothing that leads elsewhere.
fn proxies(context: &Context<'_>) -> Vec<Hint> {
    let variable = context.ask.variable;
    [
        "HTTPS_PROXY",
        "https_proxy",
        "npm_config_https_proxy",
        "ALL_PROXY",
    ]
    .into_iter()
    .filter(|name| variable(name).is_some_and(|value| !value.is_empty()))
    .map(|name| {
        format!(
            "an installation in a cage does not use the proxy in `{name}`: it reaches the registry itself"
        )
    })
    .take(1)
    .collect()
}

async fn digests(tree: &Path) -> Result<(String, String), String> {
    Ok((
        of(tree.to_owned(), Depth::Shape).await?,
        of(tree.to_owned(), Depth::Content).await?,
    ))
}

async fn of(tree: PathBuf, depth: Depth) -> Result<String, String> {
    let unread = |why: String| format!("what is installed cannot be read: {why}");
    tokio::task::spawn_blocking(move || digest::of(&tree, depth))
        .await
        .map_err(|error| unread(error.to_string()))?
        .map_err(|error| unread(error.to_string()))
}
