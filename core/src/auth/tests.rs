//! Tests of the text forms of keys, and of what a proof covers.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;

use super::{
    AuthKey, AuthKeyError, AuthKeys, AuthKeysError, ChannelBinding, HelloTranscript, Proof, Prover, Roles, Transcript,
};
use crate::{
    body,
    wire::{
        handshake::{Challenge, ChallengeResponse, Hello, Role, Welcome},
        limits::{AUTHKEY_BYTES_MAX, AUTHKEYS_MAX},
    },
};

const VECTORS: &str = include_str!("../../vectors/auth.json");
const SECRET: &str = "0123456789abcdef";

fn key() -> AuthKey {
    AuthKey::new(SECRET).unwrap()
}

const HELLO: &[u8] = b"the body of a hello";
const CHALLENGE: &[u8] = b"the body of a challenge";

fn transcript_of(role: Role, hello: &[u8], challenge: &[u8], binding: Option<[u8; 32]>) -> Transcript {
    HelloTranscript::new(role, hello, binding.map(ChannelBinding)).with_challenge(challenge)
}

fn transcript() -> Transcript {
    transcript_of(Role::Client, HELLO, CHALLENGE, None)
}

fn from_hex<const LEN: usize>(text: &Value) -> [u8; LEN] {
    bytes_of(text).try_into().unwrap()
}

fn bytes_of(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap().as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn from_vector(vector: &Value) -> Transcript {
    let role = serde_json::from_value(vector["role"].clone()).unwrap();
    let binding: Option<[u8; 32]> = bytes_of(&vector["channel_binding"]).try_into().ok();
    transcript_of(role, &bytes_of(&vector["hello_body"]), &bytes_of(&vector["challenge_body"]), binding)
}

#[test]
fn proofs_match_the_test_vectors() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let (name, transcript) = (&vector["name"], from_vector(&vector));
        let key = AuthKey::new(bytes_of(&vector["key"])).unwrap();
        let welcome = bytes_of(&vector["welcome_body"]);
        let broker = Prover::Broker { welcome: &welcome[..welcome.len() - 32] };
        for (prover, side) in [(Prover::Peer, "peer"), (broker, "broker")] {
            assert_eq!(transcript.to_bytes(prover), bytes_of(&vector[format!("{side}_transcript")]), "{name} {side}");
            let proof = Proof(from_hex(&vector[format!("{side}_proof")]));
            assert_eq!(transcript.prove(prover, &key), proof, "{name} {side}");
            assert!(transcript.verify(prover, &key, &proof), "{name} {side}");
        }
        let answer = ChallengeResponse { proof: transcript.prove(Prover::Peer, &key) };
        assert_eq!(body::encode(&answer).unwrap(), bytes_of(&vector["proof_body"]), "{name}");
    }
}

#[test]
fn the_bodies_of_the_test_vectors_are_those_that_this_library_writes() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    for vector in vectors {
        let (name, transcript) = (&vector["name"], from_vector(&vector));
        let key = AuthKey::new(bytes_of(&vector["key"])).unwrap();
        let hello: Hello = body::decode(&bytes_of(&vector["hello_body"])).unwrap();
        assert_eq!(body::encode(&hello).unwrap(), bytes_of(&vector["hello_body"]), "{name}");
        assert_eq!(serde_json::to_value(hello.role).unwrap(), vector["role"], "{name}");
        let challenge: Challenge = body::decode(&bytes_of(&vector["challenge_body"])).unwrap();
        assert_eq!(body::encode(&challenge).unwrap(), bytes_of(&vector["challenge_body"]), "{name}");
        let body = bytes_of(&vector["welcome_body"]);
        let welcome: Welcome = body::decode(&body).unwrap();
        assert_eq!(transcript.seal_welcome(&key, Welcome { proof: None, ..welcome }), body, "{name}");
        assert!(transcript.verify_welcome(&key, &body), "{name}");
    }
}

#[test]
fn a_proof_is_valid_for_its_own_transcript_only() {
    let proof = transcript().prove(Prover::Peer, &key());
    let others = [
        transcript_of(Role::Worker, HELLO, CHALLENGE, None),
        transcript_of(Role::Client, b"another hello", CHALLENGE, None),
        transcript_of(Role::Client, HELLO, b"another challenge", None),
        transcript_of(Role::Client, CHALLENGE, HELLO, None),
        transcript_of(Role::Client, HELLO, CHALLENGE, Some([0; 32])),
    ];
    assert!(transcript().verify(Prover::Peer, &key(), &proof));
    assert!(
        !transcript().verify(Prover::Broker { welcome: b"" }, &key(), &proof),
        "it is not valid for the other side"
    );
    for other in others {
        assert!(!other.verify(Prover::Peer, &key(), &proof), "{other:?}");
    }
    assert!(!transcript().verify(Prover::Peer, &AuthKey::new("0123456789abcdeg").unwrap(), &proof));
}

#[test]
fn a_proof_is_valid_on_its_own_encrypted_channel_only() {
    let on_channel = |binding| transcript_of(Role::Client, HELLO, CHALLENGE, binding);
    let proof = on_channel(Some([1; 32])).prove(Prover::Peer, &key());
    assert!(on_channel(Some([1; 32])).verify(Prover::Peer, &key(), &proof));
    for other in [None, Some([2; 32])] {
        assert!(!on_channel(other).verify(Prover::Peer, &key(), &proof), "{other:?}");
    }
}

#[test]
fn a_changed_byte_of_hello_challenge_or_welcome_makes_the_proofs_invalid() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    for vector in vectors {
        let key = AuthKey::new(bytes_of(&vector["key"])).unwrap();
        let role: Role = serde_json::from_value(vector["role"].clone()).unwrap();
        let binding: Option<[u8; 32]> = bytes_of(&vector["channel_binding"]).try_into().ok();
        let [hello, challenge, welcome] =
            ["hello_body", "challenge_body", "welcome_body"].map(|body| bytes_of(&vector[body]));
        let proof = Proof(from_hex(&vector["peer_proof"]));
        let changed = |body: &[u8], at: usize| {
            let mut body = body.to_vec();
            body[at] ^= 1;
            body
        };
        for at in 0..hello.len() {
            let other = transcript_of(role, &changed(&hello, at), &challenge, binding);
            assert!(!other.verify(Prover::Peer, &key, &proof), "byte {at} of the hello");
            assert!(!other.verify_welcome(&key, &welcome), "byte {at} of the hello");
        }
        for at in 0..challenge.len() {
            let other = transcript_of(role, &hello, &changed(&challenge, at), binding);
            assert!(!other.verify(Prover::Peer, &key, &proof), "byte {at} of the challenge");
            assert!(!other.verify_welcome(&key, &welcome), "byte {at} of the challenge");
        }
        for at in 0..welcome.len() {
            assert!(!from_vector(&vector).verify_welcome(&key, &changed(&welcome, at)), "byte {at} of the welcome");
        }
    }
}

#[test]
fn a_truncated_welcome_is_invalid() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    let (transcript, welcome) = (from_vector(&vectors[0]), bytes_of(&vectors[0]["welcome_body"]));
    let key = AuthKey::new(bytes_of(&vectors[0]["key"])).unwrap();
    for len in 0..welcome.len() {
        assert!(!transcript.verify_welcome(&key, &welcome[..len]), "{len} bytes");
    }
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
