//! Many connections at once: which are accepted, which are displaced, and what all of them together may cost.

use std::time::Duration;

use callboard_broker::gate::{CloseReason, Gate, GateEvent, GateLimits};
use callboard_core::zmtp::greeting;

use crate::{
    peer::{COMMAND, LAST, Peer, announced, frame, ready},
    scene::{closed, gate_with, join, next, next_closed, next_frames, next_opened, on_one_thread, one, two, until},
};

/// Reads the reason in the ERROR that a peer gets before its handshake is complete.
async fn read_error(peer: &mut Peer) -> String {
    peer.read_greeting().await;
    let (flags, content) = peer.read_frame().await;
    assert!(flags == COMMAND && content.starts_with(b"\x05ERROR"), "{content:?}");
    String::from_utf8(content[7..].to_vec()).unwrap()
}

#[test]
fn a_flood_of_silent_connections_does_not_block_a_valid_peer() {
    on_one_thread(async {
        let mut gate = gate_with(GateLimits { handshakes_max: 8, ..GateLimits::default() });
        let mut silent = Vec::new();
        for _ in 0..40 {
            silent.push(Peer::connect(gate.frontend()).await);
        }
        let (mut peer, connection) = join(&mut gate).await;
        assert!(gate.pending() <= 8, "{}", gate.pending());
        assert!(closed(&gate, "displaced") > 0);
        assert!(read_error(&mut silent[0]).await.contains("displaced before its handshake"));
        assert!(silent[0].read_to_end().await.is_empty());
        peer.send(&frame(LAST, b"hi")).await;
        assert_eq!(next_frames(&mut gate).await.0, connection);
    });
}

#[test]
fn an_opened_peer_that_never_authenticates_is_displaced_too() {
    on_one_thread(async {
        let mut gate = gate_with(GateLimits { handshakes_max: 1, ..GateLimits::default() });
        let mut idle = Peer::connect(gate.frontend()).await;
        idle.complete_handshake("DEALER").await;
        let connection = next_opened(&mut gate).await;
        let mut new_peer = Peer::connect(gate.frontend()).await;
        assert_eq!(next_closed(&mut gate).await, (connection, CloseReason::Displaced));
        new_peer.complete_handshake("DEALER").await;
        let connection = next_opened(&mut gate).await;
        gate.set_authenticated(connection);
        assert_eq!((gate.pending(), gate.connections()), (0, 1));
    });
}

#[test]
fn an_address_at_its_connection_limit_is_rejected_with_a_reason() {
    on_one_thread(async {
        let mut gate = gate_with(GateLimits { connections_per_address_max: 2, ..GateLimits::default() });
        let (first, _) = join(&mut gate).await;
        let (_second, _) = join(&mut gate).await;
        let mut third = Peer::connect(gate.backend()).await;
        assert!(read_error(&mut third).await.contains("its address has 2 connections"));
        assert!(third.read_to_end().await.is_empty());
        until(&gate, |gate| closed(gate, "address-full") == 1).await;
        drop(first);
        next_closed(&mut gate).await;
        join(&mut gate).await;
    });
}

#[test]
fn a_stalled_handshake_is_displaced_by_a_new_one_of_its_address() {
    on_one_thread(async {
        let limits = GateLimits { connections_per_address_max: 1, ..GateLimits::default() };
        let mut gate = gate_with(limits);
        let mut silent = Peer::connect(gate.frontend()).await;
        silent.read_greeting().await;
        // Rejected until the grace period of the silent connection has passed.
        let new_peer = loop {
            let mut new_peer = Peer::connect(gate.frontend()).await;
            new_peer.read_greeting().await;
            new_peer.send(&greeting()).await;
            if new_peer.read_frame().await.1.starts_with(b"\x05READY") {
                break new_peer;
            }
        };
        assert_eq!(closed(&gate, "displaced"), 1);
        let mut new_peer = new_peer;
        new_peer.send(&ready("DEALER", b"")).await;
        next_opened(&mut gate).await;
    });
}

#[test]
fn rejected_connections_that_wait_for_their_error_are_bounded() {
    on_one_thread(async {
        let mut gate = gate_with(GateLimits { connections_per_address_max: 1, ..GateLimits::default() });
        let (_first, _) = join(&mut gate).await;
        let mut crowd = Vec::new();
        for _ in 0..200 {
            crowd.push(Peer::connect(gate.frontend()).await);
            assert!(gate.connections() <= 1 + 64, "{}", gate.connections());
        }
        until(&gate, |gate| closed(gate, "address-full") == 200 && gate.connections() == 1).await;
        drop(crowd);
    });
}

/// Returns limits that a test can reach and that do not contradict each other.
fn low_limits() -> GateLimits {
    GateLimits {
        message_bytes_max: 1_000_000,
        unsent_bytes_max: 2_000_000,
        queue_bytes_max: 1_000_000,
        held_bytes_max: 3_000_000,
        ..GateLimits::default()
    }
}

#[test]
fn incomplete_messages_are_bounded_together_and_the_largest_is_closed_first() {
    on_one_thread(async {
        let mut gate = gate_with(low_limits());
        let mut peers = Vec::new();
        let reason = loop {
            let (mut peer, connection) = join(&mut gate).await;
            let size = if peers.is_empty() { 900_000 } else { 600_000 };
            peer.send(&[announced(LAST, 1_000_000), vec![0; size]].concat()).await;
            peers.push((peer, connection));
            let before = gate.held_bytes();
            until(&gate, |gate| gate.held_bytes() != before && gate.held_bytes() <= 3_000_000).await;
            // The bytes arrive in pieces: wait until all have arrived, or a connection was closed.
            while gate.held_bytes() < before + size && closed(&gate, "held") == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if closed(&gate, "held") > 0 {
                break next_closed(&mut gate).await;
            }
        };
        let (_, largest) = peers[0];
        assert!(
            matches!(reason, (connection, CloseReason::Held { max: 3_000_000, .. }) if connection == largest),
            "{reason:?}"
        );
        assert!(gate.held_bytes() <= 3_000_000);
        drop(peers);
        while gate.connections() > 0 {
            next(&mut gate).await;
        }
        assert_eq!(gate.held_bytes(), 0);
    });
}

#[test]
fn the_unsent_bytes_of_all_peers_are_bounded_together() {
    on_one_thread(async {
        let mut gate = gate_with(low_limits());
        let mut peers = Vec::new();
        for _ in 0..4 {
            peers.push(join(&mut gate).await);
        }
        let mut gone = 0;
        while gone == 0 {
            for (_, connection) in &peers {
                if gate.unsent_bytes(*connection) < 1_500_000 {
                    gate.send(*connection, two(b"head", vec![0; 100_000]));
                }
                assert!(gate.held_bytes() <= 3_000_000, "{}", gate.held_bytes());
            }
            gate.flush();
            tokio::task::yield_now().await;
            while let Some(event) = gate.try_next() {
                assert!(matches!(event, GateEvent::Closed { reason: CloseReason::Held { .. }, .. }), "{event:?}");
                gone += 1;
            }
        }
        assert!(gate.connections() > 0, "no more connections than necessary are closed");
        assert_new_peer_is_served(&mut gate).await;
        drop(peers);
        while gate.connections() > 0 {
            next(&mut gate).await;
        }
        assert_eq!(gate.held_bytes(), 0);
    });
}

/// Asserts that a new peer is served.
async fn assert_new_peer_is_served(gate: &mut Gate) {
    let (mut peer, connection) = join(gate).await;
    gate.send(connection, one(b"welcome"));
    gate.flush();
    assert_eq!(peer.read_frame().await.1, b"welcome");
    drop(peer);
    assert_eq!(next_closed(gate).await.0, connection);
}
