//! Nonces and proofs: what travels in a handshake.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

/// 32 random bytes that one side contributes to one handshake, so that its proofs are valid for this handshake only.
///
/// They must come from a cryptographic random source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ByteArray<32>", into = "ByteArray<32>")]
pub struct Nonce(pub [u8; 32]);

/// A MAC that proves knowledge of a key. Verify it with [`Transcript::verify`](super::Transcript::verify), never with `==`, which
/// does not take constant time.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ByteArray<32>", into = "ByteArray<32>")]
pub struct Proof(pub [u8; 32]);

impl From<ByteArray<32>> for Nonce {
    fn from(bytes: ByteArray<32>) -> Nonce {
        Nonce(bytes.into_array())
    }
}

impl From<Nonce> for ByteArray<32> {
    fn from(nonce: Nonce) -> ByteArray<32> {
        ByteArray::new(nonce.0)
    }
}

impl From<ByteArray<32>> for Proof {
    fn from(bytes: ByteArray<32>) -> Proof {
        Proof(bytes.into_array())
    }
}

impl From<Proof> for ByteArray<32> {
    fn from(proof: Proof) -> ByteArray<32> {
        ByteArray::new(proof.0)
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(..)")
    }
}
