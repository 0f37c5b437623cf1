//! JSON Schema for arguments and results (MCP 2026-07-28 basic/index §JSON Schema Usage): 2020-12 unless the schema
//! says otherwise; nothing is ever fetched; hostile schemas are bounded before they are compiled.

use jsonschema::{Draft, PatternOptions, Validator};
use mantlet_wire::{Raw, Shape};
use serde_json::Value;

use crate::survey;

/// The largest schema that is compiled, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// Violations that are told at once.
const MAX_VIOLATIONS: usize = 8;
/// Backtracking steps of a pattern that needs look-around.
const BACKTRACK: usize = 20_000;
/// Compiled size of one pattern, in bytes.
const PATTERN_BYTES: usize = 1024 * 1024;
/// Characters of one violation's sentence.
const MAX_SENTENCE: usize = 240;

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Larger than [`MAX_BYTES`].
    #[error("the schema has {0} bytes, more than the {MAX_BYTES} that are compiled")]
    TooLarge(usize),
    /// `$schema` names a dialect that is not supported.
    #[error("the schema's dialect `{0}` is not supported: use 2020-12 or draft-07")]
    UnknownDialect(String),
    /// It would take too much to check anything against it.
    #[error("the schema is refused: {0}")]
    Hostile(String),
    /// It is no schema of its dialect, or refers to what is not in it.
    #[error("the schema is not valid: {0}")]
    Invalid(String),
}

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
}

/// What does not conform, at most a few at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", sentence(.list))]
pub struct Violations {
    /// In the order in which they were found.
    pub list: Vec<Violation>,
}

/// One place that does not conform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON Pointer (RFC 6901) into the instance.
    pub at: String,
    /// What is expected there; the value itself is not told.
    pub message: String,
}

fn sentence(list: &[Violation]) -> String {
    let each = |violation: &Violation| {
        let at = if violation.at.is_empty() {
            "/"
        } else {
            &violation.at
        };
        format!("`{at}`: {}", violation.message)
    };
    let all: Vec<String> = list.iter().map(each).collect();
    format!("not as the schema says: {}", all.join("; "))
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// See [`SchemaError`]; a schema that cannot be compiled cannot be conformed to.
    pub fn compile(schema: Raw<'_>) -> Result<Self, SchemaError> {
        let bytes = schema.as_str().len();
        if bytes > MAX_BYTES {
            return Err(SchemaError::TooLarge(bytes));
        }
        if !matches!(schema.shape(), Shape::Object | Shape::True | Shape::False) {
            return Err(SchemaError::Invalid("it is no object".to_owned()));
        }
        let draft = dialect(schema)?;
        let tree = schema.to_value();
        survey::check(&tree).map_err(SchemaError::Hostile)?;
        let validator = linear(draft, &tree).or_else(|_| backtracking(draft, &tree))?;
        Ok(Self { validator })
    }

    /// Checks an instance.
    ///
    /// # Errors
    /// It does not conform.
    pub fn check(&self, instance: Raw<'_>) -> Result<(), Violations> {
        let tree = instance.to_value();
        if self.validator.is_valid(&tree) {
            return Ok(());
        }
        let list = self
            .validator
            .iter_errors(&tree)
            .take(MAX_VIOLATIONS)
            .map(|error| Violation {
                at: cut(&error.instance_path().to_string()),
                message: cut(&error.masked_with("the value").to_string()),
            });
        Err(Violations { list: list.collect() })
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_SENTENCE).collect()
}

fn dialect(schema: Raw<'_>) -> Result<Draft, SchemaError> {
    let Some(named) = schema.get("$schema") else {
        return Ok(Draft::Draft202012);
    };
    let named = named.text().unwrap_or_default();
    match named.trim_end_matches('#') {
        "https://json-schema.org/draft/2020-12/schema" => Ok(Draft::Draft202012),
        "https://json-schema.org/draft/2019-09/schema" => Ok(Draft::Draft201909),
        "http://json-schema.org/draft-07/schema" | "https://json-schema.org/draft-07/schema" => {
            Ok(Draft::Draft7)
        }
        "http://json-schema.org/draft-06/schema" => Ok(Draft::Draft6),
        "http://json-schema.org/draft-04/schema" => Ok(Draft::Draft4),
        other => Err(SchemaError::UnknownDialect(cut(other))),
    }
}

/// Patterns in linear time.
fn linear(draft: Draft, tree: &Value) -> Result<Validator, SchemaError> {
    let patterns = PatternOptions::regex()
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES);
    jsonschema::options()
        .with_draft(draft)
        .offline()
        .should_validate_formats(false)
        .with_pattern_options(patterns)
        .build(tree)
        .map_err(|error| SchemaError::Invalid(cut(&error.to_string())))
}

/// Patterns with look-around, which ECMA 262 has: with a bound on how long they may try.
fn backtracking(draft: Draft, tree: &Value) -> Result<Validator, SchemaError> {
    let patterns = PatternOptions::fancy_regex()
        .backtrack_limit(BACKTRACK)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES);
    jsonschema::options()
        .with_draft(draft)
        .offline()
        .should_validate_formats(false)
        .with_pattern_options(patterns)
        .build(tree)
        .map_err(|error| SchemaError::Invalid(cut(&error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_wire::{Caps, Json, Twins};

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes(), &Caps::default(), Twins::WhereKnown).unwrap()
    }

    fn conforms(schema: &str, instance: &str) -> bool {
        Schema::compile(json(schema).raw())
            .unwrap()
            .check(json(instance).raw())
            .is_ok()
    }

    fn error(schema: &str) -> SchemaError {
        Schema::compile(json(schema).raw()).unwrap_err()
    }

    #[test]
    fn both_dialects_are_read_as_they_say() {
        let tuple = r#"{"type":"array","prefixItems":[{"type":"string"}]}"#;
        assert!(!conforms(tuple, "[1]"), "2020-12 without a word");
        let seven = r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"array","items":[{"type":"string"}],"additionalItems":false}"#;
        assert!(conforms(seven, r#"["a"]"#));
        assert!(!conforms(seven, r#"["a",1]"#));
        assert!(matches!(
            error(r#"{"$schema":"https://evil.example/dialect"}"#),
            SchemaError::UnknownDialect(_)
        ));
    }

    #[test]
    fn nothing_is_fetched() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        for reference in [
            format!("http://127.0.0.1:{port}/s.json"),
            "file:///etc/hostname".to_owned(),
            "other.json".to_owned(),
        ] {
            for schema in [
                format!(r#"{{"$ref":"{reference}"}}"#),
                format!(r#"{{"type":"object","properties":{{"a":{{"$ref":"{reference}"}}}}}}"#),
                format!(r#"{{"$id":"{reference}","$dynamicRef":"{reference}"}}"#),
            ] {
                assert!(Schema::compile(json(&schema).raw()).is_err(), "{schema}");
            }
        }
        assert!(listener.accept().is_err(), "somebody called");
    }

    #[test]
    fn cycles_and_explosions_are_refused_before_they_are_compiled() {
        for schema in [
            r##"{"$ref":"#"}"##,
            r##"{"allOf":[{"$ref":"#"}]}"##,
            r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"anyOf":[{"$ref":"#/$defs/a"}]}},"$ref":"#/$defs/a"}"##,
            r##"{"$defs":{"a":{"$anchor":"x","not":{"$ref":"#x"}}},"$ref":"#x"}"##,
            r##"{"$dynamicAnchor":"m","if":{"$dynamicRef":"#m"}}"##,
        ] {
            assert!(matches!(error(schema), SchemaError::Hostile(_)), "{schema}");
        }
        let mut defs = String::new();
        for level in 0..40 {
            defs.push_str(&format!(
                r##""l{level}":{{"anyOf":[{{"$ref":"#/$defs/l{}"}},{{"$ref":"#/$defs/l{}"}}]}},"##,
                level + 1,
                level + 1
            ));
        }
        let bomb = format!(r##"{{"$defs":{{{defs}"l40":{{"type":"null"}}}},"$ref":"#/$defs/l0"}}"##);
        assert!(matches!(error(&bomb), SchemaError::Hostile(_)));
    }

    #[test]
    fn recursion_that_goes_down_the_instance_is_fine() {
        let tree = r##"{"type":"object","properties":{"child":{"$ref":"#"},"$ref":{"type":"string"}},"additionalProperties":false}"##;
        let deep = format!("{}{{}}{}", r#"{"child":"#.repeat(50), "}".repeat(50));
        assert!(conforms(tree, &deep));
        assert!(!conforms(tree, &deep.replace("{}", r#"{"other":1}"#)));
    }

    #[test]
    fn patterns_cannot_run_away() {
        let long = format!("\"{}!\"", "a".repeat(50_000));
        assert!(!conforms(r#"{"pattern":"^(a+)+$"}"#, &long));
        assert!(
            !conforms(r#"{"pattern":"^(?=a)(a|aa)+$"}"#, &long),
            "a pattern that gives up does not conform"
        );
        assert!(conforms(r#"{"pattern":"^(?!b)a+!$"}"#, "\"aaa!\""));
    }

    #[test]
    fn a_violation_tells_the_place_and_not_the_value() {
        let schema =
            Schema::compile(json(r#"{"properties":{"password":{"type":"integer"}}}"#).raw()).unwrap();
        let violations = schema.check(json(r#"{"password":"hunter2"}"#).raw()).unwrap_err();
        assert_eq!(violations.list[0].at, "/password");
        assert!(!violations.to_string().contains("hunter2"), "{violations}");
    }
}
