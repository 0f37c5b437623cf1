//! The one strict walk over a whole text (RFC 8259, and stricter). What passes has one reading only, whatever
//! parser reads it next: no duplicate keys, no keys that differ only in case or invisible characters where that
//! matters, no numbers that parsers round differently, no half characters.
//!
//! INVARIANT: recursion is bounded by `Caps::depth`, everything else by the length of the text.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::caps::Caps;
use crate::place::Place;
use crate::reject::Fault;

/// In which objects keys may not be twins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twins {
    /// In every object: for what clients write.
    Anywhere,
    /// Where the protocol knows the object: for what servers write, whose data may hold `a` beside `A`.
    WhereKnown,
}

/// Above this many members keys are compared by hash.
const FEW: usize = 16;

/// A span of the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The walk.
pub(crate) struct Walk<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    caps: &'a Caps,
    twins: Twins,
    /// Keys of all objects that are open, innermost last.
    keys: Vec<Cow<'a, str>>,
}

/// Size, byte order mark and UTF-8, before anything else is looked at.
pub(crate) fn text<'a>(bytes: &'a [u8], caps: &Caps) -> Result<&'a str, Fault> {
    if bytes.len() > caps.message_bytes {
        return Err(Fault::TooLarge { bytes: bytes.len(), cap: caps.message_bytes });
    }
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(Fault::ByteOrderMark);
    }
    std::str::from_utf8(bytes).map_err(|error| Fault::InvalidUtf8 { at: error.valid_up_to() })
}

impl<'a> Walk<'a> {
    pub(crate) fn new(text: &'a str, caps: &'a Caps, twins: Twins) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, caps, twins, keys: Vec::new() }
    }

    /// Walks one whole value and what is around it; nothing may follow.
    pub(crate) fn document(&mut self, place: Place) -> Result<Span, Fault> {
        let span = self.begin(place)?;
        self.finish()?;
        Ok(span)
    }

    pub(crate) fn begin(&mut self, place: Place) -> Result<Span, Fault> {
        self.blank();
        if self.at == self.bytes.len() {
            return Err(Fault::Empty);
        }
        self.value(place, 0)
    }

    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        self.blank();
        if self.at < self.bytes.len() { Err(Fault::TrailingData { at: self.at }) } else { Ok(()) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn syntax<T>(&self, expected: &'static str) -> Result<T, Fault> {
        Err(Fault::Syntax { at: self.at, expected })
    }

    fn value(&mut self, place: Place, depth: usize) -> Result<Span, Fault> {
        let start = self.at;
        match self.peek() {
            Some(b'{') => self.object(place, depth)?,
            Some(b'[') => self.array(place, depth)?,
            Some(b'"') => drop(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => return self.syntax("a value"),
        }
        Ok(Span { start, end: self.at })
    }

    fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            self.syntax(word)
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, Fault> {
        if depth >= self.caps.depth {
            return Err(Fault::TooDeep { at: self.at, cap: self.caps.depth });
        }
        Ok(depth + 1)
    }

    fn array(&mut self, place: Place, depth: usize) -> Result<(), Fault> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        self.blank();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(place, depth)?;
            self.blank();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.blank();
                }
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.syntax("`,` or `]`"),
            }
        }
    }

    fn object(&mut self, place: Place, depth: usize) -> Result<(), Fault> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        self.blank();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut seen = Seen { first: self.keys.len(), place, index: None };
        loop {
            let at = self.at;
            if self.peek() != Some(b'"') {
                return self.syntax("a key");
            }
            let key = self.string()?;
            self.blank();
            if self.peek() != Some(b':') {
                return self.syntax("`:`");
            }
            self.at += 1;
            self.blank();
            let under = place.under(&key);
            self.unique(&mut seen, key, at)?;
            self.value(under, depth)?;
            self.blank();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.blank();
                }
                Some(b'}') => {
                    self.at += 1;
                    self.keys.truncate(seen.first);
                    return Ok(());
                }
                _ => return self.syntax("`,` or `}`"),
            }
        }
    }

    /// Notes a key and refuses one that was there before, or that a sloppy parser would take for another.
    fn unique(&mut self, seen: &mut Seen, key: Cow<'a, str>, at: usize) -> Result<(), Fault> {
        let own = self.keys.get(seen.first..).unwrap_or_default();
        if own.len() >= self.caps.object_keys {
            return Err(Fault::TooManyKeys { at, cap: self.caps.object_keys });
        }
        lookalike(seen.place, &key, at)?;
        let fold = self.twins == Twins::Anywhere || seen.place != Place::Free;
        let clash = if own.len() < FEW {
            own.iter().find(|other| same(other, &key, fold)).map(|other| other.clone().into_owned())
        } else {
            seen.clash(own, &key, fold)
        };
        match clash {
            Some(other) if other == key => Err(Fault::DuplicateKey { at, key: short(&key) }),
            Some(other) => Err(Fault::TwinKey { at, key: short(&key), other: short(&other) }),
            None => {
                self.keys.push(key);
                Ok(())
            }
        }
    }

    /// A string, unescaped; borrowed where it holds no escape.
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let open = self.at;
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut from = start;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(run) = rest.iter().position(|byte| *byte == b'"' || *byte == b'\\' || *byte < 0x20) else {
                self.at = self.bytes.len();
                return self.syntax("the end of the string");
            };
            self.at += run;
            if self.at - start > self.caps.string_bytes {
                return Err(Fault::StringTooLong { at: open, cap: self.caps.string_bytes });
            }
            match self.peek() {
                Some(b'"') => {
                    let tail = self.text.get(from..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(tail),
                        Some(mut text) => {
                            text.push_str(tail);
                            Cow::Owned(text)
                        }
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(self.text.get(from..self.at).unwrap_or_default());
                    let letter = self.escape()?;
                    if let Some(text) = &mut owned {
                        text.push(letter);
                    }
                    from = self.at;
                }
                _ => return Err(Fault::ControlCharacter { at: self.at }),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let at = self.at;
        self.at += 1;
        let letter = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode(at);
            }
            _ => return self.syntax("an escape"),
        };
        self.at += 1;
        Ok(letter)
    }

    fn unicode(&mut self, at: usize) -> Result<char, Fault> {
        let first = self.hex()?;
        if let Some(letter) = char::from_u32(first) {
            return Ok(letter);
        }
        let high = (0xD800..0xDC00).contains(&first);
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !high || !rest.starts_with(b"\\u") {
            return Err(Fault::LoneSurrogate { at });
        }
        self.at += 2;
        let second = self.hex()?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(Fault::LoneSurrogate { at });
        }
        let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        char::from_u32(code).ok_or(Fault::LoneSurrogate { at })
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let digits = self.bytes.get(self.at..self.at + 4).unwrap_or_default();
        if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return self.syntax("four hex digits");
        }
        let text = self.text.get(self.at..self.at + 4).unwrap_or_default();
        self.at += 4;
        u32::from_str_radix(text, 16).or_else(|_| self.syntax("four hex digits"))
    }

    fn digits(&mut self) -> Result<usize, Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.syntax("a digit") } else { Ok(self.at - start) }
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits()?;
        if leading_zero && whole > 1 {
            self.at = start;
            return self.syntax("a number without leading zeros");
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let literal = self.text.get(start..self.at).unwrap_or_default();
        if survives(literal, integer, whole, self.caps.number_bytes) {
            Ok(())
        } else {
            Err(Fault::NumberOutOfRange { at: start })
        }
    }
}

/// Whether all parsers read this number as the same value: an integer of 64 bits, or a double that neither
/// overflows nor vanishes.
fn survives(literal: &str, integer: bool, whole: usize, cap: usize) -> bool {
    if literal.len() > cap {
        return false;
    }
    if integer {
        // 18 digits always fit.
        return whole <= 18 || literal.parse::<i64>().is_ok();
    }
    let Ok(value) = literal.parse::<f64>() else { return false };
    let mantissa = literal.split(['e', 'E']).next().unwrap_or_default();
    let zero = !mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    value.is_finite() && (value != 0.0 || zero)
}

/// The keys of one object: where they begin, and an index once there are many.
struct Seen {
    first: usize,
    place: Place,
    index: Option<HashMap<String, usize>>,
}

impl Seen {
    fn clash(&mut self, own: &[Cow<'_, str>], key: &str, fold: bool) -> Option<String> {
        let form = |key: &str| if fold { folded(key).into_owned() } else { key.to_owned() };
        let index = self.index.get_or_insert_with(|| {
            own.iter().enumerate().map(|(position, key)| (form(key), position)).collect()
        });
        let found = index.get(&form(key)).and_then(|position| own.get(*position)).map(|other| other.clone().into_owned());
        if found.is_none() {
            index.insert(form(key), own.len());
        }
        found
    }
}

fn same(one: &str, other: &str, fold: bool) -> bool {
    if one == other {
        return true;
    }
    match (fold, plain(one) && plain(other)) {
        (false, _) => false,
        (true, true) => one.eq_ignore_ascii_case(other),
        (true, false) => folded(one) == folded(other),
    }
}

/// Visible ASCII only: folding such a key is a matter of case alone.
fn plain(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The form under which sloppy parsers compare keys: without case (as Go's `EqualFold`, which takes the long s
/// and the Kelvin sign for letters), without NUL, whitespace and characters that are not seen.
pub(crate) fn folded(key: &str) -> Cow<'_, str> {
    if key.bytes().all(|byte| matches!(byte, b'!'..=b'@' | b'['..=b'~')) {
        return Cow::Borrowed(key);
    }
    let seen = |letter: &char| {
        !letter.is_whitespace()
            && !letter.is_control()
            && !matches!(letter, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    };
    Cow::Owned(key.chars().filter(seen).flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect())
}

fn lookalike(place: Place, key: &str, at: usize) -> Result<(), Fault> {
    let known = place.known();
    if known.is_empty() || known.contains(&key) {
        return Ok(());
    }
    let found = if plain(key) {
        known.iter().find(|known| known.eq_ignore_ascii_case(key))
    } else {
        let form = folded(key);
        known.iter().find(|known| folded(known) == form)
    };
    match found {
        Some(known) => Err(Fault::LookalikeKey { at, key: short(key), known }),
        None => Ok(()),
    }
}

/// A key as an error may show it.
fn short(key: &str) -> String {
    key.chars().take(64).flat_map(char::escape_debug).collect()
}
