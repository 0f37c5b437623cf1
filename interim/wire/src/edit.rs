//! Rewrites by splicing: what is not rewritten stays as it was, byte for byte, in its order.

use bytes::Bytes;

use crate::envelope::Message;
use crate::id::Id;
use crate::json::Json;
use crate::raw::{Raw, Shape};

/// A rewrite of a message.
#[derive(Debug)]
pub struct Edit<'m> {
    message: &'m Message,
    plan: Plan,
}

/// A rewrite of a JSON document.
#[derive(Debug)]
pub struct JsonEdit<'j> {
    json: &'j Json,
    plan: Plan,
}

/// What is to be done to a text, by position.
#[derive(Debug, Default)]
struct Plan {
    /// Replaced spans: start, end, new text.
    replaced: Vec<(usize, usize, String)>,
    /// Per object or array, by its start.
    containers: Vec<Container>,
}

#[derive(Debug)]
struct Container {
    start: usize,
    end: usize,
    /// Start and end of each element; for members from the key on.
    elements: Vec<(usize, usize)>,
    removed: Vec<usize>,
    added: Vec<(String, String)>,
}

impl Plan {
    fn replace(&mut self, start: usize, end: usize, with: &str) {
        self.replaced.retain(|(known, _, _)| *known != start);
        self.replaced.push((start, end, with.to_owned()));
    }

    fn container(&mut self, holder: Raw<'_>) -> Option<&mut Container> {
        let at = self.containers.iter().position(|container| container.start == holder.start());
        if at.is_none() {
            let elements = match holder.shape() {
                Shape::Object => holder.member_spans().map(|(_, start, value)| (start, value.end())).collect(),
                Shape::Array => holder.items().map(|item| (item.start(), item.end())).collect(),
                Shape::Text | Shape::Number | Shape::True | Shape::False | Shape::Null => return None,
            };
            let (start, end) = (holder.start(), holder.end());
            self.containers.push(Container { start, end, elements, removed: Vec::new(), added: Vec::new() });
            return self.containers.last_mut();
        }
        at.and_then(|at| self.containers.get_mut(at))
    }

    fn set(&mut self, object: Raw<'_>, key: &str, value: &Json) {
        if object.shape() != Shape::Object {
            return;
        }
        let there = object.member_spans().enumerate().find(|(_, (name, _, _))| name == key);
        match there {
            Some((index, (_, _, old))) => {
                let removed = self.containers.iter().any(|container| {
                    container.start == object.start() && container.removed.contains(&index)
                });
                if removed { self.add(object, key, value) } else { self.replace(old.start(), old.end(), value.as_str()) }
            }
            None => self.add(object, key, value),
        }
    }

    fn add(&mut self, object: Raw<'_>, key: &str, value: &Json) {
        if let Some(container) = self.container(object) {
            container.added.retain(|(known, _)| known != key);
            container.added.push((key.to_owned(), value.as_str().to_owned()));
        }
    }

    fn remove(&mut self, object: Raw<'_>, key: &str) {
        let index = object.member_spans().position(|(name, _, _)| name == key);
        if let Some(container) = self.container(object) {
            container.added.retain(|(known, _)| known != key);
            container.removed.extend(index.filter(|index| !container.removed.contains(index)));
        }
    }

    fn remove_item(&mut self, array: Raw<'_>, index: usize) {
        if let Some(container) = self.container(array)
            && index < container.elements.len()
            && !container.removed.contains(&index)
        {
            container.removed.push(index);
        }
    }

    /// All changes as replaced spans, in their order; what lies inside a removed or replaced span is dropped.
    fn apply(mut self, text: &str) -> String {
        let mut changes = self.replaced;
        for container in &mut self.containers {
            container.changes(&mut changes);
        }
        changes.sort_by_key(|(start, end, _)| (*start, std::cmp::Reverse(*end)));
        let mut out = String::with_capacity(text.len().saturating_add(64));
        let mut from = 0;
        for (start, end, with) in &changes {
            if *start < from {
                continue;
            }
            out.push_str(text.get(from..*start).unwrap_or_default());
            out.push_str(with);
            from = *end;
        }
        out.push_str(text.get(from..).unwrap_or_default());
        out
    }
}

impl Container {
    fn changes(&mut self, changes: &mut Vec<(usize, usize, String)>) {
        self.removed.sort_unstable();
        let kept = self.elements.len().saturating_sub(self.removed.len());
        let last_kept = (0..self.elements.len()).rev().find(|index| !self.removed.contains(index));
        for (index, (start, end)) in self.elements.iter().enumerate() {
            if self.removed.binary_search(&index).is_err() {
                continue;
            }
            // With its comma: the one after it, or, past the last that stays, the one before it.
            let span = if last_kept.is_some_and(|last| last > index) {
                let next = self.elements.get(index + 1).map_or(*end, |(start, _)| *start);
                (*start, next)
            } else {
                let before = index.checked_sub(1).and_then(|index| self.elements.get(index)).map_or(*start, |(_, end)| *end);
                (before, *end)
            };
            changes.push((span.0, span.1, String::new()));
        }
        if self.added.is_empty() {
            return;
        }
        let mut text = String::new();
        for (index, (key, value)) in self.added.iter().enumerate() {
            if kept > 0 || index > 0 {
                text.push(',');
            }
            text.push_str(Json::text(key).as_str());
            text.push(':');
            text.push_str(value);
        }
        let close = self.end.saturating_sub(1);
        changes.push((close, close, text));
    }
}

impl<'m> Edit<'m> {
    pub(crate) fn new(message: &'m Message) -> Self {
        Self { message, plan: Plan::default() }
    }

    /// Puts a value in the place of another.
    pub fn replace(&mut self, at: Raw<'m>, with: &Json) -> &mut Self {
        self.plan.replace(at.start(), at.end(), with.as_str());
        self
    }

    /// Sets a member of an object: replaces its value, or appends it.
    pub fn set(&mut self, object: Raw<'m>, key: &str, value: &Json) -> &mut Self {
        self.plan.set(object, key, value);
        self
    }

    /// Takes a member out of an object.
    pub fn remove(&mut self, object: Raw<'m>, key: &str) -> &mut Self {
        self.plan.remove(object, key);
        self
    }

    /// Takes an element out of an array, by its position before any removal.
    pub fn remove_item(&mut self, array: Raw<'m>, index: usize) -> &mut Self {
        self.plan.remove_item(array, index);
        self
    }

    /// Sets the params, or adds them.
    pub fn set_params(&mut self, params: &Json) -> &mut Self {
        self.plan.set(self.message.raw(), "params", params);
        self
    }

    /// Sets the id, in its place.
    pub fn set_id(&mut self, id: &Id) -> &mut Self {
        match self.message.id_span() {
            Some(span) => self.plan.replace(span.start, span.end, id.to_json().as_str()),
            None => self.plan.set(self.message.raw(), "id", &id.to_json()),
        }
        self
    }

    /// The message as rewritten.
    #[must_use]
    pub fn finish(self) -> Message {
        let Self { message, plan } = self;
        if plan.replaced.is_empty() && plan.containers.is_empty() {
            return message.clone();
        }
        let text = std::str::from_utf8(message.bytes()).unwrap_or_default();
        let raw = message.raw();
        debug_assert!(raw.end() <= text.len(), "the message lies in its text");
        let rewritten = Message::ours(plan.apply(text).trim_matches([' ', '\t', '\n', '\r']).to_owned());
        debug_assert!(strictly(rewritten.bytes()), "a rewrite stays strict: {:?}", rewritten.bytes());
        rewritten
    }
}

fn strictly(bytes: &Bytes) -> bool {
    let caps = crate::Caps { message_bytes: usize::MAX, ..crate::Caps::default() };
    let read = crate::message(bytes.clone(), &caps, crate::Twins::WhereKnown);
    !matches!(read.map_err(|reject| reject.json_rpc_code()), Err(-32700))
}

impl<'j> JsonEdit<'j> {
    pub(crate) fn new(json: &'j Json) -> Self {
        Self { json, plan: Plan::default() }
    }

    /// Puts a value in the place of another.
    pub fn replace(&mut self, at: Raw<'j>, with: &Json) -> &mut Self {
        self.plan.replace(at.start(), at.end(), with.as_str());
        self
    }

    /// Sets a member of an object: replaces its value, or appends it.
    pub fn set(&mut self, object: Raw<'j>, key: &str, value: &Json) -> &mut Self {
        self.plan.set(object, key, value);
        self
    }

    /// Takes a member out of an object.
    pub fn remove(&mut self, object: Raw<'j>, key: &str) -> &mut Self {
        self.plan.remove(object, key);
        self
    }

    /// Takes an element out of an array, by its position before any removal.
    pub fn remove_item(&mut self, array: Raw<'j>, index: usize) -> &mut Self {
        self.plan.remove_item(array, index);
        self
    }

    /// The document as rewritten.
    #[must_use]
    pub fn finish(self) -> Json {
        Json::checked(&self.plan.apply(self.json.as_str()))
    }
}
