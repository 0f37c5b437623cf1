//! One HTTP/1.1 connection that is kept, with bounds on what it takes.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::options::Place;

const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take; one that takes longer counts as an error.
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_LINE: u64 = 64 * 1024;
const MAX_LINES: usize = 200;
const MAX_BODY: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) session: Option<String>,
}

/// See the module's head. `body` holds the last answer's, with chunks joined.
#[derive(Debug)]
pub(super) struct Client<R = BufReader<TcpStream>, W = TcpStream> {
    reader: R,
    writer: W,
    line: String,
    pub(super) body: Vec<u8>,
}

/// Where a body ends (RFC 9112 §6.3).
enum Extent {
    Length(usize),
    Chunks,
}

impl Client {
    pub(super) fn connect(place: &Place) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&place.address, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            writer: stream.try_clone()?,
            reader: BufReader::with_capacity(16 * 1024, stream),
            line: String::new(),
            body: Vec::new(),
        })
    }
}

impl<R: BufRead, W: Write> Client<R, W> {
    pub(super) fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.writer.write_all(request)?;
        self.read_line()?;
        let status = self.line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(broken)?;
        let (mut extent, mut session) = (Extent::Length(0), None);
        for _ in 0..MAX_LINES {
            self.read_line()?;
            let header = self.line.trim_end();
            if header.is_empty() {
                self.read_body(&extent)?;
                return Ok(Answer { status, session });
            }
            let (name, value) = header.split_once(':').ok_or_else(broken)?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                extent = Extent::Length(value.parse().map_err(|_| broken())?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                extent = Extent::Chunks;
            } else if name.eq_ignore_ascii_case("mcp-session-id") {
                session = Some(value.to_owned());
            }
        }
        Err(broken())
    }

    fn read_line(&mut self) -> Result<()> {
        self.line.clear();
        let count = self.reader.by_ref().take(MAX_LINE).read_line(&mut self.line)?;
        match (count, self.line.ends_with('\n')) {
            (0, _) => Err(ErrorKind::UnexpectedEof.into()),
            (_, true) => Ok(()),
            (_, false) => Err(broken()),
        }
    }

    fn read_body(&mut self, extent: &Extent) -> Result<()> {
        self.body.clear();
        if let Extent::Length(length) = extent {
            return self.fill(*length);
        }
        loop {
            self.read_line()?;
            let size = self.line.trim().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).map_err(|_| broken())?;
            self.fill(size)?;
            self.read_line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn fill(&mut self, size: usize) -> Result<()> {
        let begin = self.body.len();
        let end = begin
            .checked_add(size)
            .filter(|end| *end <= MAX_BODY)
            .ok_or_else(broken)?;
        self.body.resize(end, 0);
        self.reader
            .read_exact(self.body.get_mut(begin..).unwrap_or_default())
    }
}

fn broken() -> Error {
    Error::new(ErrorKind::InvalidData, "this is no HTTP answer within bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(answer: &[u8]) -> Result<(u16, Option<String>, Vec<u8>)> {
        let mut client = Client {
            reader: answer,
            writer: Vec::new(),
            line: String::new(),
            body: Vec::new(),
        };
        let answer = client.exchange(b"x")?;
        assert_eq!(client.writer, b"x");
        Ok((answer.status, answer.session, client.body))
    }

    #[test]
    fn both_kinds_of_body_are_read_to_their_end() {
        let plain =
            exchange(b"HTTP/1.1 200 OK\r\nMcp-Session-Id: s\r\nContent-Length: 2\r\n\r\nabc").unwrap();
        assert_eq!(plain, (200, Some("s".to_owned()), b"ab".to_vec()));
        let chunks = exchange(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        );
        assert_eq!(chunks.unwrap().2, b"abc");
        assert_eq!(exchange(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().0, 204);
    }

    #[test]
    fn what_is_too_long_or_broken_off_is_an_error() {
        let endless = [b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'y'; 100_000]].concat();
        let many = ["HTTP/1.1 200 OK\r\n", &"a: b\r\n".repeat(300), "\r\n"].concat();
        for answer in [
            &b""[..],
            b"HTTP/1.1 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            b"HTTP/1.1 200 OK\r\nnocolon\r\n\r\n",
            &endless,
            many.as_bytes(),
        ] {
            assert!(exchange(answer).is_err());
        }
    }
}
