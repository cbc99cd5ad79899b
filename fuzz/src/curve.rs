//! The target `curve`: an attacker between two peers that use CURVE.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use callboard_core::{
    wire::{Frames, limits::BODY_INLINE_BYTES_MAX},
    zmtp::{
        Decoder, Encoder, Event, FrameKind, Violation,
        curve::{CurveClient, CurvePeer, CurveServer, Entropy, SecretKey},
    },
};

use super::script::Script;

/// The maximum bytes of a message. Larger ones are rejected at their headers.
const MESSAGE_BYTES_MAX: usize = 40_000;
/// The steps of one run.
const STEPS_MAX: usize = 200;

/// Lets the script change, repeat, cut, insert and delay what two peers send.
///
/// Whatever it does, a peer accepts only the messages of the other one, each once and in order, and knows the other one's key.
pub fn curve(input: &[u8]) {
    let mut script = Script::new(input);
    let (client_key, server_key) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
    let curve = CurveClient::new(server_key.public_key(), client_key.clone(), Entropy::new([3; Entropy::BYTES]));
    let server = CurveServer::new(server_key.clone(), Entropy::new([4; Entropy::BYTES])).allow_plain(script.flag());
    let mut sides = [
        Side::new(Decoder::client(Some(curve), MESSAGE_BYTES_MAX)),
        Side::new(Decoder::curve_server(server, MESSAGE_BYTES_MAX)),
    ];
    for _ in 0..STEPS_MAX {
        if script.has_ended() {
            break;
        }
        step(&mut script, &mut sides);
    }
    check(&sides, [&server_key, &client_key]);
}

/// Runs one step of the attacker, or of a peer.
fn step(script: &mut Script<'_>, sides: &mut [Side; 2]) {
    let from = script.place(2);
    let [client, server] = sides;
    let (from, to) = if from == 0 { (client, server) } else { (server, client) };
    match script.below(8) {
        0 => from.send(script),
        1 => to.read_all(from.take_all()),
        2 => {
            let count = usize::from(script.byte());
            to.read_all(from.take(count))
        }
        3 => from.change(script.byte(), |bytes, at| bytes[at] ^= 1 << (at % 8)),
        4 => {
            let bytes = from.take_all();
            to.read_all(bytes.clone());
            to.read_all(bytes)
        }
        5 => drop(from.take(usize::from(script.byte()))),
        6 => to.read_all(vec![script.byte(); usize::from(script.below(4))]),
        _ => {
            // Both peers act as they should.
            to.read_all(from.take_all());
            from.read_all(to.take_all())
        }
    }
}

/// A peer with its driver.
struct Side {
    decoder: Decoder,
    encoder: Option<Encoder>,
    kept: Bytes,
    /// What it has written and the attacker holds.
    written: Vec<u8>,
    /// The numbers of the messages that it has sent.
    sent: u64,
    received: Vec<Vec<Bytes>>,
    /// The messages that it has sent, as they must arrive.
    expected: VecDeque<Vec<Bytes>>,
    peer: Option<Option<CurvePeer>>,
    ended: Option<Violation>,
}

impl Side {
    fn new(decoder: Decoder) -> Side {
        let written = decoder.first_bytes().to_vec();
        Side {
            decoder,
            encoder: None,
            kept: Bytes::new(),
            written,
            sent: 0,
            received: Vec::new(),
            expected: VecDeque::new(),
            peer: None,
            ended: None,
        }
    }

    fn take_all(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.written)
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let count = count.min(self.written.len());
        self.written.drain(..count).collect()
    }

    /// Changes one byte of what is written, at a place that depends on `place`.
    fn change(&mut self, place: u8, change: impl FnOnce(&mut [u8], usize)) {
        if !self.written.is_empty() {
            let at = usize::from(place) * self.written.len() / 256;
            change(&mut self.written, at);
        }
    }

    /// Sends a message with a number, so that no two messages are equal.
    fn send(&mut self, script: &mut Script<'_>) {
        let Some(encoder) = &mut self.encoder else { return };
        self.sent += 1;
        let first = Bytes::copy_from_slice(&self.sent.to_be_bytes());
        let large = script.flag().then(|| Bytes::from(vec![7; usize::from(script.byte()) * 150]));
        let frames = Frames { first: first.clone(), large: large.clone() };
        let mut out = BytesMut::new();
        encoder.write_message(&frames, &mut out).expect("there are nonces");
        self.written.extend_from_slice(&out);
        self.expected.push_back([Some(first), large].into_iter().flatten().collect());
    }

    fn read_all(&mut self, bytes: Vec<u8>) {
        if self.ended.is_none()
            && let Err(ended) = self.read(&bytes)
        {
            assert!(!ended.to_string().is_empty() && !ended.name().is_empty(), "a violation has a message and a name");
            if let Some(refusal) = self.decoder.error_command(ended) {
                self.written.extend_from_slice(&refusal);
            }
            self.ended = Some(ended);
        }
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        if let Some(mut room) = self.decoder.large_frame_buffer() {
            assert!(
                room.remaining_mut() <= MESSAGE_BYTES_MAX + 33,
                "the buffer does not exceed the maximum of a message"
            );
            let count = room.remaining_mut().min(bytes.len());
            room.put_slice(&bytes[..count]);
            bytes = &bytes[count..];
            self.decode(Bytes::new())?;
        }
        self.decode([&self.kept[..], bytes].concat().into())
    }

    fn decode(&mut self, mut input: Bytes) -> Result<(), Violation> {
        while let Some(event) = self.decoder.next(&mut input)? {
            self.handle(event);
        }
        self.decoder.detach_from_input();
        assert!(input.len() < BODY_INLINE_BYTES_MAX + 9, "at most one small frame is kept");
        self.kept = input;
        Ok(())
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Transmit(bytes) => {
                assert!(self.encoder.is_none(), "the handshake writes nothing after its end");
                self.written.extend_from_slice(&bytes);
            }
            Event::HandshakeDone { curve } => {
                assert!(self.peer.replace(curve.map(|curve| *curve)).is_none(), "a handshake ends once");
                self.encoder = Some(self.decoder.take_encoder());
            }
            Event::Command(content) => {
                let mut out = BytesMut::new();
                let encoder = self.encoder.as_mut().expect("a PONG follows the handshake");
                encoder.write_frame(FrameKind::Command, &content, &mut out).expect("there are nonces");
                self.written.extend_from_slice(&out);
            }
            Event::Ignored => {}
            Event::Message(message) => {
                assert!(self.encoder.is_some(), "a message follows the handshake");
                assert!(message.bytes() <= MESSAGE_BYTES_MAX, "the size of a message is bounded");
                self.received.push(message.frames().to_vec());
            }
        }
    }
}

/// Checks what both sides have accepted. `keys` are those of the peers of client and server.
fn check([client, server]: &[Side; 2], keys: [&SecretKey; 2]) {
    for (side, other, key) in [(client, server, keys[0]), (server, client, keys[1])] {
        let Some(peer) = side.peer.flatten() else { continue };
        assert_eq!(peer.public_key, key.public_key(), "the peer is who it is");
        let mut sent = other.expected.iter();
        for message in &side.received {
            assert!(sent.any(|expected| expected == message), "a message arrives once, in order and unchanged");
        }
    }
    if let (Some(Some(of_client)), Some(Some(of_server))) = (client.peer, server.peer) {
        assert_eq!(of_client.binding, of_server.binding, "both sides have the same binding");
    }
    assert_ne!(client.peer, Some(None), "a client with a server key never connects without encryption");
}
