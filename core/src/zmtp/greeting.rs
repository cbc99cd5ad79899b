//! The first 64 bytes each way: signature, version, security mechanism.

use super::Violation;

/// A greeting's length on the wire.
pub(super) const GREETING_BYTES: usize = 64;

/// The first and the last byte of the signature. The eight between them are not significant: libzmq puts the length
/// of a ZMTP 1.0 identity there.
const SIGNATURE_FIRST: u8 = 0xff;
const SIGNATURE_LAST: u8 = 0x7f;
const SIGNATURE_LAST_AT: usize = 9;
const MAJOR_AT: usize = 10;
const MINOR_AT: usize = 11;
const MECHANISM_AT: usize = 12;
const MECHANISM_BYTES: usize = 20;

/// The only mechanism for now, padded with zeros as on the wire.
const NULL: [u8; MECHANISM_BYTES] = *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Our greeting: ZMTP 3.1, NULL, not "as server" (which NULL does not have).
pub fn greeting() -> [u8; GREETING_BYTES] {
    let mut bytes = [0; GREETING_BYTES];
    bytes[0] = SIGNATURE_FIRST;
    bytes[SIGNATURE_LAST_AT] = SIGNATURE_LAST;
    bytes[MAJOR_AT] = 3;
    bytes[MINOR_AT] = 1;
    bytes[MECHANISM_AT..MECHANISM_AT + MECHANISM_BYTES].copy_from_slice(&NULL);
    bytes
}

/// Checks as much of a peer's greeting as `input` holds, so that a stranger is sent away at its first wrong byte.
/// `true`: all 64 bytes are there and fine.
///
/// A higher version than ours is fine: its peer is the one to step down (RFC 23). The as-server flag and the filler say
/// nothing with NULL.
pub(super) fn check(input: &[u8]) -> Result<bool, Violation> {
    if input.first().is_some_and(|byte| *byte != SIGNATURE_FIRST) {
        return Err(Violation::NotZmtp);
    }
    if input.get(SIGNATURE_LAST_AT).is_some_and(|byte| *byte != SIGNATURE_LAST) {
        return Err(Violation::NotZmtp);
    }
    if let Some(&major) = input.get(MAJOR_AT).filter(|major| **major < 3) {
        return Err(Violation::Version { major });
    }
    if input.len() < GREETING_BYTES {
        return Ok(false);
    }
    if input[MECHANISM_AT..MECHANISM_AT + MECHANISM_BYTES] != NULL {
        return Err(Violation::Mechanism);
    }
    Ok(true)
}
