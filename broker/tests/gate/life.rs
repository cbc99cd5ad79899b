//! How connections begin and end.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use callboard_broker::gate::{CloseReason, Gate, GateError, GateEvent, GateLimits};
use callboard_core::{wire::ids::ConnectionId, zmtp::greeting};
use tokio::io::AsyncWriteExt;

use crate::{
    peer::{LAST, MORE, Peer, frame, ready},
    scene::{
        address, gate, gate_with, join, next, next_closed, next_frames, next_opened, on_one_thread, one, opened, two,
        until,
    },
};

#[test]
fn every_opened_connection_is_closed_exactly_once() {
    on_one_thread(async {
        const PEERS: usize = 2_000;
        let mut gate = gate();
        let frontend = gate.frontend().clone();
        tokio::task::spawn_local(async move {
            for _ in 0..PEERS {
                let mut peer = Peer::connect(&frontend).await;
                peer.send(&[&greeting()[..], &ready("DEALER", b""), &frame(LAST, b"last")].concat()).await;
                peer.socket.shutdown().await.unwrap();
                peer.read_to_end().await;
            }
        });
        let (mut living, mut ended, mut spoke) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        while ended.len() < PEERS {
            match next(&mut gate).await {
                GateEvent::Opened { connection, .. } => {
                    assert!(!ended.contains(&connection) && living.insert(connection))
                }
                GateEvent::Frames { connection, .. } => {
                    assert!(living.contains(&connection) && spoke.insert(connection))
                }
                GateEvent::Closed { connection, .. } => {
                    assert!(living.remove(&connection) && spoke.contains(&connection) && ended.insert(connection))
                }
                GateEvent::Activity { connection } => assert!(living.contains(&connection)),
                GateEvent::ProtocolViolation { .. } => panic!("unexpected protocol violation"),
            }
        }
        assert!(living.is_empty() && gate.connections() == 0);
        assert_eq!(gate.counters().opened, PEERS as u64);
    });
}

#[test]
fn connections_that_end_while_the_driver_sleeps_are_all_reported() {
    on_one_thread(async {
        let mut gate = gate_with(GateLimits { queue_envelopes_max: 4, ..GateLimits::default() });
        let mut peers = Vec::new();
        for _ in 0..1_000 {
            peers.push(join(&mut gate).await);
        }
        let mut connections: BTreeSet<ConnectionId> = peers.iter().map(|(_, connection)| *connection).collect();
        drop(peers);
        until(&gate, |gate| gate.counters().closed.values().sum::<u64>() > 0).await;
        while !connections.is_empty() {
            assert!(connections.remove(&next_closed(&mut gate).await.0));
        }
    });
}

#[test]
fn a_closed_connection_receives_everything_that_was_sent_before() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        // Bytes that the gate has not read: closing the socket with unread bytes would reset it.
        peer.send(&frame(LAST, &[0; 10_000])).await;
        gate.send(connection, two(b"head", vec![1; 8_000_000]));
        gate.send(connection, one(b"goodbye"));
        gate.close(connection);
        gate.send(connection, one(b"too late"));
        gate.flush();
        peer.send(&frame(LAST, &[0; 10_000])).await;
        assert_eq!(peer.read_frame().await, (MORE, b"head".to_vec()));
        assert_eq!(peer.read_frame().await, (LAST, vec![1; 8_000_000]));
        assert_eq!(peer.read_frame().await, (LAST, b"goodbye".to_vec()));
        assert!(peer.read_to_end().await.is_empty());
        drop(peer);
        let reason = loop {
            match next(&mut gate).await {
                GateEvent::Closed { reason, .. } => break reason,
                GateEvent::Frames { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(reason, CloseReason::Requested);
        assert_eq!(gate.counters().messages_dropped, 1);
    });
}

#[test]
fn closing_a_peer_that_does_not_read_takes_a_bounded_time() {
    on_one_thread(async {
        let limits = GateLimits { close_max: Duration::from_millis(100), ..GateLimits::default() };
        let (mut gate, peer, connection) = opened(limits).await;
        gate.send(connection, two(b"head", vec![1; 16_000_000]));
        gate.flush();
        gate.close(connection);
        assert_eq!(next_closed(&mut gate).await, (connection, CloseReason::Requested));
        drop(peer);
    });
}

#[test]
fn a_message_to_a_closed_connection_is_dropped_and_counted() {
    on_one_thread(async {
        let (mut gate, peer, connection) = opened(GateLimits::default()).await;
        drop(peer);
        next_closed(&mut gate).await;
        gate.send(connection, one(b"dropped"));
        gate.send(ConnectionId(999), one(b"dropped"));
        gate.flush();
        gate.close(connection);
        gate.set_authenticated(connection);
        assert_eq!((gate.counters().messages_dropped, gate.unsent_bytes(connection)), (2, 0));
    });
}

#[test]
fn peers_beyond_the_connection_limit_wait() {
    on_one_thread(async {
        let mut gate = gate_with(GateLimits { connections_max: 2, ..GateLimits::default() });
        let (first, _) = join(&mut gate).await;
        let (_second, _) = join(&mut gate).await;
        let mut third = Peer::connect(gate.frontend()).await;
        third.send(&greeting()).await;
        third.send(&ready("DEALER", b"")).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(gate.try_next().is_none());
        drop(first);
        next_closed(&mut gate).await;
        next_opened(&mut gate).await;
    });
}

#[test]
fn a_gate_that_stopped_accepting_serves_its_open_connections() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        gate.stop_accepting();
        let start = Instant::now();
        while std::net::TcpStream::connect(gate.frontend().to_string().trim_start_matches("tcp://")).is_ok() {
            assert!(start.elapsed() < crate::scene::LONG, "the gate still listens");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        peer.send(&frame(LAST, b"hi")).await;
        assert_eq!(next_frames(&mut gate).await.0, connection);
    });
}

#[test]
fn a_gate_that_shuts_down_sends_everything_before_it_closes() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        let mut unauthenticated = Peer::connect(gate.frontend()).await;
        until(&gate, |gate| gate.connections() == 2).await;
        gate.send(connection, two(b"head", vec![1; 8_000_000]));
        gate.send(connection, one(b"goodbye"));
        let reads = async move {
            peer.read_frame().await;
            peer.read_frame().await;
            assert_eq!(peer.read_frame().await, (LAST, b"goodbye".to_vec()));
            assert!(peer.read_to_end().await.is_empty());
        };
        tokio::join!(gate.shut_down(), reads);
        unauthenticated.read_to_end().await;
    });
}

#[test]
fn a_dropped_gate_ends_its_connections_and_frees_its_port() {
    on_one_thread(async {
        let (gate, mut peer, _) = opened(GateLimits::default()).await;
        let frontend = gate.frontend().clone();
        drop(gate);
        peer.read_to_end().await;
        let again = Gate::bind(&frontend, &crate::scene::any_port(), GateLimits::default()).unwrap();
        assert_eq!(again.frontend(), &frontend);
    });
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    on_one_thread(async {
        let gate = gate();
        let error = Gate::bind(gate.frontend(), &address("tcp://127.0.0.1:0"), GateLimits::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&gate.frontend().to_string()) && text.contains("another program uses it"), "{text}");
    });
}

#[test]
fn an_unknown_host_is_a_clear_error() {
    on_one_thread(async {
        let nowhere = address("tcp://no-such-host.invalid:0");
        let error = Gate::bind(&nowhere, &nowhere, GateLimits::default()).unwrap_err();
        assert!(error.to_string().contains("host name cannot be resolved"), "{error}");
    });
}

#[test]
fn localhost_is_resolved_as_libzmq_resolves_it() {
    on_one_thread(async {
        let localhost = address("tcp://localhost:0");
        let gate = Gate::bind(&localhost, &localhost, GateLimits::default()).unwrap();
        assert!(gate.frontend().to_string().starts_with("tcp://127."), "{}", gate.frontend());
    });
}

#[test]
fn contradictory_limits_are_rejected() {
    on_one_thread(async {
        let any = crate::scene::any_port();
        let limits = GateLimits { unsent_bytes_max: 1_000, ..GateLimits::default() };
        assert!(matches!(Gate::bind(&any, &any, limits), Err(GateError::Limits { .. })));
    });
}
