//! The official conformance suite, run and counted. Not here: which scenarios may lose what.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::http::parse;
use crate::peers;

const SUITE: &str = "node_modules/@modelcontextprotocol/conformance/dist/index.js";

/// How often each check passed, by scenario and by the check's id and name; and what failed.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Checks that passed.
    pub passed: BTreeMap<(String, String), usize>,
    /// Checks that failed, with what the suite says of them.
    pub failed: BTreeMap<(String, String), String>,
    /// The suite's exit code was 0.
    pub content: bool,
    /// What the suite printed.
    pub said: String,
}

impl Counted {
    /// How many checks passed.
    #[must_use]
    pub fn passes(&self) -> usize {
        self.passed.values().sum()
    }

    /// What passed there more often than here.
    #[must_use]
    pub fn lost_against(&self, other: &Self) -> Vec<(String, String)> {
        let lost = other
            .passed
            .iter()
            .filter(|(check, times)| self.passed.get(*check).copied().unwrap_or_default() < **times);
        lost.map(|(check, _)| check.clone()).collect()
    }
}

/// Runs the suite with these arguments and counts.
#[must_use]
pub fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Counted {
    let results = tempfile::tempdir().unwrap();
    let output: Output = Command::new(peers::node())
        .arg("loopback.mjs")
        .arg(SUITE)
        .args(arguments)
        .arg("-o")
        .arg(results.path())
        .envs(environment.iter().copied())
        .current_dir(peers::directory())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut counted = count(results.path());
    counted.content = output.status.success();
    counted.said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    counted
}

fn count(results: &Path) -> Counted {
    let mut counted = Counted::default();
    for entry in std::fs::read_dir(results).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(path.join("checks.json")).unwrap_or_default();
        let scenario = scenario(&path.file_name().unwrap().to_string_lossy());
        let checks = parse(&text).unwrap_or_default();
        for check in checks.as_array().into_iter().flatten() {
            let name = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
            let key = (scenario.clone(), format!("{} {}", name("id"), name("name")));
            match check["status"].as_str() {
                Some("SUCCESS") => *counted.passed.entry(key).or_default() += 1,
                Some("FAILURE") => drop(counted.failed.insert(key, name("errorMessage"))),
                _ => {}
            }
        }
    }
    counted
}

/// `server-tools-list-2026-11-24T…` is of the scenario `tools-list`.
fn scenario(directory: &str) -> String {
    let dated = directory.rsplit_once('T').map_or(directory, |(dated, _)| dated);
    let name = dated
        .get(..dated.len().saturating_sub("-2026-11-24".len()))
        .unwrap_or(dated);
    name.strip_prefix("server-").unwrap_or(name).to_owned()
}
