//! Instructions and heap allocations a call, counted by valgrind: the same on a busy machine as on an idle one. Two
//! loads of different length, so that start and end fall out. Left out, in words, where there is no valgrind.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::held::Held;
use super::load::Load;
use super::{Case, Programs, Transport, serving};
use crate::run::has;

const SHORT: u32 = 100;
const LONG: u32 = 600;

/// What valgrind counts, and the line of its summary that says it.
const TOOLS: [(&str, &str); 2] = [
    ("--tool=callgrind", "Collected :"),
    ("--tool=memcheck", "total heap usage:"),
];

/// Prints instructions and allocations of the gateway for one call, in each era.
pub fn print(programs: &Programs, folder: &Path) -> Result<()> {
    if !has("valgrind", &["--version"]) {
        println!("\nInstructions and allocations a call: not counted, there is no valgrind here.");
        return Ok(());
    }
    println!("\n{:<22} {:>14} {:>12}", "", "instructions", "allocations");
    for protocol in ["2025-11-25", "2026-07-28"] {
        let mut figures = Vec::new();
        for (tool, line) in TOOLS {
            let short = total(programs, folder, protocol, tool, line, SHORT)?;
            let long = total(programs, folder, protocol, tool, line, LONG)?;
            figures.push((long - short) / f64::from(LONG - SHORT));
        }
        let [instructions, allocations] = figures.as_slice() else {
            continue;
        };
        println!(
            "{:<22} {instructions:>14.0} {allocations:>12.1}",
            format!("http {protocol}")
        );
    }
    Ok(())
}

fn total(
    programs: &Programs,
    folder: &Path,
    protocol: &'static str,
    tool: &str,
    line: &str,
    requests: u32,
) -> Result<f64> {
    let state = folder.join(format!("counted{tool}-{protocol}-{requests}"));
    std::fs::create_dir(&state)?;
    let echo = Held::start(&programs.echo, &["http", "0"], &state, "echo")?;
    let configuration = serving(&state, &echo)?;
    let mantlet = programs.mantlet.to_str().context("a path that is no text")?;
    let nowhere = "--callgrind-out-file=/dev/null";
    let mut arguments = vec![tool];
    match tool {
        "--tool=callgrind" => arguments.push(nowhere),
        _ => arguments.extend(["--leak-check=no", "--undef-value-errors=no"]),
    }
    arguments.extend([mantlet, "serve", "--config", &configuration]);
    let gateway = Held::start("valgrind".as_ref(), &arguments, &state, "mantlet")?;
    let case = Case {
        transport: Transport::Http,
        protocol,
        connections: 1,
    };
    let report = Load::http(case, &gateway.url)
        .with_token(&state.join("mantlet/token"))
        .exactly(requests)
        .run(&programs.loadgen, &state)?;
    if let Some(failure) = report.failure() {
        bail!("under valgrind {failure}");
    }
    drop(gateway);
    let said = std::fs::read_to_string(state.join("mantlet.log"))?;
    std::fs::remove_dir_all(&state)?;
    let figure = said.lines().rev().find_map(|said| said.split_once(line));
    let (_, figure) = figure.with_context(|| format!("valgrind did not say `{line}`: {said}"))?;
    let digits: String = figure
        .trim()
        .chars()
        .take_while(|letter| letter.is_ascii_digit() || *letter == ',')
        .filter(char::is_ascii_digit)
        .collect();
    digits.parse().context("a figure that is no number")
}
