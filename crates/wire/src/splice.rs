//! Changes to a checked text, collected first and made in one go. Not here: what a message is after them.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::compose::span_in;
use crate::json::Json;
use crate::raw::{Raw, Shape, Span};
use crate::skip::{Inside, Member};

/// The changes to one text. Positions are those of the text before any change.
#[derive(Debug)]
pub(crate) struct Splices<'m> {
    base: &'m [u8],
    pieces: Vec<Piece>,
    objects: Vec<ObjectEdit>,
    arrays: Vec<ArrayEdit>,
    /// A slice of another text was given: nothing may come of these changes.
    broken: bool,
}

/// A stretch of the text, and what comes in its place.
#[derive(Clone, Debug)]
struct Piece {
    at: Span,
    with: Box<str>,
}

/// Where a piece was put in, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applied {
    pub(crate) at: Span,
    pub(crate) length: usize,
}

/// What becomes of the members of one object.
#[derive(Debug)]
struct ObjectEdit {
    at: Span,
    changes: HashMap<Box<str>, Option<Json>>,
    /// The keys in the order in which they were first changed, which is that of new members.
    order: Vec<Box<str>>,
}

#[derive(Debug)]
struct ArrayEdit {
    at: Span,
    removed: BTreeSet<usize>,
}

impl<'m> Splices<'m> {
    pub(crate) fn of(base: &'m [u8]) -> Self {
        Self {
            base,
            pieces: Vec::new(),
            objects: Vec::new(),
            arrays: Vec::new(),
            broken: false,
        }
    }

    pub(crate) fn replace(&mut self, at: Raw<'_>, with: &Json) {
        if let Some(at) = self.place(at) {
            self.pieces.push(Piece {
                at,
                with: with.as_str().into(),
            });
        }
    }

    pub(crate) fn set(&mut self, object: Raw<'_>, key: &str, value: &Json) {
        self.change(object, key, Some(value));
    }

    pub(crate) fn remove(&mut self, object: Raw<'_>, key: &str) {
        self.change(object, key, None);
    }

    pub(crate) fn remove_item(&mut self, array: Raw<'_>, index: usize) {
        let Some(at) = self.place(array) else { return };
        match self.arrays.iter_mut().find(|edit| edit.at == at) {
            Some(edit) => drop(edit.removed.insert(index)),
            None => self.arrays.push(ArrayEdit {
                at,
                removed: BTreeSet::from([index]),
            }),
        }
    }

    /// Whether nothing was asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.objects.is_empty() && self.arrays.is_empty() && !self.broken
    }

    /// The text after all changes, and where they were made; `None` when they do not belong to this text.
    pub(crate) fn finish(mut self) -> Option<(String, Vec<Applied>)> {
        if self.broken {
            return None;
        }
        for edit in &self.objects {
            edit.pieces(self.base, &mut self.pieces);
        }
        for edit in &self.arrays {
            edit.pieces(self.base, &mut self.pieces);
        }
        // Of two at the same place the later one comes first, and the longer one before what it contains.
        self.pieces.reverse();
        self.pieces
            .sort_by_key(|piece| (piece.at.start, Reverse(piece.at.end)));
        let added: usize = self.pieces.iter().map(|piece| piece.with.len()).sum();
        let mut out = Vec::with_capacity(self.base.len() + added);
        let mut applied = Vec::with_capacity(self.pieces.len());
        let mut done = 0;
        for Piece { at, with } in &self.pieces {
            // What lies within a replaced or removed value went with it.
            if at.start < done {
                continue;
            }
            out.extend_from_slice(self.base.get(done..at.start)?);
            out.extend_from_slice(with.as_bytes());
            applied.push(Applied {
                at: *at,
                length: with.len(),
            });
            done = at.end;
        }
        out.extend_from_slice(self.base.get(done..)?);
        Some((String::from_utf8(out).ok()?, applied))
    }

    fn change(&mut self, object: Raw<'_>, key: &str, value: Option<&Json>) {
        let Some(at) = self.place(object) else { return };
        let known = self.objects.iter().position(|edit| edit.at == at);
        let index = known.unwrap_or_else(|| {
            self.objects.push(ObjectEdit {
                at,
                changes: HashMap::new(),
                order: Vec::new(),
            });
            self.objects.len() - 1
        });
        let Some(edit) = self.objects.get_mut(index) else {
            return;
        };
        if edit.changes.insert(key.into(), value.cloned()).is_none() {
            edit.order.push(key.into());
        }
    }

    fn place(&mut self, raw: Raw<'_>) -> Option<Span> {
        let span = span_in(raw, self.base);
        self.broken |= span.is_none();
        debug_assert!(span.is_some(), "a slice of another text was edited");
        span
    }
}

impl ObjectEdit {
    fn pieces(&self, base: &[u8], out: &mut Vec<Piece>) {
        let raw = Raw::of(self.at.of(base));
        if raw.shape() != Shape::Object {
            return self.instead(out);
        }
        let mut inside = Inside::new(base, self.at.start);
        let mut spans = Vec::new();
        let mut removed = Vec::new();
        let mut met = BTreeSet::new();
        while let Some(Member { key, value }) = inside.member() {
            spans.push(Span {
                start: key.start,
                end: value.end,
            });
            let name = Raw::of(key.of(base)).text().unwrap_or_default();
            let change = self.changes.get(&*name);
            removed.push(matches!(change, Some(None)));
            if let Some(Some(with)) = change {
                out.push(Piece {
                    at: value,
                    with: with.as_str().into(),
                });
                met.insert(name);
            }
        }
        out.extend(removals(&spans, &removed));
        let new = self.new_members(|name| met.contains(name));
        if !new.is_empty() {
            let at = spans.last().map_or(self.at.start + 1, |last| last.end);
            let comma = if removed.contains(&false) { "," } else { "" };
            out.push(Piece {
                at: Span { start: at, end: at },
                with: format!("{comma}{new}").into(),
            });
        }
    }

    /// A value that is no object becomes one, so that what was set is there afterwards whatever a peer sent.
    fn instead(&self, out: &mut Vec<Piece>) {
        let members = self.new_members(|_| false);
        if !members.is_empty() {
            out.push(Piece {
                at: self.at,
                with: format!("{{{members}}}").into(),
            });
        }
    }

    /// The text of the members that are set and not yet there.
    fn new_members(&self, is_there: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        for name in self.order.iter().filter(|name| !is_there(name)) {
            let Some(Some(value)) = self.changes.get(name) else {
                continue;
            };
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(Json::text(name).as_str());
            text.push(':');
            text.push_str(value.as_str());
        }
        text
    }
}

impl ArrayEdit {
    fn pieces(&self, base: &[u8], out: &mut Vec<Piece>) {
        if Raw::of(self.at.of(base)).shape() != Shape::Array {
            return;
        }
        let mut inside = Inside::new(base, self.at.start);
        let mut spans = Vec::new();
        while let Some(item) = inside.item() {
            spans.push(item);
        }
        let removed: Vec<bool> = (0..spans.len())
            .map(|index| self.removed.contains(&index))
            .collect();
        out.extend(removals(&spans, &removed));
    }
}

/// The stretches to cut so that the removed ones go with their commas: each with the comma before it, and
/// those before the first that stays with the comma after it.
fn removals(spans: &[Span], removed: &[bool]) -> Vec<Piece> {
    let cut = |start, end| Piece {
        at: Span { start, end },
        with: "".into(),
    };
    let leading = removed.iter().take_while(|removed| **removed).count();
    let mut pieces = Vec::new();
    if leading > 0
        && let Some(first) = spans.first()
        && let Some(last) = spans.last()
    {
        let end = spans.get(leading).map_or(last.end, |kept| kept.start);
        pieces.push(cut(first.start, end));
    }
    let pairs = spans.iter().zip(spans.iter().skip(1)).zip(removed.iter().skip(1));
    for ((before, this), _) in pairs.skip(leading).filter(|(_, removed)| **removed) {
        pieces.push(cut(before.end, this.end));
    }
    pieces
}
