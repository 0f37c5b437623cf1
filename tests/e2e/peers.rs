//! Real clients walk through real servers, once directly and once through Mantlet: they must see the same. Each server
//! over `wrap` (stdio) and `serve` (HTTP), with each official SDK, in each era that the client knows.

use mantlet_tests::walks::all_ways;

#[test]
fn time() {
    all_ways("time");
}

#[test]
fn git() {
    all_ways("git");
}

#[test]
fn fetch() {
    all_ways("fetch");
}

#[test]
fn everything() {
    all_ways("everything");
}

#[test]
fn filesystem() {
    all_ways("filesystem");
}

#[test]
fn memory() {
    all_ways("memory");
}

#[test]
fn sequential_thinking() {
    all_ways("sequential-thinking");
}
