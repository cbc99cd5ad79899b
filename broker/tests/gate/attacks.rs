//! What peers do that mean no good, and that it hurts nobody else.

use std::time::Duration;

use callboard_broker::gate::{CloseReason, Gate, GateLimits};
use callboard_core::{
    wire::limits::{MESSAGE_BYTES_MAX, MESSAGE_FRAMES_MAX},
    zmtp::{COMMAND_BYTES_MAX, Violation, greeting},
};
use tokio::io::AsyncWriteExt;

use crate::{
    peer::{COMMAND, LAST, MORE, Peer, announced, command, frame},
    scene::{closed, gate, join, next, next_closed, next_frames, on_one_thread, one, opened, two, until},
};

const LIES: [u64; 4] = [MESSAGE_BYTES_MAX as u64 + 1, 1 << 40, 1 << 63, u64::MAX];

/// The bystander was there before the attack and is served after it.
async fn assert_served(gate: &mut Gate, bystander: &mut Peer) {
    bystander.say(&frame(LAST, b"still here")).await;
    let (connection, frames) = next_frames(gate).await;
    assert_eq!(frames, ["still here"]);
    gate.send(connection, one(b"so am I"));
    gate.flush();
    assert_eq!(bystander.hear_frame().await.1, b"so am I");
}

#[test]
fn an_announced_length_closes_its_connection_before_the_handshake() {
    on_one_thread(async {
        let mut gate = gate();
        let (mut bystander, _) = join(&mut gate).await;
        for (flags, reason) in [(COMMAND, "command-too-large"), (LAST, "early-message"), (MORE, "early-message")] {
            let before = closed(&gate, reason);
            for lie in LIES {
                let mut peer = Peer::connect(gate.frontend()).await;
                peer.say(&[&greeting()[..], &announced(flags, lie)].concat()).await;
                peer.hear_end().await;
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
        for lie in LIES {
            let data = |bytes| Violation::MessageTooLarge { bytes, max: MESSAGE_BYTES_MAX };
            let cases = [
                (announced(LAST, lie), data(lie)),
                (announced(MORE, lie), data(lie)),
                ([frame(MORE, b"x"), announced(LAST, lie)].concat(), data(lie.saturating_add(1))),
                (announced(COMMAND, lie), Violation::CommandTooLarge { bytes: lie, max: COMMAND_BYTES_MAX }),
            ];
            for (bytes, violation) in cases {
                let (mut peer, connection) = join(&mut gate).await;
                peer.say(&bytes).await;
                assert_eq!(next_closed(&mut gate).await, (connection, CloseReason::Violation(violation)));
                peer.hear_end().await;
            }
        }
        assert_served(&mut gate, &mut bystander).await;
    });
}

#[test]
fn a_third_frame_closes_its_connection_when_it_is_announced() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        peer.say(&[frame(LAST, b"good"), frame(MORE, b"1"), frame(MORE, b"2")].concat()).await;
        assert_eq!(next_frames(&mut gate).await.1, ["good"]);
        let violation = Violation::TooManyFrames { max: MESSAGE_FRAMES_MAX };
        assert_eq!(next_closed(&mut gate).await, (connection, CloseReason::Violation(violation)));
        assert_eq!(peer.hear_frame().await.1, violation.to_string().as_bytes(), "it hears the driver's last word");
        assert!(peer.hear_end().await.is_empty());
    });
}

#[test]
fn who_broke_the_rules_is_closed_even_if_the_driver_says_nothing() {
    on_one_thread(async {
        let limits = GateLimits { close_max: Duration::from_millis(50), ..GateLimits::default() };
        let (gate, mut peer, _) = opened(limits).await;
        peer.say(&[0x80]).await;
        assert!(peer.hear_end().await.is_empty());
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
fn pings_without_end_do_not_fill_the_memory_with_pongs() {
    on_one_thread(async {
        let (mut gate, mut peer, connection) = opened(GateLimits::default()).await;
        let pings = command("PING", &[7; 18]).repeat(10_000);
        while gate.counters().pongs_dropped == 0 {
            peer.say(&pings).await;
            tokio::task::yield_now().await;
        }
        assert!(gate.unsent_bytes(connection) < 100_000, "{}", gate.unsent_bytes(connection));
        // One that does read gets its PONG again.
        let hear = async {
            loop {
                assert_eq!(peer.hear_frame().await.0, COMMAND);
            }
        };
        tokio::select! {
            () = hear => {}
            () = until(&gate, |gate| gate.unsent_bytes(connection) == 0) => {}
        }
        drop(peer);
        assert_eq!(next_closed(&mut gate).await.0, connection);
    });
}

#[test]
fn whatever_bytes_come_the_gate_lives() {
    on_one_thread(async {
        let mut gate = gate();
        let (mut bystander, _) = join(&mut gate).await;
        // A small generator of our own: the same bytes each time.
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
            // The gate may close it in the middle.
            peer.socket.write_all(&[start, bytes].concat()).await.ok();
            while gate.try_next().is_some() {}
        }
        until_idle(&mut gate).await;
        assert_served(&mut gate, &mut bystander).await;
    });
}

/// Takes events until only the bystander is left.
async fn until_idle(gate: &mut Gate) {
    while gate.connections() > 1 {
        tokio::select! {
            _ = next(gate) => {}
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
    }
    while gate.try_next().is_some() {}
}
