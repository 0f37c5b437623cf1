//! What is between the path and the audit log. INVARIANT: no record, no reply; and once a record could not be written,
//! nothing is forwarded before the log takes one again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mantlet_audit::{Durability, Log, Record, Timestamp, Verdict};

use crate::client::lock;
use crate::refusal::{Reason, Refusal};

/// Refusals of callers who have not proven who they are that are recorded one by one, per second. Whoever can reach the
/// port could else fill the disk.
const STRANGERS: u32 = 20;
const SECOND: u64 = 1_000_000;

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Recorder {
    log: Arc<Log>,
    durability: Durability,
    failing: AtomicBool,
    withheld: AtomicU64,
    strangers: Mutex<Strangers>,
}

#[derive(Debug, Default)]
struct Strangers {
    second: u64,
    recorded: u32,
    counted: u64,
}

impl Recorder {
    pub(crate) fn new(log: Log, durability: Durability) -> Self {
        Self {
            log: Arc::new(log),
            durability,
            failing: AtomicBool::new(false),
            withheld: AtomicU64::new(0),
            strangers: Mutex::default(),
        }
    }

    /// Writes one record.
    pub(crate) async fn record(&self, record: Record, now: Timestamp) -> Result<(), Refusal> {
        let outcome = match self.durability {
            // One write(2) into the page cache: shorter than handing it to another thread.
            Durability::Write => self.log.append(&record, now).map_err(|error| error.to_string()),
            Durability::Fsync => {
                let log = Arc::clone(&self.log);
                match tokio::task::spawn_blocking(move || log.append(&record, now)).await {
                    Ok(outcome) => outcome.map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                }
            }
        };
        outcome.map(drop).map_err(|why| {
            if !self.failing.swap(true, Ordering::AcqRel) {
                tracing::error!(%why, "the audit log cannot be written: messages are refused until it can");
            }
            self.withheld.fetch_add(1, Ordering::Relaxed);
            unavailable()
        })
    }

    /// Asked before anything is forwarded: a log that failed must first take the record that says so.
    ///
    /// # Errors
    /// The log still cannot be written.
    pub(crate) async fn ready(&self, now: Timestamp) -> Result<(), Refusal> {
        if !self.failing.load(Ordering::Acquire) {
            return Ok(());
        }
        let withheld = self.withheld.swap(0, Ordering::AcqRel);
        let finding = format!("the log could not be written for a while; {withheld} answers were withheld");
        match self.record(lifecycle(finding), now).await {
            Ok(()) => {
                self.failing.store(false, Ordering::Release);
                tracing::warn!("the audit log can be written again");
                Ok(())
            }
            Err(refusal) => {
                self.withheld.fetch_add(withheld, Ordering::Relaxed);
                Err(refusal)
            }
        }
    }

    /// Whether the refusal of a stranger is recorded by itself. Those that are not are counted, and the count is the
    /// next one's reason: `Some` with what was counted before.
    pub(crate) fn stranger(&self, now: Timestamp) -> Option<u64> {
        let second = now.micros() / SECOND;
        let mut strangers = lock(&self.strangers);
        if strangers.second != second {
            (strangers.second, strangers.recorded) = (second, 0);
        }
        if strangers.recorded >= STRANGERS {
            strangers.counted = strangers.counted.saturating_add(1);
            return None;
        }
        strangers.recorded = strangers.recorded.saturating_add(1);
        Some(std::mem::take(&mut strangers.counted))
    }

    /// Records, at the end, what was only counted.
    pub(crate) async fn close(&self, now: Timestamp) {
        let counted = std::mem::take(&mut lock(&self.strangers).counted);
        if counted > 0 {
            // The log may be why the gateway ends.
            drop(self.record(lifecycle(counted_finding(counted)), now).await);
        }
    }
}

/// What a count of strangers is written as.
pub(crate) fn counted_finding(counted: u64) -> String {
    format!("finding: {counted} more refusals of unknown callers were counted, not recorded one by one")
}

fn lifecycle(finding: String) -> Record {
    Record {
        kind: "lifecycle".to_owned(),
        verdict: Verdict {
            decision: "allow".to_owned(),
            reasons: vec![finding],
            ..Verdict::default()
        },
        ..Record::default()
    }
}

fn unavailable() -> Refusal {
    Refusal::new(
        Reason::AuditUnavailable,
        "the gateway cannot write its audit log and answers nothing until it can: ask its operator",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_recorded_so_often_and_counted_beyond_that() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::open(mantlet_audit::Settings {
            directory: directory.path().join("audit"),
            durability: Durability::Write,
            segment_bytes: 1_000_000,
            instance: "test".to_owned(),
        });
        let recorder = Recorder::new(log.unwrap(), Durability::Write);
        let at = |second: u64| Timestamp::from_micros(second * SECOND + 5);
        for _ in 0..STRANGERS {
            assert_eq!(recorder.stranger(at(7)), Some(0));
        }
        for _ in 0..5 {
            assert_eq!(recorder.stranger(at(7)), None);
        }
        // The next second's first is recorded, with the count; nothing is told twice.
        assert_eq!(recorder.stranger(at(8)), Some(5));
        assert_eq!(recorder.stranger(at(8)), Some(0));
    }
}
