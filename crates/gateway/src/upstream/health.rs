//! Whether a server can be reached now, how often it was restarted, and when to try again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mantlet_sandbox::Proof;

use crate::client::lock;

/// What is known of a server's state. Shown by `mantlet status`.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    up: AtomicBool,
    opened: AtomicU64,
    strays: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    failures: Vec<Instant>,
    last_error: Option<String>,
    not_before: Option<Instant>,
    era: Option<String>,
    /// What holds the process that was started last.
    proof: Option<Proof>,
    breaches: Vec<Instant>,
    breached: u64,
    quarantine: Option<String>,
}

/// A moment's view of it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) up: bool,
    pub(crate) opened: u64,
    pub(crate) version: Option<String>,
    pub(crate) last_error: Option<String>,
    pub(crate) strays: u64,
    pub(crate) proof: Option<Proof>,
    /// What it tried against its cage, since the gateway was started.
    pub(crate) breaches: u64,
    pub(crate) quarantine: Option<String>,
}

impl Health {
    /// Notes what holds the server's process.
    pub(crate) fn caged(&self, proof: Proof) {
        lock(&self.state).proof = Some(proof);
    }

    /// Notes that the server tried what it is not granted; true when that puts it into quarantine: `limit` times within
    /// `window`. It stays there until its configuration changes or the gateway is started anew.
    pub(crate) fn breached(&self, now: Instant, what: &str, limit: u32, window: Duration) -> bool {
        let mut state = lock(&self.state);
        state.breached = state.breached.saturating_add(1);
        state.breaches.retain(|at| now.duration_since(*at) < window);
        state.breaches.push(now);
        let count = u32::try_from(state.breaches.len()).unwrap_or(u32::MAX);
        let enters = count >= limit && state.quarantine.is_none();
        if enters {
            state.quarantine = Some(format!("in quarantine after {count} breaches, the last: {what}"));
        }
        enters
    }

    /// Counts a breach that has no such consequence.
    pub(crate) fn noticed(&self) {
        let mut state = lock(&self.state);
        state.breached = state.breached.saturating_add(1);
    }

    /// Why the server must not be started.
    pub(crate) fn quarantined(&self) -> Option<String> {
        lock(&self.state).quarantine.clone()
    }

    /// Counts what the server sent and nobody can use: answers without a question, what is no message.
    pub(crate) fn stray(&self) {
        self.strays.fetch_add(1, Ordering::Relaxed);
    }

    /// How long to wait before the next attempt; `None` when it may be tried at once.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        let until = lock(&self.state).not_before?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    pub(crate) fn opened(&self, version: &str) {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let mut state = lock(&self.state);
        self.up.store(true, Ordering::Relaxed);
        state.era = Some(version.to_owned());
        state.last_error = None;
    }

    /// Notes a failure: it could not be reached, or ended while it was connected. After `limit` of them within `window` the server rests, doubling from 100 ms to 30 s
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
        self.up.store(false, Ordering::Relaxed);
        state.last_error = Some(why);
    }

    /// Notes that a server without a connection of its own could not be reached just now.
    pub(crate) fn missed(&self, why: &str) {
        let mut state = lock(&self.state);
        self.up.store(false, Ordering::Relaxed);
        state.last_error = Some(why.to_owned());
    }

    /// Notes that such a server answered.
    pub(crate) fn reached(&self) {
        if !self.up.load(Ordering::Relaxed) {
            let mut state = lock(&self.state);
            self.up.store(true, Ordering::Relaxed);
            state.last_error = None;
        }
    }

    pub(crate) fn view(&self) -> View {
        let state = lock(&self.state);
        View {
            up: self.up.load(Ordering::Relaxed),
            opened: self.opened.load(Ordering::Relaxed),
            version: state.era.clone(),
            last_error: state.last_error.clone(),
            strays: self.strays.load(Ordering::Relaxed),
            proof: state.proof.clone(),
            breaches: state.breached,
            quarantine: state.quarantine.clone(),
        }
    }
}
