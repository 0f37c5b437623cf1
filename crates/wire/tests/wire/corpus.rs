//! Every file of `tests/corpus`. Its name says what becomes of it: `CODE__what.WHO`, with `accept` for no
//! refusal, and `both`, `client` or `server` for whose messages it is about.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use mantlet_wire::{Body, Caps, Twins, body};

use crate::support::other;

pub(crate) fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<PathBuf> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 150, "the corpus is not there");
    files
}

fn outcome(text: &[u8], twins: Twins) -> String {
    match body(Bytes::copy_from_slice(text), &Caps::default(), twins) {
        Ok(_) => "accept".to_owned(),
        Err(reject) => reject.code().to_owned(),
    }
}

#[test]
fn every_file_meets_its_fate() {
    let mut wrong = Vec::new();
    for file in files() {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let expected = name.split("__").next().unwrap();
        let text = std::fs::read(&file).unwrap();
        let client = outcome(&text, Twins::Anywhere);
        let server = outcome(&text, Twins::WhereKnown);
        let (from_client, from_server) = match file.extension().unwrap().to_str().unwrap() {
            "both" => (expected, expected),
            "client" => (expected, "accept"),
            "server" => ("twin_key", expected),
            other => panic!("{other} is nobody"),
        };
        if client != from_client || server != from_server {
            wrong.push(format!(
                "{}: {client} from a client, {server} from a server",
                file.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_accepted_another_parser_accepts_and_reads_alike() {
    for file in files() {
        let text = std::fs::read(&file).unwrap();
        let Ok(read) = body(Bytes::copy_from_slice(&text), &Caps::default(), Twins::WhereKnown) else {
            continue;
        };
        let theirs = other(&text).unwrap_or_else(|| panic!("{} is no JSON for others", file.display()));
        let ours = match read {
            Body::Single(message) => message.raw().to_value(),
            Body::Batch(messages) => messages.iter().map(|message| message.raw().to_value()).collect(),
        };
        assert_eq!(ours, theirs, "{}", file.display());
    }
}

#[test]
fn each_code_has_a_file() {
    let names: Vec<String> = files()
        .iter()
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    // The other codes need a text that is too large to keep: see `limits`.
    for code in [
        "accept",
        "batch_too_large",
        "byte_order_mark",
        "control_character",
        "duplicate_key",
        "empty",
        "empty_batch",
        "error_object_wrong",
        "id_too_long",
        "invalid_utf8",
        "lone_surrogate",
        "lookalike_key",
        "missing_id",
        "mixed_envelope",
        "not_an_object",
        "number_out_of_range",
        "number_too_long",
        "params_not_object",
        "syntax",
        "too_deep",
        "trailing_data",
        "twin_key",
        "wrong_id",
        "wrong_json_rpc_version",
        "wrong_method",
    ] {
        assert!(
            names.iter().any(|name| name.starts_with(&format!("{code}__"))),
            "{code}"
        );
    }
}
