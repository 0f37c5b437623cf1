//! The one strict walk over a text: grammar, caps, keys, numbers, and where the parts of a message are.
//! Not here: whether those parts make a JSON-RPC message (`envelope`).

use crate::caps::Caps;
use crate::keys::{Key, Keys, Opened};
use crate::number;
use crate::place::{Judged, Place, Then};
use crate::raw::Span;
use crate::reject::{Reason, shown};
use crate::text;

/// Where keys that fold to one are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twins {
    /// In every object: for messages that clients write.
    Anywhere,
    /// Only in objects that the specification knows: for messages that servers write, whose schemas and data
    /// may well hold both `a` and `A`.
    WhereKnown,
}

/// Where the parts of an envelope are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts {
    pub(crate) jsonrpc: Option<Span>,
    pub(crate) id: Option<Span>,
    pub(crate) method: Option<Span>,
    pub(crate) params: Option<Span>,
    pub(crate) result: Option<Span>,
    pub(crate) error: Option<Span>,
    pub(crate) meta: Option<Span>,
}

/// What the walk found.
#[derive(Debug)]
pub(crate) struct Walked {
    /// The value without the blanks around it.
    pub(crate) root: Span,
    pub(crate) parts: Parts,
    /// A lookalike within `params`, to be refused if the method is one that the specification knows: an
    /// extension names its parameters as it likes.
    pub(crate) lookalike: Option<Reason>,
}

/// Size, byte order mark and encoding: what comes before any JSON.
pub(crate) fn open<'t>(bytes: &'t [u8], caps: &Caps) -> Result<&'t str, Reason> {
    let limit = caps.message_bytes;
    if bytes.len() > limit {
        return Err(Reason::TooLarge {
            bytes: bytes.len(),
            limit,
        });
    }
    if [&b"\xef\xbb\xbf"[..], b"\xfe\xff", b"\xff\xfe"]
        .iter()
        .any(|mark| bytes.starts_with(mark))
    {
        return Err(Reason::ByteOrderMark);
    }
    std::str::from_utf8(bytes).map_err(|error| Reason::InvalidUtf8 {
        at: error.valid_up_to(),
    })
}

/// Walks over the whole text once. After this, every reader that takes the text at all reads the same.
///
/// INVARIANT: no recursion; the stack of the walk is a vector no longer than the depth in force.
pub(crate) fn walk(text: &str, top: Then, caps: &Caps, twins: Twins) -> Result<Walked, Reason> {
    let mut walk = Walk {
        text,
        at: 0,
        caps,
        depth: caps.depth_in_force(),
        twins,
        levels: Vec::with_capacity(8),
        keys: Keys::new(),
        parts: Parts::default(),
        lookalike: None,
    };
    walk.blanks();
    let start = walk.at;
    if walk.byte().is_none() {
        return Err(Reason::Empty);
    }
    let mut next = Some(top);
    while let Some(then) = next {
        walk.value(then)?;
        next = walk.advance()?;
    }
    let root = Span { start, end: walk.at };
    walk.blanks();
    if walk.byte().is_some() {
        return Err(Reason::TrailingData { at: walk.at });
    }
    Ok(Walked {
        root,
        parts: walk.parts,
        lookalike: walk.lookalike,
    })
}

struct Walk<'t, 'c> {
    text: &'t str,
    at: usize,
    caps: &'c Caps,
    depth: usize,
    twins: Twins,
    levels: Vec<Level>,
    keys: Keys<'t>,
    parts: Parts,
    lookalike: Option<Reason>,
}

/// An object or array that is open.
struct Level {
    shape: Open,
    /// Whether something was in it already, so that a comma has to come.
    begun: bool,
    /// The part of the envelope that is being walked over, and where it starts.
    part: Option<(Part, usize)>,
}

enum Open {
    Object(Place, Opened),
    Array(Then),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    JsonRpc,
    Id,
    Method,
    Params,
    Result,
    Error,
    Meta,
}

impl<'t> Walk<'t, '_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// RFC 8259 §2: these four blanks and no other.
    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    fn missing<T>(&self, expected: &'static str) -> Result<T, Reason> {
        Err(Reason::Syntax {
            at: self.at,
            expected,
        })
    }

    /// Walks over a scalar, or into an object or array.
    fn value(&mut self, then: Then) -> Result<(), Reason> {
        match self.byte() {
            Some(b'"') => drop(self.string()?),
            Some(b'{') => {
                let twins = self.twins == Twins::Anywhere || then.object != Place::Free;
                let opened = self.keys.open(twins);
                return self.enter(Open::Object(then.object, opened));
            }
            Some(b'[') => {
                let items = Then {
                    object: then.items,
                    items: Place::Free,
                };
                return self.enter(Open::Array(items));
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => return self.missing("a value"),
        }
        self.ended();
        Ok(())
    }

    fn enter(&mut self, shape: Open) -> Result<(), Reason> {
        if self.levels.len() >= self.depth {
            return Err(Reason::TooDeep {
                at: self.at,
                limit: self.depth,
            });
        }
        self.levels.push(Level {
            shape,
            begun: false,
            part: None,
        });
        self.at += 1;
        Ok(())
    }

    /// Goes on to where the next value starts, closing what ends before it; `None` at the end of everything.
    fn advance(&mut self) -> Result<Option<Then>, Reason> {
        loop {
            if self.levels.is_empty() {
                return Ok(None);
            }
            self.blanks();
            let byte = self.byte();
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            let (closing, or_comma) = match level.shape {
                Open::Object(..) => (b'}', "`,` or `}`"),
                Open::Array(_) => (b']', "`,` or `]`"),
            };
            if byte == Some(closing) {
                self.leave();
                continue;
            }
            if level.begun {
                if byte != Some(b',') {
                    return self.missing(or_comma);
                }
                self.at += 1;
                self.blanks();
            } else {
                level.begun = true;
            }
            return match self.levels.last().map(|level| &level.shape) {
                Some(Open::Array(items)) => Ok(Some(*items)),
                Some(Open::Object(place, _)) => self.member(*place).map(Some),
                None => Ok(None),
            };
        }
    }

    fn leave(&mut self) {
        self.at += 1;
        if let Some(Level {
            shape: Open::Object(_, opened),
            ..
        }) = self.levels.pop()
        {
            self.keys.close(&opened);
        }
        self.ended();
    }

    /// A value ended here: if it is a part of the envelope, keeps where it was.
    fn ended(&mut self) {
        let Some((part, start)) = self.levels.last_mut().and_then(|level| level.part.take()) else {
            return;
        };
        let slot = match part {
            Part::JsonRpc => &mut self.parts.jsonrpc,
            Part::Id => &mut self.parts.id,
            Part::Method => &mut self.parts.method,
            Part::Params => &mut self.parts.params,
            Part::Result => &mut self.parts.result,
            Part::Error => &mut self.parts.error,
            Part::Meta => &mut self.parts.meta,
        };
        *slot = Some(Span { start, end: self.at });
    }

    /// Walks over a key and its colon; says what the value will be.
    fn member(&mut self, place: Place) -> Result<Then, Reason> {
        if self.byte() != Some(b'"') {
            return self.missing("a key");
        }
        let at = self.at;
        let (raw, escaped) = self.string()?;
        // INVARIANT: keys are compared as what they stand for, never as they are written.
        let exact = if escaped { text::unescape(raw) } else { raw.into() };
        let key = Key::new(exact, at);
        let (then, part) = self.judge(place, &key)?;
        if let Some(Level {
            shape: Open::Object(_, opened),
            ..
        }) = self.levels.last_mut()
        {
            self.keys.add(opened, key, self.caps.object_keys)?;
        }
        self.blanks();
        if self.byte() != Some(b':') {
            return self.missing("`:`");
        }
        self.at += 1;
        self.blanks();
        let start = self.at;
        if let Some(level) = self.levels.last_mut() {
            level.part = part.map(|part| (part, start));
        }
        Ok(then)
    }

    /// What a key of the innermost object stands for.
    fn judge(&mut self, place: Place, key: &Key<'t>) -> Result<(Then, Option<Part>), Reason> {
        if place == Place::Free {
            return Ok((Then::FREE, None));
        }
        let known = match place.judge(key) {
            Judged::Unknown(then) => return Ok((then, None)),
            Judged::Known(known) => known,
            Judged::Lookalike(known) => {
                let reason = Reason::LookalikeKey {
                    at: key.at(),
                    key: shown(key.exact()),
                    known: known.key,
                };
                if !self.may_be_an_extensions(place, known.key) {
                    return Err(reason);
                }
                self.lookalike.get_or_insert(reason);
                return Ok((Then::FREE, None));
            }
        };
        let part = match (self.levels.len(), place) {
            (1, Place::Envelope) => Part::of(known.key),
            (2, Place::Params | Place::Result) if known.key == "_meta" => Some(Part::Meta),
            _ => None,
        };
        Ok((known.then, part))
    }

    /// Whether the innermost object is within `params`, which an extension's method may fill as it likes, but
    /// for what every request has.
    fn may_be_an_extensions(&self, place: Place, known: &str) -> bool {
        let in_params = self
            .levels
            .first()
            .is_some_and(|level| matches!(level.part, Some((Part::Params, _))));
        in_params && place != Place::Meta && known != "_meta"
    }

    /// Walks over a string; what is between its quotes, and whether there are escapes in it.
    fn string(&mut self) -> Result<(&'t str, bool), Reason> {
        let start = self.at + 1;
        let scanned = text::scan(self.text.as_bytes(), start)?;
        let limit = self.caps.string_bytes;
        if scanned.quote - start > limit {
            return Err(Reason::StringTooLong { at: self.at, limit });
        }
        self.at = scanned.quote + 1;
        Ok((
            self.text.get(start..scanned.quote).unwrap_or_default(),
            scanned.escaped,
        ))
    }

    fn number(&mut self) -> Result<(), Reason> {
        let at = self.at;
        let end = number::scan(self.text.as_bytes(), at)?;
        let limit = self.caps.number_bytes;
        if end - at > limit {
            return Err(Reason::NumberTooLong { at, limit });
        }
        if !self.text.get(at..end).is_some_and(number::survives) {
            return Err(Reason::NumberOutOfRange { at });
        }
        self.at = end;
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<(), Reason> {
        if !self
            .text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word))
        {
            return self.missing("a value");
        }
        self.at += word.len();
        Ok(())
    }
}

impl Part {
    fn of(key: &str) -> Option<Self> {
        Some(match key {
            "jsonrpc" => Self::JsonRpc,
            "id" => Self::Id,
            "method" => Self::Method,
            "params" => Self::Params,
            "result" => Self::Result,
            "error" => Self::Error,
            _ => return None,
        })
    }
}
