//! JSON strings: scanning, unescaping, quoting. Not here: what a string means.

use std::borrow::Cow;

use crate::reject::Reason;

/// Where a string ends and whether it holds escapes.
#[derive(Clone, Copy)]
pub(crate) struct Scanned {
    /// The offset of the closing quote.
    pub(crate) quote: usize,
    /// Whether a backslash was met.
    pub(crate) escaped: bool,
}

/// Checks the string whose first byte after the opening quote is at `start` (RFC 8259 §7).
pub(crate) fn scan(bytes: &[u8], start: usize) -> Result<Scanned, Reason> {
    let mut at = start;
    let mut escaped = false;
    loop {
        at += plain_run(bytes.get(at..).unwrap_or_default());
        match bytes.get(at) {
            Some(b'"') => return Ok(Scanned { quote: at, escaped }),
            Some(b'\\') => {
                escaped = true;
                at = escape(bytes, at)?;
            }
            Some(byte) => return Err(Reason::ControlCharacter { at, byte: *byte }),
            None => {
                return Err(Reason::Syntax {
                    at,
                    expected: "a closing quote",
                });
            }
        }
    }
}

/// The offset after the closing quote of a string that is known to be good; `None` when it never closes.
pub(crate) fn skip(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += plain_run(bytes.get(at..)?);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Whether the bytes are no string, or a good one: for an id out of a text that was refused.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    match bytes.first() {
        Some(b'"') => scan(bytes, 1).is_ok_and(|scanned| scanned.quote + 1 == bytes.len()),
        _ => true,
    }
}

/// The string that the text between two quotes stands for.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    let Some((head, mut rest)) = raw.split_once('\\') else {
        return Cow::Borrowed(raw);
    };
    let mut out = String::with_capacity(raw.len());
    out.push_str(head);
    loop {
        rest = unescape_one(rest, &mut out);
        let Some((plain, after)) = rest.split_once('\\') else {
            break;
        };
        out.push_str(plain);
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Appends `text` as a JSON string, escaped as RFC 8785 §3.2.2.2 wants it.
pub(crate) fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = plain_run(rest);
        out.extend_from_slice(rest.get(..plain).unwrap_or_default());
        let Some((special, after)) = rest.get(plain..).and_then(<[u8]>::split_first) else {
            break;
        };
        escape_into(*special, out);
        rest = after;
    }
    out.push(b'"');
}

/// How many leading bytes need no attention: no quote, no backslash, no control character.
///
/// Eight bytes at a time. A borrow can mark a byte wrongly, but only above one that is marked rightly, and the
/// lowest mark is the one that is used.
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * 0x22);
        let slash = word ^ (ONES * 0x5c);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let zero = (quote.wrapping_sub(ONES) & !quote) | (slash.wrapping_sub(ONES) & !slash);
        let marks = (control | zero) & HIGHS;
        if marks != 0 {
            return index * 8 + (marks.trailing_zeros() / 8) as usize;
        }
    }
    let special = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    words.len() * 8 + rest.iter().position(special).unwrap_or(rest.len())
}

/// Checks one escape, whose backslash is at `at`; the offset after it.
fn escape(bytes: &[u8], at: usize) -> Result<usize, Reason> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => unicode_escape(bytes, at),
        _ => Err(Reason::Syntax {
            at,
            expected: "one of the escapes that JSON has",
        }),
    }
}

fn unicode_escape(bytes: &[u8], at: usize) -> Result<usize, Reason> {
    let unit = |at: usize| {
        let escape = bytes
            .get(at..at + 6)
            .filter(|escape| escape.starts_with(b"\\u"))?;
        hex(escape.get(2..)?)
    };
    match unit(at) {
        None => Err(Reason::Syntax {
            at,
            expected: "four hexadecimal digits after `\\u`",
        }),
        Some(0xd800..=0xdbff) => match unit(at + 6) {
            Some(0xdc00..=0xdfff) => Ok(at + 12),
            _ => Err(Reason::LoneSurrogate { at }),
        },
        Some(0xdc00..=0xdfff) => Err(Reason::LoneSurrogate { at }),
        Some(_) => Ok(at + 6),
    }
}

/// Decodes what follows a backslash; returns the rest.
///
/// The text was checked, so the odd branches are never taken; they lose no byte and do not panic.
fn unescape_one<'t>(rest: &'t str, out: &mut String) -> &'t str {
    let mut chars = rest.chars();
    let char = match chars.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return unescape_unicode(chars.as_str(), out),
        Some(char) => char,
        None => return "",
    };
    out.push(char);
    chars.as_str()
}

fn unescape_unicode<'t>(rest: &'t str, out: &mut String) -> &'t str {
    let unit = |text: &'t str| Some((hex(text.as_bytes().get(..4)?)?, text.get(4..)?));
    let Some((first, after)) = unit(rest) else {
        return rest;
    };
    let second = after.strip_prefix("\\u").and_then(unit);
    if let Some((second, after)) = second
        && (0xd800..0xdc00).contains(&first)
        && (0xdc00..0xe000).contains(&second)
    {
        let code = 0x1_0000 + (first - 0xd800) * 0x400 + (second - 0xdc00);
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        return after;
    }
    out.push(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
    after
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        Some(number * 16 + char::from(*digit).to_digit(16)?)
    })
}

fn escape_into(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x8 => b'b',
        0x9 => b't',
        0xa => b'n',
        0xc => b'f',
        0xd => b'r',
        _ => return out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, &'static str> {
        let scanned = scan(text.as_bytes(), 1).map_err(|reason| reason.code())?;
        assert_eq!(skip(text.as_bytes(), 1), Some(scanned.quote + 1));
        let raw = text.get(1..scanned.quote).unwrap();
        assert_eq!(scanned.escaped, raw.contains('\\'));
        Ok(unescape(raw).into_owned())
    }

    #[test]
    fn strings_are_read() {
        assert_eq!(read(r#""""#).unwrap(), "");
        assert_eq!(
            read(r#""plain text of some length" "#).unwrap(),
            "plain text of some length"
        );
        assert_eq!(read(r#""\"\\\/\b\f\n\r\t""#).unwrap(), "\"\\/\u{8}\u{c}\n\r\t");
        assert_eq!(read(r#""na\u006de""#).unwrap(), "name");
        assert_eq!(read(r#""\u00e9\u20AC""#).unwrap(), "é€");
        assert_eq!(read(r#""\ud83d\ude00 x""#).unwrap(), "😀 x");
        assert_eq!(read(r#""\\u0041""#).unwrap(), "\\u0041");
        assert_eq!(read("\"é€😀\u{2028}\"").unwrap(), "é€😀\u{2028}");
    }

    #[test]
    fn bad_strings_are_refused() {
        for (text, code) in [
            ("\"abc", "syntax"),
            ("\"abc\\\"", "syntax"),
            ("\"\\", "syntax"),
            (r#""\x41""#, "syntax"),
            (r#""\u12""#, "syntax"),
            (r#""\u12g4""#, "syntax"),
            (r#""\u+123""#, "syntax"),
            (r#""\U0041""#, "syntax"),
            (r#""\ud800""#, "lone_surrogate"),
            (r#""\ud800x""#, "lone_surrogate"),
            (r#""\ud800\n""#, "lone_surrogate"),
            (r#""\ud800\ud800""#, "lone_surrogate"),
            (r#""\ud800\u0041""#, "lone_surrogate"),
            (r#""\udc00\ud800""#, "lone_surrogate"),
            ("\"a\nb\"", "control_character"),
            ("\"a\0\"", "control_character"),
            ("\"0123456789abcde\u{1f}\"", "control_character"),
        ] {
            assert_eq!(read(text).unwrap_err(), code, "{text:?}");
        }
    }

    #[test]
    fn a_run_stops_at_the_first_special_byte_wherever_it_is() {
        for special in [b'"', b'\\', 0, 0x1f] {
            for length in 0..40 {
                for filler in [b'a', 0x20, 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'] {
                    let mut bytes = vec![filler; length];
                    assert_eq!(plain_run(&bytes), length);
                    bytes.push(special);
                    bytes.extend([filler; 9]);
                    bytes.push(b'"');
                    assert_eq!(plain_run(&bytes), length, "{special} after {length} of {filler}");
                }
            }
        }
    }

    #[test]
    fn what_is_quoted_reads_back() {
        let all: String = ('\0'..='\u{2100}').chain(['😀', '\u{10ffff}']).collect();
        let mut out = Vec::new();
        quote(&all, &mut out);
        assert_eq!(read(std::str::from_utf8(&out).unwrap()).unwrap(), all);
        let mut out = Vec::new();
        quote("\u{0}\u{1f}\u{7f}/é", &mut out);
        assert_eq!(std::str::from_utf8(&out).unwrap(), "\"\\u0000\\u001f\u{7f}/é\"");
    }
}
