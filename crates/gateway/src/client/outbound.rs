//! The streams towards a client: that of a running request, and the general one of a session. A client that does not
//! read is waited for once; then it misses what does not fit, and nobody else waits for it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mantlet_wire::Message;
use tokio::sync::mpsc;

use super::lock;

/// What travels to a client on one stream.
#[derive(Debug)]
pub(crate) enum Frame {
    /// A notification, or a request to the client, that belongs to a running request.
    Event(Message),
    /// The end: the reply to the request itself.
    Last(crate::path::Reply),
    /// An event as it goes out, with its id.
    Written(bytes::Bytes),
}

/// Whether the client reads a stream now. One that can be taken up again outlives its connection.
#[derive(Clone, Debug)]
pub(crate) struct Presence(Arc<Reader>);

#[derive(Debug)]
struct Reader {
    present: AtomicBool,
    /// It does not keep up. INVARIANT: such a client is waited for once, not with each event.
    behind: AtomicBool,
}

impl Presence {
    pub(crate) fn set(&self, present: bool) {
        self.0.present.store(present, Ordering::Release);
    }
}

/// How long a client that does not read is waited for: on the stream of its own request, and elsewhere.
const READS: Duration = Duration::from_secs(30);
const READS_NEWS: Duration = Duration::from_secs(1);

/// The stream that a running request may speak on before its reply.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    to: mpsc::Sender<Frame>,
    reader: Arc<Reader>,
}

/// What became of an event.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Taken,
    /// Nobody listens any more.
    Gone,
    /// The client does not read; the event is dropped.
    Behind,
}

impl Outbound {
    pub(crate) fn new(to: mpsc::Sender<Frame>) -> Self {
        Self {
            to,
            reader: Arc::new(Reader {
                present: AtomicBool::new(true),
                behind: AtomicBool::new(false),
            }),
        }
    }

    pub(crate) fn presence(&self) -> Presence {
        Presence(Arc::clone(&self.reader))
    }

    /// False when the client has gone or does not read what is sent to it.
    pub(crate) async fn event(&self, message: Message) -> bool {
        self.send(message, READS).await == Sent::Taken
    }

    /// The same for what no request of the client waits for: nobody else is held up for long.
    pub(crate) async fn news(&self, message: Message) -> Sent {
        self.send(message, READS_NEWS).await
    }

    async fn send(&self, message: Message, patience: Duration) -> Sent {
        let frame = match self.to.try_send(Frame::Event(message)) {
            Ok(()) => {
                self.reader.behind.store(false, Ordering::Relaxed);
                return Sent::Taken;
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return Sent::Gone,
            Err(mpsc::error::TrySendError::Full(frame)) => frame,
        };
        if self.reader.behind.load(Ordering::Relaxed) {
            return Sent::Behind;
        }
        match self.to.send_timeout(frame, patience).await {
            Ok(()) => Sent::Taken,
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Sent::Gone,
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                self.reader.behind.store(true, Ordering::Relaxed);
                tracing::warn!("a client does not read its stream: events are dropped until it does");
                Sent::Behind
            }
        }
    }

    pub(crate) async fn last(&self, reply: crate::path::Reply) -> bool {
        self.to.send(Frame::Last(reply)).await.is_ok()
    }

    /// Resolves when nobody listens any more.
    pub(crate) async fn gone(&self) {
        self.to.closed().await;
    }

    /// Nobody listens now; what is said may wait for somebody who comes back.
    pub(crate) fn is_gone(&self) -> bool {
        self.to.is_closed() || !self.reader.present.load(Ordering::Acquire)
    }

    /// Nobody will listen any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.to.is_closed()
    }
}

/// The general stream of a session: the GET stream over HTTP, standard output over stdio. What comes while
/// none is open waits, up to a bound; the oldest goes first.
#[derive(Debug, Default)]
pub(crate) struct Push {
    state: Mutex<PushState>,
}

#[derive(Debug, Default)]
struct PushState {
    to: Option<Outbound>,
    waiting: VecDeque<Message>,
    bytes: usize,
}

/// Messages that wait for a general stream to open, and their bytes; the newest waits, however large.
const MAX_WAITING: usize = 100;
const MAX_WAITING_BYTES: usize = 1024 * 1024;

impl Push {
    /// Makes `out` the general stream (the newest wins) and hands over what has waited.
    pub(crate) fn open(&self, out: Outbound) -> Vec<Message> {
        let mut state = lock(&self.state);
        state.to = Some(out);
        state.bytes = 0;
        state.waiting.drain(..).collect()
    }

    pub(crate) fn is_open(&self) -> bool {
        lock(&self.state).to.as_ref().is_some_and(|out| !out.is_gone())
    }

    pub(crate) fn stream(&self) -> Option<Outbound> {
        lock(&self.state)
            .to
            .as_ref()
            .filter(|out| !out.is_gone())
            .cloned()
    }

    /// Sends now, or keeps the message for when a stream opens.
    pub(crate) async fn send(&self, message: Message) {
        if let Some(out) = self.stream()
            && out.news(message.clone()).await != Sent::Gone
        {
            return;
        }
        let mut state = lock(&self.state);
        state.bytes = state.bytes.saturating_add(message.len());
        state.waiting.push_back(message);
        while state.waiting.len() > MAX_WAITING
            || (state.bytes > MAX_WAITING_BYTES && state.waiting.len() > 1)
        {
            let gone = state.waiting.pop_front().map_or(0, |gone| gone.len());
            state.bytes = state.bytes.saturating_sub(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news() -> Message {
        Message::notification("notifications/tools/list_changed", None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_waited_for_once() {
        let (to, mut frames) = mpsc::channel(1);
        let out = Outbound::new(to);
        assert!(out.event(news()).await);
        let begun = tokio::time::Instant::now();
        for _ in 0..100 {
            assert!(!out.event(news()).await);
            assert_eq!(out.news(news()).await, Sent::Behind);
        }
        assert!(begun.elapsed() <= READS + Duration::from_secs(1));
        frames.recv().await.unwrap();
        assert!(out.event(news()).await, "it reads again");
        drop(frames);
        assert_eq!(out.news(news()).await, Sent::Gone);
    }

    #[tokio::test]
    async fn what_waits_for_a_stream_is_bounded_by_its_bytes() {
        let push = Push::default();
        let large = serde_json::json!({ "pad": "x".repeat(MAX_WAITING_BYTES / 2) });
        let params = mantlet_wire::Json::from_value(&large);
        for _ in 0..20 {
            push.send(Message::notification(
                "notifications/message",
                Some(params.clone()),
            ))
            .await;
        }
        let (to, _frames) = mpsc::channel(1);
        assert_eq!(push.open(Outbound::new(to)).len(), 1);
    }
}
