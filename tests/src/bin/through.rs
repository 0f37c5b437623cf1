//! `mantlet-through URL`: what the conformance suite runs as its client. Starts `mantlet serve` with the suite's server
//! behind it, runs `tests/peers/conformance-client.mjs` against the gateway, and ends as the driver ended.
//! `MANTLET_SERVER_ERA` (`auto`, `legacy`, `modern`) says which era the gateway speaks to the server.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a program of the tests may fall over, starts programs and says what went wrong"
)]

use std::process::{Command, ExitCode, Stdio};

use mantlet_tests::peers;
use mantlet_tests::serving::Serving;
use serde_json::json;

const NAME: &str = "suite";

fn main() -> ExitCode {
    let url = std::env::args().next_back().unwrap();
    let era = std::env::var("MANTLET_SERVER_ERA").unwrap_or_else(|_| "auto".to_owned());
    let server = json!({
        "url": url,
        "protocol": era,
        "allow": {
            "tools": ["*"], "resources": ["*"], "prompts": ["*"], "methods": ["*"],
            "asks": ["sampling", "elicitation", "roots"],
        },
    });
    let serving = Serving::start(&format!("servers: {{ {NAME}: {server} }}\n"));
    let ended = Command::new(peers::node())
        .arg(peers::directory().join("conformance-client.mjs"))
        .arg(serving.url(Some(NAME)))
        .env("MANTLET_TOKEN", &serving.token)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    if !ended.success() {
        eprintln!("--- the gateway said:\n{}", serving.said());
        eprintln!("--- and wrote down:\n{}", serving.log());
    }
    u8::try_from(ended.code().unwrap_or(1)).map_or(ExitCode::FAILURE, ExitCode::from)
}
