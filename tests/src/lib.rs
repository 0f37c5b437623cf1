//! What the end-to-end tests share: the built binary as a gateway or a wrapper, raw HTTP, the drivers of real SDKs.
//! Not here: the tests.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::missing_panics_doc,
    reason = "a test says what is wrong by panicking, and starts programs"
)]

pub mod answers;
pub mod client;
pub mod compare;
pub mod http;
pub mod lines;
pub mod peers;
pub mod processes;
pub mod puppets;
pub mod serving;
pub mod suite;
pub mod upstream;
pub mod walks;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A program of this workspace, built beforehand; `cargo xtask test` does so.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let mut directory = std::env::current_exe().unwrap();
    directory.pop();
    if directory.ends_with("deps") {
        directory.pop();
    }
    let path = directory.join(name);
    assert!(
        path.exists(),
        "`{}` is not built: run `cargo build --workspace --bins`, or the tests through `cargo xtask test`",
        path.display()
    );
    path
}

/// Waits until something is so, a minute at most: machines that test are often busy.
///
/// # Panics
/// It never was.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited a minute in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
