//! `mantlet-loadgen`: a bounded load generator for MCP servers and gateways, without a runtime. It sends the same
//! request again and again, each only after an answer has come (a closed loop), over HTTP connections or to a program
//! over standard input and output, and prints one JSON object. Loopback only.

mod figures;
mod http;
mod message;
mod options;
mod stdio;

use std::io::Write as _;
use std::process::ExitCode;

use options::{Asked, Target, USAGE};

fn main() -> ExitCode {
    let options = match options::read(std::env::args().skip(1)) {
        Ok(Asked::Load(options)) => options,
        Ok(Asked::Help) => {
            let _nobody_reads = writeln!(std::io::stdout(), "{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            let _nobody_reads = writeln!(std::io::stderr(), "mantlet-loadgen: {wrong}; see --help");
            return ExitCode::from(2);
        }
    };
    let outcome = match &options.target {
        Target::Http(place) => http::run(&options, place),
        Target::Command(words) => stdio::run(&options, words),
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            let _nobody_reads = writeln!(std::io::stderr(), "mantlet-loadgen: {error}");
            return ExitCode::FAILURE;
        }
    };
    let written = writeln!(std::io::stdout(), "{}", outcome.report(&options));
    if written.is_ok() && outcome.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
