//! What is done to every answer before it goes back: checked against the tool's output schema, put under the
//! client's id, its URIs shown as the client knows them.

use mantlet_wire::{Edit, Era, Json, Kind, Message, Raw, Shape};

use crate::names;
use crate::path::inspect::Cleared;
use crate::refusal::{Reason, Refusal};
use crate::upstream::Link;

/// Result types of the core protocol. Others need an extension that both sides know.
const COMPLETE: &str = "complete";
const INPUT_REQUIRED: &str = "input_required";
const TASK: &str = "task";
const TASKS: &str = "io.modelcontextprotocol/tasks";
/// Where a server may ask for input (MCP 2026-07-28 basic/patterns/mrtr §Supported Requests).
const MAY_ASK: &[&str] = &["tools/call", "prompts/get", "resources/read"];

/// Checks an answer and puts it into the client's words.
pub(crate) fn finish(call: &Cleared, link: &Link, answer: Message) -> Result<Message, Refusal> {
    let id = super::exchange::client_id(call)?;
    if answer.kind() == Kind::Error {
        return Ok(answer.with_id(id));
    }
    let Some(result) = answer.result() else {
        return Err(withheld(link, "the answer has no result"));
    };
    if !matches!(result.shape(), Shape::Object) {
        return Err(withheld(link, "the result is no object"));
    }
    let kind = result_type(call, link, result)?;
    if kind == COMPLETE {
        tool_output(call, link, result)?;
    }
    let mut edit = answer.edit();
    edit.set_id(id);
    if call.renames() {
        show_uris(&link.server.name, result, &mut edit);
    }
    if call.client().era == Era::Modern && result.get("resultType").is_none() {
        // What its absence means is said: some clients insist on it.
        edit.set(result, "resultType", &Json::text(COMPLETE));
    }
    if call.client().era == Era::Modern && result.get("cacheScope").is_some() {
        // What a caller sees depends on who they are (MCP 2026-07-28 server/utilities/caching).
        edit.set(result, "cacheScope", &Json::text("private"));
    }
    Ok(edit.finish())
}

/// MCP 2026-07-28 basic/index §ResultType: an unknown type is invalid; an absent one means complete.
fn result_type<'r>(
    call: &Cleared,
    link: &Link,
    result: Raw<'r>,
) -> Result<std::borrow::Cow<'r, str>, Refusal> {
    let Some(kind) = result.get("resultType") else {
        return Ok(COMPLETE.into());
    };
    if call.client().era == Era::Legacy {
        return Ok(COMPLETE.into());
    }
    let kind = kind
        .text()
        .ok_or_else(|| withheld(link, "`resultType` is no text"))?;
    let method = call.message().method().unwrap_or_default();
    let known = match kind.as_ref() {
        COMPLETE => true,
        INPUT_REQUIRED => {
            input_required(call, link, result)?;
            MAY_ASK.contains(&method)
        }
        TASK => call
            .client()
            .hello
            .capabilities
            .raw()
            .pointer(&["extensions", TASKS])
            .is_some(),
        _ => false,
    };
    if known {
        Ok(kind)
    } else {
        Err(withheld(
            link,
            "its `resultType` is not one that this request can have",
        ))
    }
}

/// A server may only ask for what the client can answer (MRTR §Server Requirements); what policy permits was decided
/// before, question by question.
fn input_required(call: &Cleared, link: &Link, result: Raw<'_>) -> Result<(), Refusal> {
    let requests = result.get("inputRequests");
    if requests.is_none() && result.get("requestState").is_none() {
        return Err(withheld(link, "it asks for input without saying which"));
    }
    for (_, request) in requests.into_iter().flat_map(Raw::members) {
        let method = request.get("method").and_then(Raw::text).unwrap_or_default();
        let capability = match method.as_ref() {
            "sampling/createMessage" => "sampling",
            "elicitation/create" => "elicitation",
            "roots/list" => "roots",
            _ => return Err(withheld(link, "it asks for input of an unknown kind")),
        };
        if !call.client().hello.declares(capability) {
            return Err(withheld(
                link,
                "it asks for input that the client did not declare",
            ));
        }
    }
    Ok(())
}

/// MCP server/tools §Output Schema: results conform, or they are not passed on.
fn tool_output(call: &Cleared, link: &Link, result: Raw<'_>) -> Result<(), Refusal> {
    let Some(output) = call.tool().and_then(|tool| tool.output.as_ref()) else {
        return Ok(());
    };
    if result.get("isError").and_then(Raw::boolean) == Some(true) {
        return Ok(());
    }
    let as_task = call
        .message()
        .params()
        .is_some_and(|params| params.get("task").is_some());
    if as_task && result.get("task").is_some() && result.get("content").is_none() {
        // 2025-11-25 tasks: the result comes later, by `tasks/result`.
        return Ok(());
    }
    let schema = output
        .as_ref()
        .map_err(|why| withheld(link, "the tool's output schema cannot be used").because(why.clone()))?;
    let structured = result.get("structuredContent").ok_or_else(|| {
        withheld(
            link,
            "the tool has an output schema and the result no `structuredContent`",
        )
    })?;
    schema
        .check(structured)
        .map_err(|violations| withheld(link, &violations.to_string()))
}

fn withheld(link: &Link, why: &str) -> Refusal {
    Refusal::new(
        Reason::InvalidResult,
        format!(
            "the answer of server `{}` is not what it should be and was withheld",
            link.server.name
        ),
    )
    .because(why.to_owned())
}

/// Shows every URI of a result under the server's roof: contents, links, embedded resources, list items.
pub(crate) fn show_uris<'m>(server: &str, result: Raw<'m>, edit: &mut Edit<'m>) {
    for list in ["contents", "content", "resources", "messages"] {
        for item in result.get(list).into_iter().flat_map(Raw::items) {
            show_uri(server, item, edit);
            if let Some(resource) = item.get("resource") {
                show_uri(server, resource, edit);
            }
            if let Some(content) = item.get("content") {
                show_uri(server, content, edit);
                if let Some(resource) = content.get("resource") {
                    show_uri(server, resource, edit);
                }
            }
        }
    }
    for item in result.get("resourceTemplates").into_iter().flat_map(Raw::items) {
        if let Some(at) = item.get("uriTemplate")
            && let Some(text) = at.text()
        {
            edit.replace(at, &Json::text(&names::exposed_uri(server, &text)));
        }
    }
}

fn show_uri<'m>(server: &str, holder: Raw<'m>, edit: &mut Edit<'m>) {
    if let Some(at) = holder.get("uri")
        && let Some(text) = at.text()
    {
        edit.replace(at, &Json::text(&names::exposed_uri(server, &text)));
    }
}
