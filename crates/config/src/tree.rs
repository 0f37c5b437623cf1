//! A file as a tree of values that remember where they stand. How it is made of text is in `yaml`, what it means
//! in `read`.

use std::cell::Cell;
use std::ops::Range;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) content: Content,
    /// Where a message about it points: a text of one line, or the key of what spans several.
    pub(crate) shown: Range<usize>,
    /// A problem with it was told, so that nothing that follows from it need be told again.
    pub(crate) bad: Cell<bool>,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A single value: its text, and how it was written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// The text that counts.
    pub(crate) text: String,
    /// What stood there before references were put in, when there were any. Messages show this one.
    pub(crate) written: Option<String>,
    /// Not in quotes, and no block of text.
    pub(crate) plain: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) span: Range<usize>,
    pub(crate) value: Node,
}

impl Node {
    /// The value at the end of this way down, as far as it exists. Lists are entered by their index.
    pub(crate) fn at(&self, way: &[&str]) -> Option<&Self> {
        way.iter().try_fold(self, |node, step| match &node.content {
            Content::Map(entries) => entries
                .iter()
                .find(|entry| entry.key == *step)
                .map(|entry| &entry.value),
            Content::List(items) => items.get(step.parse::<usize>().ok()?),
            Content::Scalar(_) => None,
        })
    }

    /// Where the key stands that leads to this value.
    pub(crate) fn key_at(&self, way: &[&str]) -> Option<Range<usize>> {
        let (last, before) = way.split_last()?;
        match &self.at(before)?.content {
            Content::Map(entries) => entries
                .iter()
                .find(|entry| entry.key == *last)
                .map(|entry| entry.span.clone()),
            Content::List(_) | Content::Scalar(_) => None,
        }
    }

    /// Whether a problem was told of this value or anything inside it. Nesting is bounded.
    pub(crate) fn is_spoiled(&self) -> bool {
        self.bad.get()
            || match &self.content {
                Content::Scalar(_) => false,
                Content::List(items) => items.iter().any(Self::is_spoiled),
                Content::Map(entries) => entries.iter().any(|entry| entry.value.is_spoiled()),
            }
    }

    /// What the file says here, for a message.
    pub(crate) fn written(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar.written()),
            Content::List(_) | Content::Map(_) => None,
        }
    }
}

impl Scalar {
    pub(crate) fn written(&self) -> &str {
        self.written.as_ref().unwrap_or(&self.text)
    }

    /// Not in quotes: what a reference stands for never is.
    pub(crate) fn is_bare(&self) -> bool {
        self.plain || self.written.is_some()
    }

    /// YAML 1.2 §10.3.2: what stands for "nothing" outside quotes.
    pub(crate) fn is_null(&self) -> bool {
        self.plain
            && self.written.is_none()
            && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// The values in a value, and the bytes of their texts.
pub(crate) fn size(node: &Node) -> (usize, usize) {
    let add = |sum: (usize, usize), more: (usize, usize)| {
        (sum.0.saturating_add(more.0), sum.1.saturating_add(more.1))
    };
    match &node.content {
        Content::Scalar(scalar) => (1, scalar.text.len()),
        Content::List(items) => items.iter().map(size).fold((1, 0), add),
        Content::Map(entries) => {
            let sizes = entries
                .iter()
                .map(|entry| add((1, entry.key.len()), size(&entry.value)));
            sizes.fold((1, 0), add)
        }
    }
}

/// How many collections lie inside each other.
pub(crate) fn height(node: &Node) -> usize {
    match &node.content {
        Content::Scalar(_) => 0,
        Content::List(items) => items
            .iter()
            .map(height)
            .max()
            .unwrap_or_default()
            .saturating_add(1),
        Content::Map(entries) => entries
            .iter()
            .map(|entry| height(&entry.value))
            .max()
            .unwrap_or_default()
            .saturating_add(1),
    }
}
