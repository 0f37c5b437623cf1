//! `mantlet status`: what runs, and which control is in force for each server. Read from the notes that running
//! processes keep; a note whose process has gone is not shown.

use clap::Args;
use mantlet_wire::{Caps, Json, Raw, Twins};

use crate::failure::{self, Failure};
use crate::term::{self, Colour, paint, plain};
use crate::{Format, state};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mantlet status\n  mantlet status --format json")]
pub(crate) struct Options {
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    let notes = notes();
    match options.format {
        Format::Json => {
            let all: Vec<serde_json::Value> = notes.iter().map(|note| note.raw().to_value()).collect();
            let text = serde_json::to_string_pretty(&all)
                .map_err(|error| Failure::could_not_run(error.to_string()))?;
            term::print(&text);
        }
        Format::Text if notes.is_empty() => {
            term::print(
                "nothing runs: start `mantlet serve --config FILE`, or `mantlet wrap -- CMD` from a client",
            );
        }
        Format::Text => notes.iter().for_each(|note| show(note.raw())),
    }
    Ok(failure::FINE)
}

fn notes() -> Vec<Json> {
    let Ok(entries) = std::fs::read_dir(state::notes()) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut notes = Vec::new();
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
    {
        let note = std::fs::read(path)
            .ok()
            .and_then(|text| Json::parse(&text, &Caps::default(), Twins::WhereKnown).ok());
        let Some(note) = note else { continue };
        if note.raw().get("pid").and_then(Raw::int).is_some_and(runs) {
            notes.push(note);
        } else {
            let _gone = std::fs::remove_file(path);
        }
    }
    notes
}

/// Whether this is a running process, and a Mantlet.
fn runs(pid: i64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "mantlet")
}

fn text(raw: Raw<'_>, key: &str) -> String {
    raw.get(key)
        .and_then(Raw::text)
        .map(|text| plain(&text))
        .unwrap_or_default()
}

fn show(note: Raw<'_>) {
    let on = term::colours();
    let pid = note.get("pid").and_then(Raw::int).unwrap_or_default();
    let at = note
        .get("address")
        .and_then(Raw::text)
        .map(|address| format!(" on http://{address}/mcp"))
        .unwrap_or_default();
    term::print(&paint(
        &format!("mantlet {} (process {pid}){at}", text(note, "command")),
        Colour::Bold,
        on,
    ));
    let Some(status) = note.get("status") else { return };
    if let Some(itself) = status.get("itself") {
        term::print("\n  itself");
        show_controls(itself, on);
    }
    for server in status.get("servers").into_iter().flat_map(Raw::items) {
        show_server(server, on);
    }
    term::print("\n  practices");
    for practice in status.get("practices").into_iter().flat_map(Raw::items) {
        let number = practice.get("number").and_then(Raw::int).unwrap_or_default();
        let state = text(practice, "state");
        let colour = match state.as_str() {
            "in force" => Colour::Green,
            "partly" => Colour::Yellow,
            _ => Colour::Red,
        };
        let state = paint(&format!("{state:<12}"), colour, on);
        term::print(&format!(
            "  {number:>2} {:<25} {state} {}",
            text(practice, "name"),
            text(practice, "detail")
        ));
    }
    term::print("");
}

fn show_server(server: Raw<'_>, on: bool) {
    let state = text(server, "state");
    let colour = match state.as_str() {
        "up" => Colour::Green,
        "down" => Colour::Red,
        _ => Colour::Dim,
    };
    let version = server
        .get("version")
        .and_then(Raw::text)
        .map(|version| format!(", MCP {}", plain(&version)))
        .unwrap_or_default();
    let head = format!(
        "\n  {} ({}{version})",
        text(server, "name"),
        text(server, "transport")
    );
    term::print(&format!("{head}: {}", paint(&state, colour, on)));
    if let Some(error) = server.get("last_error").and_then(Raw::text) {
        term::print(&format!("    last error: {}", plain(&error)));
    }
    let strays = server.get("strays").and_then(Raw::int).unwrap_or_default();
    if strays > 0 {
        term::print(&format!(
            "    {strays} messages that nobody waited for were dropped"
        ));
    }
    show_controls(server, on);
}

fn show_controls(holder: Raw<'_>, on: bool) {
    for (key, mark, colour) in [
        ("in_force", "+", Colour::Green),
        ("not_in_force", "-", Colour::Red),
    ] {
        for control in holder
            .get(key)
            .into_iter()
            .flat_map(Raw::items)
            .filter_map(Raw::text)
        {
            term::print(&format!("    {} {}", paint(mark, colour, on), plain(&control)));
        }
    }
}
