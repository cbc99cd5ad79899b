//! Malicious peers: they lose their own connection and do not affect others.

use std::time::Duration;

use callboard_broker::gate::{CloseReason, Gate, GateLimits};
use callboard_core::{
    wire::limits::{MESSAGE_BYTES_MAX, MESSAGE_FRAMES_MAX},
    zmtp::{COMMAND_BYTES_MAX, Violation, greeting},
};
use tokio::io::AsyncWriteExt;

use crate::{
    peer::{COMMAND, LAST, MORE, Peer, announced, frame},
    scene::{closed, gate, join, next, next_closed, next_frames, on_one_thread, one, opened, two, until},
};

const LENGTHS: [u64; 4] = [MESSAGE_BYTES_MAX as u64 + 1, 1 << 40, 1 << 63, u64::MAX];

/// Asserts that a peer that connected before the attack is still served.
async fn assert_served(gate: &mut Gate, bystander: &mut Peer) {
    bystander.send(&frame(LAST, b"request")).await;
    let (connection, frames) = next_frames(gate).await;
    assert_eq!(frames, ["request"]);
    gate.send(connection, one(b"reply"));
    gate.flush();
    assert_eq!(bystander.read_frame().await.1, b"reply");
}

#[test]
fn an_announced_length_closes_its_connection_before_the_handshake() {
    on_one_thread(async {
        let mut gate = gate();
        let (mut bystander, _) = join(&mut gate).await;
        for (flags, reason) in [(COMMAND, "command-too-large"), (LAST, "early-message"), (MORE, "early-message")] {
            let before = closed(&gate, reason);
            for length in LENGTHS {
                let mut peer = Peer::connect(gate.frontend()).await;
                peer.send(&[&greeting()[..], &announced(flags, length)].concat()).await;
                peer.read_to_end().await;
            }
            until(&gate, |gate| closed(gate, reason) == before + 4).await;
        }
        assert_served(&mut gate, &mut bystander).await;
    });
}

#[test]
fn an_announced_length_closes_its_connection_after_the_handshake() {
    on_one_thread(async {
        let mut gate = gate();
        let (mut bystander, _) = join(&mut gate).await;
        for length in LENGTHS {
            let data = |bytes| Violation::MessageTooLarge { bytes, max: MESSAGE_BYTES_MAX };
            let cases = [
                (announced(LAST, length), data(length)),
                (announced(MORE, length), data(length)),
                ([frame(MORE, b"x"), announced(LAST, length)].concat(), data(length.saturating_add(1))),
                (announced(COMMAND, length), Violation::CommandTooLarge { bytes: length, max: COMMAND_BYTES_MAX }),
            ];
            for (bytes, violation) in cases {
                let (mut peer, connection) = join(&mut gate).await;
                peer.send(&bytes).await;
                assert_eq!(next_closed(&mut gate).await, (connection, CloseReason::Violation(violation)));
                peer.read_to_end().await;
            }
        }
        assert_served(&mut gate, &mut bystander).await;
    });
}

#[test]
fn a_third_frame_closes_its_connection_when_it_is_announced() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        peer.send(&[frame(LAST, b"valid"), frame(MORE, b"1"), frame(MORE, b"2")].concat()).await;
        assert_eq!(next_frames(&mut gate).await.1, ["valid"]);
        let violation = Violation::TooManyFrames { max: MESSAGE_FRAMES_MAX };
        assert_eq!(next_closed(&mut gate).await, (connection, CloseReason::Violation(violation)));
        assert_eq!(peer.read_frame().await.1, violation.to_string().as_bytes(), "the driver's goodbye arrives");
        assert!(peer.read_to_end().await.is_empty());
    });
}

#[test]
fn a_protocol_violation_closes_its_connection_even_if_the_driver_sends_nothing() {
    on_one_thread(async {
        let limits = GateLimits { close_max: Duration::from_millis(50), ..GateLimits::default() };
        let (gate, mut peer, _) = opened(limits).await;
        peer.send(&[0x80]).await;
        assert!(peer.read_to_end().await.is_empty());
        until(&gate, |gate| closed(gate, "flags") == 1 && gate.connections() == 0).await;
    });
}

#[test]
fn a_peer_that_does_not_read_is_closed_at_the_bound() {
    on_one_thread(async {
        let limits = GateLimits { message_bytes_max: 1_000_000, unsent_bytes_max: 4_000_000, ..GateLimits::default() };
        let (mut gate, peer, connection) = opened(limits).await;
        let (mut bystander, _) = join(&mut gate).await;
        let reason = loop {
            gate.send(connection, two(b"head", vec![0; 1_000_000]));
            gate.flush();
            assert!(gate.unsent_bytes(connection) <= 4_000_000);
            tokio::task::yield_now().await;
            if let Some(event) = gate.try_next() {
                break event;
            }
        };
        let text = format!("{reason:?}");
        assert!(text.contains("Unsent") && text.contains("max: 4000000"), "{text}");
        assert_eq!((gate.unsent_bytes(connection), gate.connections()), (0, 1));
        assert_served(&mut gate, &mut bystander).await;
        drop(peer);
    });
}

#[test]
fn random_bytes_do_not_affect_the_gate() {
    on_one_thread(async {
        let mut gate = gate();
        let (mut bystander, _) = join(&mut gate).await;
        // A random number generator with a fixed seed: each run sends the same bytes.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for round in 0..500 {
            let mut peer = Peer::connect(gate.frontend()).await;
            let bytes: Vec<u8> = (0..random() % 200).map(|_| u8::try_from(random() % 16).unwrap()).collect();
            let start = if round % 2 == 0 {
                greeting().to_vec()
            } else {
                [&greeting()[..], &crate::peer::ready("DEALER", b"")].concat()
            };
            // The gate may close the connection before it has read everything.
            peer.socket.write_all(&[start, bytes].concat()).await.ok();
            while gate.try_next().is_some() {}
        }
        until_idle(&mut gate).await;
        assert_served(&mut gate, &mut bystander).await;
    });
}

/// Takes events until only one connection is open.
async fn until_idle(gate: &mut Gate) {
    while gate.connections() > 1 {
        tokio::select! {
            _ = next(gate) => {}
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
    }
    while gate.try_next().is_some() {}
}
