//! Project tasks: `cargo xtask COMMAND`. One file a command.

mod bench;
mod deny;
mod peers;
mod run;
mod schema;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND
  test          everything that CI runs: format, lints, tests, end to end, tidiness
  peers         install the real clients and servers that the tests talk to
  e2e           the end-to-end and attack tests only
  tidy          sizes, crate arrows, docs that must name what the code has
  bench         what the gateway costs: a raw echo server, direct and through it
  schema        write the configuration's JSON Schema anew";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let outcome = match command.as_str() {
        "test" => test::run(&rest),
        "peers" => peers::install(&rest),
        "e2e" => test::end_to_end(),
        "tidy" => tidy::run(&rest),
        "bench" => bench::run(&rest),
        "schema" => schema::run(&rest),
        "" | "help" | "--help" => {
            println!("{HELP}");
            Ok(())
        }
        other => Err(anyhow::anyhow!("there is no command `{other}`\n{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
