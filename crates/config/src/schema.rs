//! The JSON Schema of the configuration, for editors and for checks without Mantlet. It is made from the types
//! of `file`, so it cannot fall behind them.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

use crate::file::File;

/// The JSON Schema (2020-12) of a configuration file.
///
/// It knows the shape: keys, kinds of values, choices. What a value must be beyond that (bounds, addresses,
/// what goes with what), and a reference in the place of a choice, is for [`parse`](crate::parse) to judge.
#[must_use]
pub fn json_schema() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(without_null))
        .with_transform(RecursiveTransform(in_paragraphs));
    settings
        .into_generator()
        .into_root_schema_for::<File>()
        .to_value()
}

/// A key may be left out, but it may not stand there without a value.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(any)) = schema.get_mut("anyOf") else {
        return;
    };
    any.retain(|one| one.get("type").is_none_or(|kind| kind != "null"));
    if let [Value::Object(only)] = any.as_slice() {
        let only = only.clone();
        schema.remove("anyOf");
        for (key, value) in only {
            schema.insert(key, value);
        }
    }
}

/// Descriptions were wrapped where they were written; their readers wrap by themselves.
fn in_paragraphs(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs: Vec<String> = text.split("\n\n").map(|lines| lines.replace('\n', " ")).collect();
        *text = paragraphs.join("\n\n");
    }
}
