//! The first bytes of a connection: which protocol they are of, and whom they name. No I/O: bytes come in, a verdict
//! goes out, and nothing is sent on to a host before there is one.

use bytes::Bytes;
use rustls::server::Acceptor;

use super::book::{Target, Who};
use super::report::plain;

/// Bytes of a TLS hello, of white space before a request, of a first line. A hello with the large keys of today has
/// two thousand.
const MAX_HELLO: usize = 16 * 1_024;
const MAX_BLANK: usize = 1_024;
const MAX_LINE: usize = 8 * 1_024;
/// No method of HTTP is longer.
const MAX_METHOD: usize = 32;
/// The first bytes of a TLS record with a handshake in it; the version's minor number varies (RFC 8446 §5.1).
const HANDSHAKE: u8 = 0x16;
const MAJOR: u8 = 3;
/// Those that say what is HTTP even when the version is missing (HTTP/0.9).
const METHODS: &[&[u8]] = &[
    b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT",
];

/// What is to be done with what was said so far.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is not enough to tell.
    More,
    /// Bytes are passed on as they are: TLS that names the right host, or a protocol that names none.
    Relay,
    /// Every request is to be looked at.
    Http,
    /// It is refused, and why.
    Refuse(String),
}

/// The opening of one connection.
pub(super) struct Opening<'a> {
    target: &'a Target,
    /// All that was said. Never more than the limits above and one read.
    pub(super) said: Vec<u8>,
    hello: Acceptor,
    /// Bytes that the hello's reader has had.
    fed: usize,
}

impl<'a> Opening<'a> {
    pub(super) fn new(target: &'a Target) -> Self {
        Self {
            target,
            said: Vec::new(),
            hello: Acceptor::default(),
            fed: 0,
        }
    }

    /// What was said, to be read once more.
    pub(super) fn into_said(self) -> Bytes {
        Bytes::from(self.said)
    }

    /// Judges what was said so far; to be called after each read.
    pub(super) fn judge(&mut self) -> Step {
        match (self.said.as_slice(), self.target.port) {
            ([], _) | ([HANDSHAKE], _) => Step::More,
            ([HANDSHAKE, MAJOR, ..], 80) => Step::Refuse("port 80 is for HTTP, and this is TLS".to_owned()),
            ([HANDSHAKE, MAJOR, ..], _) => self.judge_hello(),
            (_, 443) => Step::Refuse("port 443 is for TLS, and this is something else".to_owned()),
            (said, port) => match (judge_text(said), port) {
                (Step::Relay, 80) => Step::Refuse("port 80 is for HTTP, and this is something else".to_owned()),
                (step, _) => step,
            },
        }
    }

    /// Judges what was said when nothing more will come.
    pub(super) fn judge_end(&mut self) -> Step {
        match self.judge() {
            Step::More if matches!(self.target.port, 80 | 443) || self.said.first() == Some(&HANDSHAKE) => {
                Step::Refuse("it ended before it said whom it is for".to_owned())
            }
            // A first line without an end is no request.
            Step::More => Step::Relay,
            step => step,
        }
    }

    fn judge_hello(&mut self) -> Step {
        let mut fresh = self.said.get(self.fed..).unwrap_or_default();
        self.fed = self.said.len();
        while !fresh.is_empty() {
            if let Err(error) = self.hello.read_tls(&mut fresh) {
                return Step::Refuse(format!("its TLS hello cannot be read: {error}"));
            }
            match self.hello.accept() {
                Ok(None) => {}
                Ok(Some(hello)) => return judge_name(hello.client_hello().server_name(), &self.target.who),
                Err((error, _)) => return Step::Refuse(format!("its TLS hello cannot be read: {error}")),
            }
        }
        if self.said.len() >= MAX_HELLO {
            return Step::Refuse("its TLS hello is too long".to_owned());
        }
        Step::More
    }
}

/// The name in the hello (RFC 6066 §3) must be the one that was looked up. What the host makes of requests within the
/// encryption cannot be seen from here.
fn judge_name(said: Option<&str>, who: &Who) -> Step {
    match (said, who) {
        (Some(said), who) if who.is(said) => Step::Relay,
        (Some(said), who) => Step::Refuse(format!("its TLS hello is for `{}`, not for `{who}`", plain(said))),
        (None, Who::Address(_)) => Step::Relay,
        (None, Who::Name(_)) => Step::Refuse(format!("its TLS hello names no host, where `{who}` is granted")),
    }
}

/// Judges what is not TLS. HTTP is whatever some server might take for it: wider than the standard, since what looks
/// like a request is read strictly afterwards, and what does not is passed on.
fn judge_text(said: &[u8]) -> Step {
    let blank = said.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let said = said.get(blank..).unwrap_or_default();
    if said.is_empty() {
        return if blank > MAX_BLANK {
            Step::Refuse("it begins with blank lines only".to_owned())
        } else {
            Step::More
        };
    }
    let end = said.iter().position(|byte| *byte == b'\n');
    let line = said.get(..end.unwrap_or(said.len())).unwrap_or_default();
    let mut words = line.split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
    let method = words.next().unwrap_or_default();
    if method.len() > MAX_METHOD || !method.iter().all(|byte| is_token(*byte)) {
        return Step::Relay;
    }
    let rest: Vec<&[u8]> = words.collect();
    let is_method = METHODS.iter().any(|known| known.eq_ignore_ascii_case(method));
    // Git's own protocol and the like: text, then zeros.
    if !is_method && rest.iter().any(|word| word.contains(&0)) {
        return Step::Relay;
    }
    if end.is_none() {
        return if line.len() >= MAX_LINE {
            Step::Refuse("its first line is too long to be looked at".to_owned())
        } else {
            Step::More
        };
    }
    judge_line(method, is_method, &rest)
}

fn judge_line(method: &[u8], is_method: bool, rest: &[&[u8]]) -> Step {
    let starts = |word: &[u8], start: &[u8]| {
        word.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
    };
    let versioned = rest.iter().any(|word| starts(word, b"HTTP/"));
    if method.eq_ignore_ascii_case(b"PRI") && versioned {
        return Step::Refuse("it is HTTP/2 without TLS, in which hosts cannot be told apart".to_owned());
    }
    // A front that believes this line would take the bytes after it for another's.
    if method == b"PROXY" {
        return Step::Refuse("it begins as a proxy does, and it is none".to_owned());
    }
    let targets = |word: &&[u8]| word.starts_with(b"/") || word.windows(3).any(|part| part == b"://");
    if versioned || (is_method && rest.first().is_some_and(targets)) {
        return Step::Http;
    }
    Step::Relay
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
