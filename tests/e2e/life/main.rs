//! The life of a gateway: reloading, ending, servers that fail, clients that dawdle, and a log that must hold through
//! all of it. Scripted servers stand behind the built binary; what they got and which processes are left is looked at.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test says what is wrong by panicking, and starts programs"
)]

mod bounded;
mod breaches;
mod cancelling;
mod ending;
mod failing;
mod odd;
mod record;
mod reloading;
mod resuming;
mod slow;
mod split;
mod together;

use std::process::{Command, Stdio};

use mantlet_tests::answers::{reason, text};
use mantlet_tests::binary;
use mantlet_tests::serving::Serving;
use serde_json::{Value, json};

/// A script: a tool that answers when told, and what the puppet does by itself.
fn plain() -> Value {
    json!({})
}

/// The lines of an answer with a text.
fn answer(text: &str) -> String {
    let result = json!({"content": [{"type": "text", "text": text}]});
    format!(r#"{{"jsonrpc":"2.0","id":{{id}},"result":{result}}}"#)
}

/// What `mantlet` with these arguments says on standard output, and its exit code.
fn mantlet(arguments: &[&str], state: &std::path::Path) -> (String, i32) {
    let output = Command::new(binary("mantlet"))
        .args(arguments)
        .env("XDG_STATE_HOME", state)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (said, output.status.code().unwrap_or(-1))
}

/// The log of a gateway holds from its first record to its last.
fn assert_log_holds(serving: &Serving) {
    let (said, code) = mantlet(&["log", "verify"], serving.state());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("holds"), "{said}");
}
