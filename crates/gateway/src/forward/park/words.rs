//! A parked call's answers in the words of the stateless era: that input is required, that a result is complete and
//! nobody else's, errors by their new codes.

use mantlet_wire::{Json, Kind, Message};

use crate::forward::asked::{VISIT_FIRST, pages};
use crate::forward::respond;
use crate::path::inspect::Cleared;
use crate::refusal::Refusal;

pub(super) fn input_required(
    call: &Cleared,
    requests: serde_json::Map<String, serde_json::Value>,
    state: &str,
) -> Message {
    let result = serde_json::json!({
        "resultType": "input_required",
        "inputRequests": requests,
        "requestState": state,
    });
    respond(call, Json::from_value(&result))
}

/// Results that a stateless client may keep for a while, and so must say how long.
const CACHEABLE: &[&str] = &[
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
];

/// The answer with what the stateless era adds: that it is complete, and that it is nobody else's.
pub(super) fn in_new_words(
    call: &Cleared,
    answer: &Message,
    missing: Option<&str>,
) -> Result<Message, Refusal> {
    match (answer.kind(), missing) {
        (Kind::Error, Some(capability)) => return Ok(lacking(call, capability)),
        (Kind::Error, None) => return Ok(new_error(call, answer)),
        _ => {}
    }
    let Some(result) = answer.result() else {
        return Ok(answer.clone());
    };
    let mut edit = answer.edit();
    edit.set(result, "resultType", &Json::text("complete"));
    if CACHEABLE.contains(&call.message().method().unwrap_or_default()) {
        edit.set(result, "ttlMs", &Json::from_serialize(&0));
        edit.set(result, "cacheScope", &Json::text("private"));
    }
    Ok(edit.finish())
}

/// The server failed after it had asked for what this client did not declare (MCP 2026-07-28 basic/index
/// §Per-request protocol fields).
fn lacking(call: &Cleared, capability: &str) -> Message {
    let data = serde_json::json!({ "requiredCapabilities": { capability: {} } });
    let text = format!(
        "the server needs the client's capability `{capability}`, which the request does not declare"
    );
    Message::error_response(call.message().id(), -32021, &text, Some(Json::from_value(&data)))
}

/// -32002 became -32602 (MCP 2026-07-28 server/resources §Error Handling); -32042, a page that the person must
/// visit first, became an elicitation (basic/index §Error Codes).
fn new_error(call: &Cleared, answer: &Message) -> Message {
    let Some(error) = answer.error() else {
        return answer.clone();
    };
    let Some(at) = error.get("code") else {
        return answer.clone();
    };
    match at.int() {
        Some(-32002) => {
            let mut edit = answer.edit();
            edit.replace(at, &Json::from_serialize(&-32602));
            edit.finish()
        }
        Some(VISIT_FIRST) => {
            let mut requests = serde_json::Map::new();
            for (index, page) in pages(answer).enumerate() {
                let mut params = page.to_value();
                if let Some(params) = params.as_object_mut() {
                    params.remove("elicitationId");
                }
                let request = serde_json::json!({ "method": "elicitation/create", "params": params });
                requests.insert(format!("page{index}"), request);
            }
            let result = serde_json::json!({ "resultType": "input_required", "inputRequests": requests });
            respond(call, Json::from_value(&result))
        }
        _ => answer.clone(),
    }
}
