//! Authentication, as section 3.7 specifies it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{
    cbor::Cbor,
    peer::{Envelope, Peer, array, map, text},
};

const PROOF: u64 = 2;
const VERSIONS: [u32; 2] = [2, 2];
/// The bytes of a proof, which are the last ones of a welcome.
const PROOF_BYTES: usize = 32;

/// The messages that both sides know before the proofs.
struct Handshake {
    hello: Vec<u8>,
    challenge: Vec<u8>,
}

/// What a broker has to prove in its welcome.
pub(super) struct ExpectedProof {
    handshake: Handshake,
    role: String,
    key: Vec<u8>,
}

/// Sends a hello and a proof of the key. Returns the peer, the broker's answer, and the proof that the broker should send.
pub(super) fn prove(address: &str, role: &str, key: &[u8], session: u8) -> (Peer, Envelope, ExpectedProof) {
    let mut peer = Peer::connect(address);
    let hello = map([
        ("versions", array(VERSIONS.map(|version| Cbor::Uint(version.into())))),
        ("role", text(role)),
        ("session", Cbor::Bytes(vec![session; 16])),
        ("connection", Cbor::Uint(1)),
        ("heartbeat_ms", Cbor::Uint(600_000)),
        ("instance", text("by-hand")),
        ("nonce", Cbor::Bytes(vec![session ^ 0xff; 32])),
    ])
    .encoded();
    peer.send(&[(0, Cbor::Uint(0))], &hello);
    let challenge = peer.receive().body;
    assert_eq!(Cbor::decoded(&challenge).at("mechanism"), &text("hmac-sha-256"));
    let handshake = Handshake { hello, challenge };
    let proof = map([("proof", Cbor::Bytes(handshake.proof(role, "broker", None, key)))]);
    peer.send(&[(0, Cbor::Uint(PROOF))], &proof.encoded());
    let answer = peer.receive();
    (peer, answer, ExpectedProof { handshake, role: role.to_owned(), key: key.to_vec() })
}

impl ExpectedProof {
    /// Returns whether the body of a welcome ends with the proof.
    pub(super) fn is_in(&self, welcome: &[u8]) -> bool {
        let (covered, proof) = welcome.split_at(welcome.len() - PROOF_BYTES);
        self.handshake.proof("broker", &self.role, Some(covered), &self.key) == proof
    }
}

impl Handshake {
    fn proof(&self, prover: &str, verifier: &str, welcome: Option<&[u8]>, key: &[u8]) -> Vec<u8> {
        let hash = |body: &[u8]| Sha256::digest(body).to_vec();
        let (hello, challenge) = (hash(&self.hello), hash(&self.challenge));
        let welcome = welcome.map(hash).unwrap_or_default();
        let no_channel: &[u8] = &[];
        let fields: [&[u8]; 8] = [
            b"callboard",
            b"hmac-sha-256",
            prover.as_bytes(),
            verifier.as_bytes(),
            &hello,
            &challenge,
            no_channel,
            &welcome,
        ];
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        for field in fields {
            mac.update(&u32::try_from(field.len()).unwrap().to_be_bytes());
            mac.update(field);
        }
        mac.finalize().into_bytes().to_vec()
    }
}
