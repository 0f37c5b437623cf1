//! A client of the initialize era before a stateless server. Each request gets the `_meta` that the server
//! needs; where the server answers that it needs input, the client is asked in its own way and the request is
//! sent again with the answers (MCP 2026-07-28 basic/patterns/mrtr).

use std::sync::Arc;

use mantlet_wire::{Json, Kind, Message, Raw, key};

use super::exchange::{context, drive, local_name, outgoing};
use super::{asked, questions};
use crate::path::from_server::{self, Context};
use crate::path::inspect::Cleared;
use crate::refusal::{Reason, Refusal};
use crate::upstream::open::modern_meta;
use crate::upstream::{Link, Outgoing};
use crate::{Gateway, links};

/// How often a server may ask before one request counts as stuck.
const ROUNDS: u32 = 10;

/// Runs the request, asking the client whatever the server needs to know.
pub(crate) async fn run(
    gateway: &Arc<Gateway>,
    call: &Cleared,
    link: &Arc<Link>,
) -> Result<Message, Refusal> {
    let method = call.message().method().unwrap_or_default();
    if method.starts_with("tasks/")
        || call
            .message()
            .params()
            .is_some_and(|params| params.get("task").is_some())
    {
        return Err(Refusal::new(
            Reason::CannotCross,
            "tasks of protocol version 2025-11-25 do not exist on this server, which speaks 2026-07-28: call without `task`",
        ));
    }
    let cx = context(gateway, call, link);
    let mut input = Input::default();
    for _ in 0..ROUNDS {
        let outgoing = translate(gateway, call, link, &input);
        let answer = drive(&cx, outgoing)
            .await
            .map_err(|error| links::failure(&link.server, error))?;
        match answer.result().filter(|result| needs_input(*result)) {
            Some(result) => input = gather(&cx, result).await?,
            None => {
                asked::permitted(&cx, &answer).await?;
                return Ok(in_old_words(&answer));
            }
        }
    }
    Err(Refusal::new(
        Reason::UpstreamBroke,
        format!(
            "server `{}` asked for input {ROUNDS} times without an end",
            link.server.name
        ),
    ))
}

/// What the next attempt carries besides the request itself.
#[derive(Debug, Default)]
struct Input {
    responses: Option<Json>,
    state: Option<Json>,
}

fn translate(gateway: &Arc<Gateway>, call: &Cleared, link: &Arc<Link>, input: &Input) -> Outgoing {
    let id = link.next_id();
    let message = call.message();
    let offered = links::offered(gateway, call.client(), &link.server);
    let level = call.client().log_level();
    let modern = Json::from_value(&modern_meta(&call.client().hello, &offered, level.as_deref()));
    let mut edit = message.edit();
    edit.set_id(&id);
    match message.params() {
        None => {
            let params = Json::from_value(&serde_json::json!({ "_meta": modern.raw().to_value() }));
            edit.set_params(&params);
        }
        Some(params) => {
            local_name(call, params, |at, with| {
                edit.replace(at, with);
            });
            match params.get("_meta") {
                Some(meta) => {
                    for (name, value) in modern.raw().members() {
                        edit.set(meta, &name, &value.to_json());
                    }
                    if let Some(token) = meta.get("progressToken") {
                        edit.replace(token, &id.to_json());
                    }
                }
                None => drop(edit.set(params, "_meta", &modern)),
            }
            if let Some(responses) = &input.responses {
                edit.set(params, "inputResponses", responses);
            }
            if let Some(state) = &input.state {
                edit.set(params, "requestState", state);
            }
        }
    }
    outgoing(call, edit.finish())
}

fn needs_input(result: Raw<'_>) -> bool {
    result.get("resultType").and_then(Raw::text).as_deref() == Some("input_required")
}

/// Asks the client everything that the server wants to know.
async fn gather(cx: &Context, result: Raw<'_>) -> Result<Input, Refusal> {
    let mut responses = serde_json::Map::new();
    let requests = result.get("inputRequests");
    asked::few(cx, requests.into_iter().flat_map(Raw::members).count())?;
    for (name, request) in requests.into_iter().flat_map(Raw::members) {
        let method = request.get("method").and_then(Raw::text).unwrap_or_default();
        let question = asked::question(&method, request.get("params").map(Raw::to_json));
        from_server::decide(cx, &question).await?;
        let answer = questions::put(cx, &question).await;
        let Some(result) = answer.result() else {
            let text = answer
                .error()
                .and_then(|error| error.get("message"))
                .and_then(Raw::text);
            let text: String = text.unwrap_or_default().chars().take(200).collect();
            return Err(Refusal::new(
                Reason::ClientCannot,
                format!(
                    "server `{}` needs input that the client did not give: {text}",
                    cx.link.server.name
                ),
            ));
        };
        responses.insert(name.into_owned(), result.to_value());
    }
    Ok(Input {
        responses: (!responses.is_empty()).then(|| Json::from_value(&serde_json::Value::Object(responses))),
        // INVARIANT: the state goes back byte for byte (MRTR §Client Requirements).
        state: result.get("requestState").map(Raw::to_json),
    })
}

/// Members of a stateless result that the initialize era does not know.
const NEW_MEMBERS: &[&str] = &["resultType", "ttlMs", "cacheScope"];

fn in_old_words(answer: &Message) -> Message {
    if answer.kind() == Kind::Error {
        return old_error(answer);
    }
    let Some(result) = answer.result() else {
        return answer.clone();
    };
    let mut edit = answer.edit();
    for member in NEW_MEMBERS.iter().filter(|member| result.get(member).is_some()) {
        edit.remove(result, member);
    }
    if let Some(meta) = result
        .get("_meta")
        .filter(|meta| meta.get(key::SERVER_INFO).is_some())
    {
        if meta.members().count() == 1 {
            edit.remove(result, "_meta");
        } else {
            edit.remove(meta, key::SERVER_INFO);
        }
    }
    edit.finish()
}

/// Codes that only the stateless era has (-32020…-32022) are told in plain words.
fn old_error(answer: &Message) -> Message {
    let code = answer.error().and_then(|error| error.get("code"));
    let Some(at) = code.filter(|code| matches!(code.int(), Some(-32022..=-32020))) else {
        return answer.clone();
    };
    let mut edit = answer.edit();
    edit.replace(at, &Json::from_serialize(&Reason::ClientCannot.json_rpc()));
    edit.finish()
}
