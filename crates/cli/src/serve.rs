//! `mantlet serve`: the gateway over HTTP, for the servers of a configuration file. This is the process that faces the
//! network; it starts nothing (`split`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use mantlet_access::LocalToken;
use mantlet_config::{ProcessEnvironment, Settings};
use mantlet_gateway::launcher::{Launcher, Look};
use mantlet_gateway::listen::http::{Listener, serve};
use mantlet_gateway::{Gateway, Halves};
use tokio::signal::unix::Signal;

use crate::failure::{self, Failure};
use crate::{run, split, state, term};

/// Between two looks at the configuration file.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mantlet serve --config mantlet.yaml --check\n  mantlet serve --config mantlet.yaml"
)]
pub(crate) struct Options {
    /// The configuration file
    #[arg(long, short, value_name = "FILE", default_value = "mantlet.yaml")]
    config: PathBuf,
    /// Only check the configuration
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    let settings = load(&options.config)?;
    if options.check {
        let count = settings.servers.len();
        let servers = if count == 1 { "server" } else { "servers" };
        term::print(&format!("{}: fine, {count} {servers}", options.config.display()));
        return Ok(failure::FINE);
    }
    run::talk("info");
    let (running, line, settings) = split::start(&options.config)?;
    let token = state::token(&settings.identity.token_file)?;
    let itself = split::confine(&settings, &options.config, &running)?;
    let outcome = run::runtime()?.block_on(async {
        let launcher = Launcher::new(line)?;
        serve_until_asked(options, settings, token, Halves::Two { launcher, itself }).await
    });
    running.wait();
    outcome
}

fn load(path: &Path) -> Result<Settings, Failure> {
    let coloured =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    mantlet_config::load(path, &ProcessEnvironment)
        .map_err(|problems| Failure::wrong_use(problems.render(coloured)))
}

async fn serve_until_asked(
    options: &Options,
    settings: Settings,
    token: LocalToken,
    halves: Halves,
) -> Result<u8, Failure> {
    let token_file = settings.identity.token_file.clone();
    let address = settings.listen.address;
    let started_with = settings.clone();
    let names: Vec<String> = settings
        .servers
        .iter()
        .map(|server| server.name.clone())
        .collect();
    let anonymous = settings.identity.anonymous;
    let gateway = run::gateway(settings, Some(token), halves)?;
    let listener = Listener::bind(&gateway)
        .await
        .map_err(|error| Failure::could_not_run(format!("`{address}` could not be listened on: {error}")))?;
    let address = listener.address()?;
    let note = run::keep_note(&gateway, "serve", Some(address.to_string()));
    // Before anybody knows that it runs: a signal that is not expected yet ends a process.
    let (end, reload_asked) = (run::asked_to_end()?, run::asked_to_reload()?);
    greet(&address.to_string(), &names, &token_file, anonymous);
    let reloading = reload(
        Arc::clone(&gateway),
        options.config.clone(),
        started_with,
        reload_asked,
    );
    let reloading = tokio::spawn(reloading);
    let mut lost = false;
    let end = async {
        tokio::select! {
            () = end => {}
            () = without_launcher(&gateway) => lost = true,
        }
    };
    serve(Arc::clone(&gateway), listener, end).await;
    reloading.abort();
    gateway.close().await;
    drop(note);
    if let Some(launcher) = launcher(&gateway) {
        launcher.leave();
    }
    if lost {
        return Err(Failure::could_not_run(
            "the launcher has gone, and no server could be started any more: start the gateway again",
        ));
    }
    Ok(failure::FINE)
}

fn launcher(gateway: &Gateway) -> Option<&Launcher> {
    match gateway.halves() {
        Halves::Two { launcher, .. } => Some(launcher),
        Halves::One => None,
    }
}

/// Resolves when the launcher has gone: what runs may end, as when the gateway is asked to end.
async fn without_launcher(gateway: &Gateway) {
    match launcher(gateway) {
        Some(launcher) => launcher.gone().await,
        None => std::future::pending().await,
    }
}

fn greet(address: &str, names: &[String], token_file: &Path, anonymous: bool) {
    term::say(&format!(
        "mantlet {} on http://{address}/mcp",
        env!("CARGO_PKG_VERSION")
    ));
    for name in names {
        term::say(&format!("  {name}: http://{address}/servers/{name}/mcp"));
    }
    term::say(&format!(
        "  token: in `{}`, sent as `Authorization: Bearer …`",
        token_file.display()
    ));
    if anonymous {
        term::say("  note: anyone on this machine may call without the token (`identity.anonymous`)");
    }
}

/// Takes a changed configuration file, or says why not and keeps the old one. It is the launcher that looks, at the
/// contents: a changed link or a file that was swapped is seen as well.
async fn reload(gateway: Arc<Gateway>, path: PathBuf, started_with: Settings, mut asked: Signal) {
    let Some(launcher) = launcher(&gateway) else {
        return;
    };
    loop {
        let told = tokio::select! {
            _ = asked.recv() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        let found = match launcher.look(told).await {
            Ok(Look::Same) => continue,
            Ok(Look::Text(text)) => mantlet_config::of(&text, &path, &ProcessEnvironment)
                .map_err(|problems| problems.render(false)),
            Ok(Look::Problems(problems)) => Err(problems),
            // The end is on its way.
            Err(_) => return,
        };
        match found {
            Ok(settings) => {
                let fixed = fixed(&started_with, &settings);
                match gateway.replace(settings).await {
                    Ok(()) => {
                        term::say("the configuration was read again and is in force");
                        if !fixed.is_empty() {
                            term::say(&format!("  but for {}: that takes a restart", fixed.join(", ")));
                        }
                    }
                    Err(error) => term::say(&format!(
                        "the new configuration is not taken, the old one stays: {error}"
                    )),
                }
            }
            Err(problems) => {
                term::say(&problems);
                term::say("the new configuration is not taken, the old one stays");
            }
        }
    }
}

/// What a running gateway cannot change: members that say something else than when it was started.
fn fixed(before: &Settings, after: &Settings) -> Vec<&'static str> {
    let changed = [
        ("`listen.address`", before.listen.address != after.listen.address),
        (
            "`listen.allowed_hosts`",
            before.listen.allowed_hosts != after.listen.allowed_hosts,
        ),
        (
            "`listen.allowed_origins`",
            before.listen.allowed_origins != after.listen.allowed_origins,
        ),
        (
            "`identity.token_file`",
            before.identity.token_file != after.identity.token_file,
        ),
        ("`audit.path`", before.audit.path != after.audit.path),
        (
            "`audit.durability`",
            before.audit.durability != after.audit.durability,
        ),
        (
            "the network, which this process closed to itself since no server needed it",
            !split::connects(before) && split::connects(after),
        ),
    ];
    changed
        .into_iter()
        .filter_map(|(name, changed)| changed.then_some(name))
        .collect()
}
