//! Which peers complete the ZMTP handshake.

use std::time::Duration;

use callboard_broker::gate::{Endpoint, GateEvent, GateLimits, PeerAddress};
use callboard_core::zmtp::greeting;

use crate::{
    peer::{COMMAND, LAST, Peer, command, frame, ready},
    scene::{closed, gate, gate_with, join, next, next_frames, next_opened, on_one_thread, one, until},
};

#[test]
fn a_dealer_is_opened_at_the_endpoint_that_it_connected_to() {
    on_one_thread(async {
        let mut gate = gate();
        let mut peers = Vec::new();
        for endpoint in [Endpoint::Frontend, Endpoint::Backend] {
            let address = if endpoint == Endpoint::Frontend { gate.frontend() } else { gate.backend() };
            let mut peer = Peer::connect(address).await;
            peer.complete_handshake("DEALER").await;
            let GateEvent::Opened { endpoint: opened, address: PeerAddress::Tcp(from), .. } = next(&mut gate).await
            else {
                panic!("not opened")
            };
            assert_eq!(opened, endpoint);
            assert!(from.ip().is_loopback());
            peers.push(peer);
        }
        assert_eq!((gate.connections(), gate.counters().opened), (2, 2));
    });
}

#[test]
fn a_handshake_can_arrive_byte_by_byte() {
    on_one_thread(async {
        let mut gate = gate();
        let mut peer = Peer::connect(gate.frontend()).await;
        for byte in [&greeting()[..], &ready("DEALER", b""), &frame(LAST, b"hi")].concat() {
            peer.send(&[byte]).await;
            tokio::task::yield_now().await;
        }
        let connection = next_opened(&mut gate).await;
        assert_eq!(next_frames(&mut gate).await, (connection, vec!["hi".into()]));
    });
}

#[test]
fn a_peer_other_than_a_dealer_is_rejected_with_a_reason() {
    on_one_thread(async {
        let gate = gate();
        for socket_type in ["REQ", "ROUTER", "PUB", "nonsense"] {
            let mut peer = Peer::connect(gate.frontend()).await;
            peer.send(&greeting()).await;
            peer.send(&ready(socket_type, b"")).await;
            peer.read_greeting().await;
            peer.read_frame().await;
            let (flags, content) = peer.read_frame().await;
            assert_eq!(flags, COMMAND);
            assert!(content.starts_with(b"\x05ERROR") && content.ends_with(b"connect with a DEALER"), "{content:?}");
            assert!(peer.read_to_end().await.is_empty());
        }
        until(&gate, |gate| closed(gate, "socket-type") == 4).await;
        assert_eq!((gate.connections(), gate.counters().opened), (0, 0));
    });
}

#[test]
fn an_invalid_handshake_closes_its_connection() {
    on_one_thread(async {
        let mut gate = gate();
        let mut curve = greeting();
        curve[12..17].copy_from_slice(b"CURVE");
        let mut plain = greeting();
        plain[12..17].copy_from_slice(b"PLAIN");
        let cases = [
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "not-zmtp"),
            (b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\0".to_vec(), "version"),
            (curve.to_vec(), "curve-unavailable"),
            (plain.to_vec(), "mechanism"),
            ([&greeting()[..], &frame(LAST, b"hi")].concat(), "early-message"),
            ([&greeting()[..], &command("PING", &[0, 0])].concat(), "unexpected-command"),
            ([&greeting()[..], &frame(COMMAND, b"")].concat(), "malformed-command"),
            ([&greeting()[..], &command("ERROR", b"\x02no")].concat(), "refused-by-peer"),
            ([&greeting()[..], &[0x80]].concat(), "flags"),
        ];
        for (bytes, reason) in cases {
            let mut peer = Peer::connect(gate.frontend()).await;
            peer.send(&bytes).await;
            peer.read_to_end().await;
            drop(peer);
            until(&gate, |gate| closed(gate, reason) == 1).await;
        }
        until(&gate, |gate| gate.connections() == 0).await;
        assert!(gate.try_next().is_none());
    });
}

#[test]
fn a_peer_that_does_not_finish_its_handshake_in_time_is_closed() {
    on_one_thread(async {
        let gate = gate_with(GateLimits { handshake_max: Duration::from_millis(50), ..GateLimits::default() });
        let mut silent = Peer::connect(gate.frontend()).await;
        let mut slow = Peer::connect(gate.frontend()).await;
        slow.send(&greeting()).await;
        silent.read_to_end().await;
        slow.read_to_end().await;
        until(&gate, |gate| closed(gate, "handshake-timeout") == 2 && gate.connections() == 0).await;
    });
}

#[test]
fn an_opened_peer_may_be_silent_for_longer_than_a_handshake() {
    on_one_thread(async {
        let mut gate = gate_with(GateLimits { handshake_max: Duration::from_millis(500), ..GateLimits::default() });
        let (mut opened, connection) = join(&mut gate).await;
        let mut silent = Peer::connect(gate.frontend()).await;
        silent.read_to_end().await;
        opened.send(&frame(LAST, b"hi")).await;
        assert_eq!(next_frames(&mut gate).await.0, connection);
    });
}

#[test]
fn two_peers_with_the_same_identity_do_not_affect_each_other() {
    on_one_thread(async {
        let mut gate = gate();
        let mut peers = Vec::new();
        for name in ["first", "second"] {
            let mut peer = Peer::connect(gate.frontend()).await;
            peer.send(&greeting()).await;
            peer.send(&ready("DEALER", b"same")).await;
            peer.read_greeting().await;
            peer.read_frame().await;
            let connection = next_opened(&mut gate).await;
            peers.push((peer, connection, name));
        }
        for (_, connection, name) in &peers {
            gate.send(*connection, one(name.as_bytes()));
        }
        gate.flush();
        for (peer, connection, name) in &mut peers {
            assert_eq!(peer.read_frame().await, (LAST, name.as_bytes().to_vec()));
            peer.send(&frame(LAST, name.as_bytes())).await;
            assert_eq!(next_frames(&mut gate).await, (*connection, vec![name.as_bytes().into()]));
        }
    });
}
