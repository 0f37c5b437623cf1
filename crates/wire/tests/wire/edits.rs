//! Splicing: what is changed is changed as on a tree of values, and every other byte stays.

use mantlet_wire::{Caps, Id, Json, Kind, Message, Raw, Twins};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{below, good, json, next, read, rewritten, text, value};

fn edited<'j>(json: &'j Json, change: impl FnOnce(&mut mantlet_wire::JsonEdit<'j>, Raw<'j>)) -> String {
    let mut edit = json.edit();
    change(&mut edit, json.raw());
    edit.finish().as_str().to_owned()
}

#[test]
fn members_are_set_and_removed_with_their_commas() {
    let one = Json::from_serialize(&1);
    for (before, removed, set, after) in [
        ("{}", "", "a", r#"{"a":1}"#),
        ("{ }", "", "a", r#"{"a":1 }"#),
        ("{}", "", "a b", r#"{"a":1,"b":1}"#),
        ("{}", "a", "", "{}"),
        (r#"{"a":0}"#, "", "a", r#"{"a":1}"#),
        (r#"{"a":0}"#, "a", "", "{}"),
        (r#"{ "a" : 0 }"#, "a", "", "{  }"),
        (r#"{"a":0}"#, "a", "b", r#"{"b":1}"#),
        (r#"{"a":0}"#, "", "b c", r#"{"a":0,"b":1,"c":1}"#),
        (r#"{"a":0,"b":0,"c":0}"#, "a", "", r#"{"b":0,"c":0}"#),
        (r#"{"a":0,"b":0,"c":0}"#, "b", "", r#"{"a":0,"c":0}"#),
        (r#"{"a":0,"b":0,"c":0}"#, "c", "", r#"{"a":0,"b":0}"#),
        (r#"{"a":0,"b":0,"c":0}"#, "a b", "", r#"{"c":0}"#),
        (r#"{"a":0,"b":0,"c":0}"#, "b c", "", r#"{"a":0}"#),
        (r#"{"a":0,"b":0,"c":0}"#, "a c", "", r#"{"b":0}"#),
        (r#"{"a":0,"b":0,"c":0}"#, "a b c", "", "{}"),
        (r#"{"a":0,"b":0,"c":0}"#, "a b c", "d", r#"{"d":1}"#),
        (r#"{"a":0,"b":0,"c":0}"#, "c", "d", r#"{"a":0,"b":0,"d":1}"#),
        (r#"{"a":0,"b":0,"c":0}"#, "a b", "c d", r#"{"c":1,"d":1}"#),
        (r#"{"\u0061":{},"b":[]}"#, "", "a", r#"{"\u0061":1,"b":[]}"#),
        (r#"{"\u0061":{},"b":[]}"#, "a", "", r#"{"b":[]}"#),
        ("[1]", "a", "", "[1]"),
        ("[1]", "", "a", r#"{"a":1}"#),
        ("\"x\"", "b", "a b", r#"{"b":1,"a":1}"#),
    ] {
        let json = json(before);
        let out = edited(&json, |edit, raw| {
            for key in removed.split(' ').filter(|key| !key.is_empty()) {
                edit.remove(raw, key);
            }
            for key in set.split(' ').filter(|key| !key.is_empty()) {
                edit.set(raw, key, &one);
            }
        });
        assert_eq!(out, after, "{before} -{removed} +{set}");
    }
}

#[test]
fn items_are_removed_with_their_commas() {
    for (before, indices, after) in [
        ("[]", &[0][..], "[]"),
        ("[1]", &[0], "[]"),
        ("[1]", &[1], "[1]"),
        ("[ 1 , 2 , 3 ]", &[0], "[ 2 , 3 ]"),
        ("[ 1 , 2 , 3 ]", &[1], "[ 1 , 3 ]"),
        ("[ 1 , 2 , 3 ]", &[2], "[ 1 , 2 ]"),
        ("[1,2,3]", &[0, 1], "[3]"),
        ("[1,2,3]", &[2, 1], "[1]"),
        ("[1,2,3]", &[2, 0], "[2]"),
        ("[1,2,3]", &[2, 0, 1, 1], "[]"),
        ("{}", &[0], "{}"),
    ] {
        let json = json(before);
        let out = edited(&json, |edit, raw| {
            for index in indices {
                edit.remove_item(raw, *index);
            }
        });
        assert_eq!(out, after, "{before} {indices:?}");
    }
}

#[test]
fn the_later_and_the_outer_change_count() {
    let (one, two) = (Json::from_serialize(&1), Json::from_serialize(&2));
    let json = json(r#"{"a":{"b":{"c":0}},"d":[{"e":0}]}"#);
    let at = |path: &[&str]| json.raw().pointer(path).unwrap();
    let (inner, list) = (at(&["a", "b"]), at(&["d"]));
    let item = list.items().next().unwrap();
    macro_rules! check {
        (|$edit:ident| $change:expr, $after:expr) => {{
            let mut $edit = json.edit();
            $change;
            assert_eq!($edit.finish().as_str(), $after);
        }};
    }
    check!(
        |edit| edit.set(json.raw(), "a", &one).set(json.raw(), "a", &two),
        r#"{"a":2,"d":[{"e":0}]}"#
    );
    check!(
        |edit| edit.replace(inner, &one).replace(inner, &two),
        r#"{"a":{"b":2},"d":[{"e":0}]}"#
    );
    check!(
        |edit| edit.set(json.raw(), "a", &one).remove(json.raw(), "a"),
        r#"{"d":[{"e":0}]}"#
    );
    check!(
        |edit| edit.remove(json.raw(), "a").set(json.raw(), "a", &one),
        r#"{"a":1,"d":[{"e":0}]}"#
    );
    check!(
        |edit| edit.set(inner, "c", &one).replace(at(&["a"]), &two),
        r#"{"a":2,"d":[{"e":0}]}"#
    );
    check!(
        |edit| edit.replace(at(&["a"]), &two).set(inner, "c", &one),
        r#"{"a":2,"d":[{"e":0}]}"#
    );
    check!(
        |edit| edit.set(inner, "x", &one).remove(json.raw(), "a"),
        r#"{"d":[{"e":0}]}"#
    );
    check!(
        |edit| edit.set(item, "e", &one).remove_item(list, 0),
        r#"{"a":{"b":{"c":0}},"d":[]}"#
    );
    check!(
        |edit| edit.set(item, "f", &one).set(json.raw(), "g", &two),
        r#"{"a":{"b":{"c":0}},"d":[{"e":0,"f":1}],"g":2}"#
    );
    check!(
        |edit| edit.set(item, "f", &one).remove(item, "e"),
        r#"{"a":{"b":{"c":0}},"d":[{"f":1}]}"#
    );
    check!(|edit| edit.replace(json.raw(), &one).set(inner, "c", &two), "1");
}

#[test]
fn an_id_is_replaced_and_nothing_else() {
    let text = r#"{ "id" :"a", "jsonrpc":"2.0","future":[ 1.0 ,{}] ,"method":"tools\/call","params": {"name":"x","_meta":{"progressToken":"a"}} }"#;
    let message = good(text);
    let other = message.with_id(&Id::from(42));
    assert_eq!(other.raw().as_str(), text.replacen("\"a\"", "42", 1));
    assert_eq!(other.id(), Some(&Id::from(42)));
    assert_eq!(other.method(), Some("tools/call"));
    assert_eq!(other.meta().unwrap().as_str(), r#"{"progressToken":"a"}"#);
    assert_eq!(other.with_id(&Id::from("a")).raw().as_str(), text);
    assert_eq!(
        message.with_id(&Id::from("a")).bytes().as_ptr(),
        message.bytes().as_ptr()
    );
    assert_eq!(message.edit().finish().bytes().as_ptr(), message.bytes().as_ptr());
}

#[test]
fn an_id_is_put_in_where_there_was_none() {
    let error = good(r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}"#);
    let answered = error.with_id(&Id::from("x"));
    assert_eq!(
        answered.raw().as_str(),
        r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"},"id":"x"}"#
    );
    assert_eq!(
        (answered.kind(), answered.id()),
        (Kind::Error, Some(&Id::from("x")))
    );
    let nulled = good(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#);
    assert_eq!(
        nulled.with_id(&Id::from(3)).raw().as_str(),
        r#"{"jsonrpc":"2.0","id":3,"error":{"code":1,"message":"m"}}"#
    );
}

#[test]
fn parameters_are_replaced_as_a_whole_or_put_in() {
    let params = json(r#"{"_meta":{"a":1}}"#);
    for (before, after) in [
        (
            r#"{"jsonrpc":"2.0","method":"x"}"#,
            r#"{"jsonrpc":"2.0","method":"x","params":{"_meta":{"a":1}}}"#,
        ),
        (
            r#"{"params":{"b":2},"jsonrpc":"2.0","method":"x"}"#,
            r#"{"params":{"_meta":{"a":1}},"jsonrpc":"2.0","method":"x"}"#,
        ),
    ] {
        let message = good(before);
        let mut edit = message.edit();
        edit.set_params(&params);
        let edited = edit.finish();
        assert_eq!(edited.raw().as_str(), after);
        assert_eq!(edited.meta().unwrap().as_str(), r#"{"a":1}"#);
    }
}

#[test]
fn several_changes_at_once() {
    let message = good(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":5,"io.modelcontextprotocol/logLevel":"info"},"name":"srv_x","arguments":{"k":1.0}},"x":0}"#,
    );
    let (params, meta) = (message.params().unwrap(), message.meta().unwrap());
    let mut edit = message.edit();
    edit.set_id(&Id::from("long id"))
        .replace(params.get("name").unwrap(), &Json::text("x"))
        .replace(meta.get("progressToken").unwrap(), &Json::text("t"))
        .remove(meta, "io.modelcontextprotocol/logLevel")
        .set(params, "requestState", &Json::text("s"))
        .remove(message.raw(), "x");
    let edited = edit.finish();
    assert_eq!(
        edited.raw().as_str(),
        r#"{"jsonrpc":"2.0","id":"long id","method":"tools/call","params":{"_meta":{"progressToken":"t"},"name":"x","arguments":{"k":1.0},"requestState":"s"}}"#
    );
    assert_eq!(edited.meta().unwrap().as_str(), r#"{"progressToken":"t"}"#);
}

#[test]
fn meta_comes_and_goes() {
    let message = good(r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#);
    let mut edit = message.edit();
    edit.set(message.result().unwrap(), "_meta", &json(r#"{"a":1}"#));
    let with = edit.finish();
    assert_eq!(with.meta().unwrap().as_str(), r#"{"a":1}"#);
    let mut edit = with.edit();
    edit.remove(with.result().unwrap(), "_meta");
    let without = edit.finish();
    assert!(without.meta().is_none());
    assert_eq!(without.raw().as_str(), message.raw().as_str());
    let mut edit = with.edit();
    edit.replace(with.result().unwrap(), &json(r#"{"_meta":{}}"#));
    assert_eq!(edit.finish().meta().unwrap().as_str(), "{}");
    let mut edit = with.edit();
    edit.set(with.meta().unwrap(), "b", &Json::null());
    assert_eq!(edit.finish().meta().unwrap().as_str(), r#"{"a":1,"b":null}"#);
}

/// A mistake of ours ends in an error, not in half an edit. Debug builds stop at it.
#[cfg(not(debug_assertions))]
#[test]
fn a_misplaced_edit_fails_closed() {
    let (message, stranger) = (good(r#"{"jsonrpc":"2.0","id":1,"result":{"a":1}}"#), json("[1]"));
    let mut edit = message.edit();
    edit.set(message.result().unwrap(), "a", &Json::null())
        .replace(stranger.raw(), &Json::null());
    assert_eq!(
        (edit.finish().kind(), message.id()),
        (Kind::Error, Some(&Id::from(1)))
    );
    let mut edit = message.edit();
    edit.set_params(&json("{}"));
    assert_eq!(edit.finish().kind(), Kind::Error);
    let mut edit = message.edit();
    edit.remove(message.raw(), "result");
    assert_eq!(edit.finish().kind(), Kind::Error);
}

/// An edit of a tree of values, and the same by splicing.
fn both(before: &Json, tree: &mut Value, seed: &mut u64) -> Json {
    let mut edit = before.edit();
    for _ in 0..4 {
        let (mut raw, mut node) = (before.raw(), &mut *tree);
        // Down at random; never into what an earlier change made, which the text before does not have.
        while !next(seed).is_multiple_of(3) {
            let step = match &node {
                Value::Object(members) if !members.is_empty() => {
                    let key = members.keys().nth(below(seed, members.len())).unwrap().clone();
                    raw.get(&key).map(|raw| (key, raw))
                }
                _ => None,
            };
            let Some((key, inner)) = step else { break };
            if inner.to_value() != node[&key] {
                break;
            }
            raw = inner;
            node = node.get_mut(&key).unwrap();
        }
        let fresh = Value::from(next(seed));
        let members: Vec<String> = raw.members().map(|(key, _)| key.into_owned()).collect();
        let Value::Object(map) = node else { continue };
        let key = match below(seed, members.len() + 2) {
            0 => "new".to_owned(),
            1 => "\u{e9}\"".to_owned(),
            index => members[index - 2].clone(),
        };
        if next(seed).is_multiple_of(2) {
            edit.set(raw, &key, &Json::from_value(&fresh));
            map.insert(key, fresh);
        } else {
            edit.remove(raw, &key);
            map.remove(&key);
        }
    }
    edit.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn splicing_is_editing(tree in value(), mut seed in any::<u64>()) {
        let before = json(&rewritten(&tree, &mut seed));
        let mut after = tree.clone();
        let spliced = both(&before, &mut after, &mut seed);
        prop_assert!(Json::parse(spliced.as_str().as_bytes(), &Caps::default(), Twins::WhereKnown).is_ok(), "{spliced}");
        prop_assert_eq!(spliced.raw().to_value(), after, "{} -> {}", before, spliced);
    }

    #[test]
    fn removing_items_is_retaining(items in proptest::collection::vec(value(), 0..8), gone in any::<u8>(), mut seed in any::<u64>()) {
        let before = json(&rewritten(&Value::Array(items.clone()), &mut seed));
        let mut edit = before.edit();
        let mut kept = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            if gone >> index & 1 == 1 {
                edit.remove_item(before.raw(), index);
            } else {
                kept.push(item);
            }
        }
        let after = json(edit.finish().as_str());
        prop_assert_eq!(after.raw().to_value(), Value::Array(kept));
    }

    /// In a debug build every edit also checks that the parts are where a fresh reading finds them.
    #[test]
    fn a_message_keeps_its_parts(params in value(), id in any::<i64>(), name in text(), mut seed in any::<u64>()) {
        let mut whole = serde_json::json!({"jsonrpc": "2.0", "id": "i", "method": "x/y", "params": {"_meta": {"k": 1}, "p": params}});
        let before = rewritten(&whole, &mut seed);
        let Ok(message) = read(&before) else { return Ok(()) };
        let mut edit = message.edit();
        let params = message.params().unwrap();
        edit.set_id(&Id::from(id));
        edit.set(params, "added", &Json::text(&name));
        if next(&mut seed).is_multiple_of(2) {
            edit.remove(params, "p");
            whole["params"].as_object_mut().unwrap().remove("p");
        }
        if next(&mut seed).is_multiple_of(2) {
            edit.set(params.get("_meta").unwrap(), "l", &Json::text(&name));
            whole["params"]["_meta"]["l"] = name.clone().into();
        } else {
            edit.remove(params, "_meta");
            whole["params"].as_object_mut().unwrap().remove("_meta");
        }
        let edited: Message = edit.finish();
        whole["id"] = id.into();
        whole["params"]["added"] = name.into();
        prop_assert_eq!(edited.raw().to_value(), whole.clone());
        prop_assert_eq!(edited.meta().map(Raw::to_value), whole["params"].get("_meta").cloned());
        prop_assert_eq!(edited.id(), Some(&Id::from(id)));
    }
}
