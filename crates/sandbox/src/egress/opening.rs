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
/// The first bytes of a TLS record with a handshake in it; the version's minor number varies (RFC 8446 §5.1).
const HANDSHAKE: u8 = 0x16;
const MAJOR: u8 = 3;
/// What comes after the blank lines with which a binary proxy header begins.
const PROXY_HEADER: &[u8] = b"\0\r\nQUIT\n";
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
                (Step::Relay, 80) => {
                    Step::Refuse("port 80 is for HTTP, and this is something else".to_owned())
                }
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
                Ok(Some(hello)) => {
                    let client = hello.client_hello();
                    let name = client.server_name();
                    return judge_name(name, sni(&handshake(&self.said)), &self.target.who);
                }
                Err((error, _)) => return Step::Refuse(format!("its TLS hello cannot be read: {error}")),
            }
        }
        if self.said.len() >= MAX_HELLO {
            return Step::Refuse("its TLS hello is too long".to_owned());
        }
        Step::More
    }
}

/// The name in the hello (RFC 6066 §3) must be the one that was looked up. `read` is what rustls makes of it, which
/// drops a dot at the end and leaves out addresses; `said` is what stands there, and what a server goes by. What the
/// host makes of requests within the encryption cannot be seen from here.
fn judge_name(read: Option<&str>, said: Option<Vec<u8>>, who: &Who) -> Step {
    let Some(said) = said else {
        return match (read, who) {
            (None, Who::Address(_)) => Step::Relay,
            _ => Step::Refuse(format!("its TLS hello names no host, where `{who}` is granted")),
        };
    };
    let said = String::from_utf8_lossy(&said);
    let agrees = read.is_none_or(|read| read.eq_ignore_ascii_case(&said));
    if agrees && who.is(&said) {
        return Step::Relay;
    }
    Step::Refuse(format!(
        "its TLS hello is for `{}`, not for `{who}`",
        plain(&said)
    ))
}

/// The handshake messages within records. These were read by rustls, so they are whole.
fn handshake(mut records: &[u8]) -> Vec<u8> {
    let mut messages = Vec::with_capacity(records.len());
    while let Some((&[_, _, _, high, low], rest)) = records.split_first_chunk::<5>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (record, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        messages.extend_from_slice(record);
        records = rest;
    }
    messages
}

/// The server name in a hello, byte for byte (RFC 8446 §4.1.2, RFC 6066 §3).
fn sni(hello: &[u8]) -> Option<Vec<u8>> {
    // Type and length of the message, version, random.
    let (_, rest) = hello.split_at_checked(1 + 3 + 2 + 32)?;
    let (_session, rest) = short(rest)?;
    let (_suites, rest) = long(rest)?;
    let (_compressions, rest) = short(rest)?;
    let (mut extensions, _) = long(rest)?;
    while let Some((&kind, rest)) = extensions.split_first_chunk::<2>() {
        let (extension, rest) = long(rest)?;
        if kind == [0, 0] {
            let (names, _) = long(extension)?;
            let (&[0], rest) = names.split_first_chunk::<1>()? else {
                return None;
            };
            return long(rest).map(|(name, _)| name.to_vec());
        }
        extensions = rest;
    }
    None
}

/// What a length of one byte stands before, and the rest.
fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// What a length of two bytes stands before, and the rest.
fn long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(length)))
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
    if blank > 0 && PROXY_HEADER.starts_with(said) {
        return if said == PROXY_HEADER {
            is_proxy()
        } else {
            Step::More
        };
    }
    if blank > 0 && said.starts_with(PROXY_HEADER) {
        return is_proxy();
    }
    let end = said.iter().position(|byte| *byte == b'\n');
    let line = said.get(..end.unwrap_or(said.len())).unwrap_or_default();
    let mut words = line.split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
    let method = words.next().unwrap_or_default();
    if !method.iter().all(|byte| is_token(*byte)) {
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
        word.get(..start.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(start))
    };
    let versioned = rest.iter().any(|word| starts(word, b"HTTP/"));
    if method.eq_ignore_ascii_case(b"PRI") && versioned {
        return Step::Refuse("it is HTTP/2 without TLS, in which hosts cannot be told apart".to_owned());
    }
    if method == b"PROXY" {
        return is_proxy();
    }
    let targets = |word: &&[u8]| word.starts_with(b"/") || word.windows(3).any(|part| part == b"://");
    if versioned || (is_method && rest.len() == 1 && rest.first().is_some_and(targets)) {
        return Step::Http;
    }
    Step::Relay
}

/// A front that believes such a header takes what comes after it for another's, and we would not have looked at that.
fn is_proxy() -> Step {
    Step::Refuse("it begins as a proxy does".to_owned())
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A hello of TLS 1.2 with these host names in it; without one, there is no such extension.
    pub(crate) fn hello(names: &[&[u8]]) -> Vec<u8> {
        let sized = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
        let list: Vec<u8> = names
            .iter()
            .flat_map(|name| [vec![0], sized(name)].concat())
            .collect();
        // Signature schemes (which rustls insists on), and the names.
        let mut extensions = [&[0, 13][..], &sized(&sized(&[4, 3]))].concat();
        if !names.is_empty() {
            extensions.extend([0, 0]);
            extensions.extend(sized(&sized(&list)));
        }
        let body = [
            &[3, 3][..],
            &[7; 32],
            &[0],
            &sized(&[0x13, 0x01]),
            &[1, 0],
            &sized(&extensions),
        ]
        .concat();
        let message = [&[1, 0][..], &sized(&body)].concat();
        [&[22, 3, 1][..], &sized(&message)].concat()
    }

    pub(crate) fn target(who: &str, port: u16) -> Target {
        Target {
            who: who.parse().map_or_else(|_| Who::Name(who.into()), Who::Address),
            port,
            dial: None,
            internal: false,
            learnt: false,
        }
    }

    /// What comes of these bytes, whether they come at once or one by one: a verdict must not hang on that.
    fn judged(target: &Target, said: &[u8]) -> Step {
        let mut at_once = Opening::new(target);
        at_once.said = said.to_vec();
        let step = at_once.judge();
        let mut one_by_one = Opening::new(target);
        let slow = said.iter().map(|byte| {
            one_by_one.said.push(*byte);
            one_by_one.judge()
        });
        let slow = slow
            .into_iter()
            .find(|step| *step != Step::More)
            .unwrap_or(Step::More);
        assert_eq!(step, slow, "{:?}", String::from_utf8_lossy(said));
        step
    }

    fn refused(target: &Target, said: &[u8]) -> String {
        match judged(target, said) {
            Step::Refuse(why) => why,
            other => panic!("{other:?}: {:?}", String::from_utf8_lossy(said)),
        }
    }

    #[test]
    fn tls_must_name_the_host() {
        let name = target("api.example.com", 443);
        assert_eq!(judged(&name, &hello(&[b"api.example.com"])), Step::Relay);
        assert_eq!(judged(&name, &hello(&[b"API.example.COM"])), Step::Relay);
        assert_eq!(
            refused(&name, &hello(&[b"evil.example"])),
            "its TLS hello is for `evil.example`, not for `api.example.com`"
        );
        assert!(refused(&name, &hello(&[])).contains("names no host"));
        for bad in [
            &[b"api.example.com.".as_slice()][..],
            &[b"api.example.com", b"evil.example"],
            &[b"evil.example", b"api.example.com"],
            &[b"api.example.com\0evil.example"],
            &[b"api.example.com\0"],
            &[b"xapi.example.com"],
            &[b"a.api.example.com"],
            &[b"example.com"],
            &[b"198.18.0.1"],
            &[b""],
        ] {
            let _ = refused(&name, &hello(bad));
        }
        let cut = hello(&[b"api.example.com"]);
        assert_eq!(judged(&name, &cut[..cut.len() - 1]), Step::More);
    }

    #[test]
    fn tls_in_many_records_is_one_hello() {
        let whole = hello(&[b"evil.example"]);
        let records: Vec<u8> = whole[5..]
            .iter()
            .flat_map(|byte| [22, 3, 1, 0, 1, *byte])
            .collect();
        assert!(refused(&target("api.example.com", 443), &records).contains("evil.example"));
        assert_eq!(judged(&target("evil.example", 443), &records), Step::Relay);
    }

    #[test]
    fn a_hello_of_rustls_is_read() {
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let name = "api.example.com".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
        let mut said = Vec::new();
        client.write_tls(&mut said).unwrap();
        assert_eq!(judged(&target("api.example.com", 443), &said), Step::Relay);
        assert!(
            refused(&target("a.example", 8443), &said).contains("`api.example.com`, not for `a.example`")
        );
    }

    #[test]
    fn tls_to_an_address() {
        let address = target("10.0.0.1", 443);
        assert_eq!(judged(&address, &hello(&[])), Step::Relay);
        assert_eq!(judged(&address, &hello(&[b"10.0.0.1"])), Step::Relay);
        for other in [b"evil.example".as_slice(), b"10.0.0.2", b"::1"] {
            assert!(refused(&address, &hello(&[other])).contains("not for `10.0.0.1`"));
        }
        let _ = refused(&address, &hello(&[b"10.0.0.1."]));
        assert_eq!(
            judged(&target("127.0.0.1", 8443), &hello(&[b"localhost"])),
            Step::Relay
        );
    }

    #[test]
    fn a_hello_without_end_is_refused() {
        let mut said = vec![22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff];
        said.resize(MAX_HELLO - 1, 0);
        assert_eq!(judged(&target("a.example", 443), &said), Step::More);
        said.extend([22, 3, 1, 0x40, 0]);
        let _ = refused(&target("a.example", 443), &said);
    }

    #[test]
    fn each_port_its_protocol() {
        for said in [
            b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".as_slice(),
            b"\r\n",
            b"\0",
            b"\x16\x02",
            b"\x80\x2e\x01\x03\x01",
        ] {
            assert!(refused(&target("a.example", 443), said).contains("port 443 is for TLS"));
        }
        assert!(refused(&target("a.example", 80), &hello(&[b"a.example"])).contains("port 80 is for HTTP"));
        for said in [b"SSH-2.0-OpenSSH\r\n".as_slice(), b"\0\0\0\x08", b"EHLO x\r\n"] {
            assert!(refused(&target("a.example", 80), said).contains("port 80 is for HTTP"));
        }
    }

    #[test]
    fn what_some_server_takes_for_http_is_http() {
        for said in [
            b"GET / HTTP/1.1\r\n".as_slice(),
            b"get / http/1.0\n",
            b"\r\n\r\nGET / HTTP/1.1\r\n",
            b" \t\r\nGET / HTTP/1.1\r\n",
            b"POST http://evil.example/ HTTP/1.1\r\n",
            b"GET  /  HTTP/1.1\r\n",
            b"GET\t/\tHTTP/1.1\r\n",
            b"GET\x0b/\x0cHTTP/1.1\r\n",
            b"GET / HTTP/1.1\rHost: evil.example\r\r\n",
            b"GET /\0 HTTP/1.1\r\n",
            b"GET / HTTP/9.9 and more\r\n",
            b"PROPFIND / HTTP/1.1\r\n",
            b"CONNECT evil.example:443 HTTP/1.1\r\n",
            b"GET /\r\n",
            b"GET http://evil.example/\r\n",
            b"AMETHODOFFORTYLETTERSISNOTOOLONGFORNGINXX / HTTP/1.1\r\n",
        ] {
            for port in [80, 8080] {
                assert_eq!(
                    judged(&target("a.example", port), said),
                    Step::Http,
                    "{:?}",
                    String::from_utf8_lossy(said)
                );
            }
        }
    }

    #[test]
    fn other_protocols_are_relayed() {
        for said in [
            // PostgreSQL, Redis, SMTP, SSH, Memcached, MQTT, AMQP, Git, IMAP, MySQL's answer, LDAP, MySQL, RTSP.
            b"\0\0\0\x08\x04\xd2\x16\x2f".as_slice(),
            b"*1\r\n$4\r\nPING\r\n",
            b"EHLO client.example\r\n",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"get key\r\n",
            b"\x10\x0c\0\x04MQTT",
            b"AMQP\0\0\x09\x01",
            b"0032git-upload-pack /project.git\0host=a.example\0",
            b"a1 LOGIN user pass\r\n",
            b"\x20\0\0\x01\x85\xa6",
            b"0\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0",
            b"\x16\0\0\x01",
            b"OPTIONS rtsp://a.example/ RTSP/1.0\r\n",
            b"{\"id\":1}",
        ] {
            assert_eq!(
                judged(&target("a.example", 5432), said),
                Step::Relay,
                "{:?}",
                String::from_utf8_lossy(said)
            );
        }
    }

    #[test]
    fn what_hides_the_host_is_refused() {
        let other = target("a.example", 8080);
        assert!(refused(&other, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").contains("HTTP/2"));
        assert!(refused(&other, b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n").contains("proxy"));
        assert!(refused(&other, b"\r\n\r\n\0\r\nQUIT\n\x21").contains("proxy"));
        assert!(refused(&other, &[b"GET /".as_slice(), &[b'a'; MAX_LINE]].concat()).contains("too long"));
        assert!(refused(&other, &[b'\n'; MAX_BLANK + 1]).contains("blank"));
    }

    #[test]
    fn too_little_is_not_guessed_at() {
        for said in [
            b"".as_slice(),
            b"G",
            b"GET",
            b"GET / HTTP/1.1",
            b"\r\n",
            b"\x16",
            b"\r\n\0\r",
        ] {
            let target = target("a.example", 8080);
            let mut opening = Opening::new(&target);
            opening.said = said.to_vec();
            assert_eq!(opening.judge(), Step::More);
            let step = opening.judge_end();
            assert_eq!(step == Step::Relay, said != b"\x16", "{step:?}");
        }
        let mut opening_target = target("a.example", 443);
        for port in [80, 443] {
            opening_target.port = port;
            assert!(matches!(
                Opening::new(&opening_target).judge_end(),
                Step::Refuse(_)
            ));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_get_the_same_verdict_however_they_come(
            said in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            start in proptest::sample::select(vec!["", "\x16\x03", "\x16\x03\x01\x00\x40\x01", "GET ", "\r\n", "PRI "]),
            port in proptest::sample::select(vec![80_u16, 443, 5432]),
        ) {
            let _ = judged(&target("a.example", port), &[start.as_bytes(), &said].concat());
        }

        #[test]
        fn no_bytes_with_another_host_in_them_are_relayed_as_tls(at in 0_usize..120, byte in proptest::num::u8::ANY) {
            let mut said = hello(&[b"evil.example"]);
            if let Some(place) = said.get_mut(at) {
                *place = byte;
            }
            proptest::prop_assert_ne!(judged(&target("a.example", 443), &said), Step::Relay);
        }
    }
}
