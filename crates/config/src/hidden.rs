//! A text that is used but never shown.

use std::fmt;

/// A value of a header or of a variable: it may be a credential, so no log line and no message shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_text_is_not_shown() {
        let hidden = Hidden::new("s3cret");
        assert_eq!(hidden.expose(), "s3cret");
        assert!(!format!("{hidden:?} {:#?}", Some(&hidden)).contains("s3cret"));
    }
}
