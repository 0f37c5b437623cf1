//! Nanoseconds per message, next to what a tree parser and a lazy one take in the same run. Ratios are
//! steadier than times.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mantlet_wire::{Caps, Id, Json, Message, Twins, canonical, message};
use serde_json::{Value, json, value::RawValue};

fn main() {
    // Under `cargo test` this only has to run.
    let measuring = std::env::args().any(|arg| arg == "--bench");
    let budget = if measuring {
        Duration::from_millis(200)
    } else {
        Duration::from_millis(1)
    };
    say(&format!(
        "{:<22} {:>7} {:>9} {:>9} {:>7} {:>9} {:>7} {:>9} {:>9}",
        "message", "bytes", "ours", "tree", "ratio", "lazy", "ratio", "new id", "canonical"
    ));
    for (name, text) in messages() {
        let text = Bytes::from(text);
        let read = read(&text);
        let ours = time(budget, || drop(black_box(self::read(&text))));
        let tree = time(budget, || drop(black_box(tree_of(&text))));
        let lazy = time(budget, || drop(black_box(lazy_of(&text))));
        let id = Id::from(123_456);
        let new_id = time(budget, || drop(black_box(read.with_id(&id))));
        let form = time(budget, || drop(black_box(canonical(read.raw()))));
        say(&format!(
            "{name:<22} {:>7} {ours:>9.0} {tree:>9.0} {:>7.2} {lazy:>9.0} {:>7.2} {new_id:>9.0} {form:>9.0}",
            text.len(),
            ours / tree,
            ours / lazy,
        ));
    }
}

fn read(text: &Bytes) -> Message {
    match message(text.clone(), &Caps::default(), Twins::Anywhere) {
        Ok(message) => message,
        Err(_) => Message::notification("refused", None),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the other parsers are what we compare with"
)]
fn tree_of(text: &[u8]) -> Option<Value> {
    serde_json::from_slice(text).ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the other parsers are what we compare with"
)]
fn lazy_of(text: &[u8]) -> Option<std::collections::BTreeMap<&str, &RawValue>> {
    serde_json::from_slice(text).ok()
}

/// The best round's time for one call, in nanoseconds.
fn time(budget: Duration, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = f64::INFINITY;
    let mut calls = 1_u32;
    while start.elapsed() < budget || best.is_infinite() {
        let round = Instant::now();
        (0..calls).for_each(|_| work());
        let spent = round.elapsed();
        best = best.min(spent.as_secs_f64() * 1e9 / f64::from(calls));
        if spent < budget / 20 {
            calls = calls.saturating_mul(2);
        }
    }
    best
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn say(line: &str) {
    println!("{line}");
}

fn messages() -> Vec<(&'static str, String)> {
    let small = json!({"jsonrpc": "2.0", "id": 17, "method": "tools/call", "params": {
        "_meta": {"progressToken": "p-17"},
        "name": "search_files",
        "arguments": {"path": "/srv/data/projects/alpha", "pattern": "**/*.rs", "limit": 50, "recursive": true,
            "exclude": ["target", ".git", "node_modules"], "note": "find the files that were changed last week",
            "options": {"follow": false, "depth": 12, "ratio": 0.75}}}});
    let modern = json!({"jsonrpc": "2.0", "id": 17, "method": "tools/call", "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "client", "version": "1.2.3"},
            "io.modelcontextprotocol/clientCapabilities": {"sampling": {}, "elicitation": {"form": {}}}},
        "name": "echo", "arguments": {"text": "hello"}}});
    let lines: Vec<Value> = (0..60)
        .map(|line| json!({"line": line, "text": "let value = compute(&input)?; // as \"before\"", "ok": line % 3 == 0}))
        .collect();
    let call = json!({"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": {
        "name": "apply_patch", "arguments": {"path": "/srv/x", "content": "word ".repeat(1000), "lines": lines}}});
    let result = |size: usize| {
        json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text",
            "text": "A line of text with a \"quote\".\n".repeat(size / 32)}], "isError": false}})
    };
    let tools: Vec<Value> = (0..50)
        .map(|tool| {
            json!({"name": format!("tool_{tool}"), "title": "A tool", "description": "Does this and that. ".repeat(6),
            "inputSchema": {"type": "object", "required": ["path"], "properties": {
                "path": {"type": "string", "description": "where to look"},
                "limit": {"type": "integer", "minimum": 0, "maximum": 1000},
                "mode": {"type": "string", "enum": ["fast", "slow"]}}},
            "annotations": {"readOnlyHint": true}})
        })
        .collect();
    let tools = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}});
    let numbers: Vec<f64> = (0..2000).map(|number| f64::from(number) * 1.37).collect();
    let numbers = json!({"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": {"series": numbers}}});
    let text = |value: &Value| Json::from_value(value).as_str().to_owned();
    vec![
        ("call", text(&small)),
        ("call, modern", text(&modern)),
        ("call 10 KB", text(&call)),
        ("result 1.2 KB", text(&result(1200))),
        ("result 100 KB", text(&result(100_000))),
        ("result 1 MB", text(&result(1_000_000))),
        ("list of 50 tools", text(&tools)),
        ("2000 numbers", text(&numbers)),
    ]
}
