//! The `mantlet` binary: arguments in, exit codes out; one file a subcommand. Results go to standard output, talk
//! to standard error.

mod cage;
mod demo;
mod failure;
mod grants;
mod launcher;
mod learn;
mod log;
mod run;
mod schema;
mod serve;
mod split;
mod state;
mod status;
mod term;
mod wrap;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// The security gateway for the Model Context Protocol.
///
/// Stands between any MCP client and any MCP server and checks every message, in both directions.
#[derive(Debug, Parser)]
#[command(
    name = "mantlet",
    version,
    after_help = "Begin with `mantlet demo`, or put `mantlet wrap --` before the command of a server in your client's configuration.\n\nExit codes: 0 fine, 1 findings or refusals, 2 wrong use or configuration, 3 it could not run."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what Mantlet does: a gateway, an honest and a hostile server, a client, and every verdict
    Demo(demo::Options),
    /// Run one server behind Mantlet, over standard input and output
    Wrap(wrap::Options),
    /// Run any command in the cage in which servers run
    Cage(cage::Options),
    /// Run the gateway for the servers of a configuration file, over HTTP
    Serve(serve::Options),
    /// Show what runs, and which control is in force
    Status(status::Options),
    /// Read and check the audit log
    Log(log::Options),
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Print the completions for a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    #[command(hide = true)]
    DemoServer {
        /// Which one.
        kind: demo::servers::Kind,
    },
}

fn main() -> ExitCode {
    // Before there is a thread, and before anything is read: this process is no command, but a part of another's.
    let argument = std::env::args_os().nth(1).unwrap_or_default();
    if argument == mantlet_sandbox::HELPER {
        return ExitCode::from(mantlet_sandbox::help());
    }
    if argument == mantlet_sandbox::KEEPER {
        return ExitCode::from(mantlet_sandbox::look_after());
    }
    if argument == mantlet_gateway::launcher::LAUNCHER {
        return failure::exit(launcher::run());
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are results; the rest is wrong use.
            let _unprinted = error.print();
            return ExitCode::from(if error.use_stderr() {
                failure::WRONG_USE
            } else {
                failure::FINE
            });
        }
    };
    let outcome = match arguments.command {
        Command::Demo(options) => demo::run(&options),
        Command::Wrap(options) => wrap::run(options),
        Command::Cage(options) => cage::run(options),
        Command::Serve(options) => serve::run(&options),
        Command::Status(options) => status::run(&options),
        Command::Log(options) => log::run(&options),
        Command::Schema => schema::run(),
        Command::Completions { shell } => schema::completions(shell),
        Command::DemoServer { kind } => demo::servers::run(kind),
    };
    failure::exit(outcome)
}
