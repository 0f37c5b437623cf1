//! The work on one message, polled by the connection that brought it: a task of its own, which would wake another
//! thread for each message, is made only when the connection goes or the answer becomes a stream.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;

use crate::client::Frame;

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// See the module's head.
pub(crate) struct Work {
    running: Option<Running>,
}

impl Work {
    /// A panic ends this work and nothing else: its frames end without a last one.
    pub(crate) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            running: Some(Box::pin(AssertUnwindSafe(work).catch_unwind().map(drop))),
        }
    }

    /// Works until there is a frame.
    pub(crate) async fn next(&mut self, frames: &mut mpsc::Receiver<Frame>) -> Option<Frame> {
        if let Some(running) = &mut self.running {
            tokio::select! {
                biased;
                frame = frames.recv() => return frame,
                () = running => {}
            }
            self.running = None;
        }
        frames.recv().await
    }
}

impl Drop for Work {
    /// In the initialize era a client that leaves has not cancelled; a stateless one has, and the work sees that.
    fn drop(&mut self) {
        if let (Some(running), Ok(runtime)) = (self.running.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(running);
        }
    }
}
