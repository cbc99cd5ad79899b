//! Encrypted connections, and connections without encryption to a gate that has a key.

use bytes::{Bytes, BytesMut};
use callboard_broker::gate::{CloseReason, Curve, Gate, GateEvent, GateLimits, PlainConnections};
use callboard_core::{
    wire::Frames,
    zmtp::{
        Decoder, Encoder, Event, FrameKind, Message, Violation,
        curve::{CurveClient, CurvePeer, Entropy, PublicKey, SecretKey},
    },
};
use tokio::io::AsyncReadExt as _;

use crate::{
    peer::Peer,
    scene::{any_port, closed, join, next, next_closed, next_frames, next_opened, on_one_thread, one, two, until},
};

fn server_key() -> SecretKey {
    SecretKey::from_bytes([1; 32])
}

fn client_key() -> SecretKey {
    SecretKey::from_bytes([2; 32])
}

fn gate_with(plain: PlainConnections, limits: GateLimits) -> Gate {
    let curve = Curve { plain, ..Curve::new(server_key()) };
    Gate::bind_with_curve(&any_port(), &any_port(), limits, Some(curve)).unwrap()
}

fn gate(plain: PlainConnections) -> Gate {
    gate_with(plain, GateLimits::default())
}

/// A DEALER on the core's decoder.
struct Dealer {
    peer: Peer,
    decoder: Decoder,
    encoder: Encoder,
    kept: Bytes,
}

impl Dealer {
    async fn connect(gate: &Gate, curve: Option<PublicKey>) -> Dealer {
        let entropy = Entropy::new(rand::random());
        let curve = curve.map(|server| CurveClient::new(server, client_key(), entropy));
        let decoder = Decoder::client(curve, 1 << 24);
        let mut peer = Peer::connect(gate.frontend()).await;
        peer.send(&decoder.first_bytes()).await;
        Dealer { peer, decoder, encoder: Encoder::default(), kept: Bytes::new() }
    }

    async fn connect_encrypted(gate: &Gate) -> (Dealer, CurvePeer) {
        let mut dealer = Dealer::connect(gate, Some(server_key().public_key())).await;
        let Ok(Event::HandshakeDone { curve }) = dealer.next().await else { panic!("no handshake") };
        (dealer, *curve.unwrap())
    }

    /// Returns the next event that is not of the handshake.
    async fn next(&mut self) -> Result<Event, Violation> {
        loop {
            match self.decoder.next(&mut self.kept)? {
                Some(Event::Transmit(bytes)) => self.peer.send(&bytes).await,
                Some(event) => {
                    if matches!(event, Event::HandshakeDone { .. }) {
                        self.encoder = self.decoder.take_encoder();
                    }
                    return Ok(event);
                }
                None => self.read().await,
            }
        }
    }

    async fn read(&mut self) {
        if let Some(mut room) = self.decoder.large_frame_buffer() {
            self.peer.socket.read_buf(&mut room).await.unwrap();
            return;
        }
        let mut bytes = BytesMut::from(&self.kept[..]);
        assert!(self.peer.socket.read_buf(&mut bytes).await.unwrap() > 0, "the gate closed the connection");
        self.kept = bytes.freeze();
    }

    fn encoded(&mut self, frames: &Frames) -> BytesMut {
        let mut out = BytesMut::new();
        self.encoder.write_message(frames, &mut out).unwrap();
        out
    }

    async fn send(&mut self, frames: &Frames) {
        let bytes = self.encoded(frames);
        self.peer.send(&bytes).await;
    }

    /// Waits for the ERROR of the gate, and returns its reason.
    async fn refusal(&mut self) -> String {
        assert_eq!(self.next().await, Err(Violation::PeerError));
        self.decoder.peer_error().unwrap().to_owned()
    }
}

#[test]
fn an_encrypted_peer_is_reported_with_its_key_and_exchanges_messages_of_all_sizes() {
    on_one_thread(async {
        let mut gate = gate(PlainConnections::default());
        let (mut dealer, of_client) = Dealer::connect_encrypted(&gate).await;
        let GateEvent::Opened { connection, curve, .. } = next(&mut gate).await else { panic!("not opened") };
        let of_server = curve.unwrap();
        assert_eq!(of_server.public_key, client_key().public_key());
        assert_eq!(of_server.binding, of_client.binding);
        gate.set_authenticated(connection);
        for size in [0, 1, 300, 16_384, 16_385, 3_000_000] {
            dealer.send(&two(b"header", vec![7; size])).await;
            let (_, frames) = next_frames(&mut gate).await;
            assert_eq!((&frames[0][..], frames[1].len()), (&b"header"[..], size));
            gate.send(connection, Frames { first: frames[0].clone(), large: Some(frames[1].clone()) });
            gate.flush();
            let expected = Message::two(frames[0].clone(), frames[1].clone());
            assert_eq!(dealer.next().await, Ok(Event::Message(expected)));
        }
    });
}

#[test]
fn an_encrypted_ping_gets_an_encrypted_pong() {
    on_one_thread(async {
        let mut gate = gate(PlainConnections::Never);
        let (mut dealer, _) = Dealer::connect_encrypted(&gate).await;
        next_opened(&mut gate).await;
        let mut ping = BytesMut::new();
        dealer.encoder.write_frame(FrameKind::Command, b"\x04PING\0\x0aabc", &mut ping).unwrap();
        dealer.peer.send(&ping).await;
        let mut pong = [0; 2 + 33 + 8];
        dealer.peer.socket.read_exact(&mut pong).await.unwrap();
        assert_eq!(pong[..10], *b"\0\x29\x07MESSAGE");
    });
}

#[test]
fn plain_peers_of_this_host_are_accepted_beside_encrypted_ones() {
    on_one_thread(async {
        let mut gate = gate(PlainConnections::Loopback);
        let (mut dealer, _) = Dealer::connect_encrypted(&gate).await;
        let encrypted = next_opened(&mut gate).await;
        let mut plain = Dealer::connect(&gate, None).await;
        assert_eq!(plain.next().await, Ok(Event::HandshakeDone { curve: None }));
        let GateEvent::Opened { curve: None, connection, .. } = next(&mut gate).await else { panic!("not opened") };
        dealer.send(&one(b"encrypted")).await;
        assert_eq!(next_frames(&mut gate).await, (encrypted, vec![Bytes::from_static(b"encrypted")]));
        plain.send(&one(b"plain")).await;
        assert_eq!(next_frames(&mut gate).await, (connection, vec![Bytes::from_static(b"plain")]));
    });
}

#[test]
fn a_plain_peer_that_is_not_allowed_gets_the_reason() {
    on_one_thread(async {
        let mut gate = gate(PlainConnections::Never);
        let reason = Dealer::connect(&gate, None).await.refusal().await;
        assert!(reason.starts_with("it connects without encryption, and CURVE is required"), "{reason}");
        until(&gate, |gate| closed(gate, "plain-refused") == 1 && gate.connections() == 0).await;
        assert!(gate.try_next().is_none());
    });
}

#[test]
fn a_peer_with_another_server_key_gets_the_reason() {
    on_one_thread(async {
        let gate = gate(PlainConnections::default());
        let reason = Dealer::connect(&gate, Some(client_key().public_key())).await.refusal().await;
        assert!(reason.starts_with("its HELLO was encrypted for another server key"), "{reason}");
        until(&gate, |gate| closed(gate, "curve-server-key") == 1 && gate.connections() == 0).await;
    });
}

#[test]
fn a_peer_with_a_server_key_leaves_a_gate_without_a_key() {
    on_one_thread(async {
        let gate = crate::scene::gate();
        let mut dealer = Dealer::connect(&gate, Some(server_key().public_key())).await;
        assert_eq!(dealer.next().await, Err(Violation::PlainRefused));
        until(&gate, |gate| closed(gate, "curve-unavailable") == 1 && gate.connections() == 0).await;
    });
}

#[test]
fn a_changed_or_repeated_message_ends_its_connection_only() {
    on_one_thread(async {
        let mut gate = gate(PlainConnections::default());
        let (mut other, of_other) = join(&mut gate).await;
        for (is_changed, name) in [(true, "curve-message"), (false, "curve-sequence")] {
            let (mut dealer, _) = Dealer::connect_encrypted(&gate).await;
            let connection = next_opened(&mut gate).await;
            let message = dealer.encoded(&one(b"pay 100"));
            let mut second = message.clone();
            let at = second.len() - 1;
            second[at] ^= u8::from(is_changed);
            dealer.peer.send(&message).await;
            next_frames(&mut gate).await;
            dealer.peer.send(&second).await;
            let (closed, reason) = next_closed(&mut gate).await;
            assert_eq!((closed, reason.name()), (connection, name));
            assert!(matches!(reason, CloseReason::Violation(Violation::Curve(_))), "{reason}");
        }
        other.send(&crate::peer::frame(crate::peer::LAST, b"still here")).await;
        assert_eq!(next_frames(&mut gate).await.0, of_other);
    });
}

#[test]
fn a_silent_peer_of_a_gate_with_a_key_reads_the_end_of_the_greeting_and_the_reason() {
    on_one_thread(async {
        let limits = GateLimits { handshake_max: std::time::Duration::from_millis(50), ..GateLimits::default() };
        let gate = gate_with(PlainConnections::default(), limits);
        let mut silent = Peer::connect(gate.frontend()).await;
        let received = silent.read_to_end().await;
        assert_eq!(received[..64], callboard_core::zmtp::greeting());
        assert!(received[64..].starts_with(b"\x04") && received[66..].starts_with(b"\x05ERROR"), "{received:?}");
        until(&gate, |gate| closed(gate, "handshake-timeout") == 1 && gate.connections() == 0).await;
    });
}
