//! Questions that travel inside answers: `inputRequests` of the stateless era (MCP 2026-07-28 basic/patterns/mrtr), and
//! pages that a person must visit first (error -32042 of 2025-11-25). They are decided on like any other question.

use mantlet_wire::{Id, Json, Message, Raw};

use crate::path::from_server::{self, Context};
use crate::refusal::{Reason, Refusal};

/// Questions that one answer may hold.
pub(super) const MOST: usize = 32;
/// MCP 2025-11-25 client/elicitation §URL Elicitation Required Error.
pub(super) const VISIT_FIRST: i64 = -32042;

/// Whether an answer holds a question.
pub(super) fn asks(answer: &Message) -> bool {
    answer
        .result()
        .is_some_and(|result| result.get("inputRequests").is_some())
        || pages(answer).next().is_some()
}

/// Decides on every question of an answer, and records the decisions.
///
/// # Errors
/// One that is not permitted, or too many.
pub(super) async fn permitted(cx: &Context, answer: &Message) -> Result<(), Refusal> {
    let mut questions = Vec::new();
    if let Some(result) = answer.result() {
        for (_, request) in result.get("inputRequests").into_iter().flat_map(Raw::members) {
            let method = request.get("method").and_then(Raw::text).unwrap_or_default();
            questions.push(question(&method, request.get("params").map(Raw::to_json)));
        }
    }
    for page in pages(answer) {
        questions.push(question("elicitation/create", Some(page.to_json())));
    }
    few(cx, questions.len())?;
    for question in &questions {
        from_server::decide(cx, question).await?;
    }
    Ok(())
}

/// One question, as `decide` takes it.
pub(super) fn question(method: &str, params: Option<Json>) -> Message {
    Message::request(&Id::Number(0), method, params)
}

/// # Errors
/// More questions than one answer may hold.
pub(super) fn few(cx: &Context, count: usize) -> Result<(), Refusal> {
    if count <= MOST {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::UpstreamBroke,
        format!(
            "server `{}` asks {count} things at once, more than {MOST}",
            cx.link.server.name
        ),
    ))
}

/// The pages that an answer sends the person to.
pub(super) fn pages(answer: &Message) -> impl Iterator<Item = Raw<'_>> {
    let error = answer
        .error()
        .filter(|error| error.get("code").and_then(Raw::int) == Some(VISIT_FIRST));
    error
        .and_then(|error| error.pointer(&["data", "elicitations"]))
        .into_iter()
        .flat_map(Raw::items)
}
