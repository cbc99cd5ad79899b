//! Tests of the authentication of a peer and its broker.

use bytes::Bytes;

use super::*;
use crate::{
    auth::{AuthKey, ChannelBinding, HelloTranscript, MECHANISM, Proof, Prover, Transcript},
    wire::{
        handshake::{Challenge, ChallengeResponse},
        ids::{BrokerId, StartId},
    },
};

const SECRET: &str = "0123456789abcdef";

fn key() -> AuthKey {
    AuthKey::new(SECRET).unwrap()
}

fn keyed(role: Role) -> Peer {
    Peer::new(role, Settings { key: Some(key()), ..settings() })
}

/// Returns the challenge of the broker of `welcome(1, ..)`.
fn key_challenge() -> Challenge {
    Challenge {
        mechanism: MECHANISM.to_owned(),
        nonce: Nonce([8; 32]),
        broker: BrokerId([1; 16]),
        start: StartId([1; 16]),
    }
}

fn challenge_of(challenge: &Challenge) -> Envelope {
    Envelope::Challenge(body::encode(challenge).unwrap())
}

fn welcome_with(proof: Option<Proof>) -> Envelope {
    let mut welcome = welcome_body(1, 1, 1);
    welcome.proof = proof;
    Envelope::Welcome(body::encode(&welcome).unwrap())
}

fn sealed_welcome(transcript: Transcript) -> Bytes {
    transcript.seal_welcome(&key(), welcome_body(1, 1, 1))
}

fn transcript_of(hello: &Hello, challenge: &Challenge, channel: Option<ChannelBinding>) -> Transcript {
    let (hello_body, challenge) = (body::encode(hello).unwrap(), body::encode(challenge).unwrap());
    HelloTranscript::new(hello.role, &hello_body, channel).with_challenge(&challenge)
}

/// Sends a hello and answers the challenge. Returns the transcript and the proof.
fn answer_challenge(peer: &mut Peer) -> (Transcript, Proof) {
    let hello = send_hello(peer, at(0));
    let transcript = transcript_of(&hello, &key_challenge(), None);
    let PeerEvent::Reply(Envelope::Proof(answer)) = peer.handle_message(at(0), challenge_of(&key_challenge())) else {
        panic!("a challenge is answered");
    };
    (transcript, body::decode::<ChallengeResponse>(&answer).unwrap().proof)
}

fn rejection(event: PeerEvent) -> Failure {
    match event {
        PeerEvent::Rejected(failure) => *failure,
        other => panic!("not rejected: {other:?}"),
    }
}

#[track_caller]
fn assert_unauthenticated(event: PeerEvent, words: &str) {
    let failure = rejection(event);
    assert_eq!(failure.code, Code::Unauthenticated);
    assert!(failure.message.contains(words), "{failure}");
}

#[test]
fn a_peer_and_a_broker_with_the_same_key_authenticate_each_other() {
    for role in [Role::Client, Role::Worker] {
        let mut peer = keyed(role);
        let (transcript, proof) = answer_challenge(&mut peer);
        assert!(transcript.verify(Prover::Peer, &key(), &proof));
        let welcome = Envelope::Welcome(sealed_welcome(transcript));
        assert_eq!(peer.handle_message(at(0), welcome), PeerEvent::Connected { same_start: false });
        peer.assert_invariants();
    }
}

#[test]
fn only_a_peer_with_a_key_sends_a_nonce() {
    assert_eq!(send_hello(&mut keyed(Role::Client), at(0)).nonce, Some(Nonce([9; 32])));
    assert_eq!(send_hello(&mut peer(), at(0)).nonce, None);
}

#[test]
fn a_broker_without_a_valid_proof_is_rejected() {
    // All random values are the same for these peers, so a message for one of them can be replayed to another.
    let (transcript, peers) = answer_challenge(&mut keyed(Role::Client));
    let hello = send_hello(&mut keyed(Role::Client), at(0));
    let with_hello = |hello: Hello| Envelope::Welcome(sealed_welcome(transcript_of(&hello, &key_challenge(), None)));
    let other_key = AuthKey::new("fedcba9876543210").unwrap();
    let other_start = Challenge { start: StartId([2; 16]), ..key_challenge() };
    let forgeries = [
        ("no proof", welcome_with(None)),
        ("the proof of the peer", welcome_with(Some(peers))),
        ("another key", Envelope::Welcome(transcript.seal_welcome(&other_key, welcome_body(1, 1, 1)))),
        ("another connection", with_hello(Hello { connection: ConnectionNumber(2), ..hello.clone() })),
        ("another nonce", with_hello(Hello { nonce: Some(Nonce([7; 32])), ..hello.clone() })),
        ("another role", with_hello(Hello { role: Role::Worker, ..hello.clone() })),
        ("another pool", with_hello(Hello { pool: Some("other".to_owned()), ..hello.clone() })),
        ("another challenge", Envelope::Welcome(sealed_welcome(transcript_of(&hello, &other_start, None)))),
    ];
    for (what, welcome) in forgeries {
        let mut peer = keyed(Role::Client);
        answer_challenge(&mut peer);
        assert_unauthenticated(peer.handle_message(at(0), welcome), "did not prove");
        assert!(!peer.is_connected() && peer.poll_timeout().is_none(), "{what}");
        peer.assert_invariants();
    }
}

#[test]
fn a_welcome_with_a_changed_byte_is_rejected() {
    let (transcript, _) = answer_challenge(&mut keyed(Role::Client));
    let welcome = sealed_welcome(transcript);
    for byte in 0..welcome.len() {
        let mut peer = keyed(Role::Client);
        answer_challenge(&mut peer);
        let mut changed = welcome.to_vec();
        changed[byte] ^= 1;
        assert_unauthenticated(peer.handle_message(at(0), Envelope::Welcome(changed.into())), "did not prove");
    }
}

#[test]
fn a_welcome_with_another_start_than_the_proved_one_is_rejected() {
    let mut peer = keyed(Role::Client);
    let (transcript, _) = answer_challenge(&mut peer);
    let proof = body::decode::<Welcome>(&sealed_welcome(transcript)).unwrap().proof;
    let welcome = Welcome { proof, ..welcome_body(2, 1, 1) };
    let event = peer.handle_message(at(0), Envelope::Welcome(body::encode(&welcome).unwrap()));
    assert_unauthenticated(event, "did not prove");
}

#[test]
fn a_welcome_with_a_proof_of_wrong_length_is_rejected() {
    for len in [0, 31, 33] {
        let mut peer = keyed(Role::Client);
        answer_challenge(&mut peer);
        let Envelope::Welcome(welcome) = welcome_with(Some(Proof([7; 32]))) else { unreachable!() };
        // The last member of the map is the proof: its length, and that many bytes.
        let mut bytes = welcome[..welcome.len() - 34].to_vec();
        bytes.extend([0x58, len]);
        bytes.extend(vec![7; len.into()]);
        assert_unauthenticated(peer.handle_message(at(0), Envelope::Welcome(bytes.into())), "did not prove");
    }
}

#[test]
fn a_welcome_of_another_encrypted_channel_is_rejected() {
    for (own, relayed) in [(Some(1), Some(2)), (Some(1), None), (None, Some(2)), (Some(1), Some(1))] {
        let [own, relayed] = [own, relayed].map(|byte| byte.map(|byte| ChannelBinding([byte; 32])));
        let mut peer = keyed(Role::Client);
        let hello = send_hello_on(&mut peer, at(0), own);
        let event = peer.handle_message(at(0), challenge_of(&key_challenge()));
        let PeerEvent::Reply(Envelope::Proof(answer)) = event else { panic!("a challenge is answered") };
        let proof = body::decode::<ChallengeResponse>(&answer).unwrap().proof;
        let at_broker = transcript_of(&hello, &key_challenge(), relayed);
        assert_eq!(at_broker.verify(Prover::Peer, &key(), &proof), own == relayed);
        let event = peer.handle_message(at(0), Envelope::Welcome(sealed_welcome(at_broker)));
        assert_eq!(matches!(event, PeerEvent::Connected { .. }), own == relayed, "{own:?} {relayed:?}");
    }
}

#[test]
fn a_peer_with_a_key_rejects_a_broker_without_one() {
    let mut peer = keyed(Role::Client);
    send_hello(&mut peer, at(0));
    assert_unauthenticated(peer.handle_message(at(0), challenge()), "requires no key");
    assert_eq!(peer.on_disconnected(at(0), 0), SocketClosed::Expected);
    assert_eq!(peer.poll_timeout(), None);
}

#[test]
fn a_peer_without_a_key_fails_at_a_broker_that_requires_one_with_instructions() {
    let mut peer = peer();
    send_hello(&mut peer, at(0));
    assert_unauthenticated(peer.handle_message(at(0), challenge_of(&key_challenge())), "--authkey-file");
}

#[test]
fn an_unknown_mechanism_is_rejected_with_its_name() {
    let mut peer = keyed(Role::Client);
    send_hello(&mut peer, at(0));
    let later = [("mechanism", "scram-sha-512")].into_iter().collect::<std::collections::BTreeMap<_, _>>();
    let event = peer.handle_message(at(0), Envelope::Challenge(body::encode(&later).unwrap()));
    assert_unauthenticated(event, "scram-sha-512");
}

#[test]
fn a_malformed_challenge_disconnects() {
    for bytes in [&[0x60][..], &[0xa0], &[0xff]] {
        let mut peer = keyed(Role::Client);
        send_hello(&mut peer, at(0));
        let event = peer.handle_message(at(0), Envelope::Challenge(Bytes::from_static(bytes)));
        assert!(matches!(event, PeerEvent::Disconnected(DisconnectReason::InvalidHandshake(_))), "{event:?}");
    }
}
