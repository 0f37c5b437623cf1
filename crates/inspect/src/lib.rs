//! Is this content what it should be. Pure. JSON Schema (`schema`, bounded by `survey`), the arguments that are
//! mirrored into HTTP headers (`headers`), and the reading of every text that a model wrote or will read: `normalise`
//! lays it open, `detect` and `classify` look for attacks, `secret` and `pii` for what must not pass, `redact` takes it
//! out, `pin` knows what a server said of itself before.

pub mod channel;
pub mod classify;
pub mod detect;
pub mod finding;
pub mod headers;
pub mod normalise;
pub mod pii;
pub mod pin;
pub mod redact;
pub mod schema;
pub mod secret;
mod survey;

pub use channel::Channel;
pub use finding::{Finding, Severity};
