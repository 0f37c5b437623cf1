//! Whether a server can be reached now, how often it was restarted, and when to try again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::client::lock;

/// What is known of a server's state. Shown by `mantlet status`.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    opened: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    failures: Vec<Instant>,
    last_error: Option<String>,
    not_before: Option<Instant>,
    up: bool,
    era: Option<String>,
}

/// A moment's view of it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) up: bool,
    pub(crate) opened: u64,
    pub(crate) version: Option<String>,
    pub(crate) last_error: Option<String>,
}

impl Health {
    /// How long to wait before the next attempt; `None` when it may be tried at once.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        let until = lock(&self.state).not_before?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    pub(crate) fn opened(&self, version: &str) {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let mut state = lock(&self.state);
        state.up = true;
        state.era = Some(version.to_owned());
        state.last_error = None;
    }

    /// Notes a failure. After `limit` of them within `window` the server rests, doubling from 100 ms to 30 s
    /// before that.
    pub(crate) fn failed(&self, now: Instant, why: String, limit: u32, window: Duration) {
        let mut state = lock(&self.state);
        state.failures.retain(|at| now.duration_since(*at) < window);
        state.failures.push(now);
        let count = u32::try_from(state.failures.len()).unwrap_or(u32::MAX);
        let rest = if count >= limit {
            window
        } else {
            Duration::from_millis(100)
                .saturating_mul(1 << count.min(8))
                .min(Duration::from_secs(30))
        };
        state.not_before = now.checked_add(rest);
        state.up = false;
        state.last_error = Some(why);
    }

    pub(crate) fn view(&self) -> View {
        let state = lock(&self.state);
        View {
            up: state.up,
            opened: self.opened.load(Ordering::Relaxed),
            version: state.era.clone(),
            last_error: state.last_error.clone(),
        }
    }
}
