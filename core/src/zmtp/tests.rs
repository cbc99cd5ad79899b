//! Tests of the decoder with all ways of splitting the bytes.

#![allow(clippy::unwrap_used)]

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::{frame::LARGE_STEP_BYTES, *};
use crate::wire::limits::{BODY_INLINE_BYTES_MAX, MESSAGE_BYTES_MAX};

/// A decoder with its driver, which keeps the bytes of an incomplete frame.
struct Peer {
    decoder: Decoder,
    kept: BytesMut,
}

impl Peer {
    fn new(message_bytes_max: usize) -> Peer {
        Peer { decoder: Decoder::new(message_bytes_max), kept: BytesMut::new() }
    }

    fn open(message_bytes_max: usize) -> Peer {
        let mut peer = Peer::new(message_bytes_max);
        let items = peer.receive(&[&greeting()[..], &ready_as("DEALER")].concat()).unwrap();
        assert_eq!(items, [Event::Transmit(ready()), Event::HandshakeDone { curve: None }]);
        peer
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Violation> {
        let mut input = BytesMut::from(&self.kept.split()[..]);
        match self.decoder.large_frame_buffer() {
            Some(mut room) => {
                let count = room.remaining_mut().min(bytes.len());
                room.put_slice(&bytes[..count]);
                input.extend_from_slice(&bytes[count..]);
            }
            None => input.extend_from_slice(bytes),
        }
        let mut input = input.freeze();
        let mut items = Vec::new();
        while let Some(item) = self.decoder.next(&mut input)? {
            items.push(item);
        }
        self.decoder.detach_from_input();
        self.kept.extend_from_slice(&input);
        assert!(self.kept.len() <= BODY_INLINE_BYTES_MAX + 9, "at most one small frame is kept");
        Ok(items)
    }
}

fn frame(flags: u8, content: &[u8]) -> Vec<u8> {
    let mut out = announced(flags, content.len() as u64);
    out.extend_from_slice(content);
    out
}

/// Returns a long header without content.
fn announced(flags: u8, size: u64) -> Vec<u8> {
    [&[flags | 2][..], &size.to_be_bytes()].concat()
}

fn command(name: &str, body: &[u8]) -> Vec<u8> {
    frame(4, &[&[u8::try_from(name.len()).unwrap()], name.as_bytes(), body].concat())
}

fn property(name: &str, value: &[u8]) -> Vec<u8> {
    let lengths = (u8::try_from(name.len()).unwrap(), u32::try_from(value.len()).unwrap());
    [&[lengths.0], name.as_bytes(), &lengths.1.to_be_bytes(), value].concat()
}

fn ready_as(socket_type: &str) -> Vec<u8> {
    command("READY", &[property("socket-TYPE", socket_type.as_bytes()), property("Identity", b"me")].concat())
}

fn one(content: &[u8]) -> Event {
    Event::Message(Message::one(Bytes::copy_from_slice(content)))
}

#[test]
fn messages_with_frames_of_all_sizes_are_decoded() {
    let mut peer = Peer::open(MESSAGE_BYTES_MAX);
    assert_eq!(peer.receive(&[0, 2, 7, 8]), Ok(vec![one(&[7, 8])]));
    assert_eq!(peer.receive(&[0, 0]), Ok(vec![one(&[])]));
    let large = vec![9; BODY_INLINE_BYTES_MAX + 1];
    let both = Message::two(Bytes::from_static(&[1]), Bytes::from(large.clone()));
    assert_eq!(peer.receive(&[frame(1, &[1]), frame(0, &large)].concat()), Ok(vec![Event::Message(both)]));
}

#[test]
fn a_length_beyond_the_limit_is_rejected_at_the_header() {
    for size in [101, 1 << 40, 1 << 63, u64::MAX] {
        let too_large = Err(Violation::MessageTooLarge { bytes: size, max: 100 });
        assert_eq!(Peer::open(100).receive(&announced(0, size)), too_large);
        assert_eq!(Peer::open(100).receive(&announced(1, size)), too_large);
        let after_first = Peer::open(100).receive(&[frame(1, &[1]), announced(0, size)].concat());
        assert_eq!(after_first, Err(Violation::MessageTooLarge { bytes: size.saturating_add(1), max: 100 }));
    }
    for size in [COMMAND_BYTES_MAX as u64 + 1, 1 << 40, 1 << 63, u64::MAX] {
        let too_large = Err(Violation::CommandTooLarge { bytes: size, max: COMMAND_BYTES_MAX });
        assert_eq!(Peer::open(100).receive(&announced(4, size)), too_large);
        assert_eq!(Peer::new(100).receive(&[&greeting()[..], &announced(4, size)].concat()), too_large);
    }
}

#[test]
fn the_limit_counts_all_frames_of_a_message_and_can_grow() {
    let mut peer = Peer::open(10);
    assert_eq!(peer.receive(&[frame(1, &[0; 4]), frame(0, &[0; 6])].concat()).unwrap().len(), 1);
    peer.decoder.set_message_bytes_max(11);
    assert_eq!(peer.receive(&[frame(1, &[0; 4]), frame(0, &[0; 7])].concat()).unwrap().len(), 1);
    let too_large = Violation::MessageTooLarge { bytes: 12, max: 11 };
    assert_eq!(peer.receive(&[frame(1, &[0; 4]), frame(0, &[0; 8])].concat()), Err(too_large));
}

#[test]
fn a_third_frame_is_rejected_at_the_header_of_the_second() {
    let message = [frame(1, &[1]), announced(1, 1)].concat();
    assert_eq!(Peer::open(100).receive(&message), Err(Violation::TooManyFrames { max: 2 }));
}

#[test]
fn peers_of_other_protocols_are_rejected_at_the_first_wrong_byte() {
    assert_eq!(Peer::new(100).receive(b"G"), Err(Violation::NotZmtp));
    assert_eq!(Peer::new(100).receive(b"\xff\0\0\0\0\0\0\0\0A"), Err(Violation::NotZmtp));
    assert_eq!(Peer::new(100).receive(b"\xff\0\0\0\0\0\0\0\x01\x7f\x01"), Err(Violation::Version { major: 1 }));
    let mut curve = greeting();
    curve[12..17].copy_from_slice(b"CURVE");
    assert_eq!(Peer::new(100).receive(&curve), Err(Violation::CurveUnavailable));
    let with_flags = |flags| Peer::open(100).receive(&[flags]);
    for flags in [8, 0x80, 5, 0xff] {
        assert_eq!(with_flags(flags), Err(Violation::Flags { flags }));
    }
}

#[test]
fn the_handshake_accepts_only_the_ready_of_a_dealer() {
    let then = |bytes: &[u8]| Peer::new(100).receive(&[&greeting()[..], bytes].concat());
    assert_eq!(then(&ready_as("ROUTER")), Err(Violation::SocketType { name: "ROUTER" }));
    assert_eq!(then(&ready_as("TEAPOT")), Err(Violation::SocketType { name: "unknown" }));
    assert_eq!(then(&command("READY", b"")), Err(Violation::SocketType { name: "nameless" }));
    let twice = [property("Socket-Type", b"DEALER"), property("Socket-Type", b"DEALER")].concat();
    assert_eq!(then(&command("READY", &twice)), Err(Violation::MalformedCommand));
    assert_eq!(then(&command("READY", b"\x0bSocket-Type\xff\xff\xff\xffDEALER")), Err(Violation::MalformedCommand));
    assert_eq!(then(&command("PING", &[0, 0])), Err(Violation::UnexpectedCommand));
    assert_eq!(then(&command("ERROR", b"\x02no")), Err(Violation::PeerError));
    assert_eq!(then(&frame(0, b"hi")), Err(Violation::EarlyMessage));
    assert_eq!(then(&frame(4, b"")), Err(Violation::MalformedCommand));
    assert_eq!(then(&frame(4, b"\x05PI")), Err(Violation::MalformedCommand));
}

#[test]
fn a_peer_in_the_handshake_receives_the_reason_for_its_rejection() {
    let mut peer = Peer::new(100);
    let violation = Violation::SocketType { name: "REQ" };
    assert_eq!(peer.decoder.error_command(violation), None);
    peer.receive(&greeting()).unwrap();
    let command = peer.decoder.error_command(violation).unwrap();
    assert!(command.ends_with(b"it is a REQ socket; connect with a DEALER"), "{command:?}");
    assert_eq!(peer.decoder.error_command(Violation::PeerError), None);
    assert_eq!(Peer::open(100).decoder.error_command(violation), None);
    assert!(error(&"\u{e9}".repeat(200)).len() <= 9 + 7 + 255, "a long reason is cut at a character");
}

#[test]
fn a_ping_gets_a_pong_with_its_context() {
    let mut peer = Peer::open(100);
    let pong = Bytes::from_static(b"\x04PONGabc");
    assert_eq!(peer.receive(&command("PING", b"\0\x0aabc")), Ok(vec![Event::Command(pong)]));
    assert_eq!(peer.receive(&command("PONG", b"abc")), Ok(vec![Event::Ignored]));
    assert_eq!(peer.receive(&command("WHATEVER", b"abc")), Ok(vec![Event::Ignored]));
    assert_eq!(peer.receive(&command("READY", &property("Socket-Type", b"DEALER"))), Err(Violation::UnexpectedCommand));
    assert_eq!(Peer::open(100).receive(&command("PING", &[0; 19])), Err(Violation::MalformedCommand));
    assert_eq!(Peer::open(100).receive(&command("PING", &[0])), Err(Violation::MalformedCommand));
}

#[test]
fn an_announced_frame_uses_memory_only_as_it_arrives() {
    let mut peer = Peer::open(MESSAGE_BYTES_MAX);
    peer.receive(&announced(0, MESSAGE_BYTES_MAX as u64)).unwrap();
    let (mut sent, mut steps) = (0, 0);
    while let Some(room) = peer.decoder.large_frame_buffer().map(|room| room.remaining_mut()) {
        assert!(room <= sent.max(LARGE_STEP_BYTES), "a buffer of {room} bytes after {sent} have arrived");
        assert_eq!(peer.decoder.buffered_bytes(), sent);
        let items = peer.receive(&vec![5; room]).unwrap();
        (sent, steps) = (sent + room, steps + 1);
        assert_eq!(items.len(), usize::from(sent == MESSAGE_BYTES_MAX));
    }
    assert_eq!((sent, peer.decoder.buffered_bytes()), (MESSAGE_BYTES_MAX, 0));
    assert!(steps < 10, "the buffer is moved only a few times: {steps}");
}

#[test]
fn a_large_frame_is_received_in_place_in_an_allocation_of_its_size() {
    let mut peer = Peer::open(MESSAGE_BYTES_MAX);
    assert!(peer.decoder.large_frame_buffer().is_none());
    assert_eq!(peer.receive(&announced(0, 100_000)), Ok(vec![]));
    assert_eq!(peer.decoder.large_frame_buffer().unwrap().remaining_mut(), 100_000);
    assert_eq!(peer.receive(&[5; 99_999]), Ok(vec![]));
    assert_eq!(peer.decoder.large_frame_buffer().unwrap().remaining_mut(), 1);
    assert_eq!(peer.receive(&[5, 0, 1, 6]), Ok(vec![one(&[5; 100_000]), one(&[6])]));
}

/// Valid frames of a peer after the handshake, as bytes.
fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let content =
        prop_oneof![prop::collection::vec(any::<u8>(), 0..300), (0_usize..40_000).prop_map(|size| vec![1; size])];
    let pair = (prop::collection::vec(any::<u8>(), 0..300), content.clone());
    prop_oneof![
        content.prop_map(|content| frame(0, &content)),
        pair.prop_map(|(first, second)| [frame(1, &first), frame(0, &second)].concat()),
        prop::collection::vec(any::<u8>(), 0..=16)
            .prop_map(|context| command("PING", &[b"\0\0", &context[..]].concat())),
    ]
}

proptest! {
    #[test]
    fn splitting_the_bytes_does_not_change_the_events(
        chunks in prop::collection::vec(traffic(), 1..8),
        cuts in prop::collection::vec(1_usize..20_000, 1..40),
    ) {
        let stream = chunks.concat();
        let at_once = Peer::open(MESSAGE_BYTES_MAX).receive(&stream).unwrap();
        let (mut peer, mut rest, mut cut) = (Peer::open(MESSAGE_BYTES_MAX), &stream[..], Vec::new());
        for size in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*size).min(rest.len()));
            cut.extend(peer.receive(now).unwrap());
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(cut, at_once);
    }

    #[test]
    fn arbitrary_bytes_neither_cause_a_panic_nor_exceed_the_buffer(
        open in any::<bool>(),
        chunks in prop::collection::vec(prop::collection::vec(prop_oneof![0_u8..8, any::<u8>()], 0..200), 0..30),
    ) {
        let mut peer = if open { Peer::open(1000) } else { Peer::new(1000) };
        if !open {
            peer.receive(&greeting()).unwrap();
        }
        for chunk in chunks {
            if peer.receive(&chunk).is_err() {
                break;
            }
        }
    }
}
