//! Writing to the terminal: results and talk. A reader that has gone is no error.

use std::io::{IsTerminal as _, Write as _};

/// A line of the result, to standard output.
pub(crate) fn print(line: &str) {
    let _gone = writeln!(std::io::stdout().lock(), "{line}");
}

/// A line of talk, to standard error.
pub(crate) fn say(line: &str) {
    let _gone = writeln!(std::io::stderr().lock(), "{line}");
}

/// Whether colours are wanted on standard output (`NO_COLOR`, see no-color.org).
pub(crate) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Colours, where they are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Colour {
    Green,
    Red,
    Yellow,
    Bold,
    Dim,
}

/// The text in a colour.
pub(crate) fn paint(text: &str, colour: Colour, on: bool) -> String {
    if !on {
        return text.to_owned();
    }
    let code = match colour {
        Colour::Green => 32,
        Colour::Red => 31,
        Colour::Yellow => 33,
        Colour::Bold => 1,
        Colour::Dim => 2,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Text of somebody else made safe for a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { '·' } else { letter })
        .collect()
}
