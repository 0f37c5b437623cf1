//! What several of these tests need: reading with defaults, a second opinion, and JSON made at random.

use bytes::Bytes;
use mantlet_wire::{Caps, Json, Message, Reject, Twins};
use proptest::prelude::*;
use serde_json::{Map, Value};

pub(crate) fn read(text: impl AsRef<[u8]>) -> Result<Message, Reject> {
    mantlet_wire::message(
        Bytes::copy_from_slice(text.as_ref()),
        &Caps::default(),
        Twins::Anywhere,
    )
}

pub(crate) fn good(text: impl AsRef<[u8]>) -> Message {
    read(&text).unwrap_or_else(|reject| panic!("{reject}: {}", String::from_utf8_lossy(text.as_ref())))
}

pub(crate) fn refused(text: impl AsRef<[u8]>) -> &'static str {
    read(text).map_or_else(|reject| reject.code(), |_| "accepted")
}

pub(crate) fn json(text: &str) -> Json {
    Json::parse(text.as_bytes(), &Caps::default(), Twins::WhereKnown).unwrap()
}

/// What another parser makes of a text.
#[expect(
    clippy::disallowed_methods,
    reason = "a second opinion is what these tests are for"
)]
pub(crate) fn other(text: &[u8]) -> Option<Value> {
    serde_json::from_slice(text).ok()
}

/// Any JSON value that survives: no twins, no numbers that some reader loses.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |number| serde_json::Number::from_f64(number)
            .map(Value::Number)),
        text().prop_map(Value::String),
    ];
    scalar.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::vec((text(), inner), 0..24).prop_map(|members| {
                let mut seen = std::collections::HashSet::new();
                let fresh = members.into_iter().filter(|(key, _)| seen.insert(folded(key)));
                Value::Object(fresh.collect::<Map<_, _>>())
            }),
        ]
    })
}

/// Text with everything that needs care.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-e]{0,3}",
        1 => "\\PC{0,12}",
        1 => proptest::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter),
        1 => "[\"\\\\/\u{0}-\u{1f}\u{7f}é€😀\u{2028}]{0,6}",
    ]
}

fn folded(key: &str) -> String {
    key.chars()
        .filter(|char| char.is_alphanumeric() || char.is_ascii_punctuation())
        .collect::<String>()
        .to_uppercase()
        .to_lowercase()
}

/// The same value written in another way: blanks, escapes, and another order.
pub(crate) fn rewritten(value: &Value, seed: &mut u64) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| rewritten(item, seed)).collect();
            format!(
                "[{}{}]{}",
                blank(seed),
                items.join(&format!("{},", blank(seed))),
                blank(seed)
            )
        }
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            if next(seed).is_multiple_of(2) {
                members.reverse();
            }
            let members: Vec<String> = members
                .into_iter()
                .map(|(key, value)| {
                    let key = escaped(key, seed);
                    format!(
                        "{}{key}{}:{}{}",
                        blank(seed),
                        blank(seed),
                        blank(seed),
                        rewritten(value, seed)
                    )
                })
                .collect();
            format!("{{{}{}}}", members.join(","), blank(seed))
        }
        Value::String(text) => escaped(text, seed),
        other => other.to_string(),
    }
}

fn escaped(text: &str, seed: &mut u64) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        if char.is_control() || matches!(char, '"' | '\\') || next(seed).is_multiple_of(4) {
            for unit in char.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04X}"));
            }
        } else {
            out.push(char);
        }
    }
    out.push('"');
    out
}

fn blank(seed: &mut u64) -> &'static str {
    ["", "", "", " ", "\n", "\t ", "\r\n"][below(seed, 7)]
}

pub(crate) fn next(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

pub(crate) fn below(seed: &mut u64, bound: usize) -> usize {
    usize::try_from(next(seed)).unwrap() % bound
}
