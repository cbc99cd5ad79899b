//! The target `gate`: bytes from the network into the ZMTP decoder, as the broker's gate feeds it.

use bytes::{Buf, BufMut, Bytes};
use callboard_core::{
    wire::limits::{BODY_INLINE_BYTES_MAX, HANDSHAKE_BYTES_MAX, MESSAGE_FRAMES_MAX},
    zmtp::{COMMAND_BYTES_MAX, Decoder, Event, FrameHeader, FrameKind, Violation},
};

use super::script::Script;

/// What a message may have after its sender was let in: more than is copied, and little enough to be exceeded here.
const ADMITTED_BYTES_MAX: usize = 40_000;
/// The longest frame header.
const FRAME_HEADER_BYTES_MAX: usize = 9;
/// Zeros behind the stream come in such steps, so that a short input has large frames in it, too.
const ZEROS: usize = 256;
/// Cuts become coarser behind so many bytes: each one costs a copy of what is kept.
const FINE_BYTES: usize = 600;
const COARSE_BYTES: usize = 512;

/// Says the stream three times, each time cut into other pieces.
///
/// The first byte decides about the cuts, the second after how many items the peer is let in (255: never), the third how
/// many zeros follow the rest, which is the stream.
pub fn gate(input: &[u8]) {
    let mut script = Script::new(input);
    let (seed, admitted_after, zeros) = (script.byte(), script.byte(), script.byte());
    let stream = [script.rest(), &vec![0; usize::from(zeros) * ZEROS]].concat();
    let whole = hear(&stream, admitted_after, |_| usize::MAX);
    let fine = hear(&stream, admitted_after, |at| if at < FINE_BYTES { 1 } else { COARSE_BYTES });
    assert_eq!(whole, fine, "single bytes say what the whole says");
    let mut state = u32::from(seed);
    let random = hear(&stream, admitted_after, |at| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let most = if at < FINE_BYTES { 64 } else { 8 * COARSE_BYTES };
        1 + (state >> 16) as usize % most
    });
    assert_eq!(whole, random, "pieces say what the whole says");
}

/// One connection, as the gate holds it.
struct Connection {
    decoder: Decoder,
    kept: Bytes,
    items: Vec<Event>,
    admitted_after: usize,
    opened: bool,
}

/// What a stream said: its items, and how it ended.
#[derive(Debug, PartialEq)]
struct Heard {
    items: Vec<Event>,
    kept: Bytes,
    ended: Option<Violation>,
}

/// Feeds the stream in pieces; `piece` says how long the one at that place is.
fn hear(stream: &[u8], admitted_after: u8, mut piece: impl FnMut(usize) -> usize) -> Heard {
    let admitted_after = if admitted_after == u8::MAX { usize::MAX } else { admitted_after.into() };
    let decoder = Decoder::new(HANDSHAKE_BYTES_MAX);
    let mut connection = Connection { decoder, kept: Bytes::new(), items: Vec::new(), admitted_after, opened: false };
    let mut at = 0;
    while at < stream.len() {
        let end = at.saturating_add(piece(at)).min(stream.len());
        if let Err(ended) = connection.read(&stream[at..end]) {
            connection.refuse(ended);
            return Heard { items: connection.items, kept: Bytes::new(), ended: Some(ended) };
        }
        at = end;
    }
    Heard { items: connection.items, kept: connection.kept, ended: None }
}

impl Connection {
    /// A large frame's bytes go to their place, all else behind what was kept.
    fn read(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        let most = self.message_bytes_max();
        if let Some(mut place) = self.decoder.large_frame_buffer() {
            assert!(self.kept.is_empty(), "while a large frame comes nothing else is kept");
            assert!(place.remaining_mut() <= most, "no room for more than the peer may send");
            let count = place.remaining_mut().min(bytes.len());
            place.put_slice(&bytes[..count]);
            bytes.advance(count);
            self.decode(Bytes::new())?;
        }
        if bytes.is_empty() { Ok(()) } else { self.decode([&self.kept[..], bytes].concat().into()) }
    }

    fn decode(&mut self, mut input: Bytes) -> Result<(), Violation> {
        loop {
            if self.items.len() >= self.admitted_after {
                self.decoder.set_message_bytes_max(ADMITTED_BYTES_MAX);
            }
            let before = input.len();
            let Some(item) = self.decoder.next(&mut input)? else { break };
            assert!(input.len() < before || before == 0, "an item costs bytes");
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
            Event::HandshakeDone => assert!(!std::mem::replace(&mut self.opened, true), "a connection opens once"),
            Event::Message(message) => {
                assert!(self.opened, "no message before the handshake");
                assert!((1..=MESSAGE_FRAMES_MAX).contains(&message.frames().len()), "frames are limited");
                assert!(message.bytes() <= self.message_bytes_max(), "messages are limited");
            }
        }
        self.items.push(item);
    }

    fn message_bytes_max(&self) -> usize {
        if self.items.len() >= self.admitted_after { ADMITTED_BYTES_MAX } else { HANDSHAKE_BYTES_MAX }
    }

    /// The peer broke the rules: perhaps it is told.
    fn refuse(&self, ended: Violation) {
        assert!(!ended.to_string().is_empty() && !ended.name().is_empty(), "an end has a reason");
        if let Some(refusal) = self.decoder.error_command(ended) {
            assert!(!self.opened, "only who is in the handshake is told");
            check_command(&refusal);
        }
    }
}

/// What goes back is one whole small command.
fn check_command(bytes: &[u8]) {
    let header = FrameHeader::read(bytes).expect("we keep to ZMTP").expect("a whole frame");
    assert_eq!(header.kind, FrameKind::Command);
    assert_eq!(header.header_bytes as u64 + header.size, bytes.len() as u64, "a whole frame and nothing else");
    assert!(bytes.len() <= COMMAND_BYTES_MAX, "an answer is small");
}
