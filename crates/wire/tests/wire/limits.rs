//! The caps, and that hostile sizes are refused quickly: no overflow of the stack, nothing quadratic.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mantlet_wire::{Caps, Json, Reject, Twins, body, canonical, message};

use crate::support::{good, read, refused};

/// Far more than it takes, even on a busy machine without optimisation; far less than what is quadratic takes.
const SOON: Duration = Duration::from_secs(10);

fn under(text: &str, change: impl FnOnce(&mut Caps)) -> Result<(), &'static str> {
    let mut caps = Caps::default();
    change(&mut caps);
    let text = Bytes::copy_from_slice(text.as_bytes());
    message(text, &caps, Twins::Anywhere)
        .map(drop)
        .map_err(|reject| reject.code())
}

fn call(arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x","arguments":{arguments}}}}}"#
    )
}

#[test]
fn each_cap_holds_to_the_byte() {
    let text = call("{}");
    let length = text.len();
    assert_eq!(under(&text, |caps| caps.message_bytes = length), Ok(()));
    assert_eq!(
        under(&text, |caps| caps.message_bytes = length - 1),
        Err("too_large")
    );
    assert_eq!(under(&text, |caps| caps.depth = 3), Ok(()));
    assert_eq!(under(&text, |caps| caps.depth = 2), Err("too_deep"));
    assert_eq!(under(&text, |caps| caps.depth = 0), Err("too_deep"));
    assert_eq!(under(&text, |caps| caps.string_bytes = 10), Ok(()));
    assert_eq!(under(&text, |caps| caps.string_bytes = 9), Err("string_too_long"));
    assert_eq!(under(&text, |caps| caps.object_keys = 4), Ok(()));
    assert_eq!(under(&text, |caps| caps.object_keys = 3), Err("too_many_keys"));
    assert_eq!(
        under(&call(r#"{"a":-1.25}"#), |caps| caps.number_bytes = 5),
        Ok(())
    );
    assert_eq!(
        under(&call(r#"{"a":-1.25}"#), |caps| caps.number_bytes = 4),
        Err("number_too_long")
    );
    let text = r#"{"jsonrpc":"2.0","id":"\u0061bc","method":"ping"}"#;
    assert_eq!(under(text, |caps| caps.id_bytes = 3), Ok(()));
    assert_eq!(under(text, |caps| caps.id_bytes = 2), Err("id_too_long"));
}

#[test]
fn batches_have_a_cap() {
    let batch = |count: usize| format!("[{}]", vec![r#"{"jsonrpc":"2.0","method":"x"}"#; count].join(","));
    let read =
        |count| body(batch(count).into(), &Caps::default(), Twins::Anywhere).map_err(|reject| reject.code());
    assert!(read(50).is_ok());
    assert_eq!(read(51).unwrap_err(), "batch_too_large");
    assert_eq!(read(100_000).unwrap_err(), "batch_too_large");
}

#[test]
fn deep_nesting_is_refused_at_once_and_on_a_small_stack() {
    let megabyte = 1 << 20;
    let hostile = [
        "[".repeat(megabyte),
        "{\"a\":".repeat(megabyte / 5),
        call(&("[".repeat(megabyte / 2) + &"]".repeat(megabyte / 2))),
        call(&("{\"a\":[".repeat(megabyte / 8) + "1" + &"]}".repeat(megabyte / 8))),
    ];
    let start = Instant::now();
    let small = std::thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        for text in hostile {
            assert_eq!(read(&text).unwrap_err().code(), "too_deep");
            let caps = Caps {
                depth: usize::MAX,
                ..Caps::default()
            };
            let reject = message(text.into(), &caps, Twins::Anywhere).unwrap_err();
            assert!(reject.to_string().contains("deeper than 120"), "{reject}");
        }
    });
    small.unwrap().join().unwrap();
    assert!(start.elapsed() < SOON);
}

#[test]
fn the_deepest_text_is_handled_on_a_small_stack() {
    let caps = Caps {
        depth: Caps::DEEPEST,
        ..Caps::default()
    };
    let depth = Caps::DEEPEST - 2;
    let text = call(&("[".repeat(depth) + &"]".repeat(depth)));
    let worker = std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
        let message = message(text.into(), &caps, Twins::Anywhere).unwrap();
        assert_eq!(canonical(message.raw()).len(), message.len());
        assert_eq!(message.raw().to_value().to_string().len(), message.len());
    });
    worker.unwrap().join().unwrap();
}

#[test]
fn many_keys_are_not_quadratic() {
    let keys = |count: usize| {
        (0..count)
            .map(|key| format!("\"k{key}\":0"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let start = Instant::now();
    good(call(&format!("{{{}}}", keys(10_000))));
    assert_eq!(refused(call(&format!("{{{}}}", keys(10_001)))), "too_many_keys");
    assert_eq!(
        refused(call(&format!("{{{},\"K9\":1}}", keys(9_000)))),
        "twin_key"
    );
    // Many objects that stay just below the index, with long keys that differ at the end only.
    let long = "x".repeat(200);
    let object = (0..16)
        .map(|key| format!("\"{long}{key:02}\":0"))
        .collect::<Vec<_>>()
        .join(",");
    good(call(&format!(
        "{{\"a\":[{}]}}",
        vec![format!("{{{object}}}"); 1000].join(",")
    )));
    assert!(start.elapsed() < SOON);
}

#[test]
fn large_texts_of_every_kind_are_read_or_refused_soon() {
    let start = Instant::now();
    let four = 4 << 20;
    good(call(&format!("{{\"a\":\"{}\"}}", "x".repeat(four - 200))));
    good(call(&format!("{{\"a\":\"{}\"}}", "\\n".repeat((four - 200) / 2))));
    good(call(&format!("{{\"a\":\"{}\"}}", "é".repeat((four - 200) / 2))));
    good(call(&format!("{{\"a\":[{}0]}}", "1,".repeat((four - 200) / 2))));
    good(call(&format!("{{\"a\":[{}0]}}", "{},".repeat((four - 200) / 3))));
    good(format!("{}{}", call("{}"), " ".repeat(four - 200)));
    assert_eq!(
        refused(format!("{}{}", call("{}"), " ".repeat(four))),
        "too_large"
    );
    assert_eq!(
        refused(call(&format!("{{\"a\":{}}}", "1".repeat(four - 200)))),
        "number_too_long"
    );
    assert_eq!(refused("\"".repeat(four)), "trailing_data");
    assert_eq!(refused("{".to_owned() + &"\\".repeat(four - 1)), "syntax");
    assert!(start.elapsed() < SOON);
}

#[test]
fn a_canonical_form_of_a_large_text_comes_soon() {
    let start = Instant::now();
    let inner = format!("[{}0]", "{\"b\":1,\"a\":2},".repeat(100_000));
    let deep = (0..50).fold(inner, |inner, _| format!("{{\"b\":{inner},\"a\":0}}"));
    let json = Json::parse(deep.as_bytes(), &Caps::default(), Twins::Anywhere).unwrap();
    assert_eq!(canonical(json.raw()).len(), deep.len());
    assert!(start.elapsed() < SOON);
}

#[test]
fn a_refusal_says_little_of_what_was_sent() {
    let key = "k\u{202e}`\\n".repeat(10_000);
    let text = call(&format!("{{\"{key}\":1,\"{key}\":2}}"));
    let reject: Reject = read(text).unwrap_err();
    let shown = reject.to_string();
    assert_eq!(reject.code(), "duplicate_key");
    assert!(shown.len() < 1000, "{}", shown.len());
    assert!(!shown.contains('\n') && !shown.contains('\u{202e}'));
    assert_eq!(shown.matches('`').count(), 2);
}
