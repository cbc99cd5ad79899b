//! Many connections at once: who gets a place, who makes way, and what all of them together may cost.

use std::time::Duration;

use callboard_broker::gate::{CloseReason, Gate, GateEvent, GateLimits};
use callboard_core::zmtp::greeting;

use crate::{
    peer::{COMMAND, LAST, Peer, announced, frame, ready},
    scene::{closed, gate_with, join, next, next_closed, next_frames, next_opened, on_one_thread, one, two, until},
};

/// What an ERROR says to a peer that has said nothing, or not enough.
async fn hear_error(peer: &mut Peer) -> String {
    peer.hear_greeting().await;
    let (flags, content) = peer.hear_frame().await;
    assert!(flags == COMMAND && content.starts_with(b"\x05ERROR"), "{content:?}");
    String::from_utf8(content[7..].to_vec()).unwrap()
}

#[test]
fn a_flood_of_silent_connections_keeps_no_good_peer_out() {
    on_one_thread(async {
        let mut gate = gate_with(GateLimits { handshakes_max: 8, ..GateLimits::default() });
        let mut silent = Vec::new();
        for _ in 0..40 {
            silent.push(Peer::connect(gate.frontend()).await);
        }
        let (mut good, connection) = join(&mut gate).await;
        assert!(gate.pending() <= 8, "{}", gate.pending());
        assert!(closed(&gate, "displaced") > 0);
        assert!(hear_error(&mut silent[0]).await.contains("displaced before its handshake"));
        assert!(silent[0].hear_end().await.is_empty());
        good.say(&frame(LAST, b"hi")).await;
        assert_eq!(next_frames(&mut gate).await.0, connection);
    });
}

#[test]
fn a_peer_that_is_opened_and_never_let_in_makes_way_too() {
    on_one_thread(async {
        let mut gate = gate_with(GateLimits { handshakes_max: 1, ..GateLimits::default() });
        let mut idle = Peer::connect(gate.frontend()).await;
        idle.shake_hands("DEALER").await;
        let connection = next_opened(&mut gate).await;
        let mut newcomer = Peer::connect(gate.frontend()).await;
        assert_eq!(next_closed(&mut gate).await, (connection, CloseReason::Displaced));
        newcomer.shake_hands("DEALER").await;
        let connection = next_opened(&mut gate).await;
        gate.set_authenticated(connection);
        assert_eq!((gate.pending(), gate.connections()), (0, 1));
    });
}

#[test]
fn an_address_with_as_many_connections_as_it_may_have_is_refused_and_told() {
    on_one_thread(async {
        let mut gate = gate_with(GateLimits { connections_per_address_max: 2, ..GateLimits::default() });
        let (first, _) = join(&mut gate).await;
        let (_second, _) = join(&mut gate).await;
        let mut third = Peer::connect(gate.backend()).await;
        assert!(hear_error(&mut third).await.contains("its address has 2 connections"));
        assert!(third.hear_end().await.is_empty());
        until(&gate, |gate| closed(gate, "address-full") == 1).await;
        drop(first);
        next_closed(&mut gate).await;
        join(&mut gate).await;
    });
}

#[test]
fn within_an_address_a_stalled_handshake_makes_way_for_a_new_one() {
    on_one_thread(async {
        let limits = GateLimits { connections_per_address_max: 1, ..GateLimits::default() };
        let mut gate = gate_with(limits);
        let mut silent = Peer::connect(gate.frontend()).await;
        silent.hear_greeting().await;
        // Refused as long as the silent one has its grace.
        let newcomer = loop {
            let mut newcomer = Peer::connect(gate.frontend()).await;
            newcomer.hear_greeting().await;
            newcomer.say(&greeting()).await;
            if newcomer.hear_frame().await.1.starts_with(b"\x05READY") {
                break newcomer;
            }
        };
        assert_eq!(closed(&gate, "displaced"), 1);
        let mut newcomer = newcomer;
        newcomer.say(&ready("DEALER", b"")).await;
        next_opened(&mut gate).await;
    });
}

#[test]
fn a_refused_crowd_costs_no_more_than_a_few_farewells_at_a_time() {
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

/// Small enough for tests, and still allowed.
fn tight() -> GateLimits {
    GateLimits {
        message_bytes_max: 1_000_000,
        unsent_bytes_max: 2_000_000,
        queue_bytes_max: 1_000_000,
        held_bytes_max: 3_000_000,
        ..GateLimits::default()
    }
}

#[test]
fn half_messages_of_many_peers_are_bounded_together_and_the_largest_goes_first() {
    on_one_thread(async {
        let mut gate = gate_with(tight());
        let mut peers = Vec::new();
        let reason = loop {
            let (mut peer, connection) = join(&mut gate).await;
            let size = if peers.is_empty() { 900_000 } else { 600_000 };
            peer.say(&[announced(LAST, 1_000_000), vec![0; size]].concat()).await;
            peers.push((peer, connection));
            let before = gate.held_bytes();
            until(&gate, |gate| gate.held_bytes() != before && gate.held_bytes() <= 3_000_000).await;
            // Its size comes in pieces; all of it is there, or somebody was closed.
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
fn what_is_unsent_to_all_peers_is_bounded_together() {
    on_one_thread(async {
        let mut gate = gate_with(tight());
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
        assert!(gate.connections() > 0, "only as many as it takes are closed");
        serve_newcomer(&mut gate).await;
        drop(peers);
        while gate.connections() > 0 {
            next(&mut gate).await;
        }
        assert_eq!(gate.held_bytes(), 0);
    });
}

/// Somebody who behaves is served as ever.
async fn serve_newcomer(gate: &mut Gate) {
    let (mut peer, connection) = join(gate).await;
    gate.send(connection, one(b"welcome"));
    gate.flush();
    assert_eq!(peer.hear_frame().await.1, b"welcome");
    drop(peer);
    assert_eq!(next_closed(gate).await.0, connection);
}
