//! A stateless client before a server of the initialize era. While the server works, it may ask; the client is
//! then told that input is required, and the call is parked until the client comes back with the answers (MCP
//! 2026-07-28 basic/patterns/mrtr). A parked call is found again by an unguessable handle that is bound to this
//! client and to this very request.

mod keep;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mantlet_wire::{Json, Message, Raw, key};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::asked;
use super::exchange::{context, local_name};
use crate::client::lock;
use crate::path::from_server::Context;
use crate::path::inspect::Cleared;
use crate::refusal::{Reason, Refusal};
use crate::upstream::{Link, Outgoing};
use crate::{Gateway, links, random};
use keep::Stay;
use words::{in_new_words, input_required};

/// Requests whose answer may be that input is required (MCP 2026-07-28 basic/patterns/mrtr §Supported Requests).
const MAY_ASK: &[&str] = &["tools/call", "prompts/get", "resources/read"];
/// Calls that may be parked for one client.
const MAX_PARKED: usize = 64;

/// The parked calls of one client.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    calls: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    /// What the client must ask again, exactly: method, name and arguments.
    request: [u8; 32],
    server: Arc<str>,
    resume: mpsc::Sender<Visit>,
}

impl Parked {
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.calls).is_empty()
    }

    /// Puts a call under another handle: each is good for one visit. False when the call is no longer parked.
    fn rename(&self, from: &str, to: &str) -> bool {
        let mut calls = lock(&self.calls);
        let entry = calls.remove(from);
        entry.is_some_and(|entry| calls.insert(to.to_owned(), entry).is_none())
    }

    #[cfg(test)]
    fn enter(&self, state: &str, request: [u8; 32], server: &Arc<str>, resume: mpsc::Sender<Visit>) {
        let entry = Entry {
            request,
            server: Arc::clone(server),
            resume,
        };
        lock(&self.calls).insert(state.to_owned(), entry);
    }

    fn leave(&self, state: &str) {
        lock(&self.calls).remove(state);
    }

    /// Gives all calls up: their servers are told so.
    pub(crate) fn clear(&self) {
        lock(&self.calls).clear();
    }
}

/// One HTTP request (or line) of the client that waits for this call.
#[derive(Debug)]
struct Visit {
    cx: Context,
    responses: HashMap<String, Json>,
    reply: oneshot::Sender<Outcome>,
}

#[derive(Debug)]
enum Outcome {
    /// The answer, and the capability that the client lacked when the server asked.
    Done(Result<Message, Refusal>, Option<&'static str>),
    InputRequired {
        requests: serde_json::Map<String, serde_json::Value>,
        state: String,
    },
}

/// Runs the request, or goes on with it.
pub(crate) async fn run(
    gateway: &Arc<Gateway>,
    call: &Cleared,
    link: &Arc<Link>,
) -> Result<Message, Refusal> {
    let method = call.message().method().unwrap_or_default();
    if method.starts_with("tasks/") {
        return Err(Refusal::new(
            Reason::CannotCross,
            "the tasks extension does not exist on this server, which speaks an older protocol version",
        ));
    }
    let cx = context(gateway, call, link);
    let (reply, outcome) = oneshot::channel();
    let state = super::param(call, "requestState");
    let visit = Visit {
        cx: cx.clone(),
        responses: responses(call),
        reply,
    };
    match state {
        None => start(gateway, call, link, visit).await?,
        Some(state) => resume(call, link, &state, visit)?,
    }
    let outcome = outcome.await;
    match outcome {
        Ok(Outcome::Done(answer, missing)) => {
            let answer = answer?;
            asked::permitted(&cx, &answer).await?;
            in_new_words(call, &answer, missing)
        }
        Ok(Outcome::InputRequired { requests, state }) => Ok(input_required(call, requests, &state)),
        Err(_) => Err(Refusal::new(Reason::Cancelled, "the request was given up")),
    }
}

fn responses(call: &Cleared) -> HashMap<String, Json> {
    let given = call
        .message()
        .params()
        .and_then(|params| params.get("inputResponses"));
    given
        .into_iter()
        .flat_map(Raw::members)
        .map(|(name, value)| (name.into_owned(), value.to_json()))
        .collect()
}

/// What binds a parked call to its request: everything but the bookkeeping members.
fn digest(call: &Cleared) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(call.message().method().unwrap_or_default().as_bytes());
    for (name, value) in call.message().params().into_iter().flat_map(Raw::members) {
        if !matches!(name.as_ref(), "_meta" | "inputResponses" | "requestState") {
            hasher.update([0]);
            hasher.update(name.as_bytes());
            hasher.update([0]);
            hasher.update(mantlet_wire::canonical(value));
        }
    }
    hasher.finalize().into()
}

fn resume(call: &Cleared, link: &Link, state: &str, visit: Visit) -> Result<(), Refusal> {
    let unknown = || {
        Refusal::new(
            Reason::InvalidParams,
            "`requestState` is not one of this request (any more): begin again without it",
        )
    };
    let calls = lock(&call.client().parked.calls);
    let entry = calls
        .get(state)
        .filter(|entry| entry.request == digest(call) && entry.server == link.server.name);
    let entry = entry.ok_or_else(unknown)?;
    entry.resume.try_send(visit).map_err(|_| unknown())
}

async fn start(
    gateway: &Arc<Gateway>,
    call: &Cleared,
    link: &Arc<Link>,
    visit: Visit,
) -> Result<(), Refusal> {
    follow_log_level(&visit.cx).await;
    let state = random::handle();
    let (resume, visits) = mpsc::channel(1);
    // INVARIANT: from here to the task that takes the call off the books again nothing is waited for.
    {
        let mut calls = lock(&call.client().parked.calls);
        if calls.len() >= MAX_PARKED || state.is_empty() {
            return Err(Refusal::new(
                Reason::TooManyInFlight,
                "too many calls of this client wait for input: answer or let them lapse",
            ));
        }
        let entry = Entry {
            request: digest(call),
            server: Arc::clone(&link.server.name),
            resume,
        };
        calls.insert(state.clone(), entry);
    }
    let may_ask = MAY_ASK.contains(&call.message().method().unwrap_or_default());
    let outgoing = old_request(gateway, call, link);
    tokio::spawn(Stay::new(state, visit, visits, may_ask).keep(outgoing));
    Ok(())
}

/// The initialize era has one log level per session; a stateless request has its own.
async fn follow_log_level(cx: &Context) {
    let Some(level) = cx.log_level.clone().filter(|_| cx.link.greeting.has("logging")) else {
        return;
    };
    if cx.client.log_level().as_ref() == Some(&level) {
        return;
    }
    let params = Json::from_value(&serde_json::json!({ "level": level }));
    if links::plain(&cx.link, "logging/setLevel", Some(params))
        .await
        .is_ok()
    {
        cx.client.set_log_level(level);
    }
}

/// Members of a stateless request that a server of the initialize era must not see.
const NEW_META: &[&str] = &[
    key::PROTOCOL_VERSION,
    key::CLIENT_INFO,
    key::CLIENT_CAPABILITIES,
    key::LOG_LEVEL,
];

fn old_request(_gateway: &Arc<Gateway>, call: &Cleared, link: &Arc<Link>) -> Outgoing {
    let id = link.next_id();
    let message = call.message();
    let mut edit = message.edit();
    edit.set_id(&id);
    if let Some(params) = message.params() {
        local_name(call, params, |at, with| {
            edit.replace(at, with);
        });
        for member in ["inputResponses", "requestState"] {
            if params.get(member).is_some() {
                edit.remove(params, member);
            }
        }
        if let Some(meta) = params.get("_meta") {
            let kept = meta
                .members()
                .filter(|(name, _)| !NEW_META.contains(&name.as_ref()))
                .count();
            if kept == 0 {
                edit.remove(params, "_meta");
            } else {
                for member in NEW_META.iter().filter(|member| meta.get(member).is_some()) {
                    edit.remove(meta, member);
                }
                if let Some(token) = meta.get("progressToken") {
                    edit.replace(token, &id.to_json());
                }
            }
        }
    }
    Outgoing {
        message: edit.finish(),
        name: None,
        mirrored: Vec::new(),
    }
}
