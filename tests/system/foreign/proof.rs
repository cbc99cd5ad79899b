//! Authentication, as section 3.7 specifies it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{
    cbor::Cbor,
    peer::{Envelope, Peer, array, map, text},
};

const PROOF: u64 = 2;
const VERSIONS: [u32; 2] = [1, 1];
const CONNECTION: u64 = 1;

/// The values that both sides know before the proofs.
struct Handshake {
    session: [u8; 16],
    nonce: [u8; 32],
    challenge: Cbor,
}

/// Sends a hello and a proof of the key. Returns the peer, the broker's answer, and the proof that the broker should send.
pub(super) fn prove(address: &str, role: &str, key: &[u8], session: u8) -> (Peer, Envelope, Vec<u8>) {
    let mut peer = Peer::connect(address);
    let (session, nonce) = ([session; 16], [session ^ 0xff; 32]);
    let hello = map([
        ("versions", array(VERSIONS.map(|version| Cbor::Uint(version.into())))),
        ("role", text(role)),
        ("session", Cbor::Bytes(session.to_vec())),
        ("connection", Cbor::Uint(CONNECTION)),
        ("heartbeat_ms", Cbor::Uint(600_000)),
        ("instance", text("by-hand")),
        ("nonce", Cbor::Bytes(nonce.to_vec())),
    ]);
    peer.send(&[(0, Cbor::Uint(0))], &hello.encoded());
    let challenge = Cbor::decoded(&peer.receive().body);
    assert_eq!(challenge.at("mechanism"), &text("hmac-sha-256"));
    let handshake = Handshake { session, nonce, challenge };
    let proof = map([("proof", Cbor::Bytes(handshake.proof(role, "broker", key)))]);
    peer.send(&[(0, Cbor::Uint(PROOF))], &proof.encoded());
    let answer = peer.receive();
    (peer, answer, handshake.proof("broker", role, key))
}

impl Handshake {
    fn proof(&self, prover: &str, verifier: &str, key: &[u8]) -> Vec<u8> {
        let versions = VERSIONS.map(u32::to_be_bytes).concat();
        let fields: [&[u8]; 11] = [
            b"callboard",
            b"hmac-sha-256",
            &versions,
            prover.as_bytes(),
            verifier.as_bytes(),
            &self.nonce,
            self.challenge.at("nonce").bytes(),
            &self.session,
            &CONNECTION.to_be_bytes(),
            self.challenge.at("broker").bytes(),
            self.challenge.at("start").bytes(),
        ];
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        for field in fields {
            mac.update(&u32::try_from(field.len()).unwrap().to_be_bytes());
            mac.update(field);
        }
        mac.finalize().into_bytes().to_vec()
    }
}
