//! Who may do what. Pure decisions: no sockets, no clocks. Cedar is in `authorize.rs` and nowhere else.

mod authorize;
mod cedar_text;
mod identity;
mod spelling;
mod token;

pub use authorize::{Action, Authorizer, Item, PolicyError, Question, Verdict};
pub use cedar_text::{Lists, ServerRules};
pub use identity::{Caller, Means};
pub use token::LocalToken;
