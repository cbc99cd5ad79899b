//! The transcript of a handshake: the fields that a proof is computed over.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{AuthKey, Nonce, Proof};
use crate::wire::{
    handshake::{Challenge, Hello, Role},
    ids::{BrokerId, ConnectionNumber, SessionId, StartId},
};

/// The name of the mechanism in a challenge.
pub const MECHANISM: &str = "hmac-sha-256";
/// The first field of each MAC input. It separates these proofs from other uses of the same key.
const PROTOCOL: &str = "callboard";

/// The side that makes a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prover {
    /// The client or worker, to the broker.
    Peer,
    /// The broker, to the client or worker.
    Broker,
}

/// The fields of a handshake that a proof covers. If a byte of them changes, the proof is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// The first and the last protocol version that the peer supports.
    pub versions: (u32, u32),
    /// The role of the peer.
    pub role: Role,
    /// The peer's session.
    pub session: SessionId,
    /// The number of the connection in that session.
    pub connection: ConnectionNumber,
    /// The peer's nonce.
    pub peer_nonce: Nonce,
    /// The broker's nonce.
    pub broker_nonce: Nonce,
    /// The id of the broker.
    pub broker: BrokerId,
    /// The id of the broker's current run.
    pub start: StartId,
}

impl Transcript {
    /// Creates the transcript of a hello and the challenge that followed it. `None` if the hello has no nonce.
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

    /// Creates the proof of `prover` that it knows `key`.
    pub fn prove(&self, prover: Prover, key: &AuthKey) -> Proof {
        Proof(self.mac(prover, key).finalize().into_bytes().into())
    }

    /// Returns whether `proof` was made by `prover` with `key`. Takes constant time.
    pub fn verify(&self, prover: Prover, key: &AuthKey, proof: &Proof) -> bool {
        self.mac(prover, key).verify_slice(&proof.0).is_ok()
    }

    /// Returns the input of the MAC: each field after its length.
    ///
    /// So a proof is not valid for the other side, for another role, session, connection or run of the broker, or for another
    /// handshake.
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
        let with_length = |field: &&[u8]| {
            let len = u32::try_from(field.len()).expect("the longest field is a nonce");
            [&len.to_be_bytes(), *field].concat()
        };
        fields.iter().flat_map(with_length).collect()
    }

    fn mac(&self, prover: Prover, key: &AuthKey) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(key.secret()).expect("HMAC takes keys of any length");
        mac.chain_update(self.to_bytes(prover))
    }
}
