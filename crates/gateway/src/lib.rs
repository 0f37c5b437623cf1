//! The gateway: doors, path, servers. Start at `path.rs`, which has the way of one message on one page.

mod breach;
mod client;
mod clock;
mod forward;
mod gateway;
pub mod launcher;
mod links;
pub mod listen;
mod names;
mod path;
mod random;
mod recorder;
mod refusal;
mod session;
mod status;
#[cfg(test)]
mod testing;
mod trail;
mod upstream;

pub use clock::{Clock, SystemClock};
pub use gateway::{Gateway, StartError};
pub use launcher::Halves;
pub use status::{Practice, ServerStatus, Status};
pub use upstream::process::prepare::{Start, machine, ready};
