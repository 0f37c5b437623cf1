//! Where an event stream of a server stands, and how long to wait before it is taken up again.

use std::time::Duration;

/// The pause that a server may ask for: unless it says, and at least and at most.
const RESUME_PAUSE: Duration = Duration::from_secs(1);
const RESUME_PAUSE_MIN: Duration = Duration::from_millis(100);
const RESUME_PAUSE_MAX: Duration = Duration::from_secs(30);
/// The pause grows up to this while a server ends its general stream at once and has nothing to say.
const HURRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Where a stream stands: what resumption needs.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) last_event: Option<String>,
    retry: Option<u64>,
    /// A message came.
    pub(super) said: bool,
}

impl Place {
    pub(super) fn note(&mut self, event: &mantlet_wire::Event) {
        if let Some(id) = &event.id {
            self.last_event = Some(id.clone());
        }
        if event.retry.is_some() {
            self.retry = event.retry;
        }
        self.said |= !event.data.is_empty();
    }

    pub(super) fn pause(&self) -> Duration {
        self.retry
            .map_or(RESUME_PAUSE, Duration::from_millis)
            .clamp(RESUME_PAUSE_MIN, RESUME_PAUSE_MAX)
    }

    /// The pause after so many failures, or streams that ended at once, in a row. A server that asks for long pauses
    /// gets these.
    pub(super) fn pause_after(&self, failures: u32, hurried: u32) -> Duration {
        let pause = self.pause();
        let failing = pause.saturating_mul(1 << failures.min(5));
        let hurrying = pause.saturating_mul(1 << hurried.min(6)).min(HURRY_PAUSE_MAX);
        failing.max(hurrying)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_wants_no_pause_gets_one_that_grows() {
        let place = Place {
            retry: Some(0),
            ..Place::default()
        };
        assert_eq!(place.pause_after(0, 0), RESUME_PAUSE_MIN);
        assert_eq!(place.pause_after(0, 3), RESUME_PAUSE_MIN * 8);
        assert_eq!(place.pause_after(0, 1_000), HURRY_PAUSE_MAX);
        assert!(place.pause_after(9, 0) > RESUME_PAUSE_MIN * 30);
    }

    #[test]
    fn a_server_that_asks_for_long_pauses_gets_these() {
        let place = Place {
            retry: Some(20_000),
            ..Place::default()
        };
        assert_eq!(place.pause_after(0, 9), Duration::from_secs(20));
    }
}
