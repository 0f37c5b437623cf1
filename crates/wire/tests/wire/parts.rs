//! What a message says of itself, and what its slices read.

use mantlet_wire::{Id, Json, Kind, Shape, Version, key};

use crate::support::{good, json, read};

#[test]
fn a_request_has_its_parts() {
    let text = r#" {"jsonrpc":"2.0", "x":[1], "id":"7", "method":"tools/call", "params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"name":"n"} } "#;
    let message = good(text);
    assert_eq!(message.kind(), Kind::Request);
    assert_eq!(message.id(), Some(&Id::from("7")));
    assert_eq!(message.method(), Some("tools/call"));
    assert_eq!(message.facts().unwrap().name, "tools/call");
    assert_eq!(
        message.params().unwrap().get("name").unwrap().text().unwrap(),
        "n"
    );
    assert_eq!(message.meta().unwrap().members().count(), 1);
    assert_eq!(
        message.modern_version().as_deref(),
        Some(Version::LATEST.as_str())
    );
    assert!(message.result().is_none() && message.error().is_none());
    assert_eq!(message.raw().as_str(), text.trim());
    assert_eq!(message.len(), text.trim().len());
    assert_eq!(message.bytes(), text.trim());
}

#[test]
fn what_was_escaped_means_what_it_says() {
    let message = good(
        r#"{"\u006asonrpc":"2\u002e0","i\u0064":"\u0061","\u006dethod":"tools\/call","p\u0061rams":{"\u005fmeta":{"progressToken":1},"n\u0061me":"\ud83d\ude00"}}"#,
    );
    assert_eq!(message.id(), Some(&Id::from("a")));
    assert_eq!(message.method(), Some("tools/call"));
    assert_eq!(
        message.params().unwrap().get("name").unwrap().text().unwrap(),
        "😀"
    );
    assert_eq!(
        message.meta().unwrap().get("progressToken").unwrap().int(),
        Some(1)
    );
}

#[test]
fn answers_have_their_parts() {
    let message = good(r#"{"result":{"_meta":{"a":1}},"id":0,"jsonrpc":"2.0"}"#);
    assert_eq!(message.kind(), Kind::Response);
    assert_eq!((message.id(), message.method()), (Some(&Id::from(0)), None));
    assert_eq!(message.meta().unwrap().as_str(), r#"{"a":1}"#);
    assert!(message.params().is_none() && message.error().is_none() && message.facts().is_none());
    assert!(message.modern_version().is_none());

    let message = good(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"m","_meta":{}}}"#);
    assert_eq!(message.kind(), Kind::Error);
    assert_eq!(message.id(), None);
    assert_eq!(message.error().unwrap().get("code").unwrap().int(), Some(-1));
    assert!(message.meta().is_none() && message.result().is_none() && message.params().is_none());

    let message = good(r#"{"jsonrpc":"2.0","method":"x/y"}"#);
    assert_eq!(
        (message.kind(), message.method()),
        (Kind::Notification, Some("x/y"))
    );
    assert!(message.params().is_none() && message.facts().is_none() && message.id().is_none());
}

#[test]
fn the_version_of_a_request_is_in_its_own_meta_only() {
    let version = |params: &str| {
        let message = good(format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"x/y","params":{params}}}"#
        ));
        message.modern_version().map(|version| version.into_owned())
    };
    let named = format!(r#""{}":"v""#, key::PROTOCOL_VERSION);
    assert_eq!(
        version(&format!(r#"{{"_meta":{{{named}}}}}"#)).as_deref(),
        Some("v")
    );
    assert_eq!(version(&format!(r#"{{"a":{{"_meta":{{{named}}}}}}}"#)), None);
    assert_eq!(version(&format!(r#"{{"_meta":{{"a":{{{named}}}}}}}"#)), None);
    assert_eq!(version(&format!(r#"{{"_meta":[{{{named}}}]}}"#)), None);
    assert_eq!(version(&format!(r#"{{{named}}}"#)), None);
    assert_eq!(
        version(r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}"#),
        None
    );
}

#[test]
fn a_line_has_no_line_breaks() {
    let message = good("{\n\"jsonrpc\":\"2.0\",\r\n\"id\":1,\"method\":\"a\\nb\"}");
    let line = message.line();
    assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
    assert_eq!(good(&line).raw().to_value(), message.raw().to_value());
    let flat = good(&line);
    assert_eq!(flat.line().as_ptr(), flat.bytes().as_ptr());
}

#[test]
fn contents_do_not_show_in_debug() {
    let message = good(r#"{"jsonrpc":"2.0","id":1,"method":"x/y","params":{"secret":"hunter2"}}"#);
    let shown = format!("{message:?}");
    assert!(shown.contains("x/y") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_refusal_carries_the_id_where_it_is_certain() {
    for (text, id) in [
        (
            r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"a":1,"a":2}}"#,
            Some(Id::from(5)),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"tools/call","params":[],"id":"x"}"#,
            Some(Id::from("x")),
        ),
        (r#"{"jsonrpc":"2.0","id":5,"method":""}"#, Some(Id::from(5))),
        (
            r#"{"jsonrpc":"2.0","id":5,"result":{"a":1e999}}"#,
            Some(Id::from(5)),
        ),
        (r#"{"jsonrpc":"2.0","id":5,"id":6,"method":"x"}"#, None),
        (r#"{"jsonrpc":"2.0","id":5,"ID":6,"method":"x"}"#, None),
        (r#"{"jsonrpc":"2.0","id":5,"method":"x""#, None),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#, None),
        ("[]", None),
        ("", None),
    ] {
        assert_eq!(read(text).unwrap_err().id(), id.as_ref(), "{text}");
    }
}

#[test]
fn refusals_have_their_json_rpc_codes() {
    for (text, code) in [
        ("{", -32700),
        (r#"{"a":1,"a":1}"#, -32700),
        ("1", -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#, -32602),
    ] {
        assert_eq!(read(text).unwrap_err().json_rpc_code(), code, "{text}");
    }
}

#[test]
fn slices_read_what_is_there() {
    let json = json(
        r#" { "o" : {"a":[]} , "list":[1, "two" ,[3],{"4":4}], "\u0074ext":"\u0041\n", "i":-12, "f":1.5e3,
            "t":true,"n":null, "back\\slash":1, "":2 } "#,
    );
    let raw = json.raw();
    assert_eq!(raw.shape(), Shape::Object);
    assert_eq!(raw.members().count(), 9);
    assert_eq!(raw.members().nth(2).unwrap().0, "text");
    assert_eq!(raw.get("text").unwrap().text().unwrap(), "A\n");
    assert_eq!(raw.pointer(&["o", "a"]).unwrap().shape(), Shape::Array);
    assert_eq!(
        raw.pointer(&["o", "b"]).is_none(),
        raw.pointer(&["list", "0"]).is_none()
    );
    let items: Vec<&str> = raw
        .get("list")
        .unwrap()
        .items()
        .map(|item| item.as_str())
        .collect();
    assert_eq!(items, ["1", "\"two\"", "[3]", "{\"4\":4}"]);
    assert_eq!(raw.get("i").unwrap().int(), Some(-12));
    assert_eq!(raw.get("i").unwrap().float(), Some(-12.0));
    assert_eq!(raw.get("f").unwrap().int(), None);
    assert_eq!(raw.get("f").unwrap().float(), Some(1500.0));
    assert_eq!(raw.get("t").unwrap().boolean(), Some(true));
    assert_eq!(raw.get("n").unwrap().boolean(), None);
    assert!(raw.get("n").unwrap().is_null());
    assert_eq!(raw.get("back\\slash").unwrap().int(), Some(1));
    assert!(raw.get("back\\\\slash").is_none());
    assert_eq!(raw.get("").unwrap().int(), Some(2));
    assert!(raw.get("a").is_none() && raw.get("O").is_none());
    assert_eq!(raw.items().count() + raw.get("i").unwrap().members().count(), 0);
    assert!(raw.get("i").unwrap().get("x").is_none() && raw.get("i").unwrap().text().is_none());
    assert_eq!(raw.get("o").unwrap().to_json().as_str(), "{\"a\":[]}");
}

#[test]
fn ids_are_texts_and_plain_integers() {
    for (text, id) in [
        ("1", Some(Id::from(1))),
        ("\"1\"", Some(Id::from("1"))),
        ("-9223372036854775808", Some(Id::from(i64::MIN))),
        ("9223372036854775808", None),
        ("-0", None),
        ("1.0", None),
        ("1e2", None),
        ("null", None),
        ("[1]", None),
    ] {
        assert_eq!(json(text).raw().id(), id, "{text}");
    }
}

#[test]
fn our_json_is_json() {
    assert_eq!(Json::text("a\"\u{1}").as_str(), r#""a\"\u0001""#);
    assert_eq!(Json::from_serialize(&[1, 2]).as_str(), "[1,2]");
    assert_eq!(
        Json::from_serialize(&std::collections::HashMap::from([((1, 2), 3)])),
        Json::null()
    );
    assert_eq!(Json::from_serialize(&f64::NAN), Json::null());
    assert_eq!(json(" [1 ,2] \n").as_str(), "[1 ,2]");
}
