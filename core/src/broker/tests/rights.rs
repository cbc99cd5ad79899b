//! The rights of peers: calls and registrations that the broker denies, and changes while peers are connected.

use bytes::Bytes;

use super::harness::{Harness, calc, hello, request};
use crate::{
    auth::{AuthKey, Channel, ChannelBinding, PeerDirectory, PeerEntry, Rights},
    broker::{AuthenticationFailure, Diagnostic, Endpoint, Event, Settings},
    wire::{
        Envelope,
        envelope::{Request, RequestFlags},
        handshake::{Offer, Register, Role},
        ids::ConnectionId,
        limits::AUTHKEY_REJECTION_DELAY,
        status::{Code, Executed},
        streams::Streams,
    },
};

/// A peer that the broker knows by the public key of this number.
fn peer(name: &str, number: u8) -> PeerEntry {
    PeerEntry::new(name).unwrap().with_public_key([number; 32])
}

fn with_rules(entry: PeerEntry, call: &[&str], serve: &[&str], operate: bool) -> PeerEntry {
    entry.with_rights(Rights::new(call, serve, operate).unwrap())
}

const WEB: u8 = 1;
const JOBS: u8 = 2;
const ADMIN: u8 = 3;
const FREE: u8 = 4;

fn peers() -> Vec<PeerEntry> {
    vec![
        with_rules(peer("web", WEB), &["calc.add", "calc.count"], &[], false),
        with_rules(peer("jobs", JOBS), &[], &["calc"], false),
        with_rules(peer("admin", ADMIN), &[], &[], true),
        peer("free", FREE),
    ]
}

fn directory(peers: Vec<PeerEntry>) -> PeerDirectory {
    PeerDirectory::new(peers).unwrap()
}

fn harness() -> Harness {
    Harness::just_started(Settings { peers: Some(directory(peers())), ..Settings::default() })
}

impl Harness {
    /// Connects on an encrypted channel with the public key of that number.
    fn connect(&mut self, role: Role, key: u8) -> ConnectionId {
        self.channel = Some(Channel { public_key: [key; 32], binding: ChannelBinding([key; 32]) });
        let endpoint = if role == Role::Client { Endpoint::Frontend } else { Endpoint::Backend };
        let session = key + if role == Role::Client { 0 } else { 100 };
        let connection = self.handshake(endpoint, &hello(role, session, 1));
        self.received(connection);
        connection
    }

    fn serving(&mut self, key: u8, offer: Offer) -> ConnectionId {
        let worker = self.connect(Role::Worker, key);
        self.register(worker, Register { offers: vec![offer], exclusive: false, ..Register::default() });
        worker
    }

    fn change_peers(&mut self, peers: Vec<PeerEntry>) {
        self.handle(Event::Peers(directory(peers)));
    }

    #[track_caller]
    fn assert_denied(&mut self, client: ConnectionId, request: Request, words: &str) {
        let before = self.diagnostics.len();
        self.send(client, Envelope::Request(request));
        let failure = self.failure(client);
        assert_eq!((failure.code, failure.executed), (Code::PermissionDenied, Executed::No));
        assert!(failure.message.contains(words), "{failure}");
        let logged = self.diagnostics[before..]
            .iter()
            .any(|diagnostic| matches!(diagnostic, Diagnostic::CallDenied { why, .. } if why.contains(words)));
        assert!(logged, "{:?}", &self.diagnostics[before..]);
    }
}

#[test]
fn a_call_that_no_rule_allows_is_denied_with_the_missing_right() {
    let mut harness = harness();
    let worker = harness.serving(JOBS, calc(4));
    let web = harness.connect(Role::Client, WEB);
    harness.call(web, 1, "calc.add");
    assert_eq!(harness.dispatches(worker).len(), 1);
    let missing = "peer web may not call calc.pay: add \"calc.pay\" to its call rules";
    harness.assert_denied(web, request(2, "calc.pay"), missing);
    harness.assert_denied(web, request(3, "callboard.status"), "peer web may not call callboard.status");
    harness.assert_denied(web, request(4, "unknown.method"), "unknown.method");
    let waits = RequestFlags { wait_for_ready: true, ..RequestFlags::default() };
    harness.assert_denied(web, Request { flags: waits, ..request(5, "later.run") }, "later.run");
    assert_eq!(harness.dispatches(worker), []);
    harness.call(web, 6, "callboard.ping");
    assert!(harness.replies(web)[0].1.is_ok(), "a ping needs no right");
}

#[test]
fn a_stream_or_broadcast_that_no_rule_allows_is_denied() {
    let mut harness = harness();
    let worker = harness.serving(JOBS, calc(4));
    let web = harness.connect(Role::Client, WEB);
    let streams = Streams::from_bits(2).unwrap();
    harness.assert_denied(web, Request { streams, ..request(1, "calc.sum") }, "calc.sum");
    let broadcast = RequestFlags { broadcast: true, ..RequestFlags::default() };
    harness.assert_denied(web, Request { flags: broadcast, ..request(2, "calc.pay") }, "calc.pay");
    assert_eq!(harness.dispatches(worker), []);
    harness.send(web, Envelope::Request(Request { flags: broadcast, ..request(3, "calc.add") }));
    let dispatches = harness.dispatches(worker);
    assert_eq!(dispatches.len(), 1);
    assert_eq!(dispatches[0].caller_name.as_deref(), Some(&"web".into()), "a subcall has the caller of its broadcast");
}

#[test]
fn a_cast_that_no_rule_allows_does_not_run() {
    let mut harness = harness();
    let worker = harness.serving(JOBS, calc(4));
    let web = harness.connect(Role::Client, WEB);
    let flags = RequestFlags { cast: true, ..RequestFlags::default() };
    harness.send(web, Envelope::Request(Request { flags, ..request(1, "calc.pay") }));
    assert_eq!(harness.dispatches(worker), []);
    let denied = |diagnostic: &Diagnostic| matches!(diagnostic, Diagnostic::CallDenied { .. });
    assert!(harness.diagnostics.iter().any(denied));
    assert!(matches!(harness.diagnostics.last(), Some(Diagnostic::CastFailed { .. })));
}

#[test]
fn a_resend_that_may_have_run_before_is_denied_as_maybe_executed() {
    let mut harness = harness();
    let web = harness.connect(Role::Client, WEB);
    let flags = RequestFlags { resend: true, ..RequestFlags::default() };
    harness.send(web, Envelope::Request(Request { flags, ..request(1, "calc.pay") }));
    let failure = harness.failure(web);
    assert_eq!((failure.code, failure.executed), (Code::PermissionDenied, Executed::Maybe));
}

#[test]
fn a_registration_that_no_rule_allows_is_rejected_as_a_whole() {
    let mut harness = harness();
    let other = Offer { service: "other".to_owned(), ..calc(1) };
    let worker = harness.connect(Role::Worker, JOBS);
    harness.register(worker, Register { offers: vec![calc(1), other], exclusive: false, ..Register::default() });
    let failure = harness.disconnect_reason(worker);
    assert_eq!(failure.code, Code::PermissionDenied);
    assert_eq!(failure.message, "peer jobs may not serve other: add \"other\" to its serve rules");
    assert!(harness.broker.service_statuses(harness.now).is_empty());
    let pool = Offer { service: "callboard.pool.calc".to_owned(), ..calc(1) };
    let worker = harness.connect(Role::Worker, WEB);
    harness.register(worker, Register { offers: vec![pool], exclusive: true, ..Register::default() });
    assert!(harness.disconnect_reason(worker).message.contains("peer web may not serve callboard.pool.calc"));
}

#[test]
fn operate_allows_the_methods_for_operators_and_nothing_else() {
    let mut harness = harness();
    let worker = harness.serving(JOBS, calc(4));
    let admin = harness.connect(Role::Client, ADMIN);
    for (number, method) in (1..).zip(["callboard.peers", "callboard.gate", "callboard.status", "callboard.why"]) {
        harness.call(admin, number, method);
        assert!(harness.replies(admin)[0].1.is_ok(), "{method}");
    }
    harness.assert_denied(admin, request(9, "calc.add"), "peer admin may not call calc.add");
    assert_eq!(harness.dispatches(worker), []);
    let all = with_rules(peer("web", WEB), &["*"], &[], false);
    harness.change_peers(vec![all, peer("jobs", JOBS)]);
    let web = harness.connect(Role::Client, WEB);
    harness.call(web, 1, "callboard.peers");
    let failure = harness.failure(web);
    assert_eq!(failure.message, "callboard.peers is for operators: set operate = true for peer web");
}

#[test]
fn the_handler_gets_the_name_of_its_caller() {
    let mut harness = harness();
    let worker = harness.serving(JOBS, calc(4));
    let free = harness.connect(Role::Client, FREE);
    harness.call(free, 1, "calc.pay");
    assert_eq!(harness.dispatches(worker)[0].caller_name.as_deref(), Some(&"free".into()));
    let mut open = Harness::new();
    let (worker, client) = (open.worker(1, calc(1)), open.client(2));
    open.call(client, 1, "calc.pay");
    assert_eq!(open.dispatches(worker)[0].caller_name, None);
}

#[test]
fn a_right_that_was_taken_away_or_given_counts_from_the_next_call() {
    let mut harness = harness();
    let worker = harness.serving(JOBS, calc(1));
    let web = harness.connect(Role::Client, WEB);
    harness.call(web, 1, "calc.add");
    harness.call(web, 2, "calc.add");
    let changed = with_rules(peer("web", WEB), &["calc.pay"], &[], false);
    harness.change_peers(vec![changed, with_rules(peer("jobs", JOBS), &[], &["calc"], false)]);
    harness.assert_denied(web, request(3, "calc.add"), "calc.add");
    harness.call(web, 4, "calc.pay");
    for _ in 0..3 {
        let dispatch = harness.dispatches(worker).pop().unwrap();
        harness.reply(worker, &dispatch, &[5]);
    }
    assert_eq!(harness.replies(web).len(), 3, "calls that were accepted before go on");
}

#[test]
fn the_connections_and_calls_of_a_removed_peer_end() {
    let mut harness = harness();
    let worker = harness.serving(JOBS, calc(1));
    let (web, free) = (harness.connect(Role::Client, WEB), harness.connect(Role::Client, FREE));
    harness.call(web, 1, "calc.add");
    harness.call(web, 2, "calc.add");
    harness.call(free, 1, "calc.add");
    let first = harness.dispatches(worker).pop().unwrap();
    harness.change_peers(peers().into_iter().filter(|peer| peer.name().is_none_or(|name| name != "web")).collect());
    let failure = harness.disconnect_reason(web);
    assert_eq!(failure.code, Code::Unauthenticated);
    assert_eq!(failure.message, "peer web was removed from the peers that the broker knows");
    let cancelled = harness.received(worker);
    assert!(matches!(cancelled[..], [Envelope::Cancel(_)]), "{cancelled:?}");
    harness.reply(worker, &first, &[5]);
    let next = harness.dispatches(worker);
    assert_eq!(
        next[0].caller_name.as_deref(),
        Some(&"free".into()),
        "the waiting call of the removed peer was dropped"
    );
    assert!(!harness.closed.contains(&free));
    let again = harness.connect(Role::Client, WEB);
    harness.advance_with(AUTHKEY_REJECTION_DELAY, &[worker, free]);
    assert!(harness.disconnect_reason(again).message.contains("unknown public key"));
}

#[test]
fn a_worker_that_may_no_longer_serve_is_disconnected() {
    for (changed, code) in [
        (None, Code::Unauthenticated),
        (Some(with_rules(peer("jobs", JOBS), &[], &["other"], false)), Code::PermissionDenied),
        (Some(peer("jobs", JOBS).with_roles("client".parse().unwrap())), Code::PermissionDenied),
    ] {
        let mut harness = harness();
        let worker = harness.serving(JOBS, calc(1));
        let web = harness.connect(Role::Client, WEB);
        harness.call(web, 1, "calc.add");
        let first = peers().into_iter().take(1);
        harness.change_peers(first.chain(changed).collect());
        assert_eq!(harness.disconnect_reason(worker).code, code);
        assert!(!harness.closed.contains(&web));
    }
}

#[test]
fn a_disconnected_session_of_a_removed_peer_ends() {
    let mut harness = harness();
    let worker = harness.serving(JOBS, calc(1));
    let web = harness.connect(Role::Client, WEB);
    harness.call(web, 1, "calc.add");
    harness.call(web, 2, "calc.add");
    harness.handle(Event::Closed { connection: web });
    let running = harness.dispatches(worker).pop().unwrap();
    harness.change_peers(peers().into_iter().skip(1).collect());
    harness.reply(worker, &running, &[5]);
    assert_eq!(harness.dispatches(worker), [], "its waiting call was dropped");
    assert_eq!(harness.broker.status(harness.now).clients, 0);
}

#[test]
fn an_unknown_public_key_or_none_is_rejected_where_all_peers_have_one() {
    for (channel, why, words) in [
        (Some(9), AuthenticationFailure::UnknownPublicKey, "unknown public key"),
        (None, AuthenticationFailure::NotEncrypted, "--server-key"),
    ] {
        let mut harness = harness();
        let of_key = |key| Channel { public_key: [key; 32], binding: ChannelBinding([key; 32]) };
        harness.channel = channel.map(of_key);
        let connection = harness.handshake(Endpoint::Frontend, &hello(Role::Client, 9, 1));
        assert!(harness.diagnostics.contains(&Diagnostic::Unauthenticated { connection, why }));
        harness.advance(AUTHKEY_REJECTION_DELAY);
        let failure = harness.disconnect_reason(connection);
        assert_eq!(failure.code, Code::Unauthenticated);
        assert!(failure.message.contains(words), "{failure}");
    }
}

#[test]
fn each_key_of_a_peer_connects_until_it_is_removed() {
    let mut harness = harness();
    let rotating = |keys: &[u8]| {
        let web = keys.iter().fold(PeerEntry::new("web").unwrap(), |web, key| web.with_public_key([*key; 32]));
        [vec![with_rules(web, &["calc.add"], &[], false)], peers().into_iter().skip(1).collect()].concat()
    };
    let worker = harness.serving(JOBS, calc(4));
    let old = harness.connect(Role::Client, WEB);
    harness.change_peers(rotating(&[WEB, 11]));
    let new = harness.connect(Role::Client, 11);
    for client in [old, new] {
        assert_eq!(harness.broker.principal(client).unwrap().name().unwrap(), "web");
        harness.call(client, 1, "calc.add");
    }
    let running = harness.dispatches(worker);
    harness.change_peers(rotating(&[11]));
    let failure = harness.disconnect_reason(old);
    assert_eq!(failure.code, Code::Unauthenticated);
    assert!(failure.message.contains("the key that peer web proved was removed"), "{failure}");
    assert!(!harness.closed.contains(&new));
    running.iter().for_each(|dispatch| harness.reply(worker, dispatch, &[5]));
    assert_eq!(harness.replies(new).len(), 1);
    assert!(harness.broker.principal(new).is_some());
}

#[test]
fn a_connection_ends_if_its_peer_must_prove_a_key_of_another_kind_from_now_on() {
    let mut harness = harness();
    let web = harness.connect(Role::Client, WEB);
    let mut changed = peers();
    changed[0] = changed[0].clone().with_authkey(AuthKey::new("0123456789abcdef").unwrap());
    harness.change_peers(changed);
    assert_eq!(harness.disconnect_reason(web).code, Code::Unauthenticated);
}

#[test]
fn a_peer_without_a_proof_is_rejected_with_what_it_lacks() {
    let key = |text: &str| AuthKey::new(format!("{text:0>16}")).unwrap();
    let both = || peer("both", 1).with_authkey(key("both"));
    for (channel, why, words) in [
        (None, AuthenticationFailure::NoProof, "requires a key"),
        (Some(1), AuthenticationFailure::NoProof, "requires a key"),
        (Some(9), AuthenticationFailure::UnknownPublicKeyNoProof, "add the key of this program's --curve-secret-file"),
    ] {
        let plain = PeerEntry::new("plain").unwrap().with_authkey(key("plain"));
        let peers = Some(directory(vec![both(), plain]));
        let mut harness = Harness::just_started(Settings { peers, ..Settings::default() });
        harness.channel = channel.map(|key| Channel { public_key: [key; 32], binding: ChannelBinding([key; 32]) });
        let (connection, _) = harness.request_challenge(&hello(Role::Client, 9, 1));
        harness.send(connection, Envelope::Proof(Bytes::new()));
        assert!(harness.diagnostics.contains(&Diagnostic::Unauthenticated { connection, why }), "{channel:?}");
        harness.advance(AUTHKEY_REJECTION_DELAY);
        let failure = harness.disconnect_reason(connection);
        assert!(failure.message.contains(words), "{failure}");
    }
}

#[test]
fn a_key_of_a_key_file_that_is_removed_keeps_its_connections() {
    // The directory mixes both: a key file rotates its keys, and a removed peer is revoked.
    let key = || AuthKey::new("0123456789abcdef").unwrap().with_id("old").unwrap();
    let keys = PeerDirectory::from(crate::auth::AuthKeys::from(key()));
    let mut harness = Harness::just_started(Settings::default());
    harness.handle(Event::Peers(keys.merged_with(&directory(peers())).unwrap()));
    let web = harness.connect(Role::Client, WEB);
    harness.change_peers(peers());
    assert!(!harness.closed.contains(&web));
}
