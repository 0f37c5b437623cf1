//! The few bytes of DNS that the resolver reads and writes (RFC 1035 §4). Pure: which name gets which answer is
//! decided in `book`, and nothing here is ever sent to another resolver.

use std::net::Ipv4Addr;

/// Seconds for which an answer may be kept. Short, since an address means something only as long as the cage.
const TTL: u32 = 60;
const HEADER: usize = 12;
/// The types of question that an IPv4 address answers: A, and ANY.
const A: u16 = 1;
const ANY: u16 = 255;
/// The class IN.
const INTERNET: u16 = 1;
/// RFC 1035 §2.3.4, counted with the length bytes and the root.
const MAX_NAME: usize = 255;
const MAX_LABEL: u8 = 63;

/// What a packet turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// Nothing that is answered.
    Trash,
    /// A question that is refused whatever its name is.
    Bad(Head, Code),
    /// A question.
    Question(Question<'a>),
}

/// What of a question's header goes into the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    id: [u8; 2],
    /// Opcode and RD, where they stand in the third byte.
    echoed: u8,
}

/// One question of class IN.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question<'a> {
    head: Head,
    /// As it came, since clients compare it, case and all.
    asked: &'a [u8],
    /// The name in lower case. What no host name holds stands as `·` in it.
    pub name: String,
    /// Whether every label is one of a host name. A dot within a label makes the text above lie; this does not.
    pub is_host: bool,
    kind: u16,
}

/// RCODE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// The question cannot be read.
    Malformed = 1,
    /// There is no more room for names.
    Failed = 2,
    /// There is no such name.
    Unknown = 3,
    /// Another kind of request.
    NotImplemented = 4,
    /// Another class than IN.
    Refused = 5,
}

impl Question<'_> {
    /// Whether an IPv4 address is an answer.
    pub(super) fn wants_address(&self) -> bool {
        matches!(self.kind, A | ANY)
    }

    /// The answer: this address, or, without one, that there is nothing of this type.
    pub(super) fn answer(&self, address: Option<Ipv4Addr>) -> Vec<u8> {
        let mut packet = packet(self.head, 0, self.asked, u8::from(address.is_some()));
        if let Some(address) = address {
            // The name of the question, which always stands at byte 12.
            packet.extend([0xc0, 12]);
            packet.extend(A.to_be_bytes());
            packet.extend(INTERNET.to_be_bytes());
            packet.extend(TTL.to_be_bytes());
            packet.extend([0, 4]);
            packet.extend(address.octets());
        }
        packet
    }

    /// The answer that there is none.
    pub(super) fn refuse(&self, code: Code) -> Vec<u8> {
        packet(self.head, code as u8, self.asked, 0)
    }
}

/// The answer to what could not be read.
pub(super) fn refuse(head: Head, code: Code) -> Vec<u8> {
    packet(head, code as u8, &[], 0)
}

fn packet(head: Head, code: u8, asked: &[u8], answers: u8) -> Vec<u8> {
    let [id_high, id_low] = head.id;
    // QR (an answer) and AA; RA, since we are the resolver that the program takes us for.
    let (flags_high, flags_low) = (0x84 | head.echoed, 0x80 | code);
    let questions = u8::from(!asked.is_empty());
    let mut packet = vec![
        id_high, id_low, flags_high, flags_low, 0, questions, 0, answers, 0, 0, 0, 0,
    ];
    packet.extend_from_slice(asked);
    packet
}

/// Reads a packet. Never panics, whatever the bytes are.
pub(super) fn read(packet: &[u8]) -> Packet<'_> {
    let Some((header, body)) = packet.split_first_chunk::<HEADER>() else {
        return Packet::Trash;
    };
    let &[a, b, flags, _, q1, q2, n1, n2, s1, s2, ..] = header;
    // An answer is never answered: two resolvers would talk for ever.
    if flags & 0x80 != 0 {
        return Packet::Trash;
    }
    let head = Head {
        id: [a, b],
        echoed: flags & 0x79,
    };
    if flags & 0x78 != 0 {
        return Packet::Bad(head, Code::NotImplemented);
    }
    // TC has no meaning in a question. Additional records (EDNS0) may be there and are not looked at (RFC 6891 §7).
    if flags & 0x02 != 0 || [q1, q2] != [0, 1] || [n1, n2, s1, s2] != [0; 4] {
        return Packet::Bad(head, Code::Malformed);
    }
    let Some((name, rest)) = name(body) else {
        return Packet::Bad(head, Code::Malformed);
    };
    let Some((&[k1, k2, c1, c2], after)) = rest.split_first_chunk::<4>() else {
        return Packet::Bad(head, Code::Malformed);
    };
    if u16::from_be_bytes([c1, c2]) != INTERNET {
        return Packet::Bad(head, Code::Refused);
    }
    let length = body.len().saturating_sub(after.len());
    Packet::Question(Question {
        head,
        asked: body.get(..length).unwrap_or_default(),
        is_host: name.is_host && is_host_name(&name.text),
        name: name.text,
        kind: u16::from_be_bytes([k1, k2]),
    })
}

struct Name {
    text: String,
    is_host: bool,
}

/// The name at the start of `bytes` and what comes after it. A pointer (RFC 1035 §4.1.4) has nowhere to point to in
/// a single question, and is no label.
fn name(bytes: &[u8]) -> Option<(Name, &[u8])> {
    let mut name = Name {
        text: String::new(),
        is_host: true,
    };
    let (mut rest, mut length) = (bytes, 1_usize);
    loop {
        let (&size, after) = rest.split_first()?;
        if size == 0 {
            return Some((name, after));
        }
        if size > MAX_LABEL {
            return None;
        }
        let (label, after) = after.split_at_checked(usize::from(size))?;
        length = length.checked_add(label.len())?.checked_add(1)?;
        if length > MAX_NAME {
            return None;
        }
        if !name.text.is_empty() {
            name.text.push('.');
        }
        for &byte in label {
            if is_host_byte(byte) {
                name.text.push(char::from(byte.to_ascii_lowercase()));
            } else {
                name.is_host = false;
                name.text.push('·');
            }
        }
        rest = after;
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether this is a host name: labels of letters, digits, `-` and `_`, and not an IPv4 address in any of its
/// spellings (`1.2.3.4`, `0x7f.1`), which `getaddrinfo` would take without asking anybody.
pub(super) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_host_byte);
    let is_number = |label: &str| {
        let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
        hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            || label.bytes().all(|byte| byte.is_ascii_digit())
    };
    name.len() <= 253 && name.split('.').all(label) && !name.rsplit('.').next().is_some_and(is_number)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A question as a program asks it, with EDNS0 as most of them do.
    pub(crate) fn question(labels: &[&[u8]], kind: u16) -> Vec<u8> {
        let mut packet = vec![0x12, 0x34, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in labels {
            packet.push(u8::try_from(label.len()).unwrap());
            packet.extend_from_slice(label);
        }
        packet.extend([0]);
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1]);
        packet.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
        packet
    }

    fn read_one(packet: &[u8]) -> Question<'_> {
        match read(packet) {
            Packet::Question(question) => question,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_question_is_read_and_answered() {
        let packet = question(&[b"API", b"Example", b"com"], A);
        let question = read_one(&packet);
        assert_eq!(question.name, "api.example.com");
        assert!(question.is_host && question.wants_address());
        let answer = question.answer(Some(Ipv4Addr::new(198, 18, 0, 7)));
        let expected = [
            b"\x12\x34\x85\x80\0\x01\0\x01\0\0\0\0\x03API\x07Example\x03com\0\0\x01\0\x01".as_slice(),
            b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc6\x12\0\x07",
        ]
        .concat();
        assert_eq!(answer, expected);
        let nothing = question.answer(None);
        assert_eq!(nothing[..12], *b"\x12\x34\x85\x80\0\x01\0\0\0\0\0\0");
        assert_eq!(question.refuse(Code::Unknown)[3], 0x83);
    }

    #[test]
    fn other_types_want_no_address() {
        // AAAA, HTTPS, SVCB, TXT, PTR.
        for kind in [28, 65, 64, 16, 12] {
            assert!(!read_one(&question(&[b"a", b"example"], kind)).wants_address());
        }
        assert!(read_one(&question(&[b"a", b"example"], ANY)).wants_address());
    }

    #[test]
    fn names_that_are_no_host_names() {
        for labels in [
            vec![b"example.com".as_slice()],
            vec![b"a\0b", b"example", b"com"],
            vec![b"a b", b"com"],
            vec![b"\xff\xfe", b"com"],
            vec![b"1", b"2", b"3", b"4"],
            vec![b"0x7f", b"1"],
            vec![b"0x7f000001"],
            vec![b"2130706433"],
            vec![b"*", b"example", b"com"],
            vec![],
        ] {
            let packet = question(&labels, A);
            let question = read_one(&packet);
            assert!(!question.is_host, "{labels:?}");
            assert!(!question.name.contains(|c: char| c.is_control()));
        }
        assert_eq!(read_one(&question(&[b"example.com"], A)).name, "example·com");
    }

    #[test]
    fn bad_questions() {
        let good = question(&[b"a", b"example"], A);
        let malformed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut packet = good.clone();
            change(&mut packet);
            matches!(read(&packet), Packet::Bad(_, Code::Malformed))
        };
        assert!(malformed(&|packet| packet[5] = 2), "two questions");
        assert!(malformed(&|packet| packet[5] = 0), "no question");
        assert!(malformed(&|packet| packet[7] = 1), "an answer within");
        assert!(malformed(&|packet| packet[2] |= 2), "truncated");
        assert!(malformed(&|packet| packet[12] = 0xc0), "a pointer");
        assert!(malformed(&|packet| packet[12] = 64), "a label of 64 bytes");
        assert!(malformed(&|packet| packet[12] = 60), "a label beyond the end");
        assert!(malformed(&|packet| packet.truncate(12)), "no name");
        assert!(malformed(&|packet| packet.truncate(26)), "no class");
        let long = vec![[b'a'; 63].as_slice(); 4];
        assert!(
            matches!(read(&question(&long, A)), Packet::Bad(_, Code::Malformed)),
            "257 bytes"
        );
        let fits = [[b'a'; 63].as_slice(), &[b'a'; 63], &[b'a'; 63], &[b'a'; 61]];
        assert!(read_one(&question(&fits, A)).is_host);
        let mut chaos = good.clone();
        chaos[26] = 3;
        assert!(matches!(read(&chaos), Packet::Bad(_, Code::Refused)));
        let mut update = good.clone();
        update[2] |= 0x28;
        assert!(matches!(read(&update), Packet::Bad(_, Code::NotImplemented)));
        let mut answer = good.clone();
        answer[2] |= 0x80;
        assert_eq!(read(&answer), Packet::Trash);
        assert_eq!(read(&good[..11]), Packet::Trash);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            match read(&bytes) {
                Packet::Trash => {}
                Packet::Bad(head, code) => assert_eq!(refuse(head, code).len(), HEADER),
                Packet::Question(question) => {
                    assert!(question.name.chars().count() <= 254);
                    assert!(question.answer(Some(Ipv4Addr::LOCALHOST)).len() < 512);
                }
            }
        }

        #[test]
        fn any_name_is_read_without_a_panic(name in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let mut packet = question(&[], A);
            packet.splice(12..12, name);
            if let Packet::Question(question) = read(&packet) {
                assert!(!question.is_host || is_host_name(&question.name));
                assert!(question.refuse(Code::Unknown).len() < 512);
            }
        }
    }
}
