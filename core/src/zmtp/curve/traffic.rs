//! Frames after the handshake: a frame of ZMTP holds one MESSAGE, and the MESSAGE holds the flags and the content.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    CurvePeer, CurveViolation,
    command::MESSAGE,
    nonce::{self, ReceivedCounter, SendCounter, ShortPrefix},
    secret_box::{MAC_BYTES, SharedKey},
};

const COUNTER_BYTES: usize = 8;
/// The offset of the encrypted part in a MESSAGE.
const ENCRYPTED_AT: usize = MESSAGE.len() + COUNTER_BYTES + MAC_BYTES;
const FLAGS_BYTES: usize = 1;

/// The bytes that a MESSAGE has in addition to the content.
pub(in crate::zmtp) const SEAL_BYTES: usize = ENCRYPTED_AT + FLAGS_BYTES;

/// What both sides have after the handshake.
#[derive(Debug)]
pub(in crate::zmtp) struct Established {
    /// Seals what is sent.
    pub(in crate::zmtp) sealer: Sealer,
    /// Opens what is received.
    pub(in crate::zmtp) opener: Opener,
    /// The proven identity of the other side.
    pub(in crate::zmtp) peer: CurvePeer,
}

/// Seals the frames of one direction.
#[derive(Debug)]
pub(in crate::zmtp) struct Sealer {
    key: SharedKey,
    prefix: &'static ShortPrefix,
    counter: SendCounter,
}

impl Sealer {
    pub(super) fn new(key: SharedKey, prefix: &'static ShortPrefix, counter: SendCounter) -> Sealer {
        Sealer { key, prefix, counter }
    }

    /// Appends the MESSAGE with this content to `out`: the content is copied once, and encrypted in place.
    ///
    /// # Errors
    /// [`CurveViolation::NoncesExhausted`]. Nothing is appended then.
    pub(in crate::zmtp) fn seal(
        &mut self,
        flags: u8,
        content: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), CurveViolation> {
        let counter = self.counter.next()?;
        out.reserve(SEAL_BYTES + content.len());
        out.put_slice(MESSAGE);
        out.put_slice(&counter);
        let mac_at = out.len();
        out.put_bytes(0, MAC_BYTES);
        out.put_u8(flags);
        out.put_slice(content);
        let (mac, encrypted) = out[mac_at..].split_at_mut(MAC_BYTES);
        mac.copy_from_slice(&self.key.seal(&nonce::short(self.prefix, counter), encrypted));
        Ok(())
    }
}

/// The flags and the content of a MESSAGE.
#[derive(Debug)]
pub(in crate::zmtp) struct Opened {
    pub(in crate::zmtp) flags: u8,
    pub(in crate::zmtp) content: Bytes,
}

/// Opens the frames of the other direction.
#[derive(Debug)]
pub(in crate::zmtp) struct Opener {
    key: SharedKey,
    prefix: &'static ShortPrefix,
    counter: ReceivedCounter,
}

impl Opener {
    pub(super) fn new(key: SharedKey, prefix: &'static ShortPrefix, counter: ReceivedCounter) -> Opener {
        Opener { key, prefix, counter }
    }

    /// Opens a MESSAGE in its own allocation, which becomes that of the content.
    ///
    /// # Errors
    /// [`CurveViolation`] if it is not the next valid MESSAGE.
    pub(in crate::zmtp) fn open(&mut self, mut message: Vec<u8>) -> Result<Opened, CurveViolation> {
        let (header, encrypted) = message.split_at_mut_checked(ENCRYPTED_AT).ok_or(CurveViolation::Malformed)?;
        let header = header.first_chunk().ok_or(CurveViolation::Malformed)?;
        let flags = self.open_in_place(header, encrypted)?;
        Ok(Opened { flags, content: Bytes::from(message).slice(SEAL_BYTES..) })
    }

    /// Opens a MESSAGE in a copy of its encrypted part.
    ///
    /// # Errors
    /// [`CurveViolation`] if it is not the next valid MESSAGE.
    pub(in crate::zmtp) fn open_copy(&mut self, message: &[u8]) -> Result<Opened, CurveViolation> {
        let (header, encrypted) = message.split_first_chunk().ok_or(CurveViolation::Malformed)?;
        let mut plaintext = encrypted.to_vec();
        let flags = self.open_in_place(header, &mut plaintext)?;
        Ok(Opened { flags, content: Bytes::from(plaintext).slice(FLAGS_BYTES..) })
    }

    /// Decrypts the part after the header, and returns the flags, its first byte.
    fn open_in_place(&mut self, header: &[u8; ENCRYPTED_AT], encrypted: &mut [u8]) -> Result<u8, CurveViolation> {
        let rest = header.strip_prefix(MESSAGE).ok_or(CurveViolation::Unencrypted)?;
        let (counter, mac) = rest.split_first_chunk().ok_or(CurveViolation::Malformed)?;
        let mac = mac.first_chunk().ok_or(CurveViolation::Malformed)?;
        self.key.open(&nonce::short(self.prefix, *counter), mac, encrypted).ok_or(CurveViolation::Message)?;
        self.counter.accept(*counter)?;
        encrypted.first().copied().ok_or(CurveViolation::Malformed)
    }
}
