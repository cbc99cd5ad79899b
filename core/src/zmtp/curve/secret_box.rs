//! The cipher: NaCl's `crypto_box`, which is X25519, XSalsa20 and Poly1305.
//!
//! This is the only file that names the crate with the primitives.

use dryoc::classic::{
    crypto_box::{crypto_box_beforenm, crypto_box_detached_afternm_inplace, crypto_box_open_detached_afternm_inplace},
    crypto_core::crypto_scalarmult_base,
};
use zeroize::Zeroizing;

pub(super) const NONCE_BYTES: usize = 24;
/// The length of the code that authenticates a box.
pub(super) const MAC_BYTES: usize = 16;

/// Returns the public key of a secret one.
pub(super) fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    let mut public = [0; 32];
    crypto_scalarmult_base(&mut public, secret);
    public
}

/// The key that two key pairs have in common. Its memory is wiped when it is dropped.
#[derive(Clone)]
pub(super) struct SharedKey(Zeroizing<[u8; 32]>);

impl SharedKey {
    /// Computes the key. `None` if the public key is one of the few that yield the same key for all secrets, or has its top bit set:
    /// X25519 ignores that bit, so two keys would have the same owner, and a change on the way would not be noticed.
    pub(super) fn new(public: &[u8; 32], secret: &[u8; 32]) -> Option<SharedKey> {
        if public[31] & 0x80 != 0 {
            return None;
        }
        let key = crypto_box_beforenm(public, secret).ok()?;
        Some(SharedKey(Zeroizing::new(key)))
    }

    /// Encrypts `data` in place, and returns the code that authenticates it. A nonce must not be used twice with one key.
    pub(super) fn seal(&self, nonce: &[u8; NONCE_BYTES], data: &mut [u8]) -> [u8; MAC_BYTES] {
        let mut mac = [0; MAC_BYTES];
        crypto_box_detached_afternm_inplace(data, &mut mac, nonce, &self.0);
        mac
    }

    /// Decrypts `data` in place. `None` if it is not what was sealed with this key and nonce.
    pub(super) fn open(&self, nonce: &[u8; NONCE_BYTES], mac: &[u8; MAC_BYTES], data: &mut [u8]) -> Option<()> {
        crypto_box_open_detached_afternm_inplace(data, mac, nonce, &self.0).ok()
    }

    /// Returns a box: the code that authenticates it, then the encrypted plaintext.
    pub(super) fn seal_box(&self, nonce: &[u8; NONCE_BYTES], plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = [&[0; MAC_BYTES], plaintext].concat();
        let mac = self.seal(nonce, &mut sealed[MAC_BYTES..]);
        sealed[..MAC_BYTES].copy_from_slice(&mac);
        sealed
    }

    /// Returns the plaintext of a box. `None` if it is not what was sealed with this key and nonce.
    pub(super) fn open_box(&self, nonce: &[u8; NONCE_BYTES], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (mac, encrypted) = sealed.split_first_chunk()?;
        let mut plaintext = Zeroizing::new(encrypted.to_vec());
        self.open(nonce, mac, &mut plaintext)?;
        Some(plaintext)
    }
}

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedKey(..)")
    }
}
