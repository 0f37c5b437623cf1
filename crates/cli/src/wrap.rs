//! `mantlet wrap -- CMD`: what a client's configuration runs instead of `CMD`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use mantlet_config::{ProcessEnvironment, Settings, Transport};
use mantlet_gateway::Halves;
use mantlet_gateway::listen::stdio;

use crate::failure::{self, Failure};
use crate::grants::Grants;
use crate::{run, state};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mantlet wrap -- npx -y @modelcontextprotocol/server-everything\n  mantlet wrap --read ~/notes -- npx -y @modelcontextprotocol/server-filesystem ~/notes\n  mantlet wrap --name github --env GITHUB_TOKEN --net api.github.com:443 -- github-mcp-server stdio\n  mantlet wrap --config mantlet.yaml --name files"
)]
pub(crate) struct Options {
    /// The server's name in the log and the status
    #[arg(long, short)]
    name: Option<String>,
    /// Take the server with this name, and all settings, from a configuration file
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    grants: Grants,
    /// The server's command
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(crate) fn run(options: Options) -> Result<u8, Failure> {
    let settings = settings(options)?;
    run::talk("warn");
    let runtime = run::runtime()?;
    let outcome = runtime.block_on(wrap(settings));
    // Standard input is read by a thread that cannot be stopped; it must not keep the process.
    runtime.shutdown_background();
    outcome
}

fn settings(options: Options) -> Result<Settings, Failure> {
    let mut settings = match (&options.config, options.command.is_empty()) {
        (None, true) => {
            return Err(Failure::wrong_use(
                "there is no command to run: write it after `--`",
            ));
        }
        (None, false) => {
            let name = options.name.clone().unwrap_or_else(|| name_of(&options.command));
            Settings::wrap(&name, options.command, &state::directory())
                .map_err(|problems| Failure::wrong_use(problems.render(false)))?
        }
        (Some(path), true) => from_file(path, options.name.as_deref())?,
        (Some(_), false) => {
            return Err(Failure::wrong_use(
                "give a command after `--`, or `--config`, not both",
            ));
        }
    };
    let process = std::process::id().to_string();
    settings.audit.path = settings.audit.path.join(process);
    for server in &mut settings.servers {
        if let Transport::Command(line) = &mut server.transport
            && !options.grants.apply(line)?.is_empty()
        {
            return Err(Failure::wrong_use(
                "`=ADDR:PORT` in `--net` is for `mantlet cage` only: write HOST:PORT",
            ));
        }
    }
    Ok(settings)
}

fn from_file(path: &Path, name: Option<&str>) -> Result<Settings, Failure> {
    let mut settings = mantlet_config::load(path, &ProcessEnvironment)
        .map_err(|problems| Failure::wrong_use(problems.render(false)))?;
    let name = match (name, settings.servers.as_slice()) {
        (Some(name), _) => name.to_owned(),
        (None, [only]) => only.name.clone(),
        (None, _) => {
            return Err(Failure::wrong_use(
                "the file has several servers: say which with `--name`",
            ));
        }
    };
    settings.servers.retain(|server| server.name == name);
    if settings.servers.is_empty() {
        return Err(Failure::wrong_use(format!(
            "`{}` has no server `{name}`",
            path.display()
        )));
    }
    settings.audit.path = settings.audit.path.join("wrap").join(&name);
    Ok(settings)
}

/// A name out of a command: of the package that a launcher runs, else of the program.
pub(crate) fn name_of(command: &[String]) -> String {
    let program = command.first().map(String::as_str).unwrap_or_default();
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let launchers = [
        "npx", "uvx", "node", "python", "python3", "bunx", "deno", "pnpm", "uv", "docker",
    ];
    let word = if launchers.contains(&base(program).as_str()) {
        let words = command.iter().skip(1).filter(|word| !word.starts_with('-'));
        words
            .map(|word| base(word))
            .find(|word| !matches!(word.as_str(), "run" | "dlx" | ""))
            .unwrap_or_else(|| base(program))
    } else {
        base(program)
    };
    let mut name: String = word
        .chars()
        .map(|letter| letter.to_ascii_lowercase())
        .map(|letter| {
            if letter.is_ascii_lowercase() || letter.is_ascii_digit() {
                letter
            } else {
                '-'
            }
        })
        .take(32)
        .collect();
    while name.contains("--") {
        name = name.replace("--", "-");
    }
    let name = name.trim_matches('-').to_owned();
    if name.is_empty() {
        "server".to_owned()
    } else {
        name
    }
}

async fn wrap(settings: Settings) -> Result<u8, Failure> {
    let name = settings
        .servers
        .first()
        .map(|server| server.name.clone())
        .unwrap_or_default();
    let log = settings.audit.path.clone();
    let gateway = run::gateway(settings, None, Halves::One)?;
    let note = run::keep_note(&gateway, "wrap", None);
    let end = run::asked_to_end()?;
    let subject = local_user();
    let serving = stdio::serve(
        Arc::clone(&gateway),
        &name,
        subject,
        tokio::io::stdin(),
        tokio::io::stdout(),
    );
    let outcome = tokio::select! {
        outcome = serving => outcome,
        () = end => {
            gateway.close().await;
            Ok(())
        }
    };
    drop(note);
    tracing::info!(log = %log.display(), "the log of this run");
    match outcome {
        Ok(()) => Ok(failure::FINE),
        // The client has gone: that is how a client ends its servers.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(failure::FINE),
        Err(error) => Err(error.into()),
    }
}

/// Whose process this is: by user id, which cannot be made up as a variable can, and by the name of the user database.
fn local_user() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    match name_in(&known, &uid) {
        Some(name) => name.to_owned(),
        None => format!("uid {uid}"),
    }
}

/// passwd(5): name, password, user id, and more.
fn name_in<'p>(passwd: &'p str, uid: &str) -> Option<&'p str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id == uid && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_whom_the_database_names() {
        let passwd = "root:x:0:0:root:/:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n:x:7:7::/:\n";
        assert_eq!(name_in(passwd, "1000"), Some("alice"));
        assert_eq!(name_in(passwd, "100"), None);
        assert_eq!(name_in(passwd, "7"), None);
    }

    #[test]
    fn a_name_is_made_of_what_is_run() {
        let name = |words: &[&str]| name_of(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            name(&["npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv"]),
            "server-filesystem"
        );
        assert_eq!(name(&["uvx", "mcp_server__git"]), "mcp-server-git");
        assert_eq!(name(&["/usr/bin/mcp-server-time"]), "mcp-server-time");
        assert_eq!(name(&["node"]), "node");
        assert_eq!(name(&["__"]), "server");
    }
}
