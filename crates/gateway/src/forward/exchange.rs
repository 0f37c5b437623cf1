//! One request to one server and its answer. The request leaves under this hop's id and progress token and with
//! the server's own names; the answer comes back under the client's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mantlet_inspect::headers::encode;
use mantlet_wire::{Era, Id, Json, Message, Raw, key};
use tokio::sync::mpsc;

use super::{asked, bridge, park, results};
use crate::path::from_server::{self, Context};
use crate::path::inspect::Cleared;
use crate::path::route::Target;
use crate::refusal::{Reason, Refusal};
use crate::upstream::{Event, Link, LinkError, Outgoing};
use crate::{Gateway, links};

/// However long a server keeps a request alive by progress, this is the end (MCP basic/patterns/cancellation
/// §Timeouts).
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Events that wait while the client reads.
const EVENTS: usize = 32;

/// Sends the request over the link and gives the answer as the client's era has it, under the client's id.
pub(crate) async fn run(
    gateway: &Arc<Gateway>,
    call: &Cleared,
    link: &Arc<Link>,
) -> Result<Message, Refusal> {
    let answer = match (call.client().era, link.era()) {
        (Era::Legacy, Era::Legacy) | (Era::Modern, Era::Modern) => {
            let answer = direct(gateway, call, link).await?;
            if asked::asks(&answer) {
                Box::pin(asked::permitted(&context(gateway, call, link), &answer)).await?;
            }
            answer
        }
        (Era::Legacy, Era::Modern) => Box::pin(bridge::run(gateway, call, link)).await?,
        (Era::Modern, Era::Legacy) => Box::pin(park::run(gateway, call, link)).await?,
    };
    results::finish(call, link, answer)
}

/// The same era on both hops: nothing is translated.
async fn direct(gateway: &Arc<Gateway>, call: &Cleared, link: &Arc<Link>) -> Result<Message, Refusal> {
    let cx = context(gateway, call, link);
    let outgoing = same_era(gateway, call, link);
    match drive(&cx, outgoing).await {
        // The server has forgotten the session, so nothing of this ran: once more on a new one.
        Err(LinkError::SessionLost) => Box::pin(once_more(gateway, call, link)).await,
        other => other.map_err(|error| links::failure(&link.server, error)),
    }
}

async fn once_more(gateway: &Arc<Gateway>, call: &Cleared, lost: &Link) -> Result<Message, Refusal> {
    let link = links::to(gateway, call.client(), &lost.server).await?;
    let cx = context(gateway, call, &link);
    let outgoing = same_era(gateway, call, &link);
    drive(&cx, outgoing)
        .await
        .map_err(|error| links::failure(&link.server, error))
}

/// Where the events of this request go.
pub(crate) fn context(gateway: &Arc<Gateway>, call: &Cleared, link: &Arc<Link>) -> Context {
    let meta = call.message().meta();
    Context {
        gateway: Arc::clone(gateway),
        client: Arc::clone(call.client()),
        link: Arc::clone(link),
        out: Some(call.out().clone()),
        progress: meta.and_then(|meta| meta.get("progressToken")).map(Raw::to_json),
        log_level: meta
            .and_then(|meta| meta.get(key::LOG_LEVEL))
            .and_then(Raw::text)
            .map(std::borrow::Cow::into_owned),
        renames: call.renames(),
        open_questions: Arc::new(AtomicUsize::new(0)),
    }
}

fn same_era(gateway: &Arc<Gateway>, call: &Cleared, link: &Arc<Link>) -> Outgoing {
    let message = call.message();
    let id = link.next_id();
    let mut edit = message.edit();
    edit.set_id(&id);
    if let Some(params) = message.params() {
        local_name(call, params, |at, with| {
            edit.replace(at, with);
        });
    }
    if let Some(meta) = message.meta() {
        if let Some(token) = meta.get("progressToken") {
            edit.replace(token, &id.to_json());
        }
        if let Some(capabilities) = meta.get(key::CLIENT_CAPABILITIES) {
            let offered = links::offered(gateway, call.client(), &link.server);
            if offered.as_str() != capabilities.as_str() {
                edit.replace(capabilities, &offered);
            }
        }
    }
    outgoing(call, edit.finish())
}

/// Puts the server's own name where the client's message has the shown one.
pub(crate) fn local_name<'m>(call: &Cleared, params: Raw<'m>, mut replace: impl FnMut(Raw<'m>, &Json)) {
    if !call.renames() {
        return;
    }
    let (holder, field, text) = match call.target() {
        Target::Nothing => return,
        Target::Tool(name) => (Some(params), "name", name),
        Target::Prompt(name) => (params.get("ref").or(Some(params)), "name", name),
        Target::Resource(uri) => (params.get("ref").or(Some(params)), "uri", uri),
    };
    if let Some(at) = holder.and_then(|holder| holder.get(field)) {
        replace(at, &Json::text(text));
    }
}

/// Adds what the HTTP headers of a stateless request need, out of the body that leaves.
pub(crate) fn outgoing(call: &Cleared, message: Message) -> Outgoing {
    let name = crate::path::decode::named_by_body(&message);
    let mut mirrored = Vec::new();
    if let Some(tool) = call.tool()
        && let Ok(mirrors) = &tool.mirrors
        && let Some(arguments) = message.params().and_then(|params| params.get("arguments"))
    {
        for mirror in mirrors {
            let path: Vec<&str> = mirror.path.iter().map(String::as_str).collect();
            let value = arguments.pointer(&path).filter(|value| !value.is_null());
            if let Some(value) = value.and_then(|value| encode(value, mirror.kind)) {
                mirrored.push((mirror.header.clone(), value));
            }
        }
    }
    Outgoing {
        message,
        name,
        mirrored,
    }
}

/// Runs the call; what the server says meanwhile goes down the road in its order, and before the answer.
pub(crate) async fn drive(cx: &Context, outgoing: Outgoing) -> Result<Message, LinkError> {
    let (to_us, mut events) = mpsc::channel::<Event>(EVENTS);
    let patience = cx.link.server.settings.timeouts.call;
    let mut call = std::pin::pin!(cx.link.call(outgoing, &to_us));
    let started = tokio::time::Instant::now();
    let mut quiet = std::pin::pin!(tokio::time::sleep(patience));
    loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => {
                Box::pin(from_server::event(cx, event)).await;
                quiet.as_mut().reset(tokio::time::Instant::now() + patience);
            }
            outcome = &mut call => {
                while let Ok(event) = events.try_recv() {
                    Box::pin(from_server::event(cx, event)).await;
                }
                return outcome;
            }
            () = &mut quiet => {
                let waits_for_person = cx.open_questions.load(Ordering::Acquire) > 0;
                if !waits_for_person || started.elapsed() > LONGEST {
                    return Err(LinkError::Timeout(patience.as_secs()));
                }
                quiet.as_mut().reset(tokio::time::Instant::now() + patience);
            }
        }
        if started.elapsed() > LONGEST {
            return Err(LinkError::Timeout(LONGEST.as_secs()));
        }
    }
}

/// The id of the client's request.
pub(crate) fn client_id(call: &Cleared) -> Result<&Id, Refusal> {
    call.message()
        .id()
        .ok_or_else(|| Refusal::new(Reason::Internal, "a request without an id"))
}
