//! Tests of CURVE: both sides against each other, and everything that a third one can change on the way.

#![allow(clippy::unwrap_used)]

mod cipher;
mod keys;
mod refusals;
mod tampering;
mod vectors;

use bytes::{BufMut, Bytes, BytesMut};

use super::{CurveClient, CurvePeer, CurveServer, Entropy, PublicKey, SecretKey};
use crate::{
    wire::{Frames, limits::MESSAGE_BYTES_MAX},
    zmtp::{Decoder, Encoder, Event, Message, Violation},
};

fn server_key() -> SecretKey {
    SecretKey::from_bytes([1; 32])
}

fn client_key() -> SecretKey {
    SecretKey::from_bytes([2; 32])
}

fn server() -> CurveServer {
    CurveServer::new(server_key(), Entropy::new([3; Entropy::BYTES]))
}

fn client_of(server: PublicKey) -> CurveClient {
    CurveClient::new(server, client_key(), Entropy::new([4; Entropy::BYTES]))
}

/// One side of a connection with its driver.
struct Side {
    decoder: Decoder,
    encoder: Encoder,
    kept: BytesMut,
    /// What it writes.
    written: BytesMut,
    events: Vec<Event>,
}

impl Side {
    fn new(decoder: Decoder) -> Side {
        let written = BytesMut::from(&decoder.first_bytes()[..]);
        Side { decoder, encoder: Encoder::default(), kept: BytesMut::new(), written, events: Vec::new() }
    }

    fn server() -> Side {
        Side::new(Decoder::curve_server(server(), MESSAGE_BYTES_MAX))
    }

    fn client() -> Side {
        Side::new(Decoder::client(Some(client_of(server_key().public_key())), MESSAGE_BYTES_MAX))
    }

    /// Reads bytes as the gate does: those of a large frame into its buffer.
    fn read(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        if let Some(mut room) = self.decoder.large_frame_buffer() {
            let count = room.remaining_mut().min(bytes.len());
            room.put_slice(&bytes[..count]);
            bytes = &bytes[count..];
        }
        let mut input = BytesMut::from(&self.kept.split()[..]);
        input.extend_from_slice(bytes);
        let mut input = input.freeze();
        while let Some(event) = self.decoder.next(&mut input)? {
            self.take(&event);
            self.events.push(event);
        }
        self.decoder.detach_from_input();
        self.kept.extend_from_slice(&input);
        Ok(())
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Transmit(bytes) => self.written.extend_from_slice(bytes),
            Event::HandshakeDone { .. } => self.encoder = self.decoder.take_encoder(),
            Event::Command(content) => {
                self.encoder.write_frame(crate::zmtp::FrameKind::Command, content, &mut self.written).unwrap();
            }
            Event::Message(_) | Event::Ignored => {}
        }
    }

    fn send(&mut self, frames: &Frames) -> Vec<u8> {
        self.encoder.write_message(frames, &mut self.written).unwrap();
        self.written.split().to_vec()
    }

    fn peer(&self) -> Option<Option<CurvePeer>> {
        self.events.iter().find_map(|event| match event {
            Event::HandshakeDone { curve } => Some(curve.as_deref().copied()),
            _ => None,
        })
    }

    fn messages(&self) -> Vec<&Message> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Message(message) => Some(message),
                _ => None,
            })
            .collect()
    }
}

/// Passes bytes between both sides until neither writes. Returns what each one wrote.
fn connect(client: &mut Side, server: &mut Side) -> Result<(Vec<u8>, Vec<u8>), Violation> {
    let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
    loop {
        let (to_server, to_client) = (client.written.split(), server.written.split());
        if to_server.is_empty() && to_client.is_empty() {
            return Ok((from_client, from_server));
        }
        from_client.extend_from_slice(&to_server);
        from_server.extend_from_slice(&to_client);
        server.read(&to_server)?;
        client.read(&to_client)?;
    }
}

fn connected() -> (Side, Side) {
    let (mut client, mut server) = (Side::client(), Side::server());
    connect(&mut client, &mut server).unwrap();
    (client, server)
}

fn one(content: &[u8]) -> Frames {
    Frames { first: Bytes::copy_from_slice(content), large: None }
}

fn two(first: &[u8], large: Vec<u8>) -> Frames {
    Frames { first: Bytes::copy_from_slice(first), large: Some(large.into()) }
}

#[test]
fn both_sides_prove_their_keys_and_have_the_same_binding() {
    let (client, server) = connected();
    let (of_client, of_server) = (client.peer().unwrap().unwrap(), server.peer().unwrap().unwrap());
    assert_eq!(of_client.public_key, server_key().public_key());
    assert_eq!(of_server.public_key, client_key().public_key());
    assert_eq!(of_client.binding, of_server.binding);
    assert!(client.encoder.is_encrypted() && server.encoder.is_encrypted());
}

#[test]
fn each_connection_has_a_binding_of_its_own() {
    let binding = |seed| {
        let curve = CurveClient::new(server_key().public_key(), client_key(), Entropy::new([seed; Entropy::BYTES]));
        let (mut client, mut server) = (Side::new(Decoder::client(Some(curve), 1000)), Side::server());
        connect(&mut client, &mut server).unwrap();
        server.peer().unwrap().unwrap().binding
    };
    assert_ne!(binding(5), binding(6));
}

#[test]
fn messages_of_all_sizes_arrive_in_both_directions() {
    let (mut client, mut server) = connected();
    for size in [0, 1, 222, 223, 16_000, 16_384, 16_385, 100_000] {
        let frames = two(b"header", vec![7; size]);
        let expected = Message::two(Bytes::from_static(b"header"), vec![7; size].into());
        let bytes = client.send(&frames);
        server.read(&bytes).unwrap();
        assert_eq!(server.messages().last(), Some(&&expected));
        let bytes = server.send(&frames);
        client.read(&bytes).unwrap();
        assert_eq!(client.messages().last(), Some(&&expected));
    }
}

#[test]
fn content_is_not_visible_on_the_wire() {
    let (mut client, _) = connected();
    let bytes = client.send(&two(b"calculator.add", b"a secret argument".repeat(2_000)));
    for word in [&b"calculator"[..], b"secret", b"argument"] {
        assert!(!bytes.windows(word.len()).any(|window| window == word));
    }
}

#[test]
fn a_ping_gets_an_encrypted_pong() {
    let (mut client, mut server) = connected();
    client.encoder.write_frame(crate::zmtp::FrameKind::Command, b"\x04PING\0\x0aabc", &mut client.written).unwrap();
    server.read(&client.written.split()).unwrap();
    assert_eq!(server.events.last(), Some(&Event::Command(Bytes::from_static(b"\x04PONGabc"))));
    let pong = server.written.split();
    assert_eq!(pong[..2], [0, 33 + 8], "an encrypted command is an ordinary frame");
    client.read(&pong).unwrap();
    assert_eq!(client.messages(), Vec::<&Message>::new());
}

#[test]
fn the_limit_of_a_message_counts_its_plaintext() {
    let (mut client, mut server) = connected();
    server.decoder.set_message_bytes_max(1_000);
    let fits = client.send(&two(&[1; 400], vec![2; 600]));
    server.read(&fits).unwrap();
    let exceeds = client.send(&two(&[1; 400], vec![2; 601]));
    let header_of_second = 2 * 9 + 33 + 400;
    let ended = server.read(&exceeds[..header_of_second]);
    assert_eq!(ended, Err(Violation::MessageTooLarge { bytes: 1_001, max: 1_000 }), "it is rejected at the header");
}

#[test]
fn a_message_has_at_most_two_frames() {
    let (mut client, mut server) = connected();
    for _ in 0..2 {
        client.encoder.write_frame(crate::zmtp::FrameKind::More, b"part", &mut client.written).unwrap();
    }
    let bytes = client.written.split();
    assert_eq!(server.read(&bytes), Err(Violation::TooManyFrames { max: 2 }));
}

#[test]
fn a_large_command_is_rejected_after_the_handshake_as_well() {
    let (mut client, mut server) = connected();
    let content = [&b"\x04PONG"[..], &[0; 1_100]].concat();
    client.encoder.write_frame(crate::zmtp::FrameKind::Command, &content, &mut client.written).unwrap();
    let ended = server.read(&client.written.split());
    assert_eq!(ended, Err(Violation::CommandTooLarge { bytes: 1_105, max: 1_024 }));
}
