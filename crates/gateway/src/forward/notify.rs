//! What clients only tell: that they are ready, that a request is cancelled, that their roots changed, how far
//! they are with an answer.

use std::sync::Arc;

use mantlet_access::{Action, Item};
use mantlet_wire::{Era, Raw, facts};

use super::listen;
use crate::client::lock;
use crate::path::Via;
use crate::path::authorise::may;
use crate::path::inspect::Cleared;
use crate::refusal::{Reason, Refusal};
use crate::upstream::Link;
use crate::{Gateway, links};

/// Passes a notification on.
pub(crate) async fn pass(gateway: &Arc<Gateway>, call: &Cleared) -> Result<(), Refusal> {
    match call.message().method().unwrap_or_default() {
        "notifications/initialized" => {
            initialized(gateway, call).await;
            Ok(())
        }
        "notifications/cancelled" => {
            cancelled(call);
            Ok(())
        }
        "notifications/progress" => {
            progress(call).await;
            Ok(())
        }
        _ => to_servers(gateway, call).await,
    }
}

async fn initialized(gateway: &Arc<Gateway>, call: &Cleared) {
    for link in open_links(call).await {
        if let Err(error) = link.say_initialized().await {
            tracing::warn!(server = %link.server.name, %error, "the server could not be told that the client is ready");
        }
        if link.era() == Era::Modern {
            listen::keep(gateway, call.client(), &link);
        }
    }
}

/// The links that this client has open now.
async fn open_links(call: &Cleared) -> Vec<Arc<Link>> {
    let mut open = Vec::new();
    for slot in call.client().link_slots() {
        if let Some(link) = slot.link.lock().await.as_ref().filter(|link| !link.is_dead()) {
            open.push(Arc::clone(link));
        }
    }
    open
}

/// Only requests of this very client can be meant: ids are looked up among its own. An unknown id is ignored
/// (MCP basic/patterns/cancellation §Behavior).
fn cancelled(call: &Cleared) {
    let id = call
        .message()
        .params()
        .and_then(|params| params.get("requestId"))
        .and_then(Raw::id);
    let Some(id) = id else { return };
    match call.via() {
        Via::Http { .. } => {
            call.client().cancel(&id);
        }
        Via::Stdio { port, .. } => port.cancel(&id),
    }
}

async fn progress(call: &Cleared) {
    let Some(token) = call
        .message()
        .params()
        .and_then(|params| params.get("progressToken"))
    else {
        return;
    };
    let found = token.id().and_then(|id| call.client().ask_progress(&id));
    if let Some((link, theirs)) = found {
        let mut edit = call.message().edit();
        edit.replace(token, &theirs);
        drop(link.send(edit.finish()).await);
    }
}

/// Everything else goes to the server, or to all that are open where it concerns all.
async fn to_servers(gateway: &Arc<Gateway>, call: &Cleared) -> Result<(), Refusal> {
    if call.client().era == Era::Modern {
        return Err(Refusal::new(
            Reason::UnknownMethod,
            "this notification does not exist in this protocol version",
        ));
    }
    let targets = match call.server() {
        Some(server) => vec![links::to(gateway, call.client(), server).await?],
        None => permitted(gateway, call, open_links(call).await)?,
    };
    for link in targets.iter().filter(|link| link.era() == Era::Legacy) {
        if let Err(error) = link.send(call.message().clone()).await {
            tracing::warn!(server = %link.server.name, %error, "a notification could not be delivered");
        }
    }
    Ok(())
}

/// Of several servers, those to which policy lets a method beyond the specification go.
fn permitted(gateway: &Gateway, call: &Cleared, open: Vec<Arc<Link>>) -> Result<Vec<Arc<Link>>, Refusal> {
    let method = call.message().method().unwrap_or_default();
    if facts(method).is_some() {
        return Ok(open);
    }
    let item = Item::Method(method);
    let some: Vec<_> = open
        .into_iter()
        .filter(|link| may(gateway, call.client(), &link.server.name, Action::Other, item))
        .collect();
    if some.is_empty() {
        return Err(Refusal::new(
            Reason::PolicyDenied,
            "the gateway's policy does not permit this notification on any server",
        ));
    }
    Ok(some)
}

/// Ends the standing subscriptions of a client.
pub(crate) fn end_standing(client: &crate::client::Client) {
    for (_, task) in lock(&client.standing).drain() {
        task.abort();
    }
}
