//! `cargo xtask schema`: writes the published JSON Schema of the configuration anew.

use std::time::Duration;

use anyhow::Result;

use crate::run;

pub fn run(_arguments: &[String]) -> Result<()> {
    let output = run::command(
        "cargo",
        &[
            "run",
            "--quiet",
            "-p",
            "mantlet-config",
            "--example",
            "print_schema",
        ],
    )
    .output()?;
    anyhow::ensure!(output.status.success(), "the schema could not be printed");
    let path = run::root().join("crates/config/schema/mantlet.schema.json");
    std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
    std::fs::write(&path, output.stdout)?;
    run::run(
        "the schema is current",
        &mut run::command("cargo", &["test", "-p", "mantlet-config", "--quiet"]),
        Duration::from_secs(600),
    )
}
