//! How much one cage may use of the network: connections, bytes, bytes a second. Counted on the side of the host,
//! for all connections of the cage together.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use super::Budget;

const MINUTE: Duration = Duration::from_secs(60);
/// How far ahead of its rate a cage may be, so that small exchanges are not held up.
const BURST: Duration = Duration::from_millis(250);
/// How much is moved at a time where a rate is set: a large piece would make for a long pause.
const PIECE: usize = 4_096;

/// The budget of one cage and what is used of it.
pub(super) struct Account {
    budget: Budget,
    slots: Arc<Semaphore>,
    minute: Mutex<(Instant, u32)>,
    moved: AtomicU64,
    /// Until when the bytes that were moved would take at the granted rate.
    paid: Mutex<Instant>,
}

/// The bytes of one connection.
pub(super) struct Tally {
    sent: AtomicU64,
    received: AtomicU64,
    last: Mutex<Instant>,
    overdrawn: AtomicBool,
}

/// The host's side of a connection: what passes is counted, and held back where a rate says so.
pub(super) struct Metered<S> {
    inner: S,
    account: Arc<Account>,
    tally: Arc<Tally>,
    reading: Pause,
    writing: Pause,
}

impl Account {
    pub(super) fn new(budget: Budget) -> Self {
        let now = Instant::now();
        Self {
            slots: Arc::new(Semaphore::new(budget.connections.min(Semaphore::MAX_PERMITS))),
            budget,
            minute: Mutex::new((now, 0)),
            moved: AtomicU64::new(0),
            paid: Mutex::new(now),
        }
    }

    /// A place for one more connection, or why there is none.
    pub(super) fn admit(&self) -> Result<OwnedSemaphorePermit, String> {
        if self.is_overdrawn() {
            return Err(self.overdrawn());
        }
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return Err(format!(
                "{} connections are open already",
                self.budget.connections
            ));
        };
        let now = Instant::now();
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(minute.0) >= MINUTE {
            *minute = (now, 0);
        }
        if minute.1 >= self.budget.per_minute {
            return Err(format!(
                "{} connections were opened in this minute already",
                minute.1
            ));
        }
        minute.1 = minute.1.saturating_add(1);
        Ok(slot)
    }

    /// Why nothing moves any more.
    pub(super) fn overdrawn(&self) -> String {
        format!(
            "all {} bytes that it may move are used",
            self.budget.bytes.unwrap_or_default()
        )
    }

    fn is_overdrawn(&self) -> bool {
        self.budget
            .bytes
            .is_some_and(|bytes| self.moved.load(Ordering::Relaxed) >= bytes)
    }

    /// How many bytes may be moved at a time.
    fn piece(&self, wanted: usize) -> usize {
        if self.budget.rate.is_some() {
            wanted.min(PIECE)
        } else {
            wanted
        }
    }

    /// Takes note of bytes that were moved. They are paid for with a pause until the given time.
    fn moved(&self, bytes: u64) -> Option<Instant> {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        let rate = self.budget.rate?.max(1);
        let nanos = u128::from(bytes).saturating_mul(1_000_000_000) / u128::from(rate);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        *paid = (*paid).max(now).checked_add(cost)?;
        paid.checked_sub(BURST).filter(|until| *until > now)
    }
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            last: Mutex::new(Instant::now()),
            overdrawn: AtomicBool::new(false),
        }
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether the connection ended for the budget's sake.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.overdrawn.load(Ordering::Relaxed)
    }

    /// Ends when nothing has moved for so long.
    pub(super) async fn idle(&self, patience: Duration) {
        loop {
            let last = self.last();
            let Some(until) = last.checked_add(patience) else {
                return std::future::pending().await;
            };
            tokio::time::sleep_until(until).await;
            if self.last() == last {
                return;
            }
        }
    }

    fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, counter: &AtomicU64, bytes: u64) {
        counter.fetch_add(bytes, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl<S> Metered<S> {
    pub(super) fn new(inner: S, account: Arc<Account>, tally: Arc<Tally>) -> Self {
        Self {
            inner,
            account,
            tally,
            reading: Pause(None),
            writing: Pause(None),
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.account.is_overdrawn() {
            self.tally.overdrawn.store(true, Ordering::Relaxed);
            return Err(io::Error::other("the budget of bytes is used up"));
        }
        Ok(())
    }
}

/// A pause that one direction makes, when there is one.
struct Pause(Option<Pin<Box<Sleep>>>);

impl Pause {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(sleep) = &mut self.0 {
            ready!(sleep.as_mut().poll(cx));
            self.0 = None;
        }
        Poll::Ready(())
    }

    fn until(&mut self, time: Option<Instant>) {
        self.0 = time.map(|time| Box::pin(tokio::time::sleep_until(time)));
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.reading.poll(cx));
        this.check()?;
        let wanted = buffer.remaining();
        let piece = this.account.piece(wanted);
        let read = if piece < wanted {
            let mut small = [0_u8; PIECE];
            let mut part = ReadBuf::new(small.get_mut(..piece).unwrap_or_default());
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
            buffer.put_slice(part.filled());
            count(part.filled().len())
        } else {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
            count(buffer.filled().len().saturating_sub(before))
        };
        if read > 0 {
            this.tally.count(&this.tally.received, read);
            this.reading.until(this.account.moved(read));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.writing.poll(cx));
        this.check()?;
        let piece = bytes.get(..this.account.piece(bytes.len())).unwrap_or_default();
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, piece))?;
        this.tally.count(&this.tally.sent, count(written));
        this.writing.until(this.account.moved(count(written)));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn budget() -> Budget {
        Budget {
            connections: 2,
            per_minute: 3,
            ..Budget::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_counted_at_a_time_and_by_the_minute() {
        let account = Account::new(budget());
        let (one, _two) = (account.admit().unwrap(), account.admit().unwrap());
        assert_eq!(account.admit().unwrap_err(), "2 connections are open already");
        drop(one);
        let three = account.admit().unwrap();
        drop(three);
        assert_eq!(
            account.admit().unwrap_err(),
            "3 connections were opened in this minute already"
        );
        tokio::time::advance(MINUTE).await;
        assert!(account.admit().is_ok());
    }

    #[tokio::test]
    async fn bytes_end_with_the_budget() {
        let account = Arc::new(Account::new(Budget {
            bytes: Some(10),
            ..budget()
        }));
        let tally = Arc::new(Tally::new());
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Metered::new(near, Arc::clone(&account), Arc::clone(&tally));
        near.write_all(b"123456").await.unwrap();
        far.write_all(b"1234").await.unwrap();
        near.read_exact(&mut [0; 4]).await.unwrap();
        assert!(near.write_all(b"x").await.is_err());
        assert!(near.read_u8().await.is_err());
        assert_eq!(
            (tally.sent(), tally.received(), tally.is_overdrawn()),
            (6, 4, true)
        );
        assert_eq!(
            account.admit().unwrap_err(),
            "all 10 bytes that it may move are used"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_take_their_time() {
        let account = Arc::new(Account::new(Budget {
            rate: Some(10_000),
            ..budget()
        }));
        let (near, far) = tokio::io::duplex(1 << 20);
        let mut near = Metered::new(near, account, Arc::new(Tally::new()));
        let start = Instant::now();
        near.write_all(&[0; 50_000]).await.unwrap();
        near.write_all(&[0; 1]).await.unwrap();
        let took = start.elapsed();
        assert!((4_500..5_500).contains(&took.as_millis()), "{took:?}");
        drop(near);
        assert_eq!(
            tokio::io::copy(&mut { far }, &mut tokio::io::sink())
                .await
                .unwrap(),
            50_001
        );
    }

    #[tokio::test(start_paused = true)]
    async fn idle_means_that_nothing_moves() {
        let tally = Arc::new(Tally::new());
        let start = Instant::now();
        let watched = Arc::clone(&tally);
        let idle = tokio::spawn(async move { watched.idle(Duration::from_secs(10)).await });
        tokio::time::sleep(Duration::from_secs(6)).await;
        tally.count(&tally.sent, 1);
        idle.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 16);
    }
}
