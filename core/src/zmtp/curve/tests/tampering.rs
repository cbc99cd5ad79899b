//! Tests of a third side on the wire, which changes, repeats, reorders and cuts what both sides send.

use proptest::prelude::*;

use super::{super::CurveViolation, Side, Violation, connect, connected, one, two};
use crate::zmtp::FrameHeader;

/// The first bytes of each side: the greeting.
const GREETING: usize = 64;

/// Splits a stream into its greeting and its frames.
fn parts(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![stream[..GREETING].to_vec()];
    stream = &stream[GREETING..];
    while let Some(header) = FrameHeader::read(stream).unwrap() {
        let (frame, rest) = stream.split_at(header.header_bytes + usize::try_from(header.size).unwrap());
        parts.push(frame.to_vec());
        stream = rest;
    }
    parts
}

fn content_at(frame: &[u8]) -> usize {
    FrameHeader::read(frame).unwrap().unwrap().header_bytes
}

/// Flips each bit of a frame. The receiver, fresh each time, has read all parts before it.
fn flip_each_bit(fresh: impl Fn() -> Side, parts: &[Vec<u8>], at: usize) {
    let frame = &parts[at];
    for bit in 0..frame.len() * 8 {
        let mut side = fresh();
        for part in &parts[..at] {
            side.read(part).unwrap();
        }
        let events = side.events.len();
        let mut changed = frame.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let ended = side.read(&changed);
        if bit / 8 >= content_at(frame) {
            assert!(ended.is_err(), "bit {bit} of part {at}");
        }
        // A longer frame may have been announced: then the receiver waits for the rest.
        assert_eq!(side.events.len(), events, "nothing follows from a changed frame: bit {bit} of part {at}");
    }
}

#[test]
fn each_flipped_bit_of_a_handshake_ends_the_connection() {
    let (from_client, from_server) = connect(&mut Side::client(), &mut Side::server()).unwrap();
    let (client, server) = (parts(&from_client), parts(&from_server));
    assert_eq!((client.len(), server.len()), (3, 3), "a greeting and two commands");
    for at in 1..3 {
        flip_each_bit(Side::server, &client, at);
        flip_each_bit(Side::client, &server, at);
    }
}

#[test]
fn each_flipped_bit_of_a_message_ends_the_connection() {
    let (mut client, mut server) = (Side::client(), Side::server());
    let (from_client, _) = connect(&mut client, &mut server).unwrap();
    let mut stream = parts(&from_client);
    stream.push(client.send(&one(b"a small message")));
    flip_each_bit(Side::server, &stream, 3);
}

#[test]
fn a_flipped_bit_of_a_large_message_ends_the_connection() {
    let (mut client, mut server) = connected();
    let mut message = client.send(&two(b"head", vec![7; 60_000]));
    let at = message.len() - 30_000;
    message[at] ^= 1;
    assert_eq!(server.read(&message), Err(Violation::Curve(CurveViolation::Message)));
}

#[test]
fn a_repeated_message_ends_the_connection() {
    let (mut client, mut server) = connected();
    let message = client.send(&one(b"pay 100"));
    server.read(&message).unwrap();
    assert_eq!(server.read(&message), Err(Violation::Curve(CurveViolation::Sequence)));
    assert_eq!(server.messages().len(), 1);
}

#[test]
fn a_message_that_is_missing_or_out_of_order_ends_the_connection() {
    let (mut client, mut server) = connected();
    let (_first, second) = (client.send(&one(b"first")), client.send(&one(b"second")));
    assert_eq!(server.read(&second), Err(Violation::Curve(CurveViolation::Sequence)));
    assert_eq!(server.messages().len(), 0);
}

#[test]
fn a_message_of_the_other_direction_ends_the_connection() {
    let (mut client, mut server) = connected();
    let message = server.send(&one(b"for the client"));
    assert_eq!(server.read(&message), Err(Violation::Curve(CurveViolation::Message)));
    client.read(&message).unwrap();
}

#[test]
fn a_message_of_another_connection_ends_the_connection() {
    let (mut client, _) = connected();
    let entropy = super::Entropy::new([9; super::Entropy::BYTES]);
    let other = super::CurveServer::new(super::server_key(), entropy);
    let mut server = Side::new(super::Decoder::curve_server(other, super::MESSAGE_BYTES_MAX));
    connect(&mut Side::client(), &mut server).unwrap();
    let ended = server.read(&client.send(&one(b"recorded")));
    assert_eq!(ended, Err(Violation::Curve(CurveViolation::Message)));
}

#[test]
fn a_handshake_that_is_replayed_to_the_server_proves_nothing() {
    let (from_client, _) = connect(&mut Side::client(), &mut Side::server()).unwrap();
    let entropy = super::Entropy::new([9; super::Entropy::BYTES]);
    let fresh = super::CurveServer::new(super::server_key(), entropy);
    let mut server = Side::new(super::Decoder::curve_server(fresh, super::MESSAGE_BYTES_MAX));
    assert_eq!(server.read(&from_client), Err(Violation::Curve(CurveViolation::Cookie)));
}

#[test]
fn a_frame_without_encryption_ends_an_encrypted_connection() {
    for frame in [&b"\0\x02hi"[..], b"\x01\x02hi", b"\x04\x0a\x04PING\0\x0aabc", &[&[0, 60], &[b'x'; 60][..]].concat()]
    {
        let (_, mut server) = connected();
        assert!(matches!(server.read(frame), Err(Violation::Curve(_))), "{frame:?}");
    }
}

proptest! {
    #[test]
    fn splitting_an_encrypted_stream_does_not_change_the_events(
        sizes in prop::collection::vec(prop_oneof![0_usize..400, 0_usize..40_000], 1..6),
        cuts in prop::collection::vec(1_usize..20_000, 1..40),
    ) {
        let (mut client, mut server) = (Side::client(), Side::server());
        let (mut stream, _) = connect(&mut client, &mut server).unwrap();
        for size in sizes {
            stream.extend(client.send(&two(b"header", vec![1; size])));
            stream.extend(client.send(&one(&[2; 40])));
        }
        let (mut at_once, mut in_pieces) = (Side::server(), Side::server());
        at_once.read(&stream).unwrap();
        let mut rest = &stream[..];
        for size in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*size).min(rest.len()));
            in_pieces.read(now).unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(in_pieces.events, at_once.events);
    }

    #[test]
    fn a_cut_stream_gives_only_complete_messages(cut in 1_usize..600) {
        let (mut client, mut server) = (Side::client(), Side::server());
        let (handshake, _) = connect(&mut client, &mut server).unwrap();
        let messages: Vec<u8> = (0..4).flat_map(|_| client.send(&one(&[7; 100]))).collect();
        let frame = messages.len() / 4;
        let cut = cut.min(messages.len());
        let mut side = Side::server();
        side.read(&[&handshake[..], &messages[..cut]].concat()).unwrap();
        prop_assert_eq!(side.messages().len(), cut / frame);
    }

    #[test]
    fn arbitrary_bytes_after_the_greeting_cause_no_panic(
        chunks in prop::collection::vec(prop::collection::vec(prop_oneof![0_u8..8, any::<u8>()], 0..300), 0..10),
        open in any::<bool>(),
    ) {
        let mut side = if open { connected().1 } else { Side::server() };
        if !open {
            side.read(&Side::client().written).unwrap();
        }
        for chunk in chunks {
            if side.read(&chunk).is_err() {
                break;
            }
        }
        prop_assert!(side.messages().is_empty());
    }
}
