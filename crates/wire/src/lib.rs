//! Bytes to MCP messages and back: the one strict parse, byte splices, canonical form, framing, and what
//! the specification knows by name. Not here: sockets, clocks, policy, or typed models of the messages.
//!
//! The pieces, in the order in which a message meets them:
//!
//! * [`Lines`] and [`Events`] cut a stream into texts (stdio lines, server-sent events);
//! * [`message`] and [`body`] read a text once, strictly, and keep slices of it ([`Message`], [`Raw`]);
//! * [`Edit`] and [`JsonEdit`] change a part by splicing, so that everything else survives byte for byte;
//! * [`canonical`] writes the form that digests are made of;
//! * [`facts`] and [`Version`] say what the specification knows about a method and a protocol version.
//!
//! Nothing here panics on hostile input, nothing recurses, and everything is bounded by [`Caps`].

mod canonical;
mod caps;
mod compose;
mod edit;
mod envelope;
mod era;
mod fold;
mod frame;
mod id;
mod json;
mod keys;
mod method;
mod number;
mod percent;
mod place;
mod raw;
mod reject;
mod rescue;
mod skip;
mod splice;
mod sse;
mod strict;
mod text;
mod token;

pub use canonical::canonical;
pub use caps::Caps;
pub use edit::{Edit, JsonEdit};
pub use envelope::{Body, Kind, Message, body, message};
pub use era::{Era, Version, key};
pub use frame::{Line, Lines, looks_like_header};
pub use id::Id;
pub use json::Json;
pub use method::{MethodFacts, Named, Party, facts, lookalike};
pub use percent::percent_decoded;
pub use raw::{Items, Members, Raw, Shape};
pub use reject::{Reason, Reject};
pub use sse::{Event, Events, KEEP_ALIVE, SseReject, write_event};
pub use strict::Twins;
