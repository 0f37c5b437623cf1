//! JSON text that is known to be good: written by ourselves, or cut from a text that the strict walk passed.

use serde::Serialize;

use crate::caps::Caps;
use crate::edit::JsonEdit;
use crate::place::Place;
use crate::raw::Raw;
use crate::reject::Reject;
use crate::strict::{Twins, Walk, text};

/// One JSON value as text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Json(Box<str>);

impl Json {
    /// The JSON of a value of ours. What cannot be written as JSON (a map with keys that are no texts) is null.
    #[must_use]
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Self {
        serde_json::to_string(value).map_or_else(|_| Self::null(), |text| Self(text.into()))
    }

    /// The JSON of a tree.
    #[must_use]
    pub fn from_value(value: &serde_json::Value) -> Self {
        Self(value.to_string().into())
    }

    /// A quoted text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::from_serialize(text)
    }

    /// `null`.
    #[must_use]
    pub fn null() -> Self {
        Self("null".into())
    }

    /// Any JSON document, strictly.
    ///
    /// # Errors
    /// The text is not strict JSON within the caps.
    pub fn parse(bytes: &[u8], caps: &Caps, twins: Twins) -> Result<Self, Reject> {
        let text = text(bytes, caps).map_err(Reject::new)?;
        let span = Walk::new(text, caps, twins).document(Place::Free).map_err(Reject::new)?;
        Ok(Self(text.get(span.start..span.end).unwrap_or_default().into()))
    }

    pub(crate) fn checked(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value, to be read.
    #[must_use]
    pub fn raw(&self) -> Raw<'_> {
        Raw::of(&self.0, 0, self.0.len())
    }

    /// Begins a rewrite.
    #[must_use]
    pub fn edit(&self) -> JsonEdit<'_> {
        JsonEdit::new(self)
    }
}
