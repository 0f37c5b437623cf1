//! Stage: limit. So far one cap: messages of one caller that run at the same time, so that nothing that a
//! caller sends is unbounded. Rates and budgets (practice 4) are not built yet.

use super::identify::Identified;
use crate::Gateway;
use crate::gateway::Place;
use crate::refusal::{Reason, Refusal};
use mantlet_wire::Kind;

/// A place among the running messages; dropping it gives it back.
#[must_use]
#[derive(Debug)]
pub(crate) struct Slot {
    _place: Option<Place>,
}

/// Notifications and answers need no place: they end what runs, and must get through when all places are taken and
/// while the gateway waits for what runs.
pub(crate) fn admit(gateway: &Gateway, msg: &Identified) -> Result<Slot, Refusal> {
    match msg.message().kind() {
        Kind::Request if gateway.is_draining() => Err(Refusal::new(
            Reason::Draining,
            "the gateway is shutting down: try again later",
        )),
        Kind::Request => Ok(Slot {
            _place: Some(gateway.admit(msg.caller())?),
        }),
        Kind::Notification | Kind::Response | Kind::Error => Ok(Slot { _place: None }),
    }
}
