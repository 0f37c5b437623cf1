//! A stateless client before a server of the initialize era. While the server works, it may ask; the client is
//! then told that input is required, and the call is parked until the client comes back with the answers (MCP
//! 2026-07-28 basic/patterns/mrtr). A parked call is found again by an unguessable handle that is bound to this
//! client and to this very request.

mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mantlet_wire::{Id, Json, Message, Raw, key};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::exchange::{context, local_name};
use crate::client::lock;
use crate::path::from_server::{self, Context};
use crate::path::inspect::Cleared;
use crate::refusal::{Reason, Refusal};
use crate::upstream::{Event, Link, Outgoing};
use crate::{Gateway, links, random};
use words::{in_new_words, input_required};

/// How long a call waits for its client to come back.
const PARKED: Duration = Duration::from_secs(10 * 60);
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
    Done(Result<Message, Refusal>),
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
        Ok(Outcome::Done(answer)) => in_new_words(call, &answer?),
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
    let state = random::handle();
    let (resume, visits) = mpsc::channel(1);
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
    follow_log_level(&visit.cx).await;
    let stay = Stay {
        outgoing: old_request(gateway, call, link),
        state,
        may_ask: MAY_ASK.contains(&call.message().method().unwrap_or_default()),
    };
    tokio::spawn(keep(stay, visit, visits));
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

/// One call that its client may leave and come back to.
struct Stay {
    outgoing: Outgoing,
    state: String,
    may_ask: bool,
}

/// What the client was asked and has not answered, by the name it was asked under: the server's id, the question.
type Open = HashMap<String, (Id, serde_json::Value)>;

/// Keeps one call going while its client comes and goes.
async fn keep(stay: Stay, first: Visit, mut visits: mpsc::Receiver<Visit>) {
    let client = Arc::clone(&first.cx.client);
    let link = Arc::clone(&first.cx.link);
    let (state, may_ask) = (stay.state, stay.may_ask);
    let mut here = Some(first);
    let mut open = Open::new();
    let mut asked = 0_u32;
    if may_ask {
        for question in link.take_held() {
            asked = asked.saturating_add(1);
            open.extend(as_input(&question).map(|input| (format!("q{asked}"), input)));
        }
        ask_first(&link, &mut here, &mut visits, &mut open, &state).await;
    }
    let (to_us, mut events) = mpsc::channel::<Event>(32);
    let call = link.call(stay.outgoing, &to_us);
    tokio::pin!(call);
    let patience = link.server.settings.timeouts.call;
    while here.is_some() || !open.is_empty() {
        let limit = if open.is_empty() { patience } else { PARKED };
        let visitor_left = async {
            match here.as_mut() {
                Some(visit) => visit.reply.closed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(event) = events.recv() => {
                let cx = here.as_ref().map(|visit| &visit.cx);
                if let Some(input) = meant_for_client(cx, &link, may_ask, event).await {
                    asked = asked.saturating_add(1);
                    open.insert(format!("q{asked}"), input);
                    hand_over(&mut here, &open, &state);
                }
            }
            outcome = &mut call => {
                while let Ok(event) = events.try_recv() {
                    if let Some(visit) = &here {
                        from_server::event(&visit.cx, event).await;
                    }
                }
                lock(&client.parked.calls).remove(&state);
                let answer = outcome.map_err(|error| links::failure(&link.server, error));
                finish(here, &mut visits, answer);
                return;
            }
            visit = visits.recv() => match visit {
                Some(visit) => {
                    take_answers(&link, &visit, &mut open).await;
                    here = Some(visit);
                    if !open.is_empty() {
                        hand_over(&mut here, &open, &state);
                    }
                }
                None => break,
            },
            () = visitor_left => break,
            () = tokio::time::sleep(limit) => break,
        }
    }
    // Leaving drops the call, which tells the server that it is cancelled.
    lock(&client.parked.calls).remove(&state);
    for (id, _) in open.values() {
        let no = Message::error_response(Some(id), -32601, "the client did not answer", None);
        drop(link.send(no).await);
    }
    if let Some(visit) = here {
        let late = Refusal::new(
            Reason::UpstreamTimeout,
            format!(
                "server `{}` did not answer in {} s",
                link.server.name,
                patience.as_secs()
            ),
        );
        drop(visit.reply.send(Outcome::Done(Err(late))));
    }
}

/// What the server asked while no request could carry its questions is asked before the call goes out.
async fn ask_first(
    link: &Arc<Link>,
    here: &mut Option<Visit>,
    visits: &mut mpsc::Receiver<Visit>,
    open: &mut Open,
    state: &str,
) {
    while !open.is_empty() {
        hand_over(here, open, state);
        let Ok(Some(visit)) = tokio::time::timeout(PARKED, visits.recv()).await else {
            return;
        };
        take_answers(link, &visit, open).await;
        *here = Some(visit);
    }
}

/// An answer that came while the client was away waits for it once more.
fn finish(here: Option<Visit>, visits: &mut mpsc::Receiver<Visit>, answer: Result<Message, Refusal>) {
    let visit = match here {
        Some(visit) => Some(visit),
        None => visits.try_recv().ok(),
    };
    if let Some(visit) = visit {
        drop(visit.reply.send(Outcome::Done(answer)));
    }
}

/// Sends what is for the client's stream there; gives back what the client must be asked.
async fn meant_for_client(
    cx: Option<&Context>,
    link: &Arc<Link>,
    may_ask: bool,
    event: Event,
) -> Option<(Id, serde_json::Value)> {
    let question = match event {
        Event::Ask(question) if may_ask && question.method() != Some("ping") => question,
        other => {
            if let Some(cx) = cx {
                from_server::event(cx, other).await;
            }
            return None;
        }
    };
    let id = question.id()?.clone();
    let refused = match cx {
        Some(cx) => from_server::decide(cx, &question).await.err(),
        None => Some(Refusal::new(
            Reason::ClientCannot,
            "the client is not there to be asked",
        )),
    };
    if let Some(refusal) = refused {
        let no = Message::error_response(Some(&id), -32601, &refusal.public, None);
        drop(link.send(no).await);
        return None;
    }
    as_input(&question)
}

/// A question as a member of `inputRequests`, with the server's id.
fn as_input(question: &Message) -> Option<(Id, serde_json::Value)> {
    let id = question.id()?.clone();
    let mut request = serde_json::Map::new();
    request.insert("method".to_owned(), question.method().unwrap_or_default().into());
    if let Some(params) = question.params() {
        let mut params = params.to_value();
        if let Some(params) = params.as_object_mut() {
            params.remove("_meta");
            params.remove("task");
        }
        request.insert("params".to_owned(), params);
    }
    Some((id, serde_json::Value::Object(request)))
}

/// Tells the waiting client what is asked; it leaves with that and comes back with the answers.
fn hand_over(here: &mut Option<Visit>, open: &Open, state: &str) {
    if let Some(visit) = here.take() {
        let requests = open
            .iter()
            .map(|(name, (_, request))| (name.clone(), request.clone()))
            .collect();
        drop(visit.reply.send(Outcome::InputRequired {
            requests,
            state: state.to_owned(),
        }));
    }
}

/// Gives the server the answers that came; what is still open is asked again.
async fn take_answers(link: &Arc<Link>, visit: &Visit, open: &mut Open) {
    for (name, answer) in &visit.responses {
        if let Some((id, _)) = open.remove(name) {
            drop(link.send(Message::response(&id, answer.clone())).await);
        }
    }
}
