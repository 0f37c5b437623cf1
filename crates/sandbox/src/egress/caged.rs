//! The caged program's side of a connection: what it said already and was looked at is read once more, and unless the
//! end was orderly, the program sees a reset and not an end that looks like the host's.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// See the module's head.
pub(super) struct Caged {
    stream: TcpStream,
    said: Bytes,
    orderly: Orderly,
}

/// Says that the end of a connection is as it should be; until then it is a reset.
#[derive(Clone)]
pub(super) struct Orderly(Arc<AtomicBool>);

impl Orderly {
    pub(super) fn confirm(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Caged {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            said: Bytes::new(),
            orderly: Orderly(Arc::new(AtomicBool::new(false))),
        }
    }

    /// A handle that outlives the stream's place in somebody else's hands.
    pub(super) fn orderly(&self) -> Orderly {
        self.orderly.clone()
    }

    /// The two directions of the socket itself, without what is to be read once more.
    pub(super) fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        self.stream.split()
    }

    /// These bytes are read next.
    pub(super) fn unread(&mut self, said: Bytes) {
        self.said = said;
    }
}

impl Drop for Caged {
    fn drop(&mut self) {
        if !self.orderly.0.load(Ordering::Relaxed) {
            // Where it fails the program sees an end in place of a reset, and no more than that.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Caged {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.said.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let length = this.said.len().min(buffer.remaining());
        buffer.put_slice(this.said.get(..length).unwrap_or_default());
        this.said.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Caged {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
