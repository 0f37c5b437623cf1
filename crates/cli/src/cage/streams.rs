//! The three streams of a caged command. A terminal is never handed in: the command gets pipes, and what it writes
//! reaches the terminal as text with colours, without what moves, titles or answers.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::process::Stdio;

use mantlet_sandbox::Streams;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::task::JoinHandle;

/// Bytes of one escape sequence that is kept while it is not complete.
const SEQUENCE: usize = 32;

/// Which streams are pipes because the real ones are a terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piped {
    input: bool,
    output: bool,
    errors: bool,
}

/// The streams to start with.
pub(super) fn streams() -> (Streams, Piped) {
    let piped = Piped {
        input: std::io::stdin().is_terminal(),
        output: std::io::stdout().is_terminal(),
        errors: std::io::stderr().is_terminal(),
    };
    let stream = |piped: bool| if piped { Stdio::piped() } else { Stdio::inherit() };
    let streams = Streams {
        input: stream(piped.input),
        output: stream(piped.output),
        errors: stream(piped.errors),
    };
    (streams, piped)
}

/// Carries what goes through pipes; the tasks that must end before all is shown.
pub(super) fn carry(piped: Piped, helper: &mut Child) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    if let Some(mut input) = helper.stdin.take().filter(|_| piped.input) {
        let (lines, mut read) = tokio::sync::mpsc::channel::<Vec<u8>>(4);
        // A thread of its own: reading a terminal cannot be stopped, and must not keep the process.
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = std::io::stdin().read(&mut chunk) {
                let text = chunk.get(..length).unwrap_or_default().to_vec();
                if lines.blocking_send(text).is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            while let Some(text) = read.recv().await {
                if input.write_all(&text).await.is_err() {
                    return;
                }
            }
        });
    }
    if let Some(output) = helper.stdout.take().filter(|_| piped.output) {
        tasks.push(tokio::spawn(show(output, |text| {
            let mut out = std::io::stdout().lock();
            let _gone = out.write_all(text).and_then(|()| out.flush());
        })));
    }
    if let Some(errors) = helper.stderr.take().filter(|_| piped.errors) {
        tasks.push(tokio::spawn(show(errors, |text| {
            let _gone = std::io::stderr().lock().write_all(text);
        })));
    }
    tasks
}

async fn show(mut from: impl AsyncRead + Unpin, to: impl Fn(&[u8])) {
    let (mut chunk, mut screen) = (vec![0; 16 * 1024], Screen::default());
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        let mut shown = Vec::with_capacity(length);
        for byte in chunk.get(..length).unwrap_or_default() {
            screen.take(*byte, &mut shown);
        }
        to(&shown);
    }
}

/// Lets through text and colours (ECMA-48 `SGR`); of other control sequences nothing is left but a mark.
#[derive(Debug, Default)]
struct Screen {
    sequence: Vec<u8>,
}

impl Screen {
    fn take(&mut self, byte: u8, shown: &mut Vec<u8>) {
        if self.sequence.is_empty() {
            match byte {
                0x1b => self.sequence.push(byte),
                b'\n' | b'\t' | b'\r' | 0x20..=0x7e | 0x80.. => shown.push(byte),
                _ => shown.extend("·".as_bytes()),
            }
            return;
        }
        self.sequence.push(byte);
        let colours = self.sequence.len() > 2 && self.sequence.get(1) == Some(&b'[');
        match byte {
            b'[' if self.sequence.len() == 2 => {}
            b'0'..=b'9' | b';' if self.sequence.get(1) == Some(&b'[') && self.sequence.len() < SEQUENCE => {}
            b'm' if colours => shown.append(&mut self.sequence),
            _ => {
                // What follows the escape character is plain text now, and shown as such.
                let rest: Vec<u8> = self.sequence.drain(..).skip(1).collect();
                shown.extend("·".as_bytes());
                for byte in rest {
                    self.take(byte, shown);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let (mut screen, mut shown) = (Screen::default(), Vec::new());
        text.bytes().for_each(|byte| screen.take(byte, &mut shown));
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn text_and_colours_are_shown_and_nothing_else_is_done() {
        assert_eq!(shown("plain\tgrüße\r\n"), "plain\tgrüße\r\n");
        assert_eq!(shown("\x1b[1;31mred\x1b[0m"), "\x1b[1;31mred\x1b[0m");
        for (hostile, left) in [
            ("\x1b]0;owned\x07", "·]0;owned·"),
            ("\x1b[2J", "·[2J"),
            ("\x1b[6n", "·[6n"),
            ("\x1b\x1b[31m", "·\x1b[31m"),
            ("a\x08b\x07", "a·b·"),
            ("\x1bP1$r\x1b\\", "·P1$r·\\"),
        ] {
            assert_eq!(shown(hostile), left, "{hostile:?}");
        }
        let long = format!("\x1b[{}m", "1;".repeat(40));
        assert!(!shown(&long).contains('\x1b'));
    }
}
