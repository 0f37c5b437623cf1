//! Request ids, with their JSON type. Not here: who gave an id to whom.

use crate::json::Json;

/// The id of a request. `1` and `"1"` are two ids (MCP 2026-07-28 basic §Requests: a string or an integer).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// An integer.
    Number(i64),
    /// A string.
    Text(Box<str>),
}

impl Id {
    /// The id as JSON text.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Number(number) => Json::from_serialize(number),
            Self::Text(text) => Json::text(text),
        }
    }
}

/// As it is written in JSON, so that a number and a string stay apart in a log.
impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_json().as_str())
    }
}

impl From<i64> for Id {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_text_are_two_ids() {
        assert_ne!(Id::from(1), Id::from("1"));
        assert_eq!(Id::from(1).to_string(), "1");
        assert_eq!(Id::from("1").to_string(), r#""1""#);
        assert_eq!(Id::from("a\"\n").to_json().as_str(), r#""a\"\n""#);
    }
}
