//! `cargo xtask tidy`: what a reader should be able to rely on. Crate arrows as in ARCHITECTURE.md, no crowded
//! files, a docs row for each refusal, examples that tests load, nothing of one machine in the tree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::run::{command, root};

/// Lines of a file without its tests.
const MAX_LINES: usize = 500;

/// Who may depend on whom, among ours.
const ARROWS: &[(&str, &[&str])] = &[
    ("mantlet-wire", &[]),
    ("mantlet-access", &["mantlet-wire"]),
    ("mantlet-inspect", &["mantlet-wire"]),
    ("mantlet-audit", &["mantlet-wire"]),
    (
        "mantlet-config",
        &[
            "mantlet-access",
            "mantlet-inspect",
            "mantlet-audit",
            "mantlet-wire",
        ],
    ),
    (
        "mantlet-gateway",
        &[
            "mantlet-access",
            "mantlet-inspect",
            "mantlet-audit",
            "mantlet-wire",
            "mantlet-config",
            "mantlet-sandbox",
        ],
    ),
    ("mantlet-sandbox", &[]),
    (
        "mantlet",
        &[
            "mantlet-access",
            "mantlet-audit",
            "mantlet-wire",
            "mantlet-config",
            "mantlet-sandbox",
            "mantlet-gateway",
        ],
    ),
];

/// What a pure crate may not depend on.
const IMPURE: &[&str] = &["tokio", "hyper", "hyper-util", "reqwest", "axum"];
const PURE: &[&str] = &[
    "mantlet-wire",
    "mantlet-access",
    "mantlet-inspect",
    "mantlet-audit",
    "mantlet-config",
];

pub fn run(_arguments: &[String]) -> Result<()> {
    let mut findings = Vec::new();
    arrows(&mut findings)?;
    let files = tracked()?;
    sizes(&files, &mut findings);
    refusals(&mut findings)?;
    examples(&mut findings)?;
    machine(&files, &mut findings);
    for finding in &findings {
        println!("tidy: {finding}");
    }
    if findings.is_empty() {
        println!("tidy: {} files, nothing found", files.len());
        return Ok(());
    }
    bail!("{} findings", findings.len())
}

fn arrows(findings: &mut Vec<String>) -> Result<()> {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec()?;
    for (name, allowed) in ARROWS {
        let package = metadata
            .packages
            .iter()
            .find(|package| package.name.as_str() == *name);
        let package = package.with_context(|| format!("there is no crate `{name}`"))?;
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal)
        {
            let other = dependency.name.as_str();
            if other.starts_with("mantlet") && !allowed.contains(&other) {
                findings.push(format!("`{name}` must not depend on `{other}`"));
            }
            if PURE.contains(name) && IMPURE.contains(&other) {
                findings.push(format!("`{name}` is pure and must not depend on `{other}`"));
            }
        }
    }
    Ok(())
}

fn tracked() -> Result<Vec<PathBuf>> {
    let output = command("git", &["ls-files", "-z"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(|name| root().join(name))
        .filter(|path| path.exists())
        .collect())
}

fn sizes(files: &[PathBuf], findings: &mut Vec<String>) {
    for path in files
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
    {
        let Ok(text) = std::fs::read_to_string(path) else {
            continue;
        };
        let lines = text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .count();
        // A file of cases may be as long as there are cases.
        let cases = path.components().any(|part| part.as_os_str() == "tests");
        if lines > MAX_LINES && !cases {
            findings.push(format!(
                "{} has {lines} lines without tests, more than {MAX_LINES}",
                shown(path)
            ));
        }
        if !text.starts_with("//!") && !text.starts_with("#!") {
            findings.push(format!(
                "{} does not say in its first line what is in it",
                shown(path)
            ));
        }
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Every refusal code has a row in `docs/refusals.md`, and every row a code.
fn refusals(findings: &mut Vec<String>) -> Result<()> {
    let docs = std::fs::read_to_string(root().join("docs/refusals.md")).context("docs/refusals.md")?;
    let rows: BTreeSet<&str> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(code, _)| code)
        .collect();
    let mut codes = BTreeSet::new();
    let gateway = std::fs::read_to_string(root().join("crates/gateway/src/refusal.rs"))?;
    let wire = std::fs::read_to_string(root().join("crates/wire/src/reject.rs"))?;
    for text in [&gateway, &wire] {
        codes.extend(
            text.lines()
                .filter_map(|line| line.split_once("=> \"")?.1.split_once('"'))
                .map(|(code, _)| code),
        );
    }
    for code in codes.difference(&rows) {
        findings.push(format!("docs/refusals.md has no row for `{code}`"));
    }
    for row in rows.difference(&codes) {
        findings.push(format!(
            "docs/refusals.md has a row for `{row}`, which is no refusal"
        ));
    }
    Ok(())
}

fn examples(findings: &mut Vec<String>) -> Result<()> {
    let tests = std::fs::read_to_string(root().join("crates/config/tests/examples.rs")).unwrap_or_default();
    for entry in std::fs::read_dir(root().join("examples"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !tests.contains(&name) && !tests.contains("read_dir") {
            findings.push(format!("examples/{name} is loaded by no test"));
        }
    }
    Ok(())
}

/// Nothing of the machine that it was written on.
fn machine(files: &[PathBuf], findings: &mut Vec<String>) {
    let words = [
        format!("/{}/", "work"),
        format!("/{}/", "root"),
        format!("registry.{}", "npmjs.org"),
        format!("static.{}", "crates.io"),
    ];
    for path in files
        .iter()
        .filter(|path| path.extension().is_none_or(|extension| extension != "lock"))
    {
        let Ok(text) = std::fs::read_to_string(path) else {
            continue;
        };
        for word in &words {
            if let Some(line) = text.lines().position(|line| line.contains(word.as_str())) {
                findings.push(format!("{}:{} names `{word}`", shown(path), line + 1));
            }
        }
    }
}
