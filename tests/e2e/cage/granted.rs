//! The one service that is granted. It reads like a strict server, and notes what no caged program may send to it: the
//! name of another host, or a request of which a second one could be made on the way.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crate::witness::Notes;

/// The name under which it is granted.
pub(crate) const NAME: &str = "granted.test";
/// The name that must not arrive.
const FORBIDDEN: &str = "forbidden.test";
/// What it answers.
const ANSWER: &[u8] = b"GRANTED";
/// No test sends more.
const MOST: usize = 4 << 20;

/// One connection.
pub(crate) struct Granted {
    /// Where notes go.
    pub(crate) notes: Arc<Notes>,
    /// The port of the service that is not granted.
    pub(crate) forbidden: u16,
}

struct Incoming {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Incoming {
    /// Reads more; false at the end, or when nothing comes.
    fn more(&mut self) -> bool {
        let mut buffer = [0; 65536];
        let count = self.stream.read(&mut buffer).unwrap_or_default();
        self.bytes.extend_from_slice(&buffer[..count]);
        count > 0 && self.bytes.len() < MOST
    }

    /// Takes what comes before a mark, and the mark.
    fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.bytes, mark) {
                let taken = self.bytes.drain(..at + mark.len()).collect();
                return Some(taken);
            }
            if !self.more() {
                return None;
            }
        }
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.bytes.len() < count {
            if !self.more() {
                return None;
            }
        }
        Some(self.bytes.drain(..count).collect())
    }
}

/// The head of a request, as far as it matters.
#[derive(Default)]
struct Head {
    method: String,
    target: String,
    keeps: bool,
    length: usize,
    chunked: bool,
}

impl Granted {
    /// Serves one connection until it ends.
    pub(crate) fn serve(&self, stream: TcpStream) {
        let _always_possible = stream.set_read_timeout(Some(Duration::from_secs(3)));
        let mut incoming = Incoming {
            stream,
            bytes: Vec::new(),
        };
        loop {
            while incoming.bytes.first().is_none_or(|first| b"\r\n".contains(first)) {
                if incoming.bytes.is_empty() {
                    if !incoming.more() {
                        return;
                    }
                } else {
                    incoming.bytes.remove(0);
                }
            }
            if !self.is_http(&mut incoming) {
                return self.something_else(&mut incoming);
            }
            if self.request(&mut incoming).is_none() {
                return;
            }
        }
    }

    fn is_http(&self, incoming: &mut Incoming) -> bool {
        while incoming
            .bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() || *byte == b' ')
        {
            if !incoming.more() {
                break;
            }
        }
        let line = incoming
            .bytes
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        find(line, b" HTTP/1.").is_some()
    }

    /// Other protocols: bytes, answered once.
    fn something_else(&self, incoming: &mut Incoming) {
        let _gone = incoming.stream.write_all(ANSWER);
        while incoming.more() {}
        let hello = handshake(&incoming.bytes);
        for bytes in [&incoming.bytes, &hello] {
            let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
            for word in [FORBIDDEN, "stolen"] {
                if text.contains(word) {
                    self.notes
                        .add(format!("the granted service got `{word}`, not over HTTP"));
                }
            }
        }
    }

    fn request(&self, incoming: &mut Incoming) -> Option<()> {
        let head = if find(&incoming.bytes, b"\r\n\r\n").is_none() && find(&incoming.bytes, b"\n\n").is_some()
        {
            incoming.until(b"\n\n")?
        } else {
            incoming.until(b"\r\n\r\n")?
        };
        let head = self.read(&String::from_utf8_lossy(&head));
        let mut body = Vec::new();
        if head.chunked {
            loop {
                let size = incoming.until(b"\r\n")?;
                let size = String::from_utf8_lossy(&size);
                let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
                if size == 0 {
                    while incoming.until(b"\r\n")? != b"\r\n" {}
                    break;
                }
                body.extend(incoming.take(size)?);
                incoming.until(b"\r\n")?;
            }
        } else {
            body = incoming.take(head.length)?;
        }
        let answer = self.answer(&head, body);
        incoming.stream.write_all(&answer).ok()?;
        head.keeps.then_some(())
    }

    fn answer(&self, head: &Head, body: Vec<u8>) -> Vec<u8> {
        let path = head
            .target
            .strip_prefix("http://")
            .map_or(head.target.as_str(), |rest| {
                rest.find('/').map_or("/", |at| &rest[at..])
            });
        let location = match path {
            "/redirect" => Some("127.0.0.1"),
            "/redirect-to-port" => Some(NAME),
            "/redirect-to-name" => Some("localhost"),
            _ => None,
        };
        let body = if path == "/echo" { body } else { ANSWER.to_vec() };
        let first = match location {
            Some(host) => format!("302 Found\r\nLocation: http://{host}:{}/", self.forbidden),
            None => "200 OK".to_owned(),
        };
        let mut answer = format!("HTTP/1.1 {first}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        if head.method != "HEAD" {
            answer.extend(body);
        }
        answer
    }

    /// Reads a head and notes what is wrong with it.
    fn read(&self, text: &str) -> Head {
        let note = |what: &str| {
            self.notes.add(format!(
                "the granted service got {what}: {:.200}",
                text.escape_debug()
            ));
        };
        let mut lines = text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line));
        let mut words = lines.next().unwrap_or_default().split(' ');
        let mut head = Head {
            method: words.next().unwrap_or_default().to_owned(),
            target: words.next().unwrap_or_default().to_owned(),
            ..Head::default()
        };
        head.keeps = words.next() == Some("HTTP/1.1");
        if let Some((_, rest)) = head.target.split_once("://")
            && !is_granted(rest.split('/').next().unwrap_or_default())
        {
            note("a target on another host");
        }
        if head.method == "CONNECT" && !is_granted(&head.target) {
            note("a CONNECT to another host");
        }
        let (mut hosts, mut lengths) = (0, 0);
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            if line.contains('\r') || name.trim() != name || name.is_empty() {
                note("a header that others read otherwise");
            }
            match name.trim().to_ascii_lowercase().as_str() {
                "host" => {
                    hosts += 1;
                    if !is_granted(value.trim()) {
                        note("a request for another host");
                    }
                }
                "content-length" => {
                    lengths += 1;
                    let digits = value.trim();
                    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                        note("an odd length");
                    }
                    head.length = digits.trim_start_matches('+').parse().unwrap_or_default();
                }
                "transfer-encoding" => {
                    lengths += 1;
                    head.chunked = true;
                    if !value.trim().eq_ignore_ascii_case("chunked") {
                        note("an odd coding");
                    }
                }
                _ => {}
            }
        }
        if hosts > 1 || lengths > 1 {
            note("two hosts or two lengths");
        }
        head
    }
}

fn is_granted(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case(NAME) || name == "127.0.0.1"
}

/// The handshake of TLS without the heads of its records; nothing of other bytes.
fn handshake(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while let [0x16, 3, _, high, low, body @ ..] = rest {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(body.len());
        found.extend_from_slice(&body[..length]);
        rest = &body[length..];
    }
    found
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}
