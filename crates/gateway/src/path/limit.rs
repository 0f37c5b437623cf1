//! Stage: limit. So far one cap: messages of one caller that run at the same time, so that nothing that a
//! caller sends is unbounded. Rates and budgets (practice 4) are not built yet.

use mantlet_wire::Kind;
use tokio::sync::OwnedSemaphorePermit;

use super::identify::Identified;
use crate::Gateway;
use crate::refusal::{Reason, Refusal};

/// A place among the running messages; dropping it gives it back.
#[must_use]
#[derive(Debug)]
pub(crate) struct Slot {
    _place: Option<OwnedSemaphorePermit>,
}

/// Notifications and answers need no place: they end what runs, and must get through when all places are taken.
pub(crate) fn admit(gateway: &Gateway, msg: &Identified) -> Result<Slot, Refusal> {
    if gateway.is_draining() {
        return Err(Refusal::new(
            Reason::Draining,
            "the gateway is shutting down: try again later",
        ));
    }
    match msg.message().kind() {
        Kind::Request => Ok(Slot {
            _place: Some(gateway.admit(msg.caller())?),
        }),
        Kind::Notification | Kind::Response | Kind::Error => Ok(Slot { _place: None }),
    }
}
