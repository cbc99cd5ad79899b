//! The transcript of a handshake: what a proof is computed over.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{AuthKey, Nonce, Proof};
use crate::wire::{
    handshake::{Challenge, Hello, Role},
    ids::{BrokerId, ConnectionNumber, SessionId, StartId},
};

/// The mechanism's name in a challenge.
pub const MECHANISM: &str = "hmac-sha-256";
/// What no other use of the same key begins with.
const PROTOCOL: &str = "callboard";

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
    pub fn new(hello: &Hello, challenge: &Challenge) -> Option<Transcript> {
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
    pub fn verify(&self, prover: Prover, key: &AuthKey, proof: &Proof) -> bool {
        self.mac(prover, key).verify_slice(&proof.0).is_ok()
    }

    /// What the proof is computed over: each field behind its length. So neither side's proof is ever the other's, nor that of
    /// another role, session, connection or start, nor that of another moment.
    pub fn to_bytes(&self, prover: Prover) -> Vec<u8> {
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
        mac.chain_update(self.to_bytes(prover))
    }
}
