//! Fuzz targets. They run as tests with a bound on their rounds; `cargo bolero test` runs them without one.
//! Each starts from the corpus and changes it at random.

use bolero::{check, generator::produce};
use bytes::Bytes;
use mantlet_wire::{
    Body, Caps, Events, Id, Json, Lines, Message, Twins, body, canonical, looks_like_header, write_event,
};

use crate::corpus::files;
use crate::support::other;

const ROUNDS: usize = 3_000;

/// A place in the text, what to do there, and with which byte.
type Change = (u16, u8, u8);

fn corpus() -> Vec<Vec<u8>> {
    files()
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .filter(|text| text.len() < 4000)
        .collect()
}

fn changed(mut text: Vec<u8>, other: &[u8], changes: &[Change]) -> Vec<u8> {
    for (place, action, byte) in changes {
        let at = usize::from(*place) % (text.len() + 1);
        match action % 7 {
            0 => text.insert(at, *byte),
            1 => drop((at < text.len()).then(|| text.remove(at))),
            2 => text.truncate(at),
            3 => drop(text.get_mut(at).map(|there| *there ^= 1 << (byte % 8))),
            4 => text
                .splice(at..at, other.iter().copied().take(usize::from(*byte)))
                .for_each(drop),
            5 => text.insert(at, b"{}[]\",:\\u0-.eE \n"[usize::from(*byte) % 16]),
            _ => text.extend_from_within(at..text.len().min(at + usize::from(*byte))),
        }
    }
    text
}

#[test]
fn reading() {
    let corpus = corpus();
    check!()
        .with_iterations(ROUNDS)
        .with_generator((
            produce::<u16>(),
            produce::<u16>(),
            produce::<Vec<Change>>().with().len(0..6_usize),
        ))
        .for_each(|(one, two, changes)| {
            let pick = |index: &u16| corpus[usize::from(*index) % corpus.len()].clone();
            let text = changed(pick(one), &pick(two), changes);
            for twins in [Twins::Anywhere, Twins::WhereKnown] {
                look_at(&text, twins);
            }
        });
}

#[test]
fn reading_noise() {
    check!().with_iterations(ROUNDS).for_each(|noise: &[u8]| {
        look_at(noise, Twins::Anywhere);
        let header = looks_like_header(noise);
        assert!(!header || noise.len() > 10);
        if let Ok(json) = Json::parse(noise, &Caps::default(), Twins::WhereKnown) {
            assert_eq!(Some(json.raw().to_value()), other(noise));
        }
    });
}

fn look_at(text: &[u8], twins: Twins) {
    match body(Bytes::copy_from_slice(text), &Caps::default(), twins) {
        Ok(read) => {
            let messages = match read {
                Body::Single(message) => vec![message],
                Body::Batch(messages) => messages,
            };
            assert!(
                other(text).is_some(),
                "another parser refuses {:?}",
                String::from_utf8_lossy(text)
            );
            messages.iter().for_each(|message| use_it(message, twins));
        }
        Err(reject) => {
            assert!(!reject.code().is_empty() && reject.to_string().len() < 2000);
            assert!([-32700, -32600, -32602].contains(&reject.json_rpc_code()));
        }
    }
}

/// Everything that the gateway does with a message.
fn use_it(message: &Message, twins: Twins) {
    let value = message.raw().to_value();
    assert_eq!(Some(&value), other(message.bytes()).as_ref());
    let again = mantlet_wire::message(message.bytes().clone(), &Caps::default(), twins).unwrap();
    assert_eq!(
        (again.kind(), again.id(), again.method()),
        (message.kind(), message.id(), message.method())
    );
    let canonical = canonical(message.raw());
    assert!(other(&canonical).is_some());
    assert!(!message.line().contains(&b'\n'));
    let renamed = message.with_id(&Id::from("fuzz"));
    assert_eq!(renamed.id(), Some(&Id::from("fuzz")));
    let mut edit = message.edit();
    let payload = message.params().or(message.result());
    if let Some(payload) = payload {
        edit.set(payload, "added", &Json::null());
        if let Some((key, _)) = payload.members().next() {
            edit.remove(payload, &key);
        }
        if let Some((_, value)) = payload.members().last() {
            edit.remove_item(value, 0);
            edit.set(value, "inner", &Json::text("x"));
        }
    }
    assert!(other(edit.finish().bytes()).is_some());
}

#[test]
fn framing() {
    check!()
        .with_iterations(ROUNDS)
        .with_generator((
            produce::<Vec<u8>>().with().len(0..300_usize),
            1..20_usize,
            0..200_usize,
        ))
        .for_each(|(bytes, size, cap)| {
            let (mut lines, mut events) = (Lines::new(*cap), Events::new(*cap));
            let mut taken = 0;
            for chunk in bytes.chunks(*size) {
                lines.push(chunk);
                taken += lines.by_ref().count();
                let refused = events.push(chunk).is_err();
                assert!(!refused || bytes.len() > *cap);
                taken += events
                    .by_ref()
                    .map(|event| event.data.len())
                    .filter(|length| length <= cap)
                    .count();
            }
            taken += usize::from(lines.finish().is_some());
            assert!(taken <= 2 * bytes.len());
            let mut out = Vec::new();
            write_event(&mut out, None, None, None, bytes);
            let mut written = Events::new(usize::MAX);
            written.push(&out).unwrap();
            assert_eq!(written.count(), 1);
        });
}
