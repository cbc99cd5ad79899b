//! Tests of the text forms of keys, and of what a proof covers.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;

use super::{AuthKey, AuthKeyError, AuthKeys, AuthKeysError, Nonce, Proof, Prover, Roles, Transcript};
use crate::{
    body,
    wire::{
        handshake::{Challenge, ChallengeResponse, Role},
        ids::{BrokerId, ConnectionNumber, SessionId, StartId},
        limits::{AUTHKEY_BYTES_MAX, AUTHKEYS_MAX},
    },
};

const VECTORS: &str = include_str!("../../vectors/auth.json");
const SECRET: &str = "0123456789abcdef";

fn key() -> AuthKey {
    AuthKey::new(SECRET).unwrap()
}

fn transcript() -> Transcript {
    Transcript {
        versions: (1, 1),
        role: Role::Client,
        session: SessionId([1; 16]),
        connection: ConnectionNumber(2),
        peer_nonce: Nonce([3; 32]),
        broker_nonce: Nonce([4; 32]),
        broker: BrokerId([5; 16]),
        start: StartId([6; 16]),
    }
}

fn from_hex<const LEN: usize>(text: &Value) -> [u8; LEN] {
    bytes_of(text).try_into().unwrap()
}

fn bytes_of(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap().as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn from_vector(vector: &Value) -> Transcript {
    let version = |at: usize| u32::try_from(vector["versions"][at].as_u64().unwrap()).unwrap();
    Transcript {
        versions: (version(0), version(1)),
        role: serde_json::from_value(vector["role"].clone()).unwrap(),
        session: SessionId(from_hex(&vector["session"])),
        connection: ConnectionNumber(vector["connection"].as_u64().unwrap()),
        peer_nonce: Nonce(from_hex(&vector["peer_nonce"])),
        broker_nonce: Nonce(from_hex(&vector["broker_nonce"])),
        broker: BrokerId(from_hex(&vector["broker"])),
        start: StartId(from_hex(&vector["start"])),
    }
}

#[test]
fn proofs_match_the_test_vectors() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let (name, transcript) = (&vector["name"], from_vector(&vector));
        let key = AuthKey::new(bytes_of(&vector["key"])).unwrap();
        for (prover, side) in [(Prover::Peer, "peer"), (Prover::Broker, "broker")] {
            assert_eq!(transcript.to_bytes(prover), bytes_of(&vector[format!("{side}_transcript")]), "{name} {side}");
            let proof = Proof(from_hex(&vector[format!("{side}_proof")]));
            assert_eq!(transcript.prove(prover, &key), proof, "{name} {side}");
            assert!(transcript.verify(prover, &key, &proof), "{name} {side}");
        }
        let answer = ChallengeResponse { proof: transcript.prove(Prover::Peer, &key) };
        assert_eq!(body::encode(&answer).unwrap(), bytes_of(&vector["proof_body"]), "{name}");
        let challenge: Challenge = body::decode(&bytes_of(&vector["challenge_body"])).unwrap();
        assert_eq!((challenge.nonce, challenge.start), (transcript.broker_nonce, transcript.start), "{name}");
    }
}

#[test]
fn a_proof_is_valid_for_its_own_transcript_only() {
    let proof = transcript().prove(Prover::Peer, &key());
    let others = [
        Transcript { versions: (1, 2), ..transcript() },
        Transcript { role: Role::Worker, ..transcript() },
        Transcript { session: SessionId([9; 16]), ..transcript() },
        Transcript { connection: ConnectionNumber(3), ..transcript() },
        Transcript { peer_nonce: Nonce([9; 32]), ..transcript() },
        Transcript { broker_nonce: Nonce([9; 32]), ..transcript() },
        Transcript { peer_nonce: Nonce([4; 32]), broker_nonce: Nonce([3; 32]), ..transcript() },
        Transcript { broker: BrokerId([9; 16]), ..transcript() },
        Transcript { start: StartId([9; 16]), ..transcript() },
    ];
    assert!(transcript().verify(Prover::Peer, &key(), &proof));
    assert!(!transcript().verify(Prover::Broker, &key(), &proof), "it is not valid for the other side");
    for other in others {
        assert!(!other.verify(Prover::Peer, &key(), &proof), "{other:?}");
    }
    assert!(!transcript().verify(Prover::Peer, &AuthKey::new("0123456789abcdeg").unwrap(), &proof));
}

proptest! {
    #[test]
    fn a_proof_with_a_changed_bit_is_invalid(bit in 0..256usize) {
        let mut proof = transcript().prove(Prover::Peer, &key());
        proof.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!transcript().verify(Prover::Peer, &key(), &proof));
    }

    #[test]
    fn a_key_with_a_changed_bit_is_another_key(bit in 0..128usize) {
        let mut secret = SECRET.as_bytes().to_vec();
        secret[bit / 8] ^= 1 << (bit % 8);
        let proof = transcript().prove(Prover::Peer, &AuthKey::new(secret).unwrap());
        prop_assert!(!transcript().verify(Prover::Peer, &key(), &proof));
    }

    #[test]
    fn parsing_keys_never_shows_the_text_in_its_error(text in "[ -~\n]{0,80}", secret in "[a-z]{20}") {
        let text = format!("{text}{secret}");
        let shown = match text.parse::<AuthKeys>() {
            Ok(keys) => format!("{keys:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        // An id is not secret.
        prop_assert!(!shown.contains(&secret) || text.contains("id="), "{shown}");
    }

    #[test]
    fn a_key_is_parsed_back_from_its_line(secret in prop::collection::vec(any::<u8>(), 16..60)) {
        let key = AuthKey::new(&secret).unwrap();
        if let Some(line) = key.to_line() {
            prop_assert!(line.parse::<AuthKey>().unwrap().has_same_secret(&key));
        }
    }
}

#[test]
fn a_line_is_a_key_or_a_list_of_fields() {
    let bare: AuthKey = "  Zm9yIHRlc3RzIG9ubHkgZm9yIHRlc3RzIG9ubHk=  ".parse().unwrap();
    assert!(bare.has_same_secret(&AuthKey::new("Zm9yIHRlc3RzIG9ubHkgZm9yIHRlc3RzIG9ubHk=").unwrap()));
    assert_eq!((bare.id(), bare.roles()), (None, Roles::ALL));
    let full: AuthKey = "roles=worker id=pool-1  key=a key with spaces in it".parse().unwrap();
    assert!(full.has_same_secret(&AuthKey::new("a key with spaces in it").unwrap()));
    assert_eq!((full.id(), full.roles()), (Some("pool-1"), "worker".parse().unwrap()));
    let prefixed: AuthKey = "key=id=this is all of it".parse().unwrap();
    assert!(prefixed.has_same_secret(&AuthKey::new("id=this is all of it").unwrap()));
}

#[test]
fn an_invalid_key_is_an_error_that_names_the_mistake() {
    let error = |line: &str| line.parse::<AuthKey>().unwrap_err();
    assert_eq!(error("short"), AuthKeyError::Length(5));
    assert_eq!(error("key=short"), AuthKeyError::Length(5));
    assert_eq!(error(&"a".repeat(AUTHKEY_BYTES_MAX + 1)), AuthKeyError::Length(AUTHKEY_BYTES_MAX + 1));
    for line in ["id=a 0123456789abcdef", "id=a", "id=a id=b key=0123456789abcdef", "roles=worker k=0123456789abcdef"] {
        assert_eq!(error(line), AuthKeyError::Fields, "{line}");
    }
    assert_eq!(error("id=a/b key=0123456789abcdef"), AuthKeyError::Id);
    for roles in ["", "admin", "client,", "client worker", "Client"] {
        let line = format!("roles={roles} key=0123456789abcdef");
        assert!(matches!(error(&line), AuthKeyError::Roles | AuthKeyError::Fields), "{line}");
    }
}

#[test]
fn an_operator_may_be_a_client_and_a_client_is_not_an_operator() {
    let roles = |text: &str| text.parse::<Roles>().unwrap();
    let permissions = |roles: Roles| (roles.permits(Role::Client), roles.permits(Role::Worker), roles.is_operator());
    assert_eq!(permissions(roles("client")), (true, false, false));
    assert_eq!(permissions(roles("worker")), (false, true, false));
    assert_eq!(permissions(roles("operator")), (true, false, true));
    assert_eq!(permissions(roles("client,worker")), (true, true, false));
    assert_eq!(roles("worker,operator"), Roles::ALL);
}

#[test]
fn a_file_has_one_key_on_each_line_and_comments() {
    let keys: AuthKeys = "# ours\n\n  id=b key=0123456789abcdef\r\n\tfedcba9876543210 \n".parse().unwrap();
    let ids: Vec<_> = keys.iter().map(AuthKey::id).collect();
    assert_eq!(ids, [Some("b"), None]);
    assert!(keys.first().has_same_secret(&key()));
}

#[test]
fn an_invalid_key_file_is_an_error_with_the_line() {
    let error = |text: &str| text.parse::<AuthKeys>().unwrap_err();
    assert_eq!(error("# nothing\n\n"), AuthKeysError::Empty);
    let line = AuthKeysError::Line { line: 3, error: AuthKeyError::Length(5) };
    assert_eq!(error("# one\n0123456789abcdef\nshort\n"), line);
    assert_eq!(error("0123456789abcdef\nid=a key=0123456789abcdef"), AuthKeysError::Duplicate);
    assert_eq!(error("id=a key=0123456789abcdef\nid=a key=fedcba9876543210"), AuthKeysError::Duplicate);
    let many: String = (0..=AUTHKEYS_MAX).map(|number| format!("key number {number:0>16}\n")).collect();
    assert_eq!(error(&many), AuthKeysError::TooMany);
}

#[test]
fn debug_output_does_not_show_a_key_or_a_proof() {
    let key = "id=billing key=0123456789abcdef".parse::<AuthKey>().unwrap();
    let proof = transcript().prove(Prover::Peer, &key);
    for shown in [format!("{key:?}"), format!("{key:#?}"), format!("{:?}", AuthKeys::from(key))] {
        assert!(!shown.contains("0123") && !shown.contains("48, 49"), "{shown}");
    }
    assert_eq!(format!("{proof:?}"), "Proof(..)");
}

#[test]
fn a_key_that_does_not_fit_a_line_has_no_line() {
    for secret in [&[0xff; 16][..], b" 0123456789abcdef", b"0123456789\nabcdef"] {
        assert!(AuthKey::new(secret).unwrap().to_line().is_none());
    }
}
