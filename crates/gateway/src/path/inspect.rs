//! Stage: inspect. The place where every text is read for injections, secrets and personal data (practices 7,
//! 11 and 14). Nothing is built here yet: the stage passes everything on, and `mantlet status` says so.

use std::ops::Deref;

use super::Answer;
use super::validate::Valid;
use crate::trail::Trail;

/// A message that may be forwarded: `forward` takes nothing else.
#[derive(Debug)]
pub(crate) struct Cleared {
    valid: Valid,
}

impl Deref for Cleared {
    type Target = Valid;

    fn deref(&self) -> &Valid {
        &self.valid
    }
}

pub(crate) fn request(valid: Valid, trail: &mut Trail) -> Cleared {
    trail.enter("inspect");
    Cleared { valid }
}

pub(crate) fn answer(answer: Answer) -> Answer {
    answer
}
