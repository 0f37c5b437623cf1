//! What the end-to-end tests share: the built binary as a gateway or a wrapper, raw HTTP, the drivers of real SDKs.
//! Not here: the tests.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test says what is wrong by panicking, and starts programs"
)]

pub mod http;
pub mod lines;
pub mod peers;
pub mod serving;

use std::path::PathBuf;

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
