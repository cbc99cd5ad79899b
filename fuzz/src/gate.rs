//! The target `gate`: decodes the bytes of a connection with the ZMTP decoder, as the broker's gate does.

use bytes::{Buf, BufMut, Bytes};
use callboard_core::{
    wire::limits::{BODY_INLINE_BYTES_MAX, HANDSHAKE_BYTES_MAX, MESSAGE_FRAMES_MAX},
    zmtp::{COMMAND_BYTES_MAX, Decoder, Event, FrameHeader, FrameKind, Violation},
};

use super::script::Script;

/// The maximum bytes of a message of an accepted peer: more than an inline body, and few enough that inputs exceed it.
const ACCEPTED_BYTES_MAX: usize = 40_000;
/// The maximum bytes of a frame header.
const FRAME_HEADER_BYTES_MAX: usize = 9;
/// The unit of the zeros after the stream, so that short inputs also have large frames.
const ZEROS: usize = 256;
/// The offset after which pieces become larger, because each piece costs a copy of the buffered bytes.
const FINE_BYTES: usize = 600;
const COARSE_BYTES: usize = 512;

/// Decodes the stream three times, each time in other pieces.
///
/// The first byte selects the pieces, the second the number of events after which the peer is accepted (255: never), and the third the
/// number of zeros after the stream. The rest is the stream.
pub fn gate(input: &[u8]) {
    let mut script = Script::new(input);
    let (seed, accepted_after, zeros) = (script.byte(), script.byte(), script.byte());
    let stream = [script.rest(), &vec![0; usize::from(zeros) * ZEROS]].concat();
    let whole = decode_in_pieces(&stream, accepted_after, |_| usize::MAX);
    let fine = decode_in_pieces(&stream, accepted_after, |at| if at < FINE_BYTES { 1 } else { COARSE_BYTES });
    assert_eq!(whole, fine, "single bytes have the same events as the whole stream");
    let mut state = u32::from(seed);
    let random = decode_in_pieces(&stream, accepted_after, |at| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let most = if at < FINE_BYTES { 64 } else { 8 * COARSE_BYTES };
        1 + (state >> 16) as usize % most
    });
    assert_eq!(whole, random, "pieces have the same events as the whole stream");
}

/// A connection with its decoder and its buffer, as in the gate.
struct Connection {
    decoder: Decoder,
    kept: Bytes,
    items: Vec<Event>,
    accepted_after: usize,
    opened: bool,
}

/// The result of decoding a stream: its events, and its end.
#[derive(Debug, PartialEq)]
struct Decoded {
    items: Vec<Event>,
    kept: Bytes,
    ended: Option<Violation>,
}

/// Decodes the stream in pieces. `piece` returns the length of the piece at an offset.
fn decode_in_pieces(stream: &[u8], accepted_after: u8, mut piece: impl FnMut(usize) -> usize) -> Decoded {
    let accepted_after = if accepted_after == u8::MAX { usize::MAX } else { accepted_after.into() };
    let decoder = Decoder::new(HANDSHAKE_BYTES_MAX);
    let mut connection = Connection { decoder, kept: Bytes::new(), items: Vec::new(), accepted_after, opened: false };
    let mut at = 0;
    while at < stream.len() {
        let end = at.saturating_add(piece(at)).min(stream.len());
        if let Err(ended) = connection.read(&stream[at..end]) {
            connection.check_violation(ended);
            return Decoded { items: connection.items, kept: Bytes::new(), ended: Some(ended) };
        }
        at = end;
    }
    Decoded { items: connection.items, kept: connection.kept, ended: None }
}

impl Connection {
    /// Passes the bytes of a large frame to its buffer, and other bytes to the decoder after those that were kept.
    fn read(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        let max = self.message_bytes_max();
        if let Some(mut place) = self.decoder.large_frame_buffer() {
            assert!(self.kept.is_empty(), "no other bytes are kept while a large frame is received");
            assert!(place.remaining_mut() <= max, "the buffer does not exceed the maximum of a message");
            let count = place.remaining_mut().min(bytes.len());
            place.put_slice(&bytes[..count]);
            bytes.advance(count);
            self.decode(Bytes::new())?;
        }
        if bytes.is_empty() { Ok(()) } else { self.decode([&self.kept[..], bytes].concat().into()) }
    }

    fn decode(&mut self, mut input: Bytes) -> Result<(), Violation> {
        loop {
            if self.items.len() >= self.accepted_after {
                self.decoder.set_message_bytes_max(ACCEPTED_BYTES_MAX);
            }
            let before = input.len();
            let Some(item) = self.decoder.next(&mut input)? else { break };
            assert!(input.len() < before || before == 0, "an event consumes bytes");
            self.take(item);
        }
        self.decoder.detach_from_input();
        assert!(input.len() < BODY_INLINE_BYTES_MAX + FRAME_HEADER_BYTES_MAX, "at most one small frame is kept");
        self.kept = Bytes::copy_from_slice(&input);
        Ok(())
    }

    fn take(&mut self, item: Event) {
        match &item {
            Event::Transmit(bytes) => check_command(bytes),
            Event::Command(content) => {
                assert!(self.opened, "a PONG follows the handshake");
                assert!(content.len() <= COMMAND_BYTES_MAX, "the command is small");
            }
            Event::HandshakeDone { .. } => {
                assert!(!std::mem::replace(&mut self.opened, true), "a connection opens once")
            }
            Event::Ignored => assert!(self.opened, "other commands arrive only after the handshake"),
            Event::Message(message) => {
                assert!(self.opened, "a message arrives only after the handshake");
                assert!((1..=MESSAGE_FRAMES_MAX).contains(&message.frames().len()), "the number of frames is bounded");
                assert!(message.bytes() <= self.message_bytes_max(), "the size of a message is bounded");
            }
        }
        self.items.push(item);
    }

    fn message_bytes_max(&self) -> usize {
        if self.items.len() >= self.accepted_after { ACCEPTED_BYTES_MAX } else { HANDSHAKE_BYTES_MAX }
    }

    /// Checks the ERROR command for a peer that violated ZMTP, if it gets one.
    fn check_violation(&self, ended: Violation) {
        assert!(!ended.to_string().is_empty() && !ended.name().is_empty(), "a violation has a message and a name");
        if let Some(command) = self.decoder.error_command(ended) {
            assert!(!self.opened, "only a peer in the handshake receives an ERROR");
            check_command(&command);
        }
    }
}

/// Checks that the bytes for the peer are one complete, small command.
fn check_command(bytes: &[u8]) {
    let header = FrameHeader::read(bytes).expect("the header is valid").expect("the header is complete");
    assert_eq!(header.kind, FrameKind::Command);
    assert_eq!(header.header_bytes as u64 + header.size, bytes.len() as u64, "the bytes are exactly one frame");
    assert!(bytes.len() <= COMMAND_BYTES_MAX, "the command is small");
}
