//! Interim.
mod canonical;
mod caps;
mod edit;
mod envelope;
mod era;
mod frame;
mod id;
mod json;
mod method;
mod place;
mod raw;
mod reject;
mod sse;
mod strict;

pub use canonical::canonical;
pub use caps::Caps;
pub use edit::{Edit, JsonEdit};
pub use envelope::{Body, Kind, Message, body, message};
pub use era::{Era, Version, key};
pub use frame::{Line, Lines, looks_like_header};
pub use id::Id;
pub use json::Json;
pub use method::{METHODS, MethodFacts, Named, Party, facts};
pub use raw::{Raw, Shape};
pub use reject::{Fault, Reject};
pub use sse::{Event, Events, KEEP_ALIVE, SseReject, write_event};
pub use strict::Twins;
