//! The greeting: the first 64 bytes in each direction, with the signature, the version and the security mechanism.

use super::Violation;

/// The length of a greeting.
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

/// The only supported mechanism, padded with zeros as on the wire.
const NULL: [u8; MECHANISM_BYTES] = *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Returns the greeting of the broker: ZMTP 3.1 with the mechanism NULL, which has no as-server flag.
pub fn greeting() -> [u8; GREETING_BYTES] {
    let mut bytes = [0; GREETING_BYTES];
    bytes[0] = SIGNATURE_FIRST;
    bytes[SIGNATURE_LAST_AT] = SIGNATURE_LAST;
    bytes[MAJOR_AT] = 3;
    bytes[MINOR_AT] = 1;
    bytes[MECHANISM_AT..MECHANISM_AT + MECHANISM_BYTES].copy_from_slice(&NULL);
    bytes
}

/// Checks the part of a peer's greeting that `input` contains. So a peer of another protocol is rejected at its first wrong byte.
///
/// Returns whether all 64 bytes are present and valid. A higher version is valid, because such a peer must downgrade (RFC 23). The
/// as-server flag and the filler have no meaning with NULL.
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
