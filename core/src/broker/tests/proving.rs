//! What a broker with keys asks, whom it lets in, and what strangers get.

use bytes::Bytes;
use proptest::prelude::*;

use super::stage::{Stage, calc, hello, millis, request, seconds};
use crate::{
    auth::{AuthKey, AuthKeys, Nonce, Principal, Proof, Prover, Transcript},
    body,
    broker::{AuthenticationFailure, Diagnostic, Endpoint, Event, Settings, Status, WaitReason},
    wire::{
        Envelope,
        envelope::{Effect, Request, RequestFlags},
        handshake::{Challenge, ChallengeResponse, Hello, MethodOffer, Offer, Register, Role, Welcome},
        ids::{BrokerId, ConnectionId, ConnectionNumber, StartId},
        limits::AUTHKEY_REFUSAL_DELAY,
        status::{Code, Executed},
    },
};

const KEYS: &str = "id=first key=0123456789abcdef\n\
                    id=calls roles=client key=a key of a client\n\
                    id=serves roles=worker key=a key of a worker\n\
                    id=boss roles=operator key=a key of an operator\n";

fn keys() -> AuthKeys {
    KEYS.parse().unwrap()
}

fn key(id: &str) -> AuthKey {
    keys().iter().find(|key| key.id() == Some(id)).unwrap().clone()
}

fn stage() -> Stage {
    Stage::young(Settings { keys: Some(keys()), ..Settings::default() })
}

fn keyed(role: Role, number: u8, connection_number: u64) -> Hello {
    Hello { nonce: Some(Nonce([number; 32])), ..hello(role, number, connection_number) }
}

fn endpoint_of(role: Role) -> Endpoint {
    match role {
        Role::Client => Endpoint::Frontend,
        Role::Worker => Endpoint::Backend,
    }
}

impl Stage {
    /// Says hello, and gives what the broker then asks.
    fn ask(&mut self, hello: &Hello) -> (ConnectionId, Challenge) {
        let connection = self.open(endpoint_of(hello.role));
        self.say(connection, Envelope::Hello(body::encode(hello).unwrap()));
        match self.heard(connection).as_slice() {
            [Envelope::Challenge(challenge)] => (connection, body::decode(challenge).unwrap()),
            other => panic!("no challenge: {other:?}"),
        }
    }

    fn prove(&mut self, connection: ConnectionId, proof: Proof) {
        self.say(connection, Envelope::Proof(body::encode(&ChallengeResponse { proof }).unwrap()));
    }

    /// Comes with that key, up to the broker's answer.
    fn come(&mut self, hello: &Hello, key: &AuthKey) -> (ConnectionId, Transcript) {
        let (connection, challenge) = self.ask(hello);
        let transcript = Transcript::of(hello, &challenge).unwrap();
        self.prove(connection, transcript.prove(Prover::Peer, key));
        (connection, transcript)
    }

    fn welcome(&mut self, connection: ConnectionId) -> Welcome {
        match self.heard(connection).as_slice() {
            [Envelope::Welcome(welcome)] => body::decode(welcome).unwrap(),
            other => panic!("not welcome: {other:?}"),
        }
    }

    /// A stranger hears nothing for the whole delay, and is sent away then.
    #[track_caller]
    fn assert_stranger(&mut self, connection: ConnectionId, why: AuthenticationFailure) {
        assert!(self.notes.contains(&Diagnostic::Unauthenticated { connection, why }), "{:?}", self.notes);
        self.pass(AUTHKEY_REFUSAL_DELAY - millis(1));
        assert_eq!(self.heard(connection), [], "nothing yet");
        assert!(!self.closed.contains(&connection));
        self.pass(millis(1));
        assert_eq!(self.sent_away(connection).code, Code::Unauthenticated);
        assert_eq!(self.broker.principal(connection), None);
    }
}

#[test]
fn who_knows_a_key_is_let_in_by_a_broker_that_proves_it_too() {
    let mut stage = stage();
    for role in [Role::Client, Role::Worker] {
        let number = if role == Role::Client { 1 } else { 2 };
        let (connection, transcript) = stage.come(&keyed(role, number, 1), &key("first"));
        let welcome = stage.welcome(connection);
        assert!(transcript.is_proved(Prover::Broker, &key("first"), &welcome.proof.unwrap()));
        assert_eq!((transcript.broker, transcript.start), (BrokerId([1; 16]), StartId([2; 16])));
        let principal = Principal { key: Some("first".to_owned()), operator: true };
        assert_eq!(stage.broker.principal(connection), Some(&principal));
    }
}

#[test]
fn the_broker_proves_itself_by_the_key_that_the_peer_has() {
    let mut stage = stage();
    let (connection, transcript) = stage.come(&keyed(Role::Client, 1, 1), &key("calls"));
    let proof = stage.welcome(connection).proof.unwrap();
    assert!(transcript.is_proved(Prover::Broker, &key("calls"), &proof));
    assert!(!transcript.is_proved(Prover::Broker, &key("first"), &proof));
}

#[test]
fn without_keys_everybody_is_let_in_as_an_operator_and_nothing_is_proved() {
    let mut stage = Stage::new();
    let connection = stage.greet(Endpoint::Frontend, &keyed(Role::Client, 1, 1));
    let heard = stage.heard(connection);
    let [Envelope::Challenge(challenge), Envelope::Welcome(welcome)] = heard.as_slice() else { panic!("{heard:?}") };
    assert!(challenge.is_empty());
    assert_eq!(body::decode::<Welcome>(welcome).unwrap().proof, None);
    assert_eq!(stage.broker.principal(connection), Some(&Principal { key: None, operator: true }));
}

#[test]
fn a_key_lets_in_for_its_roles_alone() {
    let cases = [
        ("calls", Role::Client, Some(false)),
        ("calls", Role::Worker, None),
        ("serves", Role::Worker, Some(false)),
        ("serves", Role::Client, None),
        ("boss", Role::Client, Some(true)),
        ("boss", Role::Worker, None),
    ];
    let mut stage = stage();
    for (number, (id, role, operator)) in (1..).zip(cases) {
        let (connection, _) = stage.come(&keyed(role, number, 1), &key(id));
        let Some(operator) = operator else {
            assert_eq!(stage.sent_away(connection).code, Code::PermissionDenied, "{id} {role}");
            assert!(stage.notes.contains(&Diagnostic::NotPermitted { connection, key: Some(id.to_owned()), role }));
            continue;
        };
        stage.welcome(connection);
        let principal = Principal { key: Some(id.to_owned()), operator };
        assert_eq!(stage.broker.principal(connection), Some(&principal), "{id} {role}");
    }
}

#[test]
fn who_is_connected_is_told_to_operators_alone() {
    let mut stage = stage();
    for (number, id, code) in [(1, "calls", Some(Code::PermissionDenied)), (2, "boss", None), (3, "first", None)] {
        let (connection, _) = stage.come(&keyed(Role::Client, number, 1), &key(id));
        stage.welcome(connection);
        let methods = ["callboard.peers", "callboard.gate", "callboard.dead", "callboard.why"];
        for (call, method) in (1..).zip(methods) {
            stage.say(connection, Envelope::Request(request(call, method)));
            let (_, answer) = stage.replies(connection).pop().unwrap();
            assert_eq!(answer.err().map(|failure| failure.code), code, "{method} with the key {id}");
        }
    }
}

#[test]
fn a_dead_letter_is_sent_again_by_operators_alone() {
    let mut stage = stage();
    let (worker, _) = stage.come(&keyed(Role::Worker, 9, 1), &key("serves"));
    stage.register(worker, Register { offers: vec![calc(1)], exclusive: false });
    let (other, _) = stage.come(&keyed(Role::Client, 1, 1), &key("calls"));
    let (boss, _) = stage.come(&keyed(Role::Client, 2, 1), &key("boss"));
    stage.call(other, 1, "calc.pay");
    stage.handle(Event::Closed { connection: worker });
    stage.heard(other);
    let (worker, _) = stage.come(&keyed(Role::Worker, 8, 1), &key("serves"));
    stage.register(worker, Register { offers: vec![calc(1)], exclusive: false });
    for (connection, sent) in [(other, 0), (boss, 1)] {
        let body = body::encode(&(1,)).unwrap();
        stage.say(connection, Envelope::Request(Request { body, ..request(2, "callboard.dead_resend") }));
        assert_eq!(stage.dispatches(worker).len(), sent);
    }
    assert_eq!(stage.failure(other).code, Code::PermissionDenied);
}

#[test]
fn who_is_no_operator_is_not_told_who_is_before_its_call() {
    let mut stage = stage();
    let (worker, _) = stage.come(&keyed(Role::Worker, 9, 1), &key("serves"));
    stage.register(worker, Register { offers: vec![calc(1)], exclusive: false });
    let (boss, _) = stage.come(&keyed(Role::Client, 2, 1), &key("boss"));
    let (other, _) = stage.come(&keyed(Role::Client, 1, 1), &key("calls"));
    (1..=2).for_each(|number| stage.call(boss, number, "calc.add"));
    stage.call(other, 1, "calc.add");
    let mut told = |connection| -> WaitReason {
        let body = body::encode(&("01010101-1",)).unwrap();
        stage.say(connection, Envelope::Request(Request { body, ..request(9, "callboard.why") }));
        body::decode::<Vec<WaitReason>>(stage.replies(connection).pop().unwrap().1.as_ref().unwrap()).unwrap().remove(0)
    };
    let (full, less) = (told(boss), told(other));
    assert_eq!((full.ahead, full.behind.len(), full.busy.len()), (1, 1, 1), "{full:?}");
    assert_eq!((less.ahead, less.behind.len(), less.busy.len()), (1, 0, 0), "{less:?}");
}

/// A pool's offer: `scale` and `status`.
fn pool_offer() -> Offer {
    let method = |name: &str, effect| MethodOffer { name: name.to_owned(), effect, ..calc(1).methods[0].clone() };
    let methods = vec![method("scale", Effect::Idempotent), method("status", Effect::Read)];
    Offer { service: "callboard.pool.calc".to_owned(), methods, ..calc(16) }
}

#[test]
fn a_pool_is_changed_by_operators_alone_and_tells_all_how_it_stands() {
    let mut stage = stage();
    let (pool, _) = stage.come(&keyed(Role::Worker, 9, 1), &key("serves"));
    stage.register(pool, Register { offers: vec![pool_offer()], exclusive: true });
    for (number, id, operator) in [(1, "calls", false), (2, "boss", true), (3, "first", true)] {
        let (connection, _) = stage.come(&keyed(Role::Client, number, 1), &key(id));
        stage.welcome(connection);
        stage.call(connection, 1, "callboard.pool.calc.status");
        assert_eq!(stage.dispatches(pool).len(), 1, "status with the key {id}");
        stage.heard(connection);
        // What the pool does not have, or will have one day, is no exception.
        for (call, method) in [(2, "scale"), (3, "anything")] {
            stage.call(connection, call, &format!("callboard.pool.calc.{method}"));
            let dispatched = stage.dispatches(pool).len();
            assert_eq!(dispatched, usize::from(operator && method == "scale"), "{method} with the key {id}");
            if !operator {
                let failure = stage.failure(connection);
                assert_eq!((failure.code, failure.executed), (Code::PermissionDenied, Executed::No));
                assert!(failure.message.contains("for operators"), "{failure}");
            }
        }
    }
}

#[test]
fn a_cast_or_a_resent_call_of_somebody_else_changes_no_pool_either() {
    let mut stage = stage();
    let (pool, _) = stage.come(&keyed(Role::Worker, 9, 1), &key("serves"));
    stage.register(pool, Register { offers: vec![pool_offer()], exclusive: true });
    let (connection, _) = stage.come(&keyed(Role::Client, 1, 1), &key("calls"));
    stage.welcome(connection);
    let flags = RequestFlags { cast: true, ..RequestFlags::default() };
    stage.say(connection, Envelope::Request(Request { flags, ..request(1, "callboard.pool.calc.scale") }));
    assert!(matches!(stage.notes.last(), Some(Diagnostic::CastFailed { .. })), "{:?}", stage.notes);
    let (connection, _) = stage.come(&keyed(Role::Client, 1, 2), &key("calls"));
    stage.welcome(connection);
    let flags = RequestFlags { resend: true, wait_for_ready: true, ..RequestFlags::default() };
    stage.say(connection, Envelope::Request(Request { flags, ..request(2, "callboard.pool.calc.scale") }));
    assert_eq!(stage.failure(connection).code, Code::PermissionDenied);
    assert_eq!(stage.dispatches(pool), []);
}

#[test]
fn the_status_names_callers_and_their_calls_to_operators_alone() {
    let mut stage = stage();
    let (worker, _) = stage.come(&keyed(Role::Worker, 9, 1), &key("serves"));
    stage.register(worker, Register { offers: vec![calc(4)], exclusive: false });
    let (boss, _) = stage.come(&keyed(Role::Client, 1, 1), &key("boss"));
    let (other, _) = stage.come(&keyed(Role::Client, 2, 1), &key("calls"));
    stage.call(boss, 1, "calc.add");
    let mut told = |connection| -> Status {
        stage.heard(connection);
        stage.call(connection, 2, "callboard.status");
        body::decode(stage.replies(connection).pop().unwrap().1.as_ref().unwrap()).unwrap()
    };
    // The same moment: an answer that is kept for one is not given to the other.
    let (full, less) = (told(boss), told(other));
    assert_eq!((full.callers.len(), full.omitted.clients, full.workers[0].calls.len()), (2, 0, 1));
    assert_eq!((less.callers.len(), less.omitted.clients, less.workers[0].calls.len()), (0, 2, 0));
    assert_eq!((less.clients, less.workers[0].running), (2, 1));
}

#[test]
fn who_has_no_key_is_challenged_all_the_same_and_sent_away_after_a_while() {
    let mut stage = stage();
    let (connection, _) = stage.ask(&hello(Role::Client, 1, 1));
    stage.say(connection, Envelope::Proof(Bytes::new()));
    stage.assert_stranger(connection, AuthenticationFailure::NoProof);
    assert_eq!(stage.broker.counters().unauthenticated, 1);
}

#[test]
fn an_empty_or_truncated_proof_is_none() {
    for (answer, why) in [
        (Bytes::new(), AuthenticationFailure::NoProof),
        (Bytes::from_static(&[0xa0]), AuthenticationFailure::WrongProof),
        (Bytes::from_static(b"\xa1\x65proof\x40"), AuthenticationFailure::WrongProof),
    ] {
        let mut stage = stage();
        let (connection, _) = stage.ask(&keyed(Role::Client, 1, 1));
        stage.say(connection, Envelope::Proof(answer));
        stage.assert_stranger(connection, why);
    }
    for len in [1, 31, 33] {
        let mut stage = stage();
        let hello = keyed(Role::Client, 1, 1);
        let (connection, challenge) = stage.ask(&hello);
        let proof = Transcript::of(&hello, &challenge).unwrap().prove(Prover::Peer, &key("first"));
        let mut bytes = b"\xa1\x65proof\x58".to_vec();
        bytes.push(len);
        bytes.extend(proof.0.iter().chain(&[0]).take(len.into()));
        stage.say(connection, Envelope::Proof(bytes.into()));
        stage.assert_stranger(connection, AuthenticationFailure::WrongProof);
    }
}

#[test]
fn a_proof_by_another_key_is_wrong() {
    let mut stage = stage();
    let (connection, _) = stage.come(&keyed(Role::Client, 1, 1), &AuthKey::new("fedcba9876543210").unwrap());
    stage.assert_stranger(connection, AuthenticationFailure::WrongProof);
}

#[test]
fn a_proof_is_not_good_for_the_next_connection() {
    let mut stage = stage();
    let first = keyed(Role::Client, 1, 1);
    let (connection, transcript) = stage.come(&first, &key("first"));
    stage.welcome(connection);
    let old = transcript.prove(Prover::Peer, &key("first"));
    // Who has heard it all says it all again: another number of the same session, or the same on another connection.
    for hello in [keyed(Role::Client, 1, 2), first] {
        let (connection, _) = stage.ask(&hello);
        stage.prove(connection, old);
        stage.assert_stranger(connection, AuthenticationFailure::WrongProof);
    }
    assert!(stage.broker.principal(connection).is_some(), "who was let in is left alone");
}

#[test]
fn the_brokers_own_proof_is_not_good_for_a_peer() {
    let mut stage = stage();
    let hello = keyed(Role::Client, 1, 1);
    let (connection, challenge) = stage.ask(&hello);
    let transcript = Transcript::of(&hello, &challenge).unwrap();
    stage.prove(connection, transcript.prove(Prover::Broker, &key("first")));
    stage.assert_stranger(connection, AuthenticationFailure::WrongProof);
}

#[test]
fn a_proof_is_good_for_its_role_and_session_alone() {
    let spoil: [fn(Transcript) -> Transcript; 5] = [
        |transcript| Transcript { role: Role::Worker, ..transcript },
        |transcript| Transcript { session: super::stage::session(9), ..transcript },
        |transcript| Transcript { connection: ConnectionNumber(2), ..transcript },
        |transcript| Transcript { start: StartId([9; 16]), ..transcript },
        |transcript| Transcript { versions: (1, 2), ..transcript },
    ];
    for spoil in spoil {
        let mut stage = stage();
        let hello = keyed(Role::Client, 1, 1);
        let (connection, challenge) = stage.ask(&hello);
        let transcript = spoil(Transcript::of(&hello, &challenge).unwrap());
        stage.prove(connection, transcript.prove(Prover::Peer, &key("first")));
        stage.assert_stranger(connection, AuthenticationFailure::WrongProof);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_proof_with_a_bit_changed_lets_nobody_in(bit in 0..256usize) {
        let mut stage = stage();
        let hello = keyed(Role::Client, 1, 1);
        let (connection, challenge) = stage.ask(&hello);
        let mut proof = Transcript::of(&hello, &challenge).unwrap().prove(Prover::Peer, &key("first"));
        proof.0[bit / 8] ^= 1 << (bit % 8);
        stage.prove(connection, proof);
        stage.assert_stranger(connection, AuthenticationFailure::WrongProof);
    }
}

#[test]
fn what_a_stranger_says_is_ignored_until_it_is_sent_away() {
    let mut stage = stage();
    let hello = keyed(Role::Client, 1, 1);
    let (connection, challenge) = stage.ask(&hello);
    stage.prove(connection, Proof([0; 32]));
    stage.prove(connection, Transcript::of(&hello, &challenge).unwrap().prove(Prover::Peer, &key("first")));
    stage.say(connection, Envelope::Hello(body::encode(&hello).unwrap()));
    stage.say(connection, Envelope::Request(request(1, "callboard.ping")));
    stage.say_frames(connection, &[Bytes::from_static(&[0xff; 9])]);
    stage.assert_stranger(connection, AuthenticationFailure::WrongProof);
    assert_eq!(stage.broker.status(stage.now).clients, 0);
}

#[test]
fn a_stranger_neither_takes_a_session_over_nor_learns_whether_it_is_there() {
    let mut stage = stage();
    let (owner, _) = stage.come(&keyed(Role::Client, 1, 1), &key("first"));
    stage.welcome(owner);
    for connection_number in [1, 2] {
        let (connection, _) =
            stage.come(&keyed(Role::Client, 1, connection_number), &AuthKey::new("fedcba9876543210").unwrap());
        stage.assert_stranger(connection, AuthenticationFailure::WrongProof);
    }
    assert!(!stage.closed.contains(&owner));
}

#[test]
fn a_late_wrong_proof_does_not_make_the_handshake_longer() {
    let mut stage = stage();
    let (connection, _) = stage.ask(&keyed(Role::Client, 1, 1));
    stage.pass(millis(4_800));
    stage.prove(connection, Proof([0; 32]));
    stage.pass(millis(200));
    assert_eq!(stage.sent_away(connection).code, Code::Unauthenticated);
}

#[test]
fn a_stranger_that_goes_away_by_itself_leaves_nothing_behind() {
    let mut stage = stage();
    let (connection, _) = stage.ask(&hello(Role::Client, 1, 1));
    stage.handle(Event::Closed { connection });
    assert_eq!(stage.broker.poll_timeout(), None);
}

#[test]
fn other_keys_count_for_who_joins_and_who_has_joined_stays() {
    let mut stage = stage();
    let (old, _) = stage.come(&keyed(Role::Client, 1, 1), &key("first"));
    stage.welcome(old);
    let (between, challenge) = stage.ask(&keyed(Role::Client, 2, 1));
    let new = AuthKey::new("the key of today").unwrap();
    stage.handle(Event::Keys(new.clone().into()));
    assert!(stage.broker.principal(old).is_some());
    stage.call(old, 1, "callboard.ping");
    assert_eq!(stage.replies(old).len(), 1);
    // Challenged before, it proves for what counts now.
    let transcript = Transcript::of(&keyed(Role::Client, 2, 1), &challenge).unwrap();
    stage.prove(between, transcript.prove(Prover::Peer, &new));
    stage.welcome(between);
    let (late, _) = stage.come(&keyed(Role::Client, 3, 1), &key("first"));
    let live = [old, between];
    stage.pass_with(seconds(2), &live);
    assert_eq!(stage.sent_away(late).code, Code::Unauthenticated);
}

#[test]
fn the_log_knows_peers_by_the_ids_of_their_keys() {
    let mut stage = stage();
    stage.come(&keyed(Role::Client, 1, 1), &key("calls"));
    let (worker, _) = stage.come(&keyed(Role::Worker, 2, 1), &key("serves"));
    stage.register(worker, Register { offers: vec![calc(1)], exclusive: false });
    let keys = stage.notes.iter().filter_map(|note| match note {
        Diagnostic::ClientConnected { key, .. } | Diagnostic::WorkerRegistered { key, .. } => key.as_deref(),
        _ => None,
    });
    assert_eq!(keys.collect::<Vec<_>>(), ["calls", "serves"]);
}
