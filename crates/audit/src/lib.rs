//! What happened, provably: one record a line, each line sealed by a hash over itself and the one before.
//! Finds any changed, dropped, reordered or duplicated record. It cannot show that the whole tail was cut off or
//! written anew by somebody with write access: that needs signed checkpoints kept elsewhere, which come later.

mod chain;
mod digest;
mod log;
mod read;
mod record;
mod time;
mod verify;

pub use digest::{digest, digest_bytes};
pub use log::{Durability, Log, OpenError, Settings, Unavailable};
pub use read::{Entry, ReadError, read};
pub use record::{Answer, Payload, Record, Verdict};
pub use time::Timestamp;
pub use verify::{Finding, Report, verify};
