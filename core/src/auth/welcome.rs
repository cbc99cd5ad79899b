//! The broker's proof in its welcome.
//!
//! The proof is the last value of the welcome, so the last 32 bytes of the body are the proof and the bytes before them are what it
//! covers. A receiver verifies the body before it decodes it, and never encodes it again.

use bytes::Bytes;

use super::{AuthKey, Proof, Prover, Transcript};
use crate::{body, wire::handshake::Welcome};

impl Transcript {
    /// Returns the body of a welcome with the broker's proof that it knows `key`.
    pub fn seal_welcome(&self, key: &AuthKey, welcome: Welcome) -> Bytes {
        let unproved = Welcome { proof: Some(Proof([0; 32])), ..welcome };
        let body = body::encode(&unproved).expect("a welcome has a CBOR form");
        let (welcome, _) = split_proof(&body).expect("a welcome with a proof ends with the proof");
        let proof = self.prove(Prover::Broker { welcome }, key);
        Bytes::from([welcome, &proof.0].concat())
    }

    /// Returns whether the body of a welcome ends with the broker's proof that it knows `key`.
    pub fn verify_welcome(&self, key: &AuthKey, body: &[u8]) -> bool {
        split_proof(body).is_some_and(|(welcome, proof)| self.verify(Prover::Broker { welcome }, key, &proof))
    }
}

/// Splits the body of a welcome into the bytes that the proof covers, and the proof.
fn split_proof(body: &[u8]) -> Option<(&[u8], Proof)> {
    let (welcome, proof) = body.split_last_chunk()?;
    Some((welcome, Proof(*proof)))
}
