//! Nonces, and what is proved with them.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use sha2::Sha256;

use super::AuthKey;
use crate::wire::{
    handshake::{Challenge, Hello, Role},
    ids::{BrokerId, ConnectionNumber, SessionId, StartId},
};

/// The mechanism's name in a challenge.
pub const MECHANISM: &str = "hmac-sha-256";
/// What no other use of the same key begins with.
const PROTOCOL: &str = "callboard";

/// 32 bytes of chance that one side gives to one handshake, so that no proof is good for two. From a source that is fit for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ByteArray<32>", into = "ByteArray<32>")]
pub struct Nonce(pub [u8; 32]);

/// The word of one who knows a key. To be checked with [`Transcript::is_proved`] and never with `==`, which takes its time by
/// where the difference is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ByteArray<32>", into = "ByteArray<32>")]
pub struct Proof(pub [u8; 32]);

/// Who proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prover {
    /// The client or worker, to the broker.
    Peer,
    /// The broker, to the client or worker.
    Broker,
}

/// Everything that a proof is about: with one byte of it changed, the proof is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// First and last protocol version that the peer speaks.
    pub versions: (u32, u32),
    /// What the peer is.
    pub role: Role,
    /// The peer's session.
    pub session: SessionId,
    /// Which connection of that session this is.
    pub connection: ConnectionNumber,
    /// The peer's nonce.
    pub peer_nonce: Nonce,
    /// The broker's nonce.
    pub broker_nonce: Nonce,
    /// The broker.
    pub broker: BrokerId,
    /// This start of it.
    pub start: StartId,
}

impl Transcript {
    /// What a hello and the challenge that answered it say. `None` if the hello has no nonce.
    pub fn of(hello: &Hello, challenge: &Challenge) -> Option<Transcript> {
        Some(Transcript {
            versions: hello.versions,
            role: hello.role,
            session: hello.session,
            connection: hello.connection,
            peer_nonce: hello.nonce?,
            broker_nonce: challenge.nonce,
            broker: challenge.broker,
            start: challenge.start,
        })
    }

    /// The proof of one who knows `key`.
    pub fn prove(&self, prover: Prover, key: &AuthKey) -> Proof {
        Proof(self.mac(prover, key).finalize().into_bytes().into())
    }

    /// Whether whoever made `proof` knows `key`. Takes the same time whether it does or not.
    pub fn is_proved(&self, prover: Prover, key: &AuthKey, proof: &Proof) -> bool {
        self.mac(prover, key).verify_slice(&proof.0).is_ok()
    }

    /// What the proof is computed over: each field behind its length. So neither side's proof is ever the other's, nor that of
    /// another role, session, connection or start, nor that of another moment.
    pub fn bytes(&self, prover: Prover) -> Vec<u8> {
        let peer = self.role.name();
        let (prover, verifier) = match prover {
            Prover::Peer => (peer, "broker"),
            Prover::Broker => ("broker", peer),
        };
        let versions = [self.versions.0.to_be_bytes(), self.versions.1.to_be_bytes()].concat();
        let fields: [&[u8]; 11] = [
            PROTOCOL.as_bytes(),
            MECHANISM.as_bytes(),
            &versions,
            prover.as_bytes(),
            verifier.as_bytes(),
            &self.peer_nonce.0,
            &self.broker_nonce.0,
            &self.session.0,
            &self.connection.0.to_be_bytes(),
            &self.broker.0,
            &self.start.0,
        ];
        let behind_length = |field: &&[u8]| {
            let len = u32::try_from(field.len()).expect("the longest field is a nonce");
            [&len.to_be_bytes(), *field].concat()
        };
        fields.iter().flat_map(behind_length).collect()
    }

    fn mac(&self, prover: Prover, key: &AuthKey) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(key.secret()).expect("HMAC takes keys of any length");
        mac.chain_update(self.bytes(prover))
    }
}

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
