//! Changing a message or a JSON value by splicing: what is not changed survives byte for byte. Not here: how
//! the splices are put together (`splice`).

use bytes::Bytes;

use crate::compose::{find_meta, generous};
use crate::envelope::{Envelope, Kind, Message};
use crate::id::Id;
use crate::json::Json;
use crate::place::Then;
use crate::raw::{Raw, Span};
use crate::splice::{Applied, Splices};
use crate::strict::{self, Twins};

/// Changes to a message.
///
/// Slices are those of the message as it is: changes do not see each other. Of two changes of the same place
/// the later one counts. A change within a value that is replaced or removed as a whole goes with it. A slice
/// of another text is a mistake of the caller's: it spoils the whole edit, and what comes out is an error.
#[derive(Debug)]
#[must_use]
pub struct Edit<'m> {
    message: &'m Message,
    splices: Splices<'m>,
    misplaced: bool,
}

impl Message {
    /// Starts changing the message.
    pub fn edit(&self) -> Edit<'_> {
        Edit {
            message: self,
            splices: Splices::of(&self.bytes),
            misplaced: false,
        }
    }

    /// The same message with another id. Nothing is copied when it has this one already.
    #[must_use]
    pub fn with_id(&self, id: &Id) -> Self {
        if self.id() == Some(id) {
            return self.clone();
        }
        let mut edit = self.edit();
        edit.set_id(id);
        edit.finish()
    }
}

impl<'m> Edit<'m> {
    /// Puts another value in the place of one.
    pub fn replace(&mut self, at: Raw<'m>, with: &Json) -> &mut Self {
        self.splices.replace(at, with);
        self
    }

    /// Gives a member a value: in its place if it is there, at the end of the object if not. What is no
    /// object becomes one.
    pub fn set(&mut self, object: Raw<'m>, key: &str, value: &Json) -> &mut Self {
        self.splices.set(object, key, value);
        self
    }

    /// Takes a member out, if it is there.
    pub fn remove(&mut self, object: Raw<'m>, key: &str) -> &mut Self {
        self.splices.remove(object, key);
        self
    }

    /// Takes an item out, if it is there. Indices are those of the array as it is.
    pub fn remove_item(&mut self, array: Raw<'m>, index: usize) -> &mut Self {
        self.splices.remove_item(array, index);
        self
    }

    /// Gives the request or notification other parameters, as a whole.
    pub fn set_params(&mut self, params: &Json) -> &mut Self {
        if !matches!(self.message.kind(), Kind::Request | Kind::Notification) {
            self.misplaced = true;
            return self;
        }
        self.set_or_replace(self.message.parts.payload, "params", params)
    }

    /// Gives the message another id. A notification becomes a request by that.
    pub fn set_id(&mut self, id: &Id) -> &mut Self {
        self.set_or_replace(self.message.parts.id_at, "id", &id.to_json())
    }

    /// The message after all changes.
    ///
    /// Changes that leave no message, which only a mistake of the caller's can do, yield an error response.
    #[must_use]
    pub fn finish(self) -> Message {
        let message = self.message;
        if self.splices.is_empty() && !self.misplaced {
            return message.clone();
        }
        let edited = if self.misplaced {
            None
        } else {
            self.splices.finish()
        };
        let edited = edited.and_then(|(text, applied)| assemble(message, Bytes::from(text), &applied));
        edited.unwrap_or_else(|| Message::broken(message.id()))
    }

    fn set_or_replace(&mut self, span: Option<Span>, key: &str, value: &Json) -> &mut Self {
        match span {
            Some(span) => self.splices.replace(self.message.at(span), value),
            None => self.splices.set(self.message.raw(), key, value),
        }
        self
    }
}

/// Changes to a JSON value, by the same rules as those to a message: see [`Edit`].
#[derive(Debug)]
#[must_use]
pub struct JsonEdit<'j> {
    splices: Splices<'j>,
    json: &'j Json,
}

impl Json {
    /// Starts changing the value.
    pub fn edit(&self) -> JsonEdit<'_> {
        JsonEdit {
            splices: Splices::of(self.as_str().as_bytes()),
            json: self,
        }
    }
}

impl<'j> JsonEdit<'j> {
    /// See [`Edit::replace`].
    pub fn replace(&mut self, at: Raw<'j>, with: &Json) -> &mut Self {
        self.splices.replace(at, with);
        self
    }

    /// See [`Edit::set`].
    pub fn set(&mut self, object: Raw<'j>, key: &str, value: &Json) -> &mut Self {
        self.splices.set(object, key, value);
        self
    }

    /// See [`Edit::remove`].
    pub fn remove(&mut self, object: Raw<'j>, key: &str) -> &mut Self {
        self.splices.remove(object, key);
        self
    }

    /// See [`Edit::remove_item`].
    pub fn remove_item(&mut self, array: Raw<'j>, index: usize) -> &mut Self {
        self.splices.remove_item(array, index);
        self
    }

    /// The value after all changes; `null` when a slice of another text was given.
    #[must_use]
    pub fn finish(self) -> Json {
        if self.splices.is_empty() {
            return self.json.clone();
        }
        self.splices
            .finish()
            .map_or_else(Json::null, |(text, _)| Json::from_good(text.into()))
    }
}

/// The message that the changed text makes.
fn assemble(before: &Message, bytes: Bytes, applied: &[Applied]) -> Option<Message> {
    let after = match shifted(before, &bytes, applied) {
        Some(parts) => Message { bytes, parts },
        None => Message::adopt(bytes).ok()?,
    };
    debug_assert!(is_sound(&after), "an edit left a message that is none");
    Some(after)
}

/// The parts of the changed text without looking for them: when the id alone was replaced, or something within
/// parameters or result, the message stays what it was and its parts only move.
fn shifted(before: &Message, bytes: &[u8], applied: &[Applied]) -> Option<Envelope> {
    let parts = &before.parts;
    let within = |piece: &Applied| {
        parts
            .payload
            .is_some_and(|whole| whole.start < piece.at.start && piece.at.end < whole.end)
    };
    let light = |piece: &Applied| Some(piece.at) == parts.id_at || within(piece);
    if !parts.kind.has_meta() || !applied.iter().all(light) {
        return None;
    }
    let move_by = Shift(applied);
    let id_at = parts.id_at.map(|span| move_by.span(span));
    let id = match id_at {
        Some(span) => Some(Raw::of(span.of(bytes)).id()?),
        None => None,
    };
    let payload = parts.payload.map(|span| move_by.span(span));
    let untouched = !applied.iter().any(within);
    let meta = match (parts.meta, payload) {
        (Some(meta), _) if !move_by.covers(meta) => Some(move_by.span(meta)),
        (None, _) if untouched => None,
        (_, Some(payload)) => find_meta(bytes, payload),
        (_, None) => None,
    };
    let method_at = parts.method_at.map(|span| move_by.span(span));
    Some(Envelope {
        kind: parts.kind,
        id,
        id_at,
        method: parts.method.clone(),
        method_at,
        payload,
        meta,
    })
}

struct Shift<'a>(&'a [Applied]);

impl Shift<'_> {
    /// Where a stretch is afterwards that no piece cuts through.
    fn span(&self, span: Span) -> Span {
        let shift = |position: usize, counts: &dyn Fn(&Applied) -> bool| {
            let pieces = || self.0.iter().filter(|piece| counts(piece));
            let added: usize = pieces().map(|piece| piece.length).sum();
            let gone: usize = pieces().map(|piece| piece.at.end - piece.at.start).sum();
            position + added - gone
        };
        let start = shift(span.start, &|piece| piece.at.end <= span.start);
        // What is put in right after the stretch is none of it.
        let end = shift(span.end, &|piece| {
            piece.at.end <= span.end && piece.at.start < span.end
        });
        Span { start, end }
    }

    /// Whether a piece takes more than the stretch away, and the stretch with it.
    fn covers(&self, span: Span) -> bool {
        let covers = |at: Span| at != span && at.start <= span.start && span.end <= at.end;
        self.0.iter().any(|piece| covers(piece.at))
    }
}

/// Whether a text of ours is what we take it for. Too slow for every message; for tests and debug builds.
fn is_sound(message: &Message) -> bool {
    let text = message.raw().as_str();
    let good = strict::walk(text, Then::FREE, &generous(), Twins::WhereKnown).is_ok();
    good && Message::adopt(message.bytes.clone()).is_ok_and(|found| found.parts == message.parts)
}
