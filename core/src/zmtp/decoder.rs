//! The decoder of the bytes of one connection.

use bytes::{Buf, BufMut, Bytes, buf::Limit};

use crate::wire::limits::{BODY_INLINE_BYTES_MAX, MESSAGE_FRAMES_MAX, TURN_BYTES_MAX};

use super::{COMMAND_BYTES_MAX, FrameHeader, FrameKind, Message, Violation, command, command::Command, greeting};

/// Decodes the bytes of one connection, from the greeting on, and buffers incomplete messages.
///
/// It checks the length of a frame when it reads the header, before it buffers a byte of the frame.
#[derive(Debug)]
pub struct Decoder {
    phase: Phase,
    message_bytes_max: usize,
    /// The first frame of a message whose second one has not arrived.
    first: Option<Bytes>,
    /// The large frame that is being received.
    large: Option<LargeFrame>,
}

/// What the decoder found in the bytes of a peer.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Bytes to write to the peer: a READY or a PONG.
    Transmit(Bytes),
    /// The handshake is complete. Messages may be sent in both directions.
    HandshakeDone,
    /// A message of at most [`MESSAGE_FRAMES_MAX`] frames.
    Message(Message),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Greeting,
    Handshake,
    Open,
}

/// The maximum step in which memory for a large frame is allocated, unless more bytes have arrived already: then a step may be as
/// large as these. So a frame that is announced and never sent costs little memory, even on systems that commit memory eagerly.
pub(super) const LARGE_STEP_BYTES: usize = TURN_BYTES_MAX;

/// A frame above [`BODY_INLINE_BYTES_MAX`], in an allocation of its own. In the end the allocation has exactly the size of the
/// frame, so keeping the frame keeps nothing else alive.
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

    /// Reserves memory for `count` more bytes, and for at least one more byte if the frame is incomplete.
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
    /// Creates the decoder of a new connection. Messages may have `message_bytes_max` bytes in all frames together.
    pub fn new(message_bytes_max: usize) -> Decoder {
        Decoder { phase: Phase::Greeting, message_bytes_max, first: None, large: None }
    }

    /// Sets the maximum bytes of a message, from the next frame on.
    pub fn set_message_bytes_max(&mut self, bytes: usize) {
        self.message_bytes_max = bytes;
    }

    /// Takes the next event off the front of `input`. `None`: more bytes are needed. Then the rest of `input` (at most one small frame)
    /// must be passed again, before these bytes.
    ///
    /// # Errors
    /// [`Violation`] if the peer violated ZMTP or a limit: the connection must end. The decoder must not be used after an error.
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

    /// Returns the buffer for the next bytes of the connection, if a large frame is being received. Read into it, then call
    /// [`Decoder::next`] with an empty input. The buffer may be smaller than the rest of the frame.
    pub fn large_frame_buffer(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        let large = self.large.as_mut().filter(|large| large.missing() > 0)?;
        let room = large.missing().min(large.content.capacity() - large.content.len());
        Some((&mut large.content).limit(room))
    }

    /// Returns the buffered bytes of an incomplete message, without those that the driver buffers.
    pub fn buffered_bytes(&self) -> usize {
        self.first.as_ref().map_or(0, Bytes::len) + self.large.as_ref().map_or(0, |large| large.content.len())
    }

    /// Copies the buffered part of an incomplete message out of the input buffer, so that a peer that stops in the middle of a message
    /// does not keep the input buffer alive.
    pub fn detach_from_input(&mut self) {
        if let Some(first) = self.first.as_mut().filter(|first| first.len() <= BODY_INLINE_BYTES_MAX) {
            *first = Bytes::copy_from_slice(first);
        }
    }

    /// Returns the ERROR command with the reason for the end of the connection. `None` except in the handshake.
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

    /// Takes one complete frame off the front of `input`.
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
        let complete = self.large.take_if(|large| large.missing() == 0);
        Ok(complete.map(|large| (large.kind, Bytes::from(large.content))))
    }

    /// Returns the size of the frame, if the peer may send such a frame now.
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

/// Returns `bytes` as a size in memory, if it is at most `max`.
fn within(bytes: u64, max: usize) -> Option<usize> {
    usize::try_from(bytes).ok().filter(|bytes| *bytes <= max)
}
