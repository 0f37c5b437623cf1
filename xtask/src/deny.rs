//! Licences, sources and banned crates of the whole closure, by cargo-deny and `deny.toml`. Advisories need a database
//! that not every machine can fetch; `cargo deny check advisories` is for those that can.

use std::time::Duration;

use anyhow::Result;

use crate::run::{command, has, run};

const VERSION: &str = "0.20.2";
const BUILD: Duration = Duration::from_secs(30 * 60);
const CHECK: Duration = Duration::from_secs(5 * 60);

pub fn check() -> Result<()> {
    if !has("cargo", &["deny", "--version"]) {
        // Unoptimised: it is built more slowly than it runs.
        let arguments = [
            "install",
            "cargo-deny",
            "--version",
            VERSION,
            "--locked",
            "--debug",
        ];
        run(
            &format!("cargo-deny {VERSION} out of crates.io"),
            &mut command("cargo", &arguments),
            BUILD,
        )?;
    }
    let arguments = [
        "deny",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ];
    run(
        "licences, sources, bans",
        &mut command("cargo", &arguments),
        CHECK,
    )
}
