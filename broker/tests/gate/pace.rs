//! The pace of connections: what one may send before its welcome, in a turn, and in a second.

use std::time::{Duration, Instant};

use callboard_broker::gate::{CloseReason, Gate, GateEvent, GateLimits};
use callboard_core::{
    wire::{
        ids::ConnectionId,
        limits::{CREDIT_CALLS, HANDSHAKE_ITEMS_MAX, TURN_ENVELOPES_MAX},
    },
    zmtp::Violation,
};

use crate::{
    peer::{COMMAND, LAST, MORE, Peer, command, frame},
    scene::{gate, join, next_closed, next_frames, next_opened, on_one_thread, one, opened, two, until},
};

/// The most commands that a connection may send in so much time: the rate, a burst, and one turn.
fn commands_within(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap() / 10 + 2 * 16
}

/// A message of the smallest size.
fn tiny() -> Vec<u8> {
    frame(LAST, b"x")
}

/// Sends these bytes in a task of its own, as fast as the gate reads them.
fn flood(mut peer: Peer, bytes: Vec<u8>) {
    tokio::task::spawn_local(async move {
        while tokio::io::AsyncWriteExt::write_all(&mut peer.socket, &bytes).await.is_ok() {}
    });
}

#[test]
fn a_peer_that_sends_much_before_its_welcome_loses_its_connection() {
    on_one_thread(async {
        let mut gate = gate();
        for item in [command("PING", &[7; 18]), command("PONG", b""), tiny()] {
            let mut peer = Peer::connect(gate.frontend()).await;
            peer.complete_handshake("DEALER").await;
            let connection = next_opened(&mut gate).await;
            // READY was the first.
            peer.send(&item.repeat(HANDSHAKE_ITEMS_MAX - 1)).await;
            peer.send(&item).await;
            let violation = Violation::TooManyBeforeWelcome { max: HANDSHAKE_ITEMS_MAX };
            loop {
                match crate::scene::next(&mut gate).await {
                    GateEvent::Frames { .. } => {}
                    GateEvent::Closed { connection: closed, reason } => {
                        assert_eq!((closed, reason), (connection, CloseReason::Violation(violation)));
                        break;
                    }
                    other => panic!("not closed: {other:?}"),
                }
            }
            let received = peer.read_to_end().await;
            let reason = violation.to_string();
            assert!(received.ends_with(reason.as_bytes()), "the goodbye with the reason arrives: {received:?}");
        }
    });
}

#[test]
fn a_welcome_ends_the_limit_on_early_messages() {
    on_one_thread(async {
        let (mut gate, mut peer, _) = opened(GateLimits::default()).await;
        for _ in 0..2 * HANDSHAKE_ITEMS_MAX {
            peer.send(&tiny()).await;
            assert_eq!(next_frames(&mut gate).await.1, ["x"]);
        }
    });
}

#[test]
fn a_message_waits_behind_a_bounded_number_of_others() {
    on_one_thread(async {
        for item in [frame(LAST, b""), tiny(), [frame(MORE, b"x"), frame(LAST, b"y")].concat()] {
            let (mut gate, flooder, _) = opened(GateLimits::default()).await;
            let (mut polite, _) = join(&mut gate).await;
            flood(flooder, item.repeat(10_000));
            until(&gate, |gate| gate.counters().messages_received as usize >= TURN_ENVELOPES_MAX).await;
            for _ in 0..50 {
                polite.send(&frame(LAST, b"polite")).await;
                let mut before = 0;
                while next_frames(&mut gate).await.1 != ["polite"] {
                    before += 1;
                }
                // A full queue, the share of the flooder that has the turn, and a share while the system reports the message.
                assert!(before <= 4 * TURN_ENVELOPES_MAX, "{before} other messages came before");
            }
        }
    });
}

#[test]
fn everything_in_a_backlog_is_decoded_in_order_and_without_more_bytes() {
    on_one_thread(async {
        let (mut gate, mut peer, _) = opened(GateLimits::default()).await;
        let count = 10 * u32::try_from(TURN_ENVELOPES_MAX).unwrap();
        let messages: Vec<u8> = (0..count).flat_map(|number| frame(LAST, &number.to_be_bytes())).collect();
        peer.send(&messages).await;
        for number in 0..count {
            assert_eq!(next_frames(&mut gate).await.1[0][..], number.to_be_bytes());
        }
    });
}

#[test]
fn commands_are_read_at_a_limited_rate_and_others_are_served() {
    on_one_thread(async {
        for item in [command("PING", &[7; 18]), command("PONG", &[7; 16])] {
            let (mut gate, flooder, flooding) = opened(GateLimits::default()).await;
            let (mut polite, _) = join(&mut gate).await;
            let start = Instant::now();
            flood(flooder, item.repeat(1_000));
            until(&gate, |gate| gate.counters().pauses >= 3).await;
            polite.send(&frame(LAST, b"polite")).await;
            assert_eq!(next_frames(&mut gate).await.1, ["polite"]);
            let (read, max) = (gate.counters().commands_received, commands_within(start.elapsed()));
            assert!(read <= max, "{read} commands were read, more than {max}");
            assert!(gate.unsent_bytes(flooding) < 100_000);
        }
    });
}

#[test]
fn a_connection_with_many_envelopes_without_credit_is_paused() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        gate.spend_uncredited(connection, CREDIT_CALLS as usize);
        peer.send(&tiny()).await;
        next_frames(&mut gate).await;
        assert_eq!(gate.counters().pauses, 0, "a burst is free");
        // A tenth of a second at the rate.
        gate.spend_uncredited(connection, 2_000);
        let start = Instant::now();
        peer.send(&tiny()).await;
        peer.send(&tiny()).await;
        next_frames(&mut gate).await;
        next_frames(&mut gate).await;
        assert!(gate.counters().pauses > 0 && start.elapsed() >= Duration::from_millis(100));
    });
}

#[test]
fn a_paused_connection_is_written_to_and_ends_as_any_other() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        gate.spend_uncredited(connection, 1_000_000);
        peer.send(&tiny()).await;
        until(&gate, |gate| gate.counters().pauses > 0).await;
        gate.send(connection, one(b"reply"));
        gate.flush();
        assert_eq!(peer.read_frame().await.1, b"reply");
        gate.close(connection);
        assert_eq!(next_closed_of(&mut gate, connection).await, CloseReason::Requested);
    });
}

async fn next_closed_of(gate: &mut Gate, connection: ConnectionId) -> CloseReason {
    let (closed, reason) = next_closed(gate).await;
    assert_eq!(closed, connection);
    reason
}

#[test]
fn a_peer_that_does_not_read_gets_no_pong() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        gate.send(connection, two(b"head", vec![0; 16_000_000]));
        gate.flush();
        peer.send(&command("PING", &[7; 18])).await;
        until(&gate, |gate| gate.counters().pongs_dropped == 1).await;
        // A peer that reads gets a PONG again.
        assert_eq!([peer.read_frame().await.0, peer.read_frame().await.0], [MORE, LAST]);
        until(&gate, |gate| gate.unsent_bytes(connection) == 0).await;
        peer.send(&command("PING", &[7; 18])).await;
        assert_eq!(peer.read_frame().await.0, COMMAND);
    });
}
