//! Messages over an open connection.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use callboard_broker::gate::{CloseReason, GateEvent, GateLimits};
use callboard_core::{wire::limits, zmtp::Violation};
use tokio::io::AsyncWriteExt;

use crate::{
    peer::{COMMAND, LAST, MORE, Peer, announced, command, frame},
    scene::{gate_with, join, next_closed, next_frames, next_opened, on_one_thread, one, opened, two, until},
};

/// Sizes around each boundary: a one-byte length, a copied body, one read, one read block.
const SIZES: [usize; 12] = [0, 1, 255, 256, 16_384, 16_385, 65_535, 65_536, 65_537, 262_144, 262_145, 1_000_000];

#[test]
fn messages_of_one_and_of_two_frames_are_received_completely() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        for size in SIZES {
            let body = vec![7; size];
            let both = [frame(LAST, &body), frame(MORE, b"head"), frame(LAST, &body)].concat();
            let read = async {
                assert_eq!(next_frames(&mut gate).await, (connection, vec![Bytes::from(body.clone())]));
                assert_eq!(next_frames(&mut gate).await, (connection, vec!["head".into(), Bytes::from(body.clone())]));
            };
            tokio::join!(peer.send(&both), read);
        }
    });
}

#[test]
fn messages_of_one_and_of_two_frames_are_sent_completely() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        for size in SIZES {
            gate.send(connection, one(&vec![7; size]));
            gate.send(connection, two(b"head", vec![8; size]));
        }
        gate.flush();
        for size in SIZES {
            assert_eq!(peer.read_frame().await, (LAST, vec![7; size]));
            assert_eq!(peer.read_frame().await, (MORE, b"head".to_vec()));
            assert_eq!(peer.read_frame().await, (LAST, vec![8; size]));
        }
        assert_eq!(gate.unsent_bytes(connection), 0);
    });
}

#[test]
fn nothing_is_sent_before_the_flush() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        gate.send(connection, one(b"first"));
        assert_eq!(gate.unsent_bytes(connection), 7);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(gate.unsent_bytes(connection), 7);
        gate.flush();
        assert_eq!(peer.read_frame().await.1, b"first");
    });
}

#[test]
fn an_unauthenticated_peer_may_send_only_small_messages() {
    on_one_thread(async {
        let (mut gate, mut peer, _) = opened(GateLimits::default()).await;
        peer.send(&frame(LAST, &[0; limits::HANDSHAKE_BYTES_MAX + 1])).await;
        assert_eq!(next_frames(&mut gate).await.1[0].len(), limits::HANDSHAKE_BYTES_MAX + 1);

        let mut unauthenticated = Peer::connect(gate.frontend()).await;
        unauthenticated.complete_handshake("DEALER").await;
        let connection = next_opened(&mut gate).await;
        unauthenticated.send(&frame(LAST, &[0; limits::HANDSHAKE_BYTES_MAX])).await;
        assert_eq!(next_frames(&mut gate).await.0, connection);
        unauthenticated.send(&announced(LAST, limits::HANDSHAKE_BYTES_MAX as u64 + 1)).await;
        let violation = Violation::MessageTooLarge { bytes: 4_097, max: 4_096 };
        assert_eq!(next_closed(&mut gate).await, (connection, CloseReason::Violation(violation)));
    });
}

#[test]
fn a_ping_is_answered_with_a_pong_and_a_pong_is_ignored() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        peer.send(&command("PING", b"\0\x0acontext")).await;
        assert_eq!(peer.read_frame().await, (COMMAND, b"\x04PONGcontext".to_vec()));
        peer.send(&command("PONG", b"context")).await;
        peer.send(&frame(LAST, b"hi")).await;
        assert_eq!(next_frames(&mut gate).await, (connection, vec!["hi".into()]));
    });
}

#[test]
fn a_slow_upload_counts_as_activity_at_intervals() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        let start = Instant::now();
        let upload = tokio::task::spawn_local(async move {
            peer.send(&announced(LAST, 100_000)).await;
            for _ in 0..50 {
                peer.send(&[1; 2_000]).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            peer
        });
        let mut signs = 0;
        while let GateEvent::Activity { connection: received } = gate.next().await {
            assert_eq!(received, connection);
            signs += 1;
        }
        assert!((1..=start.elapsed().as_millis() / 100 + 1).contains(&signs), "{signs} in {:?}", start.elapsed());
        assert_eq!(gate.counters().messages_received, 1);
        upload.await.unwrap();
    });
}

#[test]
fn connections_are_not_read_while_the_driver_is_behind_and_nothing_is_lost() {
    on_one_thread(async {
        const MESSAGES: u32 = 100_000;
        let limits = GateLimits { queue_envelopes_max: 10, ..GateLimits::default() };
        let (mut gate, mut peer, _) = opened(limits).await;
        let before = gate.counters().messages_received;
        let sender = tokio::task::spawn_local(async move {
            for number in 0..MESSAGES {
                peer.send(&frame(LAST, &[&number.to_be_bytes()[..], &[0; 100]].concat())).await;
            }
            peer
        });
        until(&gate, |gate| gate.counters().messages_received > before).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let taken_in = gate.counters().messages_received - before;
        assert!(taken_in < 10 + 3_000, "at most one turn beyond the limit, not {taken_in}");
        for number in 0..MESSAGES {
            let (_, frames) = next_frames(&mut gate).await;
            assert_eq!(frames[0][..4], number.to_be_bytes());
        }
        sender.await.unwrap();
    });
}

#[test]
fn a_full_queue_starves_no_connection() {
    on_one_thread(async {
        let mut gate = gate_with(GateLimits { queue_envelopes_max: 1, ..GateLimits::default() });
        let (mut peers, mut connections) = (Vec::new(), BTreeMap::new());
        for _ in 0..20 {
            let (peer, connection) = join(&mut gate).await;
            connections.insert(connection, 0_u32);
            peers.push(peer);
        }
        for mut peer in peers {
            let flood = frame(LAST, &[0; 60_000]);
            tokio::task::spawn_local(async move { while peer.socket.write_all(&flood).await.is_ok() {} });
        }
        // The queue holds one event at a time. Each connection must get a turn before any of them gets very many.
        while connections.values().any(|count| *count == 0) {
            let (connection, _) = next_frames(&mut gate).await;
            let count = connections.get_mut(&connection).unwrap();
            *count += 1;
            assert!(*count < 200, "one connection takes all: {connections:?}");
        }
    });
}
