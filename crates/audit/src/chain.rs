//! The seal of a line: `hash` is SHA-256 over the exact bytes of the line before `,"hash"`, and the line names the
//! hash of the line before it. Pure.

use mantlet_wire::{Caps, Json, Raw, Twins};
use sha2::{Digest as _, Sha256};

use crate::digest::hex;
use crate::record::Record;
use crate::time::Timestamp;

/// What the first record of a log names as the one before it.
pub(crate) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const SEAL: &str = ",\"hash\":\"";

/// A sealed line with its newline, and its hash.
pub(crate) fn seal(
    seq: u64,
    now: Timestamp,
    instance: &str,
    prev: &str,
    record: &Record,
) -> Result<(String, String), serde_json::Error> {
    let body = serde_json::to_string(record)?;
    let members = body
        .strip_prefix('{')
        .and_then(|body| body.strip_suffix('}'))
        .unwrap_or_default();
    let mut line = format!(
        "{{\"seq\":{seq},\"time\":\"{now}\",\"instance\":{},\"prev\":\"{prev}\",{members}",
        Json::text(instance).as_str()
    );
    let hash = hex(&Sha256::digest(line.as_bytes()));
    line.push_str(SEAL);
    line.push_str(&hash);
    line.push_str("\"}\n");
    Ok((line, hash))
}

/// A line that was read and whose own seal holds.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) seq: u64,
    pub(crate) prev: String,
    pub(crate) hash: String,
    pub(crate) json: Json,
}

/// Reads a line and checks its own seal.
pub(crate) fn unseal(line: &[u8]) -> Result<Sealed, String> {
    let caps = Caps {
        message_bytes: usize::MAX,
        string_bytes: usize::MAX,
        ..Caps::default()
    };
    let json = Json::parse(line, &caps, Twins::WhereKnown)
        .map_err(|reject| format!("it is no strict JSON: {reject}"))?;
    let text = json.as_str();
    let (sealed, tail) = text.rsplit_once(SEAL).ok_or("it has no seal")?;
    let stated = tail
        .strip_suffix("\"}")
        .filter(|hash| hash.len() == 64)
        .ok_or("its seal is cut off")?;
    let hash = hex(&Sha256::digest(sealed.as_bytes()));
    if hash != stated {
        return Err("its contents were changed: the hash does not fit".to_owned());
    }
    let raw = json.raw();
    let seq = raw
        .get("seq")
        .and_then(Raw::int)
        .and_then(|seq| u64::try_from(seq).ok())
        .ok_or("it has no `seq`")?;
    let prev = raw
        .get("prev")
        .and_then(Raw::text)
        .ok_or("it has no `prev`")?
        .into_owned();
    Ok(Sealed {
        seq,
        prev,
        hash,
        json,
    })
}
