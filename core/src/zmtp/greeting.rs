//! The greeting: the first 64 bytes in each direction, with the signature, the version and the security mechanism.

use super::Violation;

/// The length of a greeting.
pub const GREETING_BYTES: usize = 64;

/// The first and the last byte of the signature. The eight between them are not significant: libzmq puts the length
/// of a ZMTP 1.0 identity there.
const SIGNATURE_FIRST: u8 = 0xff;
const SIGNATURE_LAST: u8 = 0x7f;
const SIGNATURE_LAST_AT: usize = 9;
const MAJOR_AT: usize = 10;
const MINOR_AT: usize = 11;
const MECHANISM_AT: usize = 12;
const MECHANISM_BYTES: usize = 20;

const AS_SERVER_AT: usize = 32;

/// The bytes of a greeting before the mechanism. A peer that has them sends the rest of its own greeting.
const BEFORE_MECHANISM: usize = MECHANISM_AT;

/// A security mechanism of ZMTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// No security.
    Null,
    /// Encryption: see [`super::curve`].
    Curve,
    /// PLAIN, GSSAPI or another one, which Callboard does not have.
    Other,
}

impl Mechanism {
    /// Returns the name, padded with zeros as on the wire.
    fn name(self) -> [u8; MECHANISM_BYTES] {
        match self {
            Mechanism::Curve => *b"CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            Mechanism::Null | Mechanism::Other => *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        }
    }
}

/// Returns the greeting of a peer without encryption: ZMTP 3.1 with the mechanism NULL, which has no as-server flag.
pub fn greeting() -> [u8; GREETING_BYTES] {
    with_mechanism(Mechanism::Null, false)
}

/// Returns the greeting with this mechanism.
pub(super) fn with_mechanism(mechanism: Mechanism, as_server: bool) -> [u8; GREETING_BYTES] {
    let mut bytes = [0; GREETING_BYTES];
    bytes[0] = SIGNATURE_FIRST;
    bytes[SIGNATURE_LAST_AT] = SIGNATURE_LAST;
    bytes[MAJOR_AT] = 3;
    bytes[MINOR_AT] = 1;
    bytes[MECHANISM_AT..MECHANISM_AT + MECHANISM_BYTES].copy_from_slice(&mechanism.name());
    bytes[AS_SERVER_AT] = u8::from(as_server);
    bytes
}

/// Returns the part of a greeting before the mechanism: a server that has two mechanisms sends the rest when it knows the peer's.
pub(super) fn before_mechanism() -> [u8; BEFORE_MECHANISM] {
    let whole = greeting();
    *whole.first_chunk().expect("a greeting is longer")
}

/// Returns the part of a greeting that follows [`before_mechanism`].
pub(super) fn from_mechanism(mechanism: Mechanism, as_server: bool) -> [u8; GREETING_BYTES - BEFORE_MECHANISM] {
    let whole = with_mechanism(mechanism, as_server);
    *whole.last_chunk().expect("a greeting is longer")
}

/// Checks the part of a peer's greeting that `input` contains. So a peer of another protocol is rejected at its first wrong byte.
///
/// Returns the mechanism if all 64 bytes are present and valid. A higher version is valid, because such a peer must downgrade
/// (RFC 23). The filler has no meaning, and the as-server flag is not checked, because libzmq never sets it.
pub(super) fn check(input: &[u8]) -> Result<Option<Mechanism>, Violation> {
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
        return Ok(None);
    }
    let name = &input[MECHANISM_AT..MECHANISM_AT + MECHANISM_BYTES];
    let known = [Mechanism::Null, Mechanism::Curve].into_iter().find(|mechanism| mechanism.name() == name);
    Ok(Some(known.unwrap_or(Mechanism::Other)))
}
