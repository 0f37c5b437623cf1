//! Attacks as data.
fn main() {}
