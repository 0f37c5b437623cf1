//! Bytes passed on as they are, both ways, each end on its own.

use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional_with_sizes};

use super::caged::Caged;
use super::connection::{Call, End, Host};

const BUFFER: usize = 16 * 1_024;

/// Relays until both sides have ended, one is gone, or nothing has moved for too long. When one side ends what it
/// says, the other is told and may go on.
pub(super) async fn relay(caged: &mut Caged, host: &mut Host, call: &Call) -> Result<(), End> {
    let orderly = caged.orderly();
    tokio::select! {
        ended = copy_bidirectional_with_sizes(caged, host, BUFFER, BUFFER) => match ended {
            Ok(_) => {
                orderly.confirm();
                Ok(())
            }
            Err(_) => Err(End::Over),
        },
        () = call.tally.idle(call.patience().idle) => Err(End::Over),
    }
}

/// What the host said and the program has not had yet: passing on may be broken off between the two.
pub(super) struct Held {
    bytes: Vec<u8>,
    passed: usize,
}

impl Held {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(BUFFER),
            passed: 0,
        }
    }

    /// Passes on what the host says, for as long as it is let. Ends only with the connection.
    pub(super) async fn pass(&mut self, host: &mut Host, to: &mut (impl AsyncWrite + Unpin)) -> End {
        loop {
            while let Some(rest) = self.bytes.get(self.passed..).filter(|rest| !rest.is_empty()) {
                match to.write(rest).await {
                    Ok(0) | Err(_) => return End::Over,
                    Ok(written) => self.passed = self.passed.saturating_add(written),
                }
            }
            self.bytes.clear();
            self.passed = 0;
            match host.read_buf(&mut self.bytes).await {
                // It has said all; the program may still answer.
                Ok(0) => {
                    return match to.shutdown().await {
                        Ok(()) => std::future::pending().await,
                        Err(_) => End::Over,
                    };
                }
                Ok(_) => {}
                Err(_) => return End::Over,
            }
        }
    }

    /// Passes on what is left.
    pub(super) async fn hand_over(self, to: &mut (impl AsyncWrite + Unpin)) -> Result<(), End> {
        let rest = self.bytes.get(self.passed..).unwrap_or_default();
        to.write_all(rest).await.map_err(|_| End::Over)
    }
}
