//! Tests of a peer's connection.

#![allow(clippy::unwrap_used)]

mod authentication;

use bytes::Bytes;

use super::{
    DisconnectReason, Peer, PeerEvent, Settings, SocketClosed, TimeoutAction,
    backoff::Backoff,
    simulated_broker::{HEARTBEAT, at, goodbye, ms, settings, welcome, welcome_body},
};
use crate::{
    auth::{ChannelBinding, Nonce},
    body,
    time::Time,
    wire::{
        Envelope,
        envelope::Ping,
        handshake::{Hello, Role, Welcome},
        ids::{ConnectionNumber, SessionId},
        kind::Kind,
        limits::{HANDSHAKE_TIMEOUT, HEARTBEAT_MAX, HEARTBEAT_MIN},
        status::{Code, Executed, Failure},
    },
};

fn peer() -> Peer {
    Peer::new(Role::Client, settings())
}

fn challenge() -> Envelope {
    Envelope::Challenge(Bytes::new())
}

/// Connects. Returns the hello.
fn send_hello(peer: &mut Peer, now: Time) -> Hello {
    send_hello_on(peer, now, None)
}

/// Connects on an encrypted channel. Returns the hello.
fn send_hello_on(peer: &mut Peer, now: Time, channel: Option<ChannelBinding>) -> Hello {
    assert_eq!(peer.handle_timeout(now), Some(TimeoutAction::Connect));
    let Some(Envelope::Hello(hello)) = peer.on_connected(Nonce([9; 32]), channel) else {
        panic!("a connected peer sends a hello")
    };
    peer.assert_invariants();
    body::decode(&hello).unwrap()
}

/// Connects to the start of the broker with that number.
fn connect(peer: &mut Peer, now: Time, start: u8) -> PeerEvent {
    send_hello(peer, now);
    assert_eq!(peer.handle_message(now, challenge()), PeerEvent::Reply(Envelope::Proof(Bytes::new())));
    peer.record_send(now);
    let event = peer.handle_message(now, welcome(start, 1, 1));
    peer.assert_invariants();
    event
}

/// Closes the socket. Returns when the peer reconnects.
fn disconnect(peer: &mut Peer, now: Time) -> Time {
    assert_eq!(peer.on_disconnected(now, 0), SocketClosed::Unexpected);
    peer.poll_timeout().unwrap()
}

#[test]
fn a_peer_is_connected_after_hello_challenge_proof_and_welcome() {
    let mut peer = peer();
    let hello = send_hello(&mut peer, at(0));
    assert_eq!((hello.session, hello.role, hello.versions), (SessionId([7; 16]), Role::Client, (2, 2)));
    assert_eq!((hello.connection, hello.heartbeat_ms), (ConnectionNumber(1), 1_000));
    assert!(!peer.is_connected());
    assert!(matches!(peer.handle_message(at(0), challenge()), PeerEvent::Reply(Envelope::Proof(_))));
    assert_eq!(peer.handle_message(at(0), welcome(1, 5, 6)), PeerEvent::Connected { same_start: false });
    assert!(peer.is_connected());
    assert_eq!(peer.welcome().unwrap().credit_calls, 5);
}

#[test]
fn each_connection_of_a_session_has_a_higher_number() {
    let mut peer = peer();
    assert_eq!(send_hello(&mut peer, at(0)).connection, ConnectionNumber(1));
    let again = disconnect(&mut peer, at(0));
    assert_eq!(send_hello(&mut peer, again).connection, ConnectionNumber(2));
}

#[test]
fn a_peer_detects_a_new_start_of_the_broker() {
    let mut peer = peer();
    connect(&mut peer, at(0), 1);
    let again = disconnect(&mut peer, at(0));
    assert_eq!(connect(&mut peer, again, 1), PeerEvent::Connected { same_start: true });
    let again = disconnect(&mut peer, again);
    assert_eq!(connect(&mut peer, again, 2), PeerEvent::Connected { same_start: false });
}

#[test]
fn a_handshake_times_out_and_the_peer_reconnects() {
    let mut peer = peer();
    send_hello(&mut peer, at(0));
    peer.handle_message(at(1), challenge());
    assert_eq!(peer.poll_timeout(), Some(Time::ZERO + HANDSHAKE_TIMEOUT));
    assert_eq!(peer.handle_timeout(at(4_999)), None);
    assert_eq!(peer.handle_timeout(at(5_000)), Some(TimeoutAction::Disconnect(DisconnectReason::HandshakeTimeout)));
    assert_eq!(peer.poll_timeout(), None, "the driver drops the socket first");
    assert_eq!(peer.on_disconnected(at(5_001), 0), SocketClosed::Expected);
    assert_eq!(peer.handle_timeout(at(5_011)), Some(TimeoutAction::Connect));
}

#[test]
fn a_peer_that_sent_nothing_for_an_interval_sends_a_ping() {
    let mut peer = peer();
    connect(&mut peer, at(0), 1);
    assert_eq!(peer.poll_timeout(), Some(at(1_000)));
    peer.record_send(at(600));
    assert_eq!(peer.handle_timeout(at(1_599)), None);
    assert_eq!(peer.handle_timeout(at(1_600)), Some(TimeoutAction::Ping(1)));
    assert_eq!(peer.handle_timeout(at(1_600)), None);
    peer.record_activity(at(2_600));
    assert_eq!(peer.handle_timeout(at(2_600)), Some(TimeoutAction::Ping(2)));
}

#[test]
fn a_ping_is_answered_with_its_number() {
    let mut peer = peer();
    connect(&mut peer, at(0), 1);
    let ping = Envelope::Ping(Ping { number: 77, done_below: None });
    assert_eq!(peer.handle_message(at(1), ping), PeerEvent::Reply(Envelope::Pong(77)));
    assert_eq!(peer.handle_message(at(1), Envelope::Pong(1)), PeerEvent::Ignored);
}

#[test]
fn a_broker_is_lost_after_three_of_its_intervals_without_a_frame() {
    let mut peer = peer();
    connect(&mut peer, at(0), 1);
    for second in 1..=2 {
        assert!(matches!(peer.handle_timeout(at(second * 1_000)), Some(TimeoutAction::Ping(_))));
    }
    peer.record_activity(at(2_500));
    for second in 3..=5 {
        assert!(matches!(peer.handle_timeout(at(second * 1_000)), Some(TimeoutAction::Ping(_))));
    }
    assert_eq!(peer.handle_timeout(at(5_499)), None);
    assert_eq!(peer.handle_timeout(at(5_500)), Some(TimeoutAction::Disconnect(DisconnectReason::HeartbeatTimeout)));
    assert_eq!(peer.on_disconnected(at(5_500), 0), SocketClosed::Expected);
}

#[test]
fn after_a_stall_the_peer_allows_one_more_interval() {
    let mut peer = peer();
    connect(&mut peer, at(0), 1);
    // The process is stopped from the ping at 1 s until 60 s.
    peer.detect_stall(at(60_000));
    assert!(matches!(peer.handle_timeout(at(60_000)), Some(TimeoutAction::Ping(_))));
    assert_eq!(peer.handle_timeout(at(60_999)), None);
    peer.detect_stall(at(61_000));
    assert_eq!(
        peer.handle_timeout(at(61_000)),
        Some(TimeoutAction::Disconnect(DisconnectReason::HeartbeatTimeout)),
        "the grace period is one interval"
    );
}

#[test]
fn a_delay_shorter_than_an_interval_is_not_a_stall() {
    let mut peer = peer();
    connect(&mut peer, at(0), 1);
    for second in [1_000, 2_000] {
        peer.detect_stall(at(second));
        peer.handle_timeout(at(second));
    }
    peer.detect_stall(at(3_900));
    assert_eq!(peer.handle_timeout(at(3_900)), Some(TimeoutAction::Disconnect(DisconnectReason::HeartbeatTimeout)));
}

#[test]
fn pauses_double_up_to_a_heartbeat_with_jitter() {
    let mut shortest = Backoff::new(HEARTBEAT);
    let mut longest = Backoff::new(HEARTBEAT);
    for step in [50, 100, 200, 400, 800, 1_000, 1_000] {
        assert_eq!(shortest.pause(0), ms(step / 5));
        let pause = longest.pause(u32::MAX);
        assert!(pause > ms(step - 1) && pause <= ms(step), "{pause:?} of {step} ms");
    }
    for _ in 0..100 {
        assert!(shortest.pause(u32::MAX) <= HEARTBEAT);
    }
    for heartbeat in [HEARTBEAT_MIN, HEARTBEAT_MAX] {
        assert!(
            (0..100).fold(Backoff::new(heartbeat), |mut backoff, _| (backoff.pause(u32::MAX), backoff).1).pause(0)
                <= heartbeat
        );
    }
}

#[test]
fn only_a_stable_connection_resets_the_pause() {
    let mut peer = peer();
    let mut now = at(0);
    for pause in [10, 20, 40] {
        connect(&mut peer, now, 1);
        let again = disconnect(&mut peer, now + ms(999));
        assert_eq!(again.since(now), ms(999 + pause));
        now = again;
    }
    connect(&mut peer, now, 1);
    assert_eq!(disconnect(&mut peer, now + HEARTBEAT).since(now), HEARTBEAT + ms(10));
}

#[test]
fn after_an_unavailable_goodbye_the_peer_reconnects() {
    let mut peer = peer();
    send_hello(&mut peer, at(0));
    assert!(matches!(
        peer.handle_message(at(1), goodbye(Code::Unavailable)),
        PeerEvent::Disconnected(DisconnectReason::Goodbye(_))
    ));
    assert_eq!(peer.on_disconnected(at(1), 0), SocketClosed::Expected);
    assert_eq!(connect(&mut peer, at(11), 1), PeerEvent::Connected { same_start: false });
    assert!(matches!(
        peer.handle_message(at(12), goodbye(Code::Unavailable)),
        PeerEvent::Disconnected(DisconnectReason::Goodbye(_))
    ));
}

#[test]
fn after_any_other_goodbye_the_peer_does_not_reconnect() {
    for code in [Code::FailedPrecondition, Code::AlreadyExists, Code::Unauthenticated, Code::PermissionDenied] {
        let mut peer = peer();
        send_hello(&mut peer, at(0));
        assert!(
            matches!(peer.handle_message(at(1), goodbye(code)), PeerEvent::Rejected(failure) if failure.code == code)
        );
        assert_eq!(peer.on_disconnected(at(1), 0), SocketClosed::Expected);
        assert_eq!((peer.poll_timeout(), peer.handle_timeout(at(100_000))), (None, None));
    }
}

#[test]
fn the_wait_for_the_answer_to_goodbye_ends_with_it_at_the_deadline_or_with_the_connection() {
    let closing = |until: u64| {
        let mut peer = peer();
        connect(&mut peer, at(0), 1);
        peer.start_closing(at(until));
        peer
    };
    let mut answered = closing(2_000);
    assert_eq!(answered.handle_message(at(1), Envelope::Pong(1)), PeerEvent::Ignored);
    assert_eq!(answered.handle_message(at(1), Envelope::Goodbye(None)), PeerEvent::GoodbyeAcknowledged);
    assert_eq!((answered.on_disconnected(at(2), 0), answered.poll_timeout()), (SocketClosed::Expected, None));
    let mut late = closing(2_000);
    assert_eq!((late.handle_timeout(at(1_999)), late.handle_timeout(at(2_000))), (None, Some(TimeoutAction::GiveUp)));
    let mut silent = closing(90_000);
    assert_eq!(
        (silent.handle_timeout(at(2_999)), silent.handle_timeout(at(3_000))),
        (None, Some(TimeoutAction::GiveUp))
    );
    let mut gone = closing(2_000);
    assert_eq!((gone.on_disconnected(at(1), 0), gone.poll_timeout()), (SocketClosed::Final, None));
}

#[test]
fn messages_out_of_order_in_the_handshake_are_unexpected() {
    let mut peer = peer();
    send_hello(&mut peer, at(0));
    assert_eq!(
        peer.handle_message(at(0), welcome(1, 1, 1)),
        PeerEvent::Unexpected(Kind::Welcome),
        "a welcome before the proof"
    );
    assert_eq!(
        peer.handle_message(at(0), Envelope::Ping(Ping { number: 1, done_below: None })),
        PeerEvent::Unexpected(Kind::Ping)
    );
    peer.handle_message(at(0), challenge());
    assert_eq!(peer.handle_message(at(0), challenge()), PeerEvent::Unexpected(Kind::Challenge));
    assert_eq!(peer.handle_message(at(0), welcome(1, 1, 1)), PeerEvent::Connected { same_start: false });
    assert_eq!(peer.handle_message(at(0), welcome(1, 1, 1)), PeerEvent::Unexpected(Kind::Welcome), "a second welcome");
}

#[test]
fn a_malformed_welcome_disconnects_and_one_of_another_version_rejects() {
    let mut peer = peer();
    send_hello(&mut peer, at(0));
    peer.handle_message(at(0), challenge());
    let malformed = Envelope::Welcome(Bytes::from_static(&[0x63, b'a', b'b', b'c']));
    assert!(matches!(
        peer.handle_message(at(0), malformed),
        PeerEvent::Disconnected(DisconnectReason::InvalidHandshake(_))
    ));
    assert_eq!(peer.on_disconnected(at(0), 0), SocketClosed::Expected);
    send_hello(&mut peer, at(10));
    peer.handle_message(at(10), challenge());
    let mut later = welcome_body(1, 1, 1);
    later.version = 3;
    let event = peer.handle_message(at(10), Envelope::Welcome(body::encode(&later).unwrap()));
    assert!(matches!(event, PeerEvent::Rejected(failure) if failure.code == Code::FailedPrecondition));
}

#[test]
fn a_broker_of_an_older_version_is_rejected_with_both_versions() {
    let mut peer = peer();
    send_hello(&mut peer, at(0));
    peer.handle_message(at(0), challenge());
    let older = Welcome { version: 1, ..welcome_body(1, 1, 1) };
    let event = peer.handle_message(at(0), Envelope::Welcome(body::encode(&older).unwrap()));
    let PeerEvent::Rejected(failure) = event else { panic!("not rejected: {event:?}") };
    assert_eq!(
        failure.message,
        "the broker uses version 1 of the protocol, and this program supports version 2: update the older of the two"
    );
}

#[test]
fn the_interval_that_the_broker_announces_is_clamped() {
    for (announced, clamped) in [(0, HEARTBEAT_MIN), (u64::MAX, HEARTBEAT_MAX)] {
        let mut peer = peer();
        send_hello(&mut peer, at(0));
        peer.handle_message(at(0), challenge());
        let mut welcome = welcome_body(1, 1, 1);
        welcome.heartbeat_ms = announced;
        peer.handle_message(at(0), Envelope::Welcome(body::encode(&welcome).unwrap()));
        assert_eq!(peer.liveness.expires_at(), Time::ZERO + clamped * 3);
    }
}

#[test]
fn unexpected_events_of_the_driver_change_nothing() {
    let mut peer = peer();
    assert_eq!(
        (peer.on_connected(Nonce([9; 32]), None), peer.on_disconnected(at(0), 0)),
        (None, SocketClosed::Expected)
    );
    assert_eq!(peer.handle_message(at(0), welcome(1, 1, 1)), PeerEvent::Ignored);
    assert_eq!(connect(&mut peer, at(0), 1), PeerEvent::Connected { same_start: false });
    assert_eq!(peer.on_connected(Nonce([9; 32]), None), None);
    assert!(peer.give_up(), "a socket is open");
    assert!(!peer.give_up(), "no socket is open");
    let why = Some(Box::new(Failure::new(Code::Internal, Executed::No, "")));
    assert_eq!(peer.handle_message(at(0), Envelope::Goodbye(why)), PeerEvent::Ignored);
}
