//! Randomness as the gateway uses it: unguessable handles.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 256 random bits as visible ASCII (MCP 2025-11-25 basic/transports §Session Management).
/// Without a source of randomness there is nothing safe to do but to stop serving: an empty handle is never
/// accepted by its users.
pub(crate) fn handle() -> String {
    let mut bytes = [0_u8; 32];
    match getrandom::fill(&mut bytes) {
        Ok(()) => URL_SAFE_NO_PAD.encode(bytes),
        Err(_) => String::new(),
    }
}
