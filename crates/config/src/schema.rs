//! The JSON Schema of the configuration, for editors and for checks without Mantlet. It is made from the types
//! of `file`, so it cannot fall behind them.

use schemars::generate::SchemaSettings;

use crate::file::File;

/// The JSON Schema (2020-12) of a configuration file.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<File>()
        .to_value()
}
