//! Event streams of a session of the initialize era that can be taken up again after their connection broke (MCP
//! 2025-11-25 basic/transports §Resumability and Redelivery). Events carry ids `STREAM-NUMBER`, and wait here, bounded,
//! until the client comes back with `Last-Event-ID`. A stream is its session's own: nobody else can name it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use mantlet_wire::Version;
use tokio::sync::{Notify, mpsc};

use crate::client::{Frame, Presence, lock};

/// Streams that one session may take up again; the oldest that ended goes first.
const MAX_STREAMS: usize = 32;
/// Bytes of ended streams that one session keeps.
const MAX_KEPT: usize = 1024 * 1024;
/// Bytes of events that wait for an absent reader; the oldest go first, the answer stays.
const MAX_HELD: usize = 256 * 1024;
/// Events that a present reader may be behind before the sender waits for it.
const MAX_BEHIND: u64 = 32;
/// How soon a client may come back, in milliseconds.
const RETRY: u64 = 1_000;
const FRAMES: usize = 4;

/// The streams of one session.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    streams: VecDeque<Arc<Replay>>,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Replay {
    number: u64,
    state: Mutex<State>,
    news: Notify,
    presence: Presence,
    /// Where it is kept.
    among: Weak<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<(u64, Bytes)>,
    held: usize,
    next: u64,
    ended: bool,
    /// Which reader counts: the newest. None while the client is away.
    reader: Option<u64>,
    readers: u64,
    read_to: u64,
}

impl Replays {
    /// Begins a stream that takes over what comes from `frames`.
    pub(crate) fn begin(
        &self,
        first: Option<Frame>,
        frames: mpsc::Receiver<Frame>,
        presence: Presence,
        version: Version,
    ) -> Arc<Replay> {
        let mut kept = lock(&self.kept);
        kept.next = kept.next.saturating_add(1);
        let replay = Arc::new(Replay {
            number: kept.next,
            state: Mutex::default(),
            news: Notify::new(),
            presence,
            among: Arc::downgrade(&self.kept),
        });
        kept.streams.push_back(Arc::clone(&replay));
        kept.trim();
        drop(kept);
        // Before 2025-11-25 clients took an event without data for a broken message.
        if version >= Version::V2025_11_25 {
            replay.add(|id| {
                let mut out = Vec::new();
                mantlet_wire::write_event(&mut out, None, Some(id), Some(RETRY), b"");
                out
            });
        }
        tokio::spawn(Arc::clone(&replay).take_over(first, frames));
        replay
    }

    /// The stream that an event id belongs to, and the number of the event.
    pub(crate) fn find(&self, event: &str) -> Option<(Arc<Replay>, u64)> {
        let (stream, number) = event.split_once('-')?;
        let (stream, number) = (stream.parse::<u64>().ok()?, number.parse::<u64>().ok()?);
        let kept = lock(&self.kept);
        let found = kept.streams.iter().find(|replay| replay.number == stream)?;
        Some((Arc::clone(found), number))
    }
}

impl Kept {
    /// Drops ended streams until the rest is few and small enough: first what a reader has taken whole, though it may
    /// have broken off at the end, then the oldest. The newest that nobody has taken yet stays, however large.
    fn trim(&mut self) {
        loop {
            let ended: Vec<(usize, usize, bool)> = (self.streams.iter().enumerate())
                .filter_map(|(at, replay)| {
                    let state = lock(&replay.state);
                    state
                        .ended
                        .then_some((at, state.held, state.read_to >= state.next))
                })
                .collect();
            let bytes: usize = ended.iter().map(|(_, held, _)| held).sum();
            if self.streams.len() <= MAX_STREAMS && bytes <= MAX_KEPT {
                return;
            }
            let taken = ended.iter().find(|(_, _, taken)| *taken);
            let oldest = taken.or_else(|| ended.first().filter(|_| ended.len() > 1));
            let Some((at, ..)) = oldest else { return };
            self.streams.remove(*at);
        }
    }
}

impl Replay {
    /// The events after this one, as they come, until the stream ends or another reader takes over.
    pub(crate) fn read(self: &Arc<Self>, after: Option<u64>) -> mpsc::Receiver<Frame> {
        let (to, frames) = mpsc::channel(FRAMES);
        let reader = {
            let mut state = lock(&self.state);
            state.readers = state.readers.saturating_add(1);
            state.reader = Some(state.readers);
            state.read_to = after.map_or(0, |event| event.saturating_add(1));
            self.presence.set(true);
            state.readers
        };
        self.news.notify_waiters();
        tokio::spawn(Arc::clone(self).hand_out(reader, to));
        frames
    }

    async fn hand_out(self: Arc<Self>, reader: u64, to: mpsc::Sender<Frame>) {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            match self.next_for(reader) {
                Next::Event(bytes) => {
                    if to.send(Frame::Written(bytes)).await.is_err() {
                        break;
                    }
                }
                Next::Wait => tokio::select! {
                    () = news => {}
                    () = to.closed() => break,
                },
                Next::End => break,
            }
        }
        let mut state = lock(&self.state);
        if state.reader == Some(reader) {
            state.reader = None;
            self.presence.set(false);
        }
        let ended = state.ended;
        drop(state);
        self.news.notify_waiters();
        if ended {
            self.trim();
        }
    }

    /// A stream that has ended, or was read to its end, may be one too many.
    fn trim(&self) {
        if let Some(among) = self.among.upgrade() {
            lock(&among).trim();
        }
    }

    fn next_for(&self, reader: u64) -> Next {
        let mut state = lock(&self.state);
        if state.reader != Some(reader) {
            return Next::End;
        }
        let wanted = state.read_to;
        let found = state.events.iter().find(|(number, _)| *number >= wanted).cloned();
        match found {
            Some((number, bytes)) => {
                state.read_to = number.saturating_add(1);
                drop(state);
                self.news.notify_waiters();
                Next::Event(bytes)
            }
            None if state.ended => Next::End,
            None => Next::Wait,
        }
    }

    async fn take_over(self: Arc<Self>, first: Option<Frame>, mut frames: mpsc::Receiver<Frame>) {
        let mut next = first;
        loop {
            let frame = match next.take() {
                Some(frame) => frame,
                None => match frames.recv().await {
                    Some(frame) => frame,
                    None => break,
                },
            };
            self.room().await;
            let last = matches!(frame, Frame::Last(_));
            let body = match frame {
                Frame::Event(message) => Some(message.bytes().clone()),
                Frame::Last(reply) => reply.body,
                Frame::Written(_) => None,
            };
            if let Some(body) = body {
                self.add(|id| {
                    let mut out = Vec::with_capacity(body.len().saturating_add(48));
                    mantlet_wire::write_event(&mut out, Some("message"), Some(id), None, &body);
                    out
                });
            }
            if last {
                break;
            }
        }
        lock(&self.state).ended = true;
        self.news.notify_waiters();
        self.trim();
    }

    /// Waits while a client that is there is too far behind.
    async fn room(&self) {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            {
                let state = lock(&self.state);
                if state.reader.is_none() || state.next.saturating_sub(state.read_to) < MAX_BEHIND {
                    return;
                }
            }
            // A reader that went away says so; the pause is for one that went without a word.
            drop(tokio::time::timeout(Duration::from_secs(5), news).await);
        }
    }

    fn add(&self, write: impl FnOnce(&str) -> Vec<u8>) {
        let mut state = lock(&self.state);
        let number = state.next;
        let bytes = Bytes::from(write(&format!("{}-{number}", self.number)));
        state.next = number.saturating_add(1);
        state.held = state.held.saturating_add(bytes.len());
        state.events.push_back((number, bytes));
        // The newest stays, however large: it may be the answer.
        while state.held > MAX_HELD && state.events.len() > 1 {
            if let Some((_, gone)) = state.events.pop_front() {
                state.held = state.held.saturating_sub(gone.len());
            }
        }
        drop(state);
        self.news.notify_waiters();
    }
}

enum Next {
    Event(Bytes),
    Wait,
    End,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Reply;

    /// A stream that is answered with so many bytes; and whether a reader takes them.
    async fn answered(replays: &Replays, bytes: usize, taken: bool) -> Arc<Replay> {
        let (to, frames) = mpsc::channel(1);
        let presence = crate::client::Outbound::new(to.clone()).presence();
        let replay = replays.begin(None, frames, presence, Version::V2025_11_25);
        let reply = Reply {
            status: http::StatusCode::OK,
            body: Some(vec![b'x'; bytes].into()),
            session: None,
        };
        if taken {
            let mut read = replay.read(None);
            to.send(Frame::Last(reply)).await.unwrap();
            while read.recv().await.is_some() {}
        } else {
            to.send(Frame::Last(reply)).await.unwrap();
        }
        while !lock(&replay.state).ended {
            tokio::task::yield_now().await;
        }
        // The end is told to the others once more after this.
        tokio::task::yield_now().await;
        replay
    }

    fn kept(replays: &Replays) -> usize {
        lock(&replays.kept).streams.len()
    }

    #[tokio::test]
    async fn answers_that_were_taken_are_kept_only_as_far_as_there_is_room() {
        let replays = Replays::default();
        for _ in 0..3 {
            answered(&replays, MAX_KEPT / 4, true).await;
        }
        assert_eq!(kept(&replays), 3);
        answered(&replays, 16 * MAX_KEPT, true).await;
        assert_eq!(kept(&replays), 0);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_has_taken_waits_and_the_ones_before_it_go() {
        let replays = Replays::default();
        answered(&replays, 2 * MAX_KEPT, false).await;
        assert_eq!(kept(&replays), 1);
        let newest = answered(&replays, 3 * MAX_KEPT, false).await;
        assert_eq!(kept(&replays), 1);
        assert!(replays.find(&format!("{}-0", newest.number)).is_some());
    }
}
