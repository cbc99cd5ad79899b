//! What a peer with a key answers, and which brokers it joins.

use bytes::Bytes;

use super::*;
use crate::{
    auth::{AuthKey, MECHANISM, Proof, Prover, Transcript},
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

/// What a broker that asks for a key says, as the one of `welcome(1, ..)` would.
fn asked() -> Challenge {
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

/// Greets, is challenged, and gives what it then said.
fn challenged(peer: &mut Peer) -> (Transcript, Proof) {
    let hello = greet(peer, at(0));
    let transcript = Transcript::new(&hello, &asked()).unwrap();
    let PeerEvent::Reply(Envelope::Proof(answer)) = peer.handle_message(at(0), challenge_of(&asked())) else {
        panic!("a challenge is answered");
    };
    (transcript, body::decode::<ChallengeResponse>(&answer).unwrap().proof)
}

fn refusal(heard: PeerEvent) -> Failure {
    match heard {
        PeerEvent::Rejected(failure) => *failure,
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
fn assert_unproven(heard: PeerEvent, words: &str) {
    let failure = refusal(heard);
    assert_eq!(failure.code, Code::Unauthenticated);
    assert!(failure.message.contains(words), "{failure}");
}

#[test]
fn a_peer_that_proves_itself_joins_a_broker_that_does() {
    for role in [Role::Client, Role::Worker] {
        let mut peer = keyed(role);
        let (transcript, proof) = challenged(&mut peer);
        assert!(transcript.verify(Prover::Peer, &key(), &proof));
        let welcome = welcome_with(Some(transcript.prove(Prover::Broker, &key())));
        assert_eq!(peer.handle_message(at(0), welcome), PeerEvent::Connected { same_start: false });
        peer.assert_invariants();
    }
}

#[test]
fn only_a_peer_with_a_key_shows_a_nonce() {
    assert_eq!(greet(&mut keyed(Role::Client), at(0)).nonce, Some(Nonce([9; 32])));
    assert_eq!(greet(&mut peer(), at(0)).nonce, None);
}

#[test]
fn a_broker_that_does_not_prove_itself_is_not_joined() {
    // What comes by chance is the same for each of these peers, so what one of them heard can be tried on another.
    let (transcript, peers) = challenged(&mut keyed(Role::Client));
    let by_broker = |transcript: Transcript| Some(transcript.prove(Prover::Broker, &key()));
    let next = ConnectionNumber(transcript.connection.0 + 1);
    let forgeries = [
        ("nothing", None),
        ("what the peer said", Some(peers)),
        ("another key", Some(transcript.prove(Prover::Broker, &AuthKey::new("fedcba9876543210").unwrap()))),
        ("another connection", by_broker(Transcript { connection: next, ..transcript })),
        ("another moment", by_broker(Transcript { peer_nonce: Nonce([7; 32]), ..transcript })),
        ("another role", by_broker(Transcript { role: Role::Worker, ..transcript })),
        ("another start than the welcome's", by_broker(Transcript { start: StartId([2; 16]), ..transcript })),
    ];
    for (what, proof) in forgeries {
        let mut peer = keyed(Role::Client);
        challenged(&mut peer);
        assert_unproven(peer.handle_message(at(0), welcome_with(proof)), "did not prove");
        assert!(!peer.is_connected() && peer.poll_timeout().is_none(), "{what}");
        peer.assert_invariants();
    }
}

#[test]
fn a_welcome_of_another_start_than_the_challenges_is_not_believed() {
    let mut peer = keyed(Role::Client);
    let (transcript, _) = challenged(&mut peer);
    let mut welcome = welcome_body(2, 1, 1);
    welcome.proof = Some(transcript.prove(Prover::Broker, &key()));
    let heard = peer.handle_message(at(0), Envelope::Welcome(body::encode(&welcome).unwrap()));
    assert_unproven(heard, "did not prove");
}

#[test]
fn a_proof_of_the_wrong_length_is_no_welcome() {
    for len in [0, 31, 33] {
        let mut peer = keyed(Role::Client);
        challenged(&mut peer);
        let Envelope::Welcome(welcome) = welcome_with(Some(Proof([7; 32]))) else { unreachable!() };
        // The last member of the map is the proof: its length, and that many bytes.
        let mut bytes = welcome[..welcome.len() - 34].to_vec();
        bytes.extend([0x58, len]);
        bytes.extend(vec![7; len.into()]);
        let heard = peer.handle_message(at(0), Envelope::Welcome(bytes.into()));
        assert!(matches!(heard, PeerEvent::Disconnected(DisconnectReason::InvalidHandshake(_))), "{len}: {heard:?}");
    }
}

#[test]
fn a_peer_with_a_key_joins_no_broker_that_asks_for_none() {
    let mut peer = keyed(Role::Client);
    greet(&mut peer, at(0));
    assert_unproven(peer.handle_message(at(0), challenge()), "asks for no key");
    assert_eq!(peer.on_disconnected(at(0), 0), SocketClosed::Expected);
    assert_eq!(peer.poll_timeout(), None);
}

#[test]
fn a_peer_without_a_key_gives_up_where_one_is_asked_for_and_says_how_to_give_one() {
    let mut peer = peer();
    greet(&mut peer, at(0));
    assert_unproven(peer.handle_message(at(0), challenge_of(&asked())), "--authkey-file");
}

#[test]
fn a_mechanism_that_is_not_known_is_refused_by_its_name() {
    let mut peer = keyed(Role::Client);
    greet(&mut peer, at(0));
    let later = [("mechanism", "scram-sha-512")].into_iter().collect::<std::collections::BTreeMap<_, _>>();
    let heard = peer.handle_message(at(0), Envelope::Challenge(body::encode(&later).unwrap()));
    assert_unproven(heard, "scram-sha-512");
}

#[test]
fn a_challenge_that_cannot_be_read_is_a_loss() {
    for bytes in [&[0x60][..], &[0xa0], &[0xff]] {
        let mut peer = keyed(Role::Client);
        greet(&mut peer, at(0));
        let heard = peer.handle_message(at(0), Envelope::Challenge(Bytes::from_static(bytes)));
        assert!(matches!(heard, PeerEvent::Disconnected(DisconnectReason::InvalidHandshake(_))), "{heard:?}");
    }
}
