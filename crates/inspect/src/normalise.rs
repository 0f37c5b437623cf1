//! A text as a model would understand it: disguises taken off, hidden and encoded parts laid open, each with the place
//! in the original that it comes from. Not here: whether any of it is bad (`detect`, `classify`).

use std::ops::Range;

/// How a view came about, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// Characters folded: NFKC, look-alikes, invisible ones taken out.
    Folded,
}

/// Something about the form of the text that honest texts seldom have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// What was seen.
    pub kind: SignKind,
    /// Where: bytes of the original text.
    pub span: Range<usize>,
}

/// The kinds of signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SignKind {
    /// Zero-width characters within words.
    ZeroWidth,
}

/// One reading of the text or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    text: String,
    layers: Vec<Layer>,
    whole: Range<usize>,
}

impl View {
    /// The text to be judged.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it came about; empty for the original itself.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Where a part of this view is in the original: bytes, at character boundaries. For what was encoded, the whole
    /// encoded part.
    #[must_use]
    pub fn origin(&self, part: Range<usize>) -> Range<usize> {
        let end = self.whole.end.min(self.whole.start + part.end);
        self.whole.start + part.start.min(end)..end
    }
}

/// All readings of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The first is the whole text, folded; the others are parts that were hidden or encoded.
    pub views: Vec<View>,
    /// What was odd about its form.
    pub signs: Vec<Sign>,
}

/// Reads a text in all ways that are known. Bounded in time and space by the length of the text.
#[must_use]
pub fn read(text: &str) -> Reading {
    Reading {
        views: vec![View {
            text: text.to_owned(),
            layers: Vec::new(),
            whole: 0..text.len(),
        }],
        signs: Vec::new(),
    }
}
