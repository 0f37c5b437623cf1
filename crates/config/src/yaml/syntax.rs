//! What to say of a text that is no YAML. Where such a place is was found by the parser.

use std::ops::Range;

use granit_parser::ScanError;

use crate::diagnose::Problem;

/// Why a text is no YAML, with the usual reason where the line shows one.
pub(super) fn problem(error: &ScanError, line: &str) -> Problem {
    use granit_parser::ErrorKind as Kind;
    let problem = Problem::new(format!("this is not YAML: {}", error.info()));
    match error.kind() {
        Kind::TabNotAllowed
        | Kind::TabInBlockIndentation
        | Kind::TabInIndentation
        | Kind::TabInPlainScalar => problem.help(NO_TABS),
        Kind::DirectiveDisallowed => problem.help("remove the line that begins with `%`"),
        Kind::RecursionLimitExceeded => super::too_deep(),
        Kind::UnknownAnchor => problem.help(
            "`*name` repeats the value marked `&name` before; a text that begins with `*` belongs in quotes",
        ),
        _ if line.contains('\t') => problem.help(NO_TABS),
        _ if line.contains("${") => {
            problem.help("inside `{ }` and `[ ]` a value with `${…}` belongs in quotes: `\"${env:NAME}\"`")
        }
        Kind::MappingValueNotAllowed | Kind::InvalidMappingValueWhitespace => problem
            .help("a value that holds `: ` belongs in quotes; keys of one mapping begin in the same column"),
        _ => problem,
    }
}

const NO_TABS: &str = "indent with spaces: YAML takes no tabs";

/// The line that holds this place.
pub(super) fn line_around(text: &str, at: usize) -> Range<usize> {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
    let end = after
        .find('\n')
        .map_or(text.len(), |newline| at.saturating_add(newline));
    start..end
}
