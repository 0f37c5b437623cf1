//! `cargo xtask bench`: what the gateway costs. A raw echo server is called directly and through the gateway, by turns
//! and in the same run, since only ratios mean something from one machine to another. Nothing here asserts a time;
//! what fails the run is a request that failed. Loopback only, about two minutes after the build.

mod caged;
mod counted;
mod held;
mod load;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::MetadataCommand;

use crate::run::{command, root, run as run_shown};
use held::Held;
use load::{Load, Measured};

/// Runs of each kind, by turns; the middle one counts.
const ROUNDS: usize = 3;
const BUILD: Duration = Duration::from_secs(45 * 60);

/// How the messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Http,
    Stdio,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Case {
    transport: Transport,
    protocol: &'static str,
    connections: usize,
}

/// What was measured for a case.
#[derive(Debug)]
struct Row {
    case: Case,
    direct: Measured,
    through: Measured,
}

/// The built programs.
#[derive(Debug)]
struct Programs {
    mantlet: PathBuf,
    echo: PathBuf,
    loadgen: PathBuf,
}

/// What a run writes; taken away at its end.
#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("xtask: `{}` could not be removed: {error}", self.0.display());
        }
    }
}

pub fn run(arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("`{argument}`: bench has no options");
    }
    let target = target()?;
    let programs = build(&target)?;
    let folder = Folder(target.join(format!("bench-{}", std::process::id())));
    std::fs::create_dir(&folder.0).with_context(|| format!("`{}`", folder.0.display()))?;
    println!(
        "\n{} runs of {} s a figure, direct and through the gateway by turns; audit on, policy on",
        ROUNDS,
        load::SECONDS
    );
    let mut rows = Vec::new();
    for case in cases() {
        rows.push(measure(&programs, &folder.0, case)?);
    }
    table::print(&rows);
    let server = caged::real_server(&root());
    caged::print(&programs.mantlet, &programs.echo, server.as_deref())?;
    counted::print(&programs, &folder.0)?;
    verdict(&rows)
}

fn target() -> Result<PathBuf> {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec()?;
    Ok(metadata.target_directory.into_std_path_buf())
}

/// The gateway by itself first, so that it has only the features that it is shipped with.
fn build(target: &Path) -> Result<Programs> {
    for package in ["mantlet", "mantlet-testkit"] {
        let arguments = ["build", "--profile", "dist", "--bins", "-p", package];
        run_shown(
            &format!("build {package}"),
            &mut command("cargo", &arguments),
            BUILD,
        )?;
    }
    let built = |name: &str| {
        let path = target.join("dist").join(name);
        if path.is_file() {
            Ok(path)
        } else {
            bail!("`{}` was not built", path.display())
        }
    };
    Ok(Programs {
        mantlet: built("mantlet")?,
        echo: built("mantlet-echo")?,
        loadgen: built("mantlet-loadgen")?,
    })
}

fn cases() -> impl Iterator<Item = Case> {
    let transports = [Transport::Http, Transport::Stdio];
    transports.into_iter().flat_map(|transport| {
        ["2025-11-25", "2026-07-28"]
            .into_iter()
            .flat_map(move |protocol| {
                [1, 32].into_iter().map(move |connections| Case {
                    transport,
                    protocol,
                    connections,
                })
            })
    })
}

fn measure(programs: &Programs, folder: &Path, case: Case) -> Result<Row> {
    let state = folder.join(format!(
        "{:?}-{}-{}",
        case.transport, case.protocol, case.connections
    ));
    std::fs::create_dir(&state)?;
    let row = match case.transport {
        Transport::Http => over_http(programs, &state, case),
        Transport::Stdio => over_stdio(programs, &state, case),
    };
    let row = row.with_context(|| format!("{case:?}"))?;
    table::progress(&row);
    // The log of a run is large; the next one needs the room.
    std::fs::remove_dir_all(&state)?;
    Ok(row)
}

/// A fresh gateway for each case: its memory is that of this case.
fn over_http(programs: &Programs, state: &Path, case: Case) -> Result<Row> {
    let echo = Held::start(&programs.echo, &["http", "0"], state, "echo")?;
    let path = serving(state, &echo)?;
    let gateway = Held::start(&programs.mantlet, &["serve", "--config", &path], state, "mantlet")?;
    let token = state.join("mantlet").join("token");
    let direct = Load::http(case, &echo.url);
    let through = Load::http(case, &gateway.url)
        .with_token(&token)
        .watching(gateway.pid);
    by_turns(programs, state, case, &direct, &through)
}

/// A configuration for the echo server behind the gateway; gives its path.
fn serving(state: &Path, echo: &Held) -> Result<String> {
    let configuration = state.join("mantlet.yaml");
    let text = format!(
        "listen: {{ address: 127.0.0.1:0 }}\nservers:\n  echo:\n    url: {}\n    allow: {{ tools: [echo] }}\n",
        echo.url
    );
    std::fs::write(&configuration, text)?;
    let path = configuration.to_str().context("a path that is no text")?;
    Ok(path.to_owned())
}

fn over_stdio(programs: &Programs, state: &Path, case: Case) -> Result<Row> {
    let server = [programs.echo.as_os_str(), "stdio".as_ref()];
    let wrap = [programs.mantlet.as_os_str(), "wrap".as_ref(), "--".as_ref()];
    let direct = Load::command(case, &server);
    let through = Load::command(case, &[&wrap[..], &server[..]].concat());
    by_turns(programs, state, case, &direct, &through)
}

/// Every second round in the other order, so that neither side always comes second.
fn by_turns(programs: &Programs, state: &Path, case: Case, direct: &Load, through: &Load) -> Result<Row> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            without.push(direct.run(&programs.loadgen, state)?);
            with.push(through.run(&programs.loadgen, state)?);
        } else {
            with.push(through.run(&programs.loadgen, state)?);
            without.push(direct.run(&programs.loadgen, state)?);
        }
    }
    Ok(Row {
        case,
        direct: Measured::of(&without),
        through: Measured::of(&with),
    })
}

fn verdict(rows: &[Row]) -> Result<()> {
    let sides = rows.iter().flat_map(|row| [&row.direct, &row.through]);
    let failed: Vec<&Measured> = sides.filter(|side| side.errors > 0).collect();
    let count: u64 = failed.iter().map(|side| side.errors).sum();
    match failed.iter().find_map(|side| side.first_error.as_deref()) {
        None if count == 0 => Ok(()),
        first => bail!(
            "{count} requests failed; the first: {}",
            first.unwrap_or("unknown")
        ),
    }
}
