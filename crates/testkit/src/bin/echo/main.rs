//! `mantlet-echo`: the least MCP server there can be, in both eras, over HTTP or standard input and output. It is what
//! a benchmark measures a gateway against, so that nothing but the gateway costs. Here: the command line and the lines
//! of stdio. Not here: an async runtime, an SDK, or a second tool.

mod http;
mod mcp;

use std::io::{BufRead, Read as _, Write};
use std::process::ExitCode;

use mcp::Stdio;

const USAGE: &str = "\
mantlet-echo http PORT    serve http://127.0.0.1:PORT/mcp (0: any free port, which is printed)
mantlet-echo stdio        serve standard input and output, until the input ends";

/// The longest line that is taken.
const MAX_LINE: u64 = 4 * 1024 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["stdio"] => serve_lines(&mut std::io::stdin().lock(), &mut std::io::stdout().lock()),
        ["http", port] => match port.parse() {
            Ok(port) => http::serve(port),
            Err(_) => return wrong_use(&format!("`{port}` is no port\n{USAGE}")),
        },
        ["--help"] => return print(USAGE),
        _ => return wrong_use(USAGE),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => wrong_use(&error.to_string()),
    }
}

fn print(text: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn wrong_use(text: &str) -> ExitCode {
    let _nobody_reads = writeln!(std::io::stderr(), "mantlet-echo: {text}");
    ExitCode::FAILURE
}

/// One message a line (MCP 2026-07-28 basic/transports/stdio), until the input ends. A line that is no message gets an
/// error without an id; one that is too long ends the server, since what follows it is not known to be a new message.
fn serve_lines(input: &mut impl BufRead, output: &mut impl Write) -> std::io::Result<()> {
    let mut connection = Stdio::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') && u64::try_from(count) == Ok(MAX_LINE) {
            return Err(std::io::Error::other("a line is longer than 4 MiB"));
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        if let Some(answer) = connection.answer(text) {
            let mut bytes = answer.to_string().into_bytes();
            bytes.push(b'\n');
            output.write_all(&bytes)?;
            output.flush()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(lines: &str) -> Vec<String> {
        let mut output = Vec::new();
        serve_lines(&mut lines.as_bytes(), &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_line_is_a_message_and_notifications_are_silent() {
        let said = talk(concat!(
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#,
            "\r\n\n",
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            "\n{nonsense\n",
            r#"{"jsonrpc":"2.0","id":"b","method":"ping"}"#,
        ));
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains(r#""protocolVersion":"2025-06-18""#), "{said:?}");
        assert!(said[1].contains("-32700"), "{said:?}");
        let pong: serde_json::Value = said[2].parse().unwrap();
        assert_eq!(
            pong,
            serde_json::json!({"jsonrpc": "2.0", "id": "b", "result": {}})
        );
    }

    #[test]
    fn a_line_without_an_end_is_not_kept() {
        let endless = std::io::repeat(b'x').take(MAX_LINE + 10);
        let mut output = Vec::new();
        assert!(serve_lines(&mut std::io::BufReader::new(endless), &mut output).is_err());
        assert!(output.is_empty());
    }
}
