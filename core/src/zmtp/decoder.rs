//! What a peer's bytes mean.

use bytes::{Buf, BufMut, Bytes, buf::Limit};

use crate::wire::limits::{BODY_INLINE_BYTES_MAX, MESSAGE_FRAMES_MAX, TURN_BYTES_MAX};

use super::{COMMAND_BYTES_MAX, FrameHeader, FrameKind, Message, Violation, command, command::Command, greeting};

/// Reads one connection's bytes, from the greeting on, and keeps what a whole message needs.
///
/// Every length is judged when its frame's header is read, before a byte of the frame is kept.
#[derive(Debug)]
pub struct Decoder {
    phase: Phase,
    message_bytes_max: usize,
    /// The first frame of a message whose second one has not come yet.
    first: Option<Bytes>,
    /// A large frame on its way in.
    large: Option<LargeFrame>,
}

/// What a peer said.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// These bytes are to be written to the peer: our READY, a PONG.
    Transmit(Bytes),
    /// The handshake is done; messages may go both ways.
    HandshakeDone,
    /// A message, at most [`MESSAGE_FRAMES_MAX`] frames.
    Message(Message),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Greeting,
    Handshake,
    Open,
}

/// Memory for a large frame is taken in steps, each at most this or as much again as has come: so what is announced and
/// never sent costs next to nothing, whatever the system thinks of memory that nobody has touched.
pub(super) const LARGE_STEP_BYTES: usize = TURN_BYTES_MAX;

/// A frame above [`BODY_INLINE_BYTES_MAX`], in an allocation of its own that is exactly its size in the end, so that
/// keeping it keeps nothing else.
#[derive(Debug)]
struct LargeFrame {
    kind: FrameKind,
    size: usize,
    content: Vec<u8>,
}

impl LargeFrame {
    fn new(kind: FrameKind, size: usize) -> Result<LargeFrame, Violation> {
        let mut large = LargeFrame { kind, size, content: Vec::new() };
        large.reserve(0)?;
        Ok(large)
    }

    /// Sees to it that there is room for so many bytes, and for one more at least if one is missing.
    fn reserve(&mut self, count: usize) -> Result<(), Violation> {
        if self.content.capacity() - self.content.len() > count || self.content.capacity() == self.size {
            return Ok(());
        }
        let step = count.max(self.content.len()).max(LARGE_STEP_BYTES).min(self.missing());
        self.content.try_reserve_exact(step).map_err(|_| Violation::NoMemory { bytes: self.size })
    }

    fn missing(&self) -> usize {
        self.size - self.content.len()
    }

    fn fill_from(&mut self, input: &mut Bytes) -> Result<(), Violation> {
        let count = self.missing().min(input.len());
        self.reserve(count)?;
        self.content.extend_from_slice(&input.split_to(count));
        self.reserve(0)
    }
}

impl Decoder {
    /// For a new connection whose messages may have `message_bytes_max` bytes, all frames together.
    pub fn new(message_bytes_max: usize) -> Decoder {
        Decoder { phase: Phase::Greeting, message_bytes_max, first: None, large: None }
    }

    /// From the next frame on, messages may have this many bytes.
    pub fn set_message_bytes_max(&mut self, bytes: usize) {
        self.message_bytes_max = bytes;
    }

    /// Takes the next item off the front of `input`. `None`: more bytes are needed, and what is left of `input` (at most
    /// one small frame) must come again in front of them.
    ///
    /// # Errors
    /// The peer broke the rules: its connection ends. A decoder that has returned an error is not asked again.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Event>, Violation> {
        if self.phase == Phase::Greeting {
            return self.read_greeting(input);
        }
        loop {
            let Some((kind, content)) = self.read_frame(input)? else { return Ok(None) };
            let item = match kind {
                FrameKind::Command => self.handle_command(&content)?,
                FrameKind::More => {
                    self.first = Some(content);
                    None
                }
                FrameKind::Last => Some(Event::Message(match self.first.take() {
                    None => Message::one(content),
                    Some(first) => Message::two(first, content),
                })),
            };
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    /// Where the next bytes of the connection belong if a large frame is on its way in: read into this, then ask
    /// [`Decoder::next`] with an empty input. It may be less than the frame still needs.
    pub fn large_frame_buffer(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        let large = self.large.as_mut().filter(|large| large.missing() > 0)?;
        let room = large.missing().min(large.content.capacity() - large.content.len());
        Some((&mut large.content).limit(room))
    }

    /// The bytes that are kept of a message that has not come whole; those that its driver keeps come on top.
    pub fn buffered_bytes(&self) -> usize {
        self.first.as_ref().map_or(0, Bytes::len) + self.large.as_ref().map_or(0, |large| large.content.len())
    }

    /// Copies what is kept of an unfinished message out of the buffer that it came in: a peer that stops in the middle
    /// must not keep that buffer.
    pub fn detach_from_input(&mut self) {
        if let Some(first) = self.first.as_mut().filter(|first| first.len() <= BODY_INLINE_BYTES_MAX) {
            *first = Bytes::copy_from_slice(first);
        }
    }

    /// The ERROR that tells a peer why it is sent away; only a peer in the handshake is told.
    pub fn error_command(&self, violation: Violation) -> Option<Bytes> {
        (self.phase == Phase::Handshake && violation != Violation::PeerError)
            .then(|| command::error(&violation.to_string()))
    }

    fn read_greeting(&mut self, input: &mut Bytes) -> Result<Option<Event>, Violation> {
        if !greeting::check(input)? {
            return Ok(None);
        }
        input.advance(greeting::GREETING_BYTES);
        self.phase = Phase::Handshake;
        Ok(Some(Event::Transmit(command::ready())))
    }

    /// Takes one whole frame off the front of `input`.
    fn read_frame(&mut self, input: &mut Bytes) -> Result<Option<(FrameKind, Bytes)>, Violation> {
        if self.large.is_some() {
            return self.read_large_frame(input);
        }
        let Some(header) = FrameHeader::read(input)? else { return Ok(None) };
        let size = self.check_size(header)?;
        if size > BODY_INLINE_BYTES_MAX {
            self.large = Some(LargeFrame::new(header.kind, size)?);
            input.advance(header.header_bytes);
            return self.read_large_frame(input);
        }
        if input.len() < header.header_bytes + size {
            return Ok(None);
        }
        input.advance(header.header_bytes);
        Ok(Some((header.kind, input.split_to(size))))
    }

    fn read_large_frame(&mut self, input: &mut Bytes) -> Result<Option<(FrameKind, Bytes)>, Violation> {
        if let Some(large) = &mut self.large {
            large.fill_from(input)?;
        }
        let whole = self.large.take_if(|large| large.missing() == 0);
        Ok(whole.map(|whole| (whole.kind, Bytes::from(whole.content))))
    }

    /// The frame's size, if this peer may send such a frame now.
    fn check_size(&self, header: FrameHeader) -> Result<usize, Violation> {
        if header.kind == FrameKind::Command {
            let too_large = Violation::CommandTooLarge { bytes: header.size, max: COMMAND_BYTES_MAX };
            return within(header.size, COMMAND_BYTES_MAX).ok_or(too_large);
        }
        if self.phase != Phase::Open {
            return Err(Violation::EarlyMessage);
        }
        if header.kind == FrameKind::More && self.first.is_some() {
            return Err(Violation::TooManyFrames { max: MESSAGE_FRAMES_MAX });
        }
        let before = self.first.as_ref().map_or(0, Bytes::len);
        let bytes = header.size.saturating_add(before as u64);
        let max = self.message_bytes_max;
        within(bytes, max).map(|bytes| bytes - before).ok_or(Violation::MessageTooLarge { bytes, max })
    }

    fn handle_command(&mut self, content: &[u8]) -> Result<Option<Event>, Violation> {
        match (self.phase, Command::read(content)?) {
            (Phase::Handshake, Command::Ready) => {
                self.phase = Phase::Open;
                Ok(Some(Event::HandshakeDone))
            }
            (Phase::Handshake, Command::Error) => Err(Violation::PeerError),
            (Phase::Open, Command::Ping { context }) => Ok(Some(Event::Transmit(command::pong(context)))),
            (Phase::Open, Command::Other) => Ok(None),
            _ => Err(Violation::UnexpectedCommand),
        }
    }
}

/// `bytes` as a size in memory, if it is at most `max`.
fn within(bytes: u64, max: usize) -> Option<usize> {
    usize::try_from(bytes).ok().filter(|bytes| *bytes <= max)
}
