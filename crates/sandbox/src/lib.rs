//! The cage of practice 9: a program runs with what it was granted and nothing else. Nothing of MCP is known here.
//! The only crate with `unsafe`, all of it in `sys`, where each block says why it is sound. Begin with `spec` (what is granted), then `init` (how
//! the cage is built, from within) and `helper` (how it is watched, from outside).

#![cfg(target_os = "linux")]

mod basic;
pub mod egress;
mod event;
mod guarded;
mod heard;
mod helper;
mod init;
mod itself;
mod keeper;
mod landlock;
pub mod learn;
mod limits;
mod line;
mod network;
pub mod package;
mod plants;
mod proof;
mod root;
mod seccomp;
mod settle;
mod spawn;
mod spec;
#[expect(
    unsafe_code,
    reason = "the kernel's calls without a safe wrapper are made here, and only here"
)]
mod sys;
mod talk;
mod tier;
mod watch;

pub use event::{Event, Outcome};
pub use helper::help;
pub use itself::{Itself, Needs, confine, keep_memory_private};
pub use keeper::{Bare, look_after};
pub use line::{Line, OpenLine};
pub use proof::{Proof, Trial};
pub use settle::{Hint, Machine, settle};
pub use spawn::{Cage, Fell, HELPER, KEEPER, Said, Streams, again, build, keep, start};
pub use spec::{Grant, Host, Limits, Spec, Tier};
