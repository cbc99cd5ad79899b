//! The transcript of a handshake: the messages that a proof covers.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{AuthKey, ChannelBinding, Proof};
use crate::wire::handshake::Role;

/// The name of the mechanism in a challenge.
pub const MECHANISM: &str = "hmac-sha-256";
/// The first field of each MAC input. It separates these proofs from other uses of the same key.
const PROTOCOL: &str = "callboard";

/// The side that makes a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prover<'a> {
    /// The client or worker, to the broker.
    Peer,
    /// The broker, to the client or worker.
    Broker {
        /// The body of the welcome up to its proof.
        welcome: &'a [u8],
    },
}

/// A transcript that begins with the hello of a peer. The challenge completes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloTranscript {
    role: Role,
    hello: [u8; 32],
    channel: Option<ChannelBinding>,
}

/// The messages of a handshake that a proof covers, as hashes. If a byte of them changes, the proof is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcript {
    begin: HelloTranscript,
    challenge: [u8; 32],
}

impl HelloTranscript {
    /// Begins the transcript of a peer of `role` with the exact body of its hello. `channel` is the binding of the encrypted channel that
    /// both sides use, if there is one.
    pub fn new(role: Role, hello: &[u8], channel: Option<ChannelBinding>) -> HelloTranscript {
        HelloTranscript { role, hello: Sha256::digest(hello).into(), channel }
    }

    /// Returns whether the handshake is that of an encrypted channel.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.channel.is_some()
    }

    /// Adds the exact body of the challenge.
    pub fn with_challenge(self, challenge: &[u8]) -> Transcript {
        Transcript { begin: self, challenge: Sha256::digest(challenge).into() }
    }
}

impl Transcript {
    /// Creates the proof of `prover` that it knows `key`.
    pub fn prove(&self, prover: Prover<'_>, key: &AuthKey) -> Proof {
        Proof(self.mac(prover, key).finalize().into_bytes().into())
    }

    /// Returns whether `proof` was made by `prover` with `key`. Takes constant time.
    pub fn verify(&self, prover: Prover<'_>, key: &AuthKey, proof: &Proof) -> bool {
        self.mac(prover, key).verify_slice(&proof.0).is_ok()
    }

    /// Returns the input of the MAC: each field after its length.
    ///
    /// So a proof is not valid for the other side, for another hello, challenge or welcome, or on another encrypted channel. Hello and
    /// challenge contain nonces, so it is not valid for another handshake either.
    pub fn to_bytes(&self, prover: Prover<'_>) -> Vec<u8> {
        let peer = self.begin.role.name();
        let (prover, verifier, welcome) = match prover {
            Prover::Peer => (peer, "broker", None),
            Prover::Broker { welcome } => ("broker", peer, Some(<[u8; 32]>::from(Sha256::digest(welcome)))),
        };
        let fields: [&[u8]; 8] = [
            PROTOCOL.as_bytes(),
            MECHANISM.as_bytes(),
            prover.as_bytes(),
            verifier.as_bytes(),
            &self.begin.hello,
            &self.challenge,
            self.begin.channel.as_ref().map_or(&[], |binding| &binding.0),
            welcome.as_ref().map_or(&[], |hash| hash),
        ];
        let with_length = |field: &&[u8]| {
            let len = u32::try_from(field.len()).expect("the longest field is a hash");
            [&len.to_be_bytes(), *field].concat()
        };
        fields.iter().flat_map(with_length).collect()
    }

    fn mac(&self, prover: Prover<'_>, key: &AuthKey) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(key.secret()).expect("HMAC takes keys of any length");
        mac.chain_update(self.to_bytes(prover))
    }
}
