//! Prints the JSON Schema of the configuration: `cargo run -p mantlet-config --example print_schema`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &mantlet_config::json_schema())?;
    writeln!(out)
}
