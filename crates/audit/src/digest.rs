//! Digests that stand for contents in the log.

use mantlet_wire::Raw;
use sha2::{Digest as _, Sha256};

/// The digest of exactly these bytes: `sha256:` and hex.
#[must_use]
pub fn digest_bytes(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// The digest of a value whatever way it is written: over its canonical form (RFC 8785).
#[must_use]
pub fn digest(raw: Raw<'_>) -> String {
    digest_bytes(&mantlet_wire::canonical(raw))
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from(
                DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'),
            ));
        }
    }
    out
}
