//! Rules: one file each in `detect/`, each with an id that never changes. Not here: the learned classifier
//! (`classify`), secrets (`secret`), personal data (`pii`).

use crate::Channel;
use crate::finding::Finding;
use crate::normalise::Reading;

/// Runs all rules of a channel.
#[must_use]
pub fn find(_channel: Channel, _reading: &Reading) -> Vec<Finding> {
    Vec::new()
}
