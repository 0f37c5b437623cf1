//! `mantlet demo`: a gateway on loopback with two built-in servers, one honest and one hostile; a client that tries
//! things; a table of what was allowed, what was stopped, and why. Only what really runs is listed.

mod client;
pub(crate) mod servers;
mod tries;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use mantlet_config::{ProcessEnvironment, Settings};
use mantlet_gateway::listen::http::{Listener, serve};
use mantlet_gateway::{Gateway, Halves};
use tokio::sync::oneshot;

use crate::failure::{self, Failure};
use crate::term::{self, Colour, paint};
use crate::{run, state};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mantlet demo --once    # exits 0 when every verdict was as it should be\n  mantlet demo           # goes on serving, so that you can call it yourself"
)]
pub(crate) struct Options {
    /// Exit after the table instead of serving on
    #[arg(long)]
    once: bool,
}

/// A directory of the demo's own, taken away at its end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    run::talk("error");
    let scratch = Scratch(std::env::temp_dir().join(format!("mantlet-demo-{}", std::process::id())));
    state::make(&scratch.0)?;
    let settings = settings(&scratch.0)?;
    let runtime = run::runtime()?;
    let outcome = runtime.block_on(show(options, settings, &scratch.0));
    runtime.shutdown_background();
    outcome
}

/// The demo's configuration: a file like anybody's.
fn settings(scratch: &Path) -> Result<Settings, Failure> {
    let program = std::env::current_exe()?;
    let text = format!(
        r#"
listen: {{ address: 127.0.0.1:0 }}
identity: {{ token_file: {state:?} }}
servers:
  honest:
    command: [{program:?}, demo-server, honest]
    allow: {{ tools: [echo, add, environment, slow], resources: ["demo://public/*"] }}
  hostile:
    command: [{program:?}, demo-server, hostile]
    allow: {{ tools: ["*"] }}
    refuse: {{ tools: [delete_everything] }}
audit: {{ path: {audit:?} }}
"#,
        state = scratch.join("token"),
        audit = scratch.join("audit"),
    );
    mantlet_config::parse(&text, "the demo's configuration", &ProcessEnvironment)
        .map_err(|problems| Failure::could_not_run(problems.render(false)))
}

async fn show(options: &Options, settings: Settings, scratch: &Path) -> Result<u8, Failure> {
    let on = term::colours();
    term::print(&paint(
        "Mantlet demo: a gateway, an honest server, a hostile server, and a client that tries things.",
        Colour::Bold,
        on,
    ));
    let token = state::token(&settings.identity.token_file)?;
    let shown = token.expose().to_owned();
    let gateway = run::gateway(settings, Some(token), Halves::One)?;
    let listener = Listener::bind(&gateway).await?;
    let address = listener.address()?;
    let note = run::keep_note(&gateway, "demo", Some(address.to_string()));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(Arc::clone(&gateway), listener, async {
        let _dropped = stopped.await;
    }));
    let site = client::Site {
        address,
        token: shown,
    };
    let rows = tries::all(&site, &scratch.join("audit")).await;
    let wrong = rows.iter().filter(|row| !row.as_expected).count();
    print_table(&rows, on);
    if wrong == 0 {
        term::print(&paint(
            &format!("\n{} tries, every verdict as it should be.", rows.len()),
            Colour::Green,
            on,
        ));
    } else {
        term::print(&paint(
            &format!("\n{wrong} of {} verdicts were NOT as they should be.", rows.len()),
            Colour::Red,
            on,
        ));
    }
    print_missing(&gateway, on);
    if !options.once {
        linger(&site, scratch).await?;
    }
    let _asked = stop.send(());
    let _ended = serving.await;
    gateway.close().await;
    drop(note);
    Ok(if wrong == 0 {
        failure::FINE
    } else {
        failure::FINDINGS
    })
}

fn print_table(rows: &[tries::Row], on: bool) {
    let mut practice = "";
    for row in rows {
        if row.practice != practice {
            practice = row.practice;
            term::print(&format!("\n{}", paint(practice, Colour::Bold, on)));
        }
        let colour = if row.stopped { Colour::Red } else { Colour::Green };
        let verdict = paint(if row.stopped { "stopped" } else { "allowed" }, colour, on);
        let mark = if row.as_expected {
            ""
        } else {
            "  << not as expected"
        };
        term::print(&format!(
            "  {verdict}  {:<58} {}{mark}",
            row.tried,
            paint(&term::plain(&row.reason), Colour::Dim, on)
        ));
    }
}

/// What this version does not do is part of the truth.
fn print_missing(gateway: &Gateway, on: bool) {
    let status = gateway.status();
    let missing: Vec<&str> = status
        .practices
        .iter()
        .filter(|practice| practice.state == "not in force")
        .map(|practice| practice.name)
        .collect();
    term::print(&paint(
        &format!("Not in force in this version: {}.", missing.join(", ")),
        Colour::Yellow,
        on,
    ));
}

async fn linger(site: &client::Site, scratch: &Path) -> Result<(), Failure> {
    term::print(&format!(
        "\nStill serving on http://{}/mcp until Ctrl-C. In another terminal:\n  mantlet status\n  mantlet log show {}\nToken: {}",
        site.address,
        scratch.join("audit").display(),
        scratch.join("token").display(),
    ));
    run::asked_to_end()?.await;
    Ok(())
}
