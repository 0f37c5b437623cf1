//! Two readings that have to agree: ours and another parser's, the text and its canonical form.

use mantlet_wire::{Caps, Json, Twins, canonical};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{json, other, read, rewritten, value};

fn form(text: &str) -> String {
    String::from_utf8(canonical(json(text).raw())).unwrap()
}

#[test]
fn numbers_are_written_as_in_rfc_8785_appendix_b() {
    for (bits, text) in [
        (0x0000_0000_0000_0000_u64, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        let value = f64::from_bits(bits);
        assert_eq!(form(&format!("{value:e}")), text, "{bits:x}");
    }
}

#[test]
fn the_examples_of_rfc_8785_come_out() {
    // §3.2.2 and §3.2.4.
    let text = r#"{
       "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
       "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
       "literals": [null, true, false]
     }"#;
    assert_eq!(
        form(text),
        "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
    );
    // §3.2.3: the order is that of UTF-16 code units.
    let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
    assert_eq!(
        form(text),
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"
    );
}

#[test]
fn order_and_blanks_are_one_form_and_rounding_is_documented() {
    assert_eq!(
        form(r#" { "b" : [ 1.0 , 1e2 ] , "a" : { "d":-0.0,"c":-0 } } "#),
        r#"{"a":{"c":0,"d":0},"b":[1,100]}"#
    );
    assert_eq!(form("[[],{},[{}]]"), "[[],{},[{}]]");
    assert_eq!(form("9007199254740993"), "9007199254740992");
    assert_eq!(form("999999999999999"), "999999999999999");
    assert_eq!(form("-9223372036854775808"), "-9223372036854776000");
    assert_eq!(
        form(r#"{"aa":1,"a":{"z":0,"y":[{"b":0,"a":0}]},"":2}"#),
        r#"{"":2,"a":{"y":[{"a":0,"b":0}],"z":0},"aa":1}"#
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_reads_back(tree in value()) {
        let json = Json::from_value(&tree);
        let again = Json::parse(json.as_str().as_bytes(), &Caps::default(), Twins::Anywhere);
        prop_assert_eq!(again.unwrap().raw().to_value(), tree);
    }

    #[test]
    fn however_it_is_written_it_reads_the_same(tree in value(), mut seed in any::<u64>()) {
        let text = rewritten(&tree, &mut seed);
        let ours = json(&text);
        let theirs = other(text.as_bytes()).unwrap();
        prop_assert_eq!(&ours.raw().to_value(), &theirs);
        prop_assert_eq!(&theirs, &tree);
        let form = canonical(ours.raw());
        prop_assert_eq!(&form, &canonical(Json::from_value(&tree).raw()), "one form for all ways");
        let again = Json::parse(&form, &Caps::default(), Twins::WhereKnown).unwrap();
        prop_assert_eq!(canonical(again.raw()), form, "the form of the form is the form");
    }

    #[test]
    fn a_message_reads_back(params in value(), mut seed in any::<u64>()) {
        let whole = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "x/y", "params": {"p": params}});
        let Ok(message) = read(rewritten(&whole, &mut seed)) else { return Ok(()) };
        let again = read(message.bytes()).unwrap();
        prop_assert_eq!(again.bytes(), message.bytes());
        prop_assert_eq!(again.raw().to_value(), whole.clone());
        let written = Json::from_value(&whole);
        prop_assert_eq!(read(written.as_str()).unwrap().raw().to_value(), whole);
    }

    /// Texts that are nearly JSON: whatever we take, another parser takes and reads alike.
    #[test]
    fn we_take_nothing_that_others_refuse(parts in proptest::collection::vec(prop_oneof![
        Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"a\""), Just("\"b\""), Just("1"),
        Just("-"), Just("0"), Just("."), Just("e"), Just("+"), Just("9223372036854775807"), Just("true"),
        Just("null"), Just(" "), Just("\n"), Just("\""), Just("\\u0041"), Just("\\ud83d"), Just("\\ude00"),
        Just("\\"), Just("é"),
    ], 0..14)) {
        let text = parts.concat();
        if let Ok(ours) = Json::parse(text.as_bytes(), &Caps::default(), Twins::Anywhere) {
            prop_assert_eq!(Some(ours.raw().to_value()), other(text.as_bytes()), "{}", text);
        }
    }

    /// The other way round: what others take and we refuse has one of the reasons that are ours alone.
    #[test]
    fn we_refuse_valid_json_for_our_own_reasons_only(tree in any_value(), mut seed in any::<u64>()) {
        let text = rewritten(&tree, &mut seed);
        if let Err(reject) = Json::parse(text.as_bytes(), &Caps::default(), Twins::Anywhere) {
            prop_assert!(["twin_key", "number_out_of_range"].contains(&reject.code()), "{} {}", reject, text);
        }
    }
}

/// Any JSON value, with twins and with numbers that do not survive.
fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from)
    ];
    scalar.prop_recursive(3, 20, 5, |inner| {
        let members = proptest::collection::btree_map("[aAbBkK\u{212a} ]{0,2}", inner, 0..20);
        members.prop_map(|members| Value::Object(members.into_iter().collect()))
    })
}
