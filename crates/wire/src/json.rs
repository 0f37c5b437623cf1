//! JSON text that is known to be good: our own, or a slice of a text that was checked. Not here: messages.

use serde::Serialize;

use crate::caps::Caps;
use crate::place::Then;
use crate::raw::Raw;
use crate::reject::{Reason, Reject};
use crate::strict::{self, Twins};
use crate::text;

/// A JSON value that owns its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(Box<str>);

impl Json {
    /// Writes a value of ours. What cannot be written (a map with keys that are no strings) becomes `null`.
    #[must_use]
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Self {
        serde_json::to_string(value).map_or_else(|_| Self::null(), |text| Self(text.into()))
    }

    /// Writes a tree of values.
    #[must_use]
    pub fn from_value(value: &serde_json::Value) -> Self {
        Self::from_serialize(value)
    }

    /// Any JSON document from outside, read as strictly as a message.
    ///
    /// # Errors
    ///
    /// When the text is not strict JSON within the caps.
    pub fn parse(bytes: &[u8], caps: &Caps, twins: Twins) -> Result<Self, Reject> {
        Self::read(bytes, caps, twins).map_err(|reason| Reject::new(reason, None))
    }

    /// `null`.
    #[must_use]
    pub fn null() -> Self {
        Self("null".into())
    }

    /// A string.
    #[must_use]
    pub fn text(value: &str) -> Self {
        let mut out = Vec::with_capacity(value.len() + 2);
        text::quote(value, &mut out);
        String::from_utf8(out).map_or_else(|_| Self::null(), |text| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value, to be read.
    #[must_use]
    pub fn raw(&self) -> Raw<'_> {
        Raw::of(self.0.as_bytes())
    }

    /// A text that is known to be good.
    pub(crate) fn from_good(text: Box<str>) -> Self {
        Self(text)
    }

    fn read(bytes: &[u8], caps: &Caps, twins: Twins) -> Result<Self, Reason> {
        let text = strict::open(bytes, caps)?;
        let walked = strict::walk(text, Then::FREE, caps, twins)?;
        Ok(Self(
            text.get(walked.root.start..walked.root.end)
                .unwrap_or_default()
                .into(),
        ))
    }
}

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
