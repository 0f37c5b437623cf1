//! Values with a shape of their own: sizes, durations, whole numbers, and mappings that keep their order. They
//! are kept as they were written; `check` makes numbers of them, since it knows the bounds and the place.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// A number of bytes: `4MiB`, `64KiB`, `512`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Size(pub(crate) String);

/// A duration: `500ms`, `30s`, `5m`, `1h`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pause(pub(crate) String);

/// A whole number.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Whole(pub(crate) String);

/// A mapping from names to values, in the order in which it was written. Names are unique: `yaml` refuses a key
/// that stands twice.
#[derive(Clone, Debug)]
pub(crate) struct Named<T>(pub(crate) Vec<(String, T)>);

/// Why a text is no quantity: an ending for "`4MB` …", what to write, and a right text that was probably meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotOne {
    pub(crate) why: &'static str,
    pub(crate) help: &'static str,
    pub(crate) meant: Option<String>,
}

impl Size {
    /// The number of bytes.
    pub(crate) fn bytes(&self) -> Result<u64, NotOne> {
        let help = "write a number of bytes, or a whole number with `KiB`, `MiB` or `GiB`, such as `4MiB`";
        let wrong = |meant| NotOne {
            why: "is no size",
            help,
            meant,
        };
        let (number, unit) = split(&self.0).ok_or_else(|| wrong(None))?;
        let factor = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            other => return Err(wrong(meant_unit(number, other, BYTES))),
        };
        number.checked_mul(factor).ok_or(NotOne {
            why: "is too large a number",
            help,
            meant: None,
        })
    }
}

impl Pause {
    /// The number of milliseconds.
    pub(crate) fn millis(&self) -> Result<u64, NotOne> {
        let help = "write a whole number with `ms`, `s`, `m` or `h`, such as `30s`";
        let wrong = |why, meant| NotOne { why, help, meant };
        let (number, unit) = split(&self.0).ok_or_else(|| wrong("is no duration", None))?;
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "" => return Err(wrong("is a duration without a unit", None)),
            other => return Err(wrong("is no duration", meant_unit(number, other, TIMES))),
        };
        number
            .checked_mul(factor)
            .ok_or_else(|| wrong("is too large a number", None))
    }
}

impl Whole {
    /// The number.
    pub(crate) fn number(&self) -> Result<u64, NotOne> {
        match split(&self.0) {
            Some((number, "")) => Ok(number),
            _ => Err(NotOne {
                why: "is no whole number",
                help: "write digits only, without quotes, sign or unit, such as `100`",
                meant: None,
            }),
        }
    }
}

/// What people write for the units, in lower case.
const BYTES: &[(&str, &str)] = &[
    ("b", "B"),
    ("byte", "B"),
    ("bytes", "B"),
    ("k", "KiB"),
    ("kb", "KiB"),
    ("kib", "KiB"),
    ("ki", "KiB"),
    ("m", "MiB"),
    ("mb", "MiB"),
    ("mib", "MiB"),
    ("mi", "MiB"),
    ("g", "GiB"),
    ("gb", "GiB"),
    ("gib", "GiB"),
    ("gi", "GiB"),
];
const TIMES: &[(&str, &str)] = &[
    ("ms", "ms"),
    ("msec", "ms"),
    ("millis", "ms"),
    ("milliseconds", "ms"),
    ("s", "s"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("m", "m"),
    ("min", "m"),
    ("mins", "m"),
    ("minute", "m"),
    ("minutes", "m"),
    ("h", "h"),
    ("hr", "h"),
    ("hour", "h"),
    ("hours", "h"),
];

fn meant_unit(number: u64, unit: &str, known: &[(&str, &str)]) -> Option<String> {
    let unit = unit.trim().to_ascii_lowercase();
    let (_, right) = known.iter().find(|(wrong, _)| *wrong == unit)?;
    Some(format!("{number}{right}"))
}

/// Digits and what follows them. No sign, no fraction, no `_`, no blank before.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, unit))
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(InOrder(PhantomData))
    }
}

struct InOrder<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
    type Value = Named<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Named(entries))
    }
}

// A reference may stand for any quantity, so the patterns let `${…}` through.

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes, or a whole number with a unit: `512`, `64KiB`, `4MiB`, `1GiB`.",
            "anyOf": [
                { "type": "string", "pattern": r"^([0-9]+(B|KiB|MiB|GiB)?|.*\$\{.*)$" },
                { "type": "integer", "minimum": 0 }
            ]
        })
    }
}

impl JsonSchema for Pause {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A whole number with a unit: `500ms`, `30s`, `5m`, `1h`.",
            "type": "string",
            "pattern": r"^([0-9]+(ms|s|m|h)|.*\$\{.*)$"
        })
    }
}

impl JsonSchema for Whole {
    fn schema_name() -> Cow<'static, str> {
        "WholeNumber".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A whole number.",
            "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": r"\$\{" }]
        })
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        <BTreeMap<String, T>>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <BTreeMap<String, T>>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str) -> Result<u64, NotOne> {
        Size(text.to_owned()).bytes()
    }

    fn pause(text: &str) -> Result<u64, NotOne> {
        Pause(text.to_owned()).millis()
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("512B"), Ok(512));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("4MiB"), Ok(4_194_304));
        assert_eq!(size("1GiB"), Ok(1 << 30));
    }

    #[test]
    fn what_is_nearly_a_size_is_named() {
        for (text, meant) in [
            ("4MB", "4MiB"),
            ("4mib", "4MiB"),
            ("64 k", "64KiB"),
            ("3 GB", "3GiB"),
        ] {
            assert_eq!(size(text).unwrap_err().meant.as_deref(), Some(meant), "{text}");
        }
        for text in [
            "", "MiB", "-1", "+1", "1.5MiB", "1_000", "0x10", "4MiBs", "４MiB", " 4MiB", "4MiB\n",
        ] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_quantity_that_overflows_is_refused() {
        for text in [
            "18446744073709551616",
            "18446744073709551615KiB",
            "99999999999999999999999GiB",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(pause("18446744073709551615h").is_err());
        assert!(Whole("18446744073709551616".to_owned()).number().is_err());
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(pause("500ms"), Ok(500));
        assert_eq!(pause("30s"), Ok(30_000));
        assert_eq!(pause("5m"), Ok(300_000));
        assert_eq!(pause("1h"), Ok(3_600_000));
        assert_eq!(pause("30").unwrap_err().why, "is a duration without a unit");
        assert_eq!(pause("30 sec").unwrap_err().meant.as_deref(), Some("30s"));
        for text in ["", "s", "-1s", "1.5s", "1h30m", "inf", "1S2"] {
            assert!(pause(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_are_digits() {
        assert_eq!(Whole("64".to_owned()).number(), Ok(64));
        for text in ["", "-1", "1e3", "0x40", "64 ", "6_4", "true"] {
            assert!(Whole(text.to_owned()).number().is_err(), "{text:?}");
        }
    }
}
