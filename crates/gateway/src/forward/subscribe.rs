//! Log levels and watched resources of sessions of the initialize era. A stateless server has neither: there the
//! level travels with each request, and watched resources are a standing `subscriptions/listen`.

use std::sync::Arc;

use mantlet_wire::{Era, Message};

use super::{done, exchange, greet, listen, param};
use crate::path::inspect::Cleared;
use crate::path::route::Target;
use crate::refusal::{Reason, Refusal};
use crate::trail::Trail;
use crate::{Gateway, links};

/// RFC 5424 §6.2.1, as MCP writes them.
const LEVELS: &[&str] = &[
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

/// `logging/setLevel`.
pub(crate) async fn log_level(gateway: &Arc<Gateway>, call: &Cleared) -> Result<Message, Refusal> {
    let level = param(call, "level").filter(|level| LEVELS.contains(&level.as_str()));
    let Some(level) = level else {
        return Err(Refusal::new(
            Reason::InvalidParams,
            format!("`logging/setLevel` needs a `level` out of {}", LEVELS.join(", ")),
        ));
    };
    let open = match call.server() {
        Some(server) => vec![links::to(gateway, call.client(), server).await?],
        None => greet::open_all(gateway, call).await,
    };
    call.client().set_log_level(level);
    let one = call.server().is_some();
    for link in open
        .iter()
        .filter(|link| link.era() == Era::Legacy && (one || link.greeting.has("logging")))
    {
        let answer = exchange::run(gateway, call, link).await?;
        if one {
            return Ok(answer);
        }
    }
    Ok(done(call))
}

/// `resources/subscribe` and `resources/unsubscribe`.
pub(crate) async fn resource(
    gateway: &Arc<Gateway>,
    call: &Cleared,
    trail: &mut Trail,
) -> Result<Message, Refusal> {
    let (Some(server), Target::Resource(uri)) = (call.server(), call.target()) else {
        return Err(Refusal::new(
            Reason::InvalidParams,
            "the request names no resource",
        ));
    };
    let link = links::to(gateway, call.client(), server).await?;
    trail.link(&link);
    let subscribes = call.message().method() == Some("resources/subscribe");
    if subscribes && !call.client().subscribe(uri.clone()) {
        return Err(Refusal::new(
            Reason::TooManyInFlight,
            "this client watches as many resources as it may",
        ));
    }
    if !subscribes {
        call.client().unsubscribe(uri);
    }
    if link.era() == Era::Legacy {
        return exchange::run(gateway, call, &link).await;
    }
    listen::keep(gateway, call.client(), &link);
    Ok(done(call))
}
