//! Exit codes, and how a failure is told.

use std::process::ExitCode;

/// Everything was as it should be.
pub(crate) const FINE: u8 = 0;
/// Findings or refusals.
pub(crate) const FINDINGS: u8 = 1;
/// Wrong use, or a configuration that does not check.
pub(crate) const WRONG_USE: u8 = 2;
/// It could not run.
pub(crate) const COULD_NOT_RUN: u8 = 3;

/// A failure with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    pub(crate) fn wrong_use(text: impl Into<String>) -> Self {
        Self {
            code: WRONG_USE,
            text: text.into(),
        }
    }

    /// What is to be said.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn could_not_run(text: impl Into<String>) -> Self {
        Self {
            code: COULD_NOT_RUN,
            text: text.into(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::could_not_run(format!("{error:#}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::could_not_run(error.to_string())
    }
}

/// Tells a failure, and gives the exit code.
pub(crate) fn exit(outcome: Result<u8, Failure>) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let text = failure.text.trim_end();
            let text = if text.starts_with("error") {
                text.to_owned()
            } else {
                format!("error: {text}")
            };
            crate::term::say(&text);
            ExitCode::from(failure.code)
        }
    }
}
