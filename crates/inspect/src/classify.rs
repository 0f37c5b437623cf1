//! The learned classifier. Not here: rules (`detect`).

use std::ops::Range;

use crate::Channel;
use crate::normalise::Reading;

/// How likely it is that a text attacks the model that reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// 0 to 1, calibrated for the channel.
    pub score: f32,
    /// The window that looks worst: bytes of the original text.
    pub span: Range<usize>,
    /// How many tiers were asked.
    pub tiers: u8,
}

/// Scores a text.
#[must_use]
pub fn score(_channel: Channel, _reading: &Reading) -> Score {
    Score {
        score: 0.0,
        span: 0..0,
        tiers: 0,
    }
}
