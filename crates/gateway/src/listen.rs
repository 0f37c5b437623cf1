//! The doors: Streamable HTTP and standard input. A door knows transports; what a message may do is decided on
//! the path.

pub(crate) mod answer;
pub(crate) mod head;
pub mod http;
pub(crate) mod replay;
pub mod stdio;
pub(crate) mod stream;
pub(crate) mod work;
