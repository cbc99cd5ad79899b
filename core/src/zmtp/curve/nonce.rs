//! Nonces: the counters of the two directions, and the random ones of the handshake.

use super::{CurveViolation, secret_box::NONCE_BYTES};

/// The prefix of a nonce that ends with a counter of 8 bytes.
pub(super) type ShortPrefix = [u8; 16];
/// The prefix of a nonce that ends with 16 random bytes.
pub(super) type LongPrefix = [u8; 8];

pub(super) const HELLO_PREFIX: &ShortPrefix = b"CurveZMQHELLO---";
pub(super) const INITIATE_PREFIX: &ShortPrefix = b"CurveZMQINITIATE";
pub(super) const READY_PREFIX: &ShortPrefix = b"CurveZMQREADY---";
pub(super) const CLIENT_MESSAGE_PREFIX: &ShortPrefix = b"CurveZMQMESSAGEC";
pub(super) const SERVER_MESSAGE_PREFIX: &ShortPrefix = b"CurveZMQMESSAGES";
pub(super) const WELCOME_PREFIX: &LongPrefix = b"WELCOME-";
pub(super) const VOUCH_PREFIX: &LongPrefix = b"VOUCH---";

/// Returns the nonce with this counter.
pub(super) fn short(prefix: &ShortPrefix, counter: [u8; 8]) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[..16].copy_from_slice(prefix);
    nonce[16..].copy_from_slice(&counter);
    nonce
}

/// Returns the nonce with these random bytes.
pub(super) fn long(prefix: &LongPrefix, random: &[u8; 16]) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[..8].copy_from_slice(prefix);
    nonce[8..].copy_from_slice(random);
    nonce
}

/// The counter of what one side sends, from 1. A value is used once: at the end of the numbers the connection ends.
#[derive(Debug, Default)]
pub(super) struct SendCounter(u64);

impl SendCounter {
    /// Takes the next value.
    ///
    /// # Errors
    /// [`CurveViolation::NoncesExhausted`] after the last value. Then there is never a next one.
    pub(super) fn next(&mut self) -> Result<[u8; 8], CurveViolation> {
        self.0 = self.0.checked_add(1).ok_or(CurveViolation::NoncesExhausted)?;
        Ok(self.0.to_be_bytes())
    }

    #[cfg(test)]
    pub(super) fn after(last: u64) -> SendCounter {
        SendCounter(last)
    }
}

/// The counter of what the other side sends. It must increase by one each time, so that nothing is accepted twice or out of order, and
/// nothing is missing. RFC 26 requires only that it increases; all implementations of ZeroMQ count one by one.
#[derive(Debug, Default)]
pub(super) struct ReceivedCounter(u64);

impl ReceivedCounter {
    /// Accepts the counter of a box that was opened.
    ///
    /// # Errors
    /// [`CurveViolation::Sequence`] if it does not follow the one before; the first one is 1.
    pub(super) fn accept(&mut self, counter: [u8; 8]) -> Result<(), CurveViolation> {
        let counter = u64::from_be_bytes(counter);
        if self.0.checked_add(1) != Some(counter) {
            return Err(CurveViolation::Sequence);
        }
        self.0 = counter;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn after(last: u64) -> ReceivedCounter {
        ReceivedCounter(last)
    }
}
