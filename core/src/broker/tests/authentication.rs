//! Authentication with keys: challenges, proofs, roles, and rejected peers.

use bytes::Bytes;
use proptest::prelude::*;

use super::harness::{Harness, calc, hello, millis, request, seconds};
use crate::{
    auth::{
        AuthKey, AuthKeys, Channel, ChannelBinding, HelloTranscript, Nonce, PeerDirectory, PeerEntry, Proof, Prover,
        Transcript,
    },
    body,
    broker::{AuthenticationFailure, Diagnostic, Endpoint, Event, Settings, Status, WaitReason},
    wire::{
        Envelope,
        envelope::{Effect, Request, RequestFlags},
        handshake::{ChallengeResponse, Hello, MethodOffer, Offer, Register, Role, Welcome},
        ids::{BrokerId, ConnectionId, ConnectionNumber, StartId},
        limits::AUTHKEY_REJECTION_DELAY,
        status::{Code, Executed},
    },
};

const KEYS: &str = "id=first key=0123456789abcdef\n\
                    id=calls roles=client key=a key of a client\n\
                    id=serves roles=worker key=a key of a worker\n\
                    id=admin roles=operator key=a key of an operator\n";

fn keys() -> AuthKeys {
    KEYS.parse().unwrap()
}

fn key(id: &str) -> AuthKey {
    keys().iter().find(|key| key.id() == Some(id)).unwrap().clone()
}

fn harness() -> Harness {
    Harness::just_started(Settings { peers: Some(keys().into()), ..Settings::default() })
}

fn keyed(role: Role, number: u8, connection_number: u64) -> Hello {
    Hello { nonce: Some(Nonce([number; 32])), ..hello(role, number, connection_number) }
}

fn transcript_of(hello: &Hello, challenge: &[u8]) -> Transcript {
    HelloTranscript::new(hello.role, &body::encode(hello).unwrap(), None).with_challenge(challenge)
}

fn endpoint_of(role: Role) -> Endpoint {
    match role {
        Role::Client => Endpoint::Frontend,
        Role::Worker => Endpoint::Backend,
    }
}

impl Harness {
    /// Sends a hello and returns the challenge of the broker.
    pub(super) fn request_challenge(&mut self, hello: &Hello) -> (ConnectionId, Bytes) {
        let connection = self.open(endpoint_of(hello.role));
        (connection, self.send_hello(connection, body::encode(hello).unwrap()))
    }

    fn send_hello(&mut self, connection: ConnectionId, body: Bytes) -> Bytes {
        self.send(connection, Envelope::Hello(body));
        match self.received(connection).as_slice() {
            [Envelope::Challenge(challenge)] => challenge.clone(),
            other => panic!("no challenge: {other:?}"),
        }
    }

    fn prove(&mut self, connection: ConnectionId, proof: Proof) {
        self.send(connection, Envelope::Proof(body::encode(&ChallengeResponse { proof }).unwrap()));
    }

    /// Connects and sends a proof with that key. The reply of the broker is left to the test.
    fn authenticate(&mut self, hello: &Hello, key: &AuthKey) -> (ConnectionId, Transcript) {
        let (connection, challenge) = self.request_challenge(hello);
        let transcript = transcript_of(hello, &challenge);
        self.prove(connection, transcript.prove(Prover::Peer, key));
        (connection, transcript)
    }

    fn welcome(&mut self, connection: ConnectionId) -> Bytes {
        match self.received(connection).as_slice() {
            [Envelope::Welcome(welcome)] => welcome.clone(),
            other => panic!("no welcome: {other:?}"),
        }
    }

    /// Returns the name of an authenticated peer, and whether it is an operator.
    fn identity(&self, connection: ConnectionId) -> (Option<String>, bool) {
        let principal = self.broker.principal(connection).unwrap();
        (principal.name().map(ToString::to_string), principal.is_operator())
    }

    /// Asserts that the peer receives nothing during the rejection delay and is disconnected after it.
    #[track_caller]
    fn assert_rejected(&mut self, connection: ConnectionId, why: AuthenticationFailure) {
        assert!(self.diagnostics.contains(&Diagnostic::Unauthenticated { connection, why }), "{:?}", self.diagnostics);
        self.advance(AUTHKEY_REJECTION_DELAY - millis(1));
        assert_eq!(self.received(connection), [], "nothing is sent before the delay ends");
        assert!(!self.closed.contains(&connection));
        self.advance(millis(1));
        assert_eq!(self.disconnect_reason(connection).code, Code::Unauthenticated);
        assert!(self.broker.principal(connection).is_none());
    }
}

#[test]
fn a_peer_with_a_key_is_admitted_and_the_broker_proves_its_key_too() {
    let mut harness = harness();
    for role in [Role::Client, Role::Worker] {
        let number = if role == Role::Client { 1 } else { 2 };
        let (connection, transcript) = harness.authenticate(&keyed(role, number, 1), &key("first"));
        let welcome = harness.welcome(connection);
        assert!(transcript.verify_welcome(&key("first"), &welcome));
        let welcome: Welcome = body::decode(&welcome).unwrap();
        assert_eq!((welcome.broker, welcome.start), (BrokerId([1; 16]), StartId([2; 16])));
        assert_eq!(harness.identity(connection), (Some("first".to_owned()), true));
    }
}

#[test]
fn the_broker_proves_itself_with_the_key_of_the_peer() {
    let mut harness = harness();
    let (connection, transcript) = harness.authenticate(&keyed(Role::Client, 1, 1), &key("calls"));
    let welcome = harness.welcome(connection);
    assert!(transcript.verify_welcome(&key("calls"), &welcome));
    assert!(!transcript.verify_welcome(&key("first"), &welcome));
}

#[test]
fn without_keys_every_peer_is_an_operator_and_no_proof_is_sent() {
    let mut harness = Harness::new();
    let connection = harness.handshake(Endpoint::Frontend, &keyed(Role::Client, 1, 1));
    let received = harness.received(connection);
    let [Envelope::Challenge(challenge), Envelope::Welcome(welcome)] = received.as_slice() else {
        panic!("{received:?}")
    };
    assert!(challenge.is_empty());
    assert_eq!(body::decode::<Welcome>(welcome).unwrap().proof, None);
    assert_eq!(harness.identity(connection), (None, true));
}

#[test]
fn a_key_admits_only_its_roles() {
    let cases = [
        ("calls", Role::Client, Some(false)),
        ("calls", Role::Worker, None),
        ("serves", Role::Worker, Some(false)),
        ("serves", Role::Client, None),
        ("admin", Role::Client, Some(true)),
        ("admin", Role::Worker, None),
    ];
    let mut harness = harness();
    for (number, (id, role, operator)) in (1..).zip(cases) {
        let (connection, _) = harness.authenticate(&keyed(role, number, 1), &key(id));
        let Some(operator) = operator else {
            assert_eq!(harness.disconnect_reason(connection).code, Code::PermissionDenied, "{id} {role}");
            assert!(harness.diagnostics.contains(&Diagnostic::NotPermitted {
                connection,
                key: Some(id.to_owned()),
                role
            }));
            continue;
        };
        harness.welcome(connection);
        assert_eq!(harness.identity(connection), (Some(id.to_owned()), operator), "{id} {role}");
    }
}

#[test]
fn only_operators_may_list_peers() {
    let mut harness = harness();
    for (number, id, code) in [(1, "calls", Some(Code::PermissionDenied)), (2, "admin", None), (3, "first", None)] {
        let (connection, _) = harness.authenticate(&keyed(Role::Client, number, 1), &key(id));
        harness.welcome(connection);
        let methods = ["callboard.peers", "callboard.gate", "callboard.dead", "callboard.why"];
        for (call, method) in (1..).zip(methods) {
            harness.send(connection, Envelope::Request(request(call, method)));
            let (_, answer) = harness.replies(connection).pop().unwrap();
            assert_eq!(answer.err().map(|failure| failure.code), code, "{method} with the key {id}");
        }
    }
}

#[test]
fn only_operators_may_resend_a_dead_letter() {
    let mut harness = harness();
    let (worker, _) = harness.authenticate(&keyed(Role::Worker, 9, 1), &key("serves"));
    harness.register(worker, Register { offers: vec![calc(1)], ..Register::default() });
    let (other, _) = harness.authenticate(&keyed(Role::Client, 1, 1), &key("calls"));
    let (operator, _) = harness.authenticate(&keyed(Role::Client, 2, 1), &key("admin"));
    harness.call(other, 1, "calc.pay");
    harness.handle(Event::Closed { connection: worker });
    harness.received(other);
    let (worker, _) = harness.authenticate(&keyed(Role::Worker, 8, 1), &key("serves"));
    harness.register(worker, Register { offers: vec![calc(1)], ..Register::default() });
    for (connection, sent) in [(other, 0), (operator, 1)] {
        let body = body::encode(&(1,)).unwrap();
        harness.send(connection, Envelope::Request(Request { body, ..request(2, "callboard.dead_resend") }));
        assert_eq!(harness.dispatches(worker).len(), sent);
    }
    assert_eq!(harness.failure(other).code, Code::PermissionDenied);
}

#[test]
fn a_client_without_operator_rights_does_not_see_the_calls_ahead() {
    let mut harness = harness();
    let (worker, _) = harness.authenticate(&keyed(Role::Worker, 9, 1), &key("serves"));
    harness.register(worker, Register { offers: vec![calc(1)], ..Register::default() });
    let (operator, _) = harness.authenticate(&keyed(Role::Client, 2, 1), &key("admin"));
    let (other, _) = harness.authenticate(&keyed(Role::Client, 1, 1), &key("calls"));
    (1..=2).for_each(|number| harness.call(operator, number, "calc.add"));
    harness.call(other, 1, "calc.add");
    let mut why = |connection| -> WaitReason {
        let body = body::encode(&("01010101-1",)).unwrap();
        harness.send(connection, Envelope::Request(Request { body, ..request(9, "callboard.why") }));
        body::decode::<Vec<WaitReason>>(harness.replies(connection).pop().unwrap().1.as_ref().unwrap())
            .unwrap()
            .remove(0)
    };
    let (full, less) = (why(operator), why(other));
    assert_eq!((full.ahead, full.behind.len(), full.busy.len()), (1, 1, 1), "{full:?}");
    assert_eq!((less.ahead, less.behind.len(), less.busy.len()), (1, 0, 0), "{less:?}");
}

/// The offer of a pool: `scale` and `status`.
fn pool_offer() -> Offer {
    let method = |name: &str, effect| MethodOffer { name: name.to_owned(), effect, ..calc(1).methods[0].clone() };
    let methods = vec![method("scale", Effect::Idempotent), method("status", Effect::Read)];
    Offer { service: "callboard.pool.calc".to_owned(), methods, ..calc(16) }
}

#[test]
fn only_operators_may_change_a_pool_but_every_client_reads_its_status() {
    let mut harness = harness();
    let (pool, _) = harness.authenticate(&keyed(Role::Worker, 9, 1), &key("serves"));
    harness.register(pool, Register { offers: vec![pool_offer()], exclusive: true, ..Register::default() });
    for (number, id, operator) in [(1, "calls", false), (2, "admin", true), (3, "first", true)] {
        let (connection, _) = harness.authenticate(&keyed(Role::Client, number, 1), &key(id));
        harness.welcome(connection);
        harness.call(connection, 1, "callboard.pool.calc.status");
        assert_eq!(harness.dispatches(pool).len(), 1, "status with the key {id}");
        harness.received(connection);
        // Methods that the pool does not have, or gets in a later version, are also for operators only.
        for (call, method) in [(2, "scale"), (3, "anything")] {
            harness.call(connection, call, &format!("callboard.pool.calc.{method}"));
            let dispatched = harness.dispatches(pool).len();
            assert_eq!(dispatched, usize::from(operator && method == "scale"), "{method} with the key {id}");
            if !operator {
                let failure = harness.failure(connection);
                assert_eq!((failure.code, failure.executed), (Code::PermissionDenied, Executed::No));
                assert!(failure.message.contains("for operators"), "{failure}");
            }
        }
    }
}

#[test]
fn a_cast_or_resend_without_operator_rights_does_not_change_a_pool() {
    let mut harness = harness();
    let (pool, _) = harness.authenticate(&keyed(Role::Worker, 9, 1), &key("serves"));
    harness.register(pool, Register { offers: vec![pool_offer()], exclusive: true, ..Register::default() });
    let (connection, _) = harness.authenticate(&keyed(Role::Client, 1, 1), &key("calls"));
    harness.welcome(connection);
    let flags = RequestFlags { cast: true, ..RequestFlags::default() };
    harness.send(connection, Envelope::Request(Request { flags, ..request(1, "callboard.pool.calc.scale") }));
    assert!(matches!(harness.diagnostics.last(), Some(Diagnostic::CastFailed { .. })), "{:?}", harness.diagnostics);
    let (connection, _) = harness.authenticate(&keyed(Role::Client, 1, 2), &key("calls"));
    harness.welcome(connection);
    let flags = RequestFlags { resend: true, wait_for_ready: true, ..RequestFlags::default() };
    harness.send(connection, Envelope::Request(Request { flags, ..request(2, "callboard.pool.calc.scale") }));
    assert_eq!(harness.failure(connection).code, Code::PermissionDenied);
    assert_eq!(harness.dispatches(pool), []);
}

#[test]
fn only_operators_see_clients_and_calls_in_the_status() {
    let mut harness = harness();
    let (worker, _) = harness.authenticate(&keyed(Role::Worker, 9, 1), &key("serves"));
    harness.register(worker, Register { offers: vec![calc(4)], ..Register::default() });
    let (operator, _) = harness.authenticate(&keyed(Role::Client, 1, 1), &key("admin"));
    let (other, _) = harness.authenticate(&keyed(Role::Client, 2, 1), &key("calls"));
    harness.call(operator, 1, "calc.add");
    let mut status = |connection| -> Status {
        harness.received(connection);
        harness.call(connection, 2, "callboard.status");
        body::decode(harness.replies(connection).pop().unwrap().1.as_ref().unwrap()).unwrap()
    };
    // Both calls happen at the same time: a reply cached for an operator must not reach other clients.
    let (full, less) = (status(operator), status(other));
    assert_eq!((full.callers.len(), full.omitted.clients, full.workers[0].calls.len()), (2, 0, 1));
    assert_eq!((less.callers.len(), less.omitted.clients, less.workers[0].calls.len()), (0, 2, 0));
    assert_eq!((less.clients, less.workers[0].running), (2, 1));
}

#[test]
fn a_peer_without_a_key_is_challenged_and_rejected_after_a_delay() {
    let mut harness = harness();
    let (connection, _) = harness.request_challenge(&hello(Role::Client, 1, 1));
    harness.send(connection, Envelope::Proof(Bytes::new()));
    harness.assert_rejected(connection, AuthenticationFailure::NoProof);
    assert_eq!(harness.broker.counters().unauthenticated, 1);
}

#[test]
fn an_empty_or_truncated_proof_is_rejected() {
    for (answer, why) in [
        (Bytes::new(), AuthenticationFailure::NoProof),
        (Bytes::from_static(&[0xa0]), AuthenticationFailure::WrongProof),
        (Bytes::from_static(b"\xa1\x65proof\x40"), AuthenticationFailure::WrongProof),
    ] {
        let mut harness = harness();
        let (connection, _) = harness.request_challenge(&keyed(Role::Client, 1, 1));
        harness.send(connection, Envelope::Proof(answer));
        harness.assert_rejected(connection, why);
    }
    for len in [1, 31, 33] {
        let mut harness = harness();
        let hello = keyed(Role::Client, 1, 1);
        let (connection, challenge) = harness.request_challenge(&hello);
        let proof = transcript_of(&hello, &challenge).prove(Prover::Peer, &key("first"));
        let mut bytes = b"\xa1\x65proof\x58".to_vec();
        bytes.push(len);
        bytes.extend(proof.0.iter().chain(&[0]).take(len.into()));
        harness.send(connection, Envelope::Proof(bytes.into()));
        harness.assert_rejected(connection, AuthenticationFailure::WrongProof);
    }
}

#[test]
fn a_proof_with_another_key_is_rejected() {
    let mut harness = harness();
    let (connection, _) = harness.authenticate(&keyed(Role::Client, 1, 1), &AuthKey::new("fedcba9876543210").unwrap());
    harness.assert_rejected(connection, AuthenticationFailure::WrongProof);
}

#[test]
fn a_proof_cannot_be_replayed_on_another_connection() {
    let mut harness = harness();
    let first = keyed(Role::Client, 1, 1);
    let (connection, transcript) = harness.authenticate(&first, &key("first"));
    harness.welcome(connection);
    let old = transcript.prove(Prover::Peer, &key("first"));
    // An eavesdropper replays the handshake: with another connection number of the session, or unchanged.
    for hello in [keyed(Role::Client, 1, 2), first] {
        let (connection, _) = harness.request_challenge(&hello);
        harness.prove(connection, old);
        harness.assert_rejected(connection, AuthenticationFailure::WrongProof);
    }
    assert!(harness.broker.principal(connection).is_some(), "the admitted peer stays connected");
}

#[test]
fn the_proof_of_the_broker_cannot_be_reflected() {
    let mut harness = harness();
    let hello = keyed(Role::Client, 1, 1);
    let (connection, challenge) = harness.request_challenge(&hello);
    let transcript = transcript_of(&hello, &challenge);
    harness.prove(connection, transcript.prove(Prover::Broker { welcome: b"" }, &key("first")));
    harness.assert_rejected(connection, AuthenticationFailure::WrongProof);
}

#[test]
fn a_proof_is_bound_to_every_field_of_the_hello() {
    let damages: [fn(Hello) -> Hello; 7] = [
        |hello| Hello { role: Role::Worker, ..hello },
        |hello| Hello { session: super::harness::session(9), ..hello },
        |hello| Hello { connection: ConnectionNumber(2), ..hello },
        |hello| Hello { versions: (2, 3), ..hello },
        |hello| Hello { pool: Some("other".to_owned()), ..hello },
        |hello| Hello { heartbeat_ms: 2_000, ..hello },
        |hello| Hello { capabilities: vec!["x_other".to_owned()], ..hello },
    ];
    for damage in damages {
        let mut harness = harness();
        let hello = keyed(Role::Client, 1, 1);
        let (connection, challenge) = harness.request_challenge(&hello);
        let transcript = transcript_of(&damage(hello), &challenge);
        harness.prove(connection, transcript.prove(Prover::Peer, &key("first")));
        harness.assert_rejected(connection, AuthenticationFailure::WrongProof);
    }
}

#[test]
fn a_relay_that_changes_a_byte_of_the_hello_or_the_challenge_is_detected() {
    let hello = keyed(Role::Client, 1, 1);
    let sent = body::encode(&hello).unwrap();
    for byte in 0..sent.len() {
        let mut changed = sent.to_vec();
        changed[byte] ^= 1;
        let mut harness = harness();
        let connection = harness.open(Endpoint::Frontend);
        harness.send(connection, Envelope::Hello(changed.into()));
        // Most changes make the hello invalid. Where the broker accepts it, the proof of the peer does not fit.
        let received = harness.received(connection);
        let [Envelope::Challenge(challenge)] = received.as_slice() else { continue };
        harness.prove(connection, transcript_of(&hello, challenge).prove(Prover::Peer, &key("first")));
        let rejected = Diagnostic::Unauthenticated { connection, why: AuthenticationFailure::WrongProof };
        let missing = Diagnostic::Unauthenticated { connection, why: AuthenticationFailure::NoProof };
        assert!(harness.diagnostics.contains(&rejected) || harness.diagnostics.contains(&missing), "byte {byte}");
    }
    let mut harness = harness();
    let (_, challenge) = harness.request_challenge(&hello);
    for byte in 0..challenge.len() {
        let (connection, challenge) = harness.request_challenge(&hello);
        let mut changed = challenge.to_vec();
        changed[byte] ^= 1;
        harness.prove(connection, transcript_of(&hello, &changed).prove(Prover::Peer, &key("first")));
        harness.assert_rejected(connection, AuthenticationFailure::WrongProof);
    }
}

#[test]
fn a_proof_of_another_encrypted_channel_is_rejected() {
    for (own, relayed, accepted) in [(Some(1), 1, true), (Some(2), 1, false), (None, 1, false)] {
        let mut harness = harness();
        harness.channel = Some(Channel { public_key: [7; 32], binding: ChannelBinding([relayed; 32]) });
        let hello = keyed(Role::Client, 1, 1);
        let (connection, challenge) = harness.request_challenge(&hello);
        let own = own.map(|byte| ChannelBinding([byte; 32]));
        let body = body::encode(&hello).unwrap();
        let transcript = HelloTranscript::new(hello.role, &body, own).with_challenge(&challenge);
        harness.prove(connection, transcript.prove(Prover::Peer, &key("first")));
        match accepted {
            true => assert!(transcript.verify_welcome(&key("first"), &harness.welcome(connection))),
            false => harness.assert_rejected(connection, AuthenticationFailure::WrongProofOverCurve),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_proof_with_a_flipped_bit_is_rejected(bit in 0..256usize) {
        let mut harness = harness();
        let hello = keyed(Role::Client, 1, 1);
        let (connection, challenge) = harness.request_challenge(&hello);
        let mut proof = transcript_of(&hello, &challenge).prove(Prover::Peer, &key("first"));
        proof.0[bit / 8] ^= 1 << (bit % 8);
        harness.prove(connection, proof);
        harness.assert_rejected(connection, AuthenticationFailure::WrongProof);
    }
}

#[test]
fn a_peer_with_an_authkey_and_a_public_key_must_prove_both() {
    let peer = |name: &str| PeerEntry::new(name).unwrap();
    let new = || AuthKey::new("the new key of a peer").unwrap();
    let both = peer("both").with_authkey(key("first")).with_public_key([1; 32]);
    let plain = peer("plain").with_authkey(key("calls"));
    let both = both.with_authkey(new()).with_public_key([3; 32]);
    let other = peer("other").with_authkey(key("admin")).with_public_key([2; 32]);
    let cases = [
        ("first", Some(1), Ok("both")),
        ("new", Some(1), Ok("both")),
        ("new", Some(3), Ok("both")),
        ("first", None, Err(AuthenticationFailure::OtherPublicKey)),
        ("first", Some(2), Err(AuthenticationFailure::OtherPublicKey)),
        ("first", Some(9), Err(AuthenticationFailure::OtherPublicKey)),
        ("serves", Some(1), Err(AuthenticationFailure::WrongProofOverCurve)),
        ("calls", None, Ok("plain")),
        ("calls", Some(9), Ok("plain")),
        ("calls", Some(1), Err(AuthenticationFailure::OtherPublicKey)),
    ];
    for (key_id, public_key, expected) in cases {
        let peers = PeerDirectory::new(vec![both.clone(), plain.clone(), other.clone()]).unwrap();
        let mut harness = Harness::just_started(Settings { peers: Some(peers), ..Settings::default() });
        let binding = ChannelBinding([5; 32]);
        harness.channel = public_key.map(|key| Channel { public_key: [key; 32], binding });
        let hello = keyed(Role::Client, 1, 1);
        let (connection, challenge) = harness.request_challenge(&hello);
        let own = public_key.map(|_| binding);
        let body = body::encode(&hello).unwrap();
        let transcript = HelloTranscript::new(hello.role, &body, own).with_challenge(&challenge);
        harness.prove(connection, transcript.prove(Prover::Peer, &if key_id == "new" { new() } else { key(key_id) }));
        match expected {
            Ok(name) => assert_eq!(harness.identity(connection).0.as_deref(), Some(name), "{key_id} {public_key:?}"),
            Err(why) => harness.assert_rejected(connection, why),
        }
    }
}

#[test]
fn messages_of_a_rejected_peer_are_ignored_until_it_is_disconnected() {
    let mut harness = harness();
    let hello = keyed(Role::Client, 1, 1);
    let (connection, challenge) = harness.request_challenge(&hello);
    harness.prove(connection, Proof([0; 32]));
    harness.prove(connection, transcript_of(&hello, &challenge).prove(Prover::Peer, &key("first")));
    harness.send(connection, Envelope::Hello(body::encode(&hello).unwrap()));
    harness.send(connection, Envelope::Request(request(1, "callboard.ping")));
    harness.send_frames(connection, &[Bytes::from_static(&[0xff; 9])]);
    harness.assert_rejected(connection, AuthenticationFailure::WrongProof);
    assert_eq!(harness.broker.status(harness.now).clients, 0);
}

#[test]
fn an_unauthenticated_peer_cannot_take_over_or_probe_a_session() {
    let mut harness = harness();
    let (owner, _) = harness.authenticate(&keyed(Role::Client, 1, 1), &key("first"));
    harness.welcome(owner);
    for connection_number in [1, 2] {
        let (connection, _) = harness
            .authenticate(&keyed(Role::Client, 1, connection_number), &AuthKey::new("fedcba9876543210").unwrap());
        harness.assert_rejected(connection, AuthenticationFailure::WrongProof);
    }
    assert!(!harness.closed.contains(&owner));
}

#[test]
fn a_late_wrong_proof_does_not_extend_the_handshake_timeout() {
    let mut harness = harness();
    let (connection, _) = harness.request_challenge(&keyed(Role::Client, 1, 1));
    harness.advance(millis(4_800));
    harness.prove(connection, Proof([0; 32]));
    harness.advance(millis(200));
    assert_eq!(harness.disconnect_reason(connection).code, Code::Unauthenticated);
}

#[test]
fn a_rejected_peer_that_disconnects_leaves_no_state() {
    let mut harness = harness();
    let (connection, _) = harness.request_challenge(&hello(Role::Client, 1, 1));
    harness.handle(Event::Closed { connection });
    assert_eq!(harness.broker.poll_timeout(), None);
}

#[test]
fn new_keys_apply_to_new_connections_and_keep_existing_ones() {
    let mut harness = harness();
    let (old, _) = harness.authenticate(&keyed(Role::Client, 1, 1), &key("first"));
    harness.welcome(old);
    let (between, challenge) = harness.request_challenge(&keyed(Role::Client, 2, 1));
    let new = AuthKey::new("the key of today").unwrap();
    harness.handle(Event::Peers(AuthKeys::from(new.clone()).into()));
    assert!(harness.broker.principal(old).is_some());
    harness.call(old, 1, "callboard.ping");
    assert_eq!(harness.replies(old).len(), 1);
    // A peer that was challenged before the change must prove one of the new keys.
    let transcript = transcript_of(&keyed(Role::Client, 2, 1), &challenge);
    harness.prove(between, transcript.prove(Prover::Peer, &new));
    harness.welcome(between);
    let (late, _) = harness.authenticate(&keyed(Role::Client, 3, 1), &key("first"));
    let live = [old, between];
    harness.advance_with(seconds(2), &live);
    assert_eq!(harness.disconnect_reason(late).code, Code::Unauthenticated);
}

#[test]
fn log_events_name_the_key_ids_of_peers() {
    let mut harness = harness();
    harness.authenticate(&keyed(Role::Client, 1, 1), &key("calls"));
    let (worker, _) = harness.authenticate(&keyed(Role::Worker, 2, 1), &key("serves"));
    harness.register(worker, Register { offers: vec![calc(1)], ..Register::default() });
    let keys = harness.diagnostics.iter().filter_map(|diagnostic| match diagnostic {
        Diagnostic::ClientConnected { key, .. } | Diagnostic::WorkerRegistered { key, .. } => key.as_deref(),
        _ => None,
    });
    assert_eq!(keys.collect::<Vec<_>>(), ["calls", "serves"]);
}
