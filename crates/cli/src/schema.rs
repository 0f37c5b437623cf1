//! `mantlet schema` and `mantlet completions`.

use clap::CommandFactory as _;

use crate::failure::{self, Failure};
use crate::{Arguments, term};

pub(crate) fn run() -> Result<u8, Failure> {
    let schema = serde_json::to_string_pretty(&mantlet_config::json_schema())
        .map_err(|error| Failure::could_not_run(error.to_string()))?;
    term::print(&schema);
    Ok(failure::FINE)
}

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<u8, Failure> {
    clap_complete::generate(
        shell,
        &mut Arguments::command(),
        "mantlet",
        &mut std::io::stdout(),
    );
    Ok(failure::FINE)
}
