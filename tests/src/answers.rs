//! What tests read out of answers. Not here: how they are got.

use serde_json::Value;

/// The text of a tool's answer.
#[must_use]
pub fn text(message: &Value) -> &str {
    let text = message.pointer("/result/content/0/text").and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no text in {message}"))
}

/// The stable code of a refusal.
#[must_use]
pub fn reason(message: &Value) -> &str {
    let reason = message.pointer("/error/data/reason").and_then(Value::as_str);
    reason.unwrap_or_else(|| panic!("no refusal in {message}"))
}
