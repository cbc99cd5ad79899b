//! The decoder of the bytes of one connection.

use bytes::{Buf, Bytes, buf::Limit};

use crate::wire::limits::{BODY_INLINE_BYTES_MAX, MESSAGE_FRAMES_MAX};

use super::{
    COMMAND_BYTES_MAX, Encoder, FrameHeader, FrameKind, Message, Violation,
    command::{self, Command},
    curve::{CurveClient, CurvePeer, CurveServer, CurveViolation, Established, Opener, SEAL_BYTES},
    frame::LargeFrame,
    greeting::{self, Mechanism},
    handshake::{Handshake, Security, Step},
};

/// Decodes the bytes of one connection, from the greeting on, and buffers incomplete messages.
///
/// It checks the length of a frame when it reads the header, before it buffers a byte of the frame. It also makes the bytes of this
/// side's handshake, and the [`Encoder`] for what follows. It works for both sides: the broker's ROUTER, and the DEALER of a client
/// or worker.
#[derive(Debug)]
pub struct Decoder {
    phase: Phase,
    message_bytes_max: usize,
    /// The first frame of a message whose second one has not arrived.
    first: Option<Bytes>,
    /// The large frame that is being received.
    large: Option<LargeFrame>,
    /// Decrypts frames, after the handshake of CURVE.
    opener: Option<Box<Opener>>,
    encoder: Encoder,
    /// The event after the one that was returned last.
    queued: Option<Event>,
    peer_error: Option<Box<str>>,
}

/// What the decoder found in the bytes of a peer.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Bytes of the handshake to write to the peer, as they are.
    Transmit(Bytes),
    /// The handshake is complete. Messages may be sent in both directions, through [`Decoder::take_encoder`].
    HandshakeDone {
        /// The identity of the peer, if the connection is encrypted.
        curve: Option<Box<CurvePeer>>,
    },
    /// The content of a command to write to the peer through the [`Encoder`], as a frame of the kind [`FrameKind::Command`]: a PONG.
    Command(Bytes),
    /// A message of at most [`MESSAGE_FRAMES_MAX`] frames.
    Message(Message),
    /// A command that needs no action. It is an event so that a driver can limit how many commands it takes at once.
    Ignored,
}

#[derive(Debug)]
enum Phase {
    Greeting(Security),
    /// The greeting of the peer was refused, before the mechanism was sent or after it.
    Refused {
        is_greeting_complete: bool,
    },
    Handshake(Box<Handshake>),
    Open,
}

/// The content of a frame, as it arrived.
enum Content {
    /// A small frame, in the input buffer.
    Small(Bytes),
    /// A large frame, in an allocation of its own.
    Large(Vec<u8>),
}

impl From<Content> for Bytes {
    fn from(content: Content) -> Bytes {
        match content {
            Content::Small(bytes) => bytes,
            Content::Large(bytes) => bytes.into(),
        }
    }
}

impl Decoder {
    /// Creates the decoder of a server without encryption. Messages may have `message_bytes_max` bytes in all frames together.
    pub fn new(message_bytes_max: usize) -> Decoder {
        Decoder::with_security(Security::PlainServer, message_bytes_max)
    }

    /// Creates the decoder of a server with a CURVE key.
    pub fn curve_server(server: CurveServer, message_bytes_max: usize) -> Decoder {
        Decoder::with_security(Security::CurveServer(server), message_bytes_max)
    }

    /// Creates the decoder of a client: with CURVE if it has the key of its server, without encryption otherwise.
    pub fn client(curve: Option<CurveClient>, message_bytes_max: usize) -> Decoder {
        Decoder::with_security(curve.map_or(Security::PlainClient, Security::CurveClient), message_bytes_max)
    }

    fn with_security(security: Security, message_bytes_max: usize) -> Decoder {
        Decoder {
            phase: Phase::Greeting(security),
            message_bytes_max,
            first: None,
            large: None,
            opener: None,
            encoder: Encoder::default(),
            queued: None,
            peer_error: None,
        }
    }

    /// Returns the bytes to write first, without waiting for the peer: the greeting, or the part of it before the mechanism.
    pub fn first_bytes(&self) -> Bytes {
        match &self.phase {
            Phase::Greeting(security) => security.first_bytes(),
            Phase::Refused { .. } | Phase::Handshake(_) | Phase::Open => Bytes::new(),
        }
    }

    /// Returns the encoder for what is sent after [`Event::HandshakeDone`]. It must be taken once: it counts the frames.
    pub fn take_encoder(&mut self) -> Encoder {
        std::mem::take(&mut self.encoder)
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
        if self.queued.is_some() {
            return Ok(self.queued.take());
        }
        if matches!(self.phase, Phase::Greeting(_)) {
            return self.read_greeting(input);
        }
        loop {
            let Some((kind, content)) = self.read_frame(input)? else { return Ok(None) };
            let (kind, content) = self.open(kind, content)?;
            let item = self.handle_frame(kind, content)?;
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    /// Returns the buffer for the next bytes of the connection, if a large frame is being received. Read into it, then call
    /// [`Decoder::next`] with an empty input. The buffer may be smaller than the rest of the frame.
    pub fn large_frame_buffer(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        self.large.as_mut()?.buffer()
    }

    /// Returns the buffered bytes of an incomplete message, without those that the driver buffers.
    pub fn buffered_bytes(&self) -> usize {
        self.first.as_ref().map_or(0, Bytes::len) + self.large.as_ref().map_or(0, LargeFrame::received)
    }

    /// Copies the buffered part of an incomplete message out of the input buffer, so that a peer that stops in the middle of a message
    /// does not keep the input buffer alive. What was decrypted is a copy already.
    pub fn detach_from_input(&mut self) {
        if self.opener.is_some() {
            return;
        }
        if let Some(first) = self.first.as_mut().filter(|first| first.len() <= BODY_INLINE_BYTES_MAX) {
            *first = Bytes::copy_from_slice(first);
        }
    }

    /// Returns the bytes that send the peer the reason for the end of the connection after a violation. `None` if the peer could not
    /// read it: before the mechanism is known, and after the handshake.
    pub fn error_command(&self, violation: Violation) -> Option<Bytes> {
        let is_readable = match self.phase {
            Phase::Greeting(_) | Phase::Open => false,
            Phase::Refused { is_greeting_complete } => !is_greeting_complete && violation == Violation::PlainRefused,
            Phase::Handshake(_) => violation != Violation::PeerError,
        };
        is_readable.then(|| self.refusal(&violation.to_string())).flatten()
    }

    /// Returns the bytes that send the peer this reason for the end of the connection: an ERROR command, after what is missing of the
    /// greeting. `None` after the handshake.
    pub fn refusal(&self, reason: &str) -> Option<Bytes> {
        let error = command::error(reason);
        match &self.phase {
            Phase::Greeting(Security::CurveServer(_)) | Phase::Refused { is_greeting_complete: false } => {
                Some([&greeting::from_mechanism(Mechanism::Null, false)[..], &error].concat().into())
            }
            Phase::Greeting(_) | Phase::Refused { .. } | Phase::Handshake(_) => Some(error),
            Phase::Open => None,
        }
    }

    /// Returns the reason that the peer gave for [`Violation::PeerError`], without control characters.
    pub fn peer_error(&self) -> Option<&str> {
        self.peer_error.as_deref()
    }

    fn read_greeting(&mut self, input: &mut Bytes) -> Result<Option<Event>, Violation> {
        let Some(mechanism) = greeting::check(input)? else { return Ok(None) };
        input.advance(greeting::GREETING_BYTES);
        let is_greeting_complete = !matches!(self.phase, Phase::Greeting(Security::CurveServer(_)));
        let refused = Phase::Refused { is_greeting_complete };
        let Phase::Greeting(security) = std::mem::replace(&mut self.phase, refused) else { return Ok(None) };
        let (transmit, handshake) = security.agree(mechanism)?;
        self.phase = Phase::Handshake(Box::new(handshake));
        Ok(Some(Event::Transmit(transmit)))
    }

    /// Takes one complete frame off the front of `input`.
    fn read_frame(&mut self, input: &mut Bytes) -> Result<Option<(FrameKind, Content)>, Violation> {
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
        Ok(Some((header.kind, Content::Small(input.split_to(size)))))
    }

    fn read_large_frame(&mut self, input: &mut Bytes) -> Result<Option<(FrameKind, Content)>, Violation> {
        if let Some(large) = &mut self.large {
            large.fill_from(input)?;
        }
        let complete = self.large.take_if(|large| large.missing() == 0);
        Ok(complete.map(LargeFrame::into_parts).map(|(kind, content)| (kind, Content::Large(content))))
    }

    /// Returns the size of the frame, if the peer may send such a frame now.
    fn check_size(&self, header: FrameHeader) -> Result<usize, Violation> {
        if self.opener.is_some() {
            return self.check_sealed_size(header);
        }
        if header.kind == FrameKind::Command {
            return check_command_size(header.size);
        }
        if !matches!(self.phase, Phase::Open) {
            return Err(Violation::EarlyMessage);
        }
        self.check_frame_count(header.kind)?;
        self.check_message_size(header.size)
    }

    /// Returns the size of an encrypted frame. The limits are those of its content, whose kind is not known yet.
    fn check_sealed_size(&self, header: FrameHeader) -> Result<usize, Violation> {
        // The flags of the frame are not authenticated, so they must be those that libzmq sends.
        if header.kind != FrameKind::Last {
            return Err(CurveViolation::Unencrypted.into());
        }
        let content = header.size.checked_sub(SEAL_BYTES as u64).ok_or(CurveViolation::Malformed)?;
        Ok(self.check_message_size(content)? + SEAL_BYTES)
    }

    /// Returns the size of a frame of a message, if the message does not become too large.
    fn check_message_size(&self, size: u64) -> Result<usize, Violation> {
        let before = self.first.as_ref().map_or(0, Bytes::len);
        let bytes = size.saturating_add(before as u64);
        let max = self.message_bytes_max;
        within(bytes, max).map(|bytes| bytes - before).ok_or(Violation::MessageTooLarge { bytes, max })
    }

    fn check_frame_count(&self, kind: FrameKind) -> Result<(), Violation> {
        let is_too_many = kind == FrameKind::More && self.first.is_some();
        if is_too_many { Err(Violation::TooManyFrames { max: MESSAGE_FRAMES_MAX }) } else { Ok(()) }
    }

    /// Decrypts a frame, if the connection is encrypted.
    fn open(&mut self, kind: FrameKind, content: Content) -> Result<(FrameKind, Bytes), Violation> {
        let Some(opener) = &mut self.opener else { return Ok((kind, content.into())) };
        let opened = match content {
            Content::Small(message) => opener.open_copy(&message),
            Content::Large(message) => opener.open(message),
        }?;
        let kind = FrameKind::from_sealed_flags(opened.flags)?;
        if kind == FrameKind::Command {
            check_command_size(opened.content.len() as u64)?;
        }
        self.check_frame_count(kind)?;
        Ok((kind, opened.content))
    }

    fn handle_frame(&mut self, kind: FrameKind, content: Bytes) -> Result<Option<Event>, Violation> {
        match kind {
            FrameKind::Command => self.handle_command(&content),
            FrameKind::More => {
                self.first = Some(content);
                Ok(None)
            }
            FrameKind::Last => Ok(Some(Event::Message(match self.first.take() {
                None => Message::one(content),
                Some(first) => Message::two(first, content),
            }))),
        }
    }

    fn handle_command(&mut self, content: &[u8]) -> Result<Option<Event>, Violation> {
        let command = Command::read(content)?;
        match (&mut self.phase, command) {
            (Phase::Handshake(_), Command::Error { reason }) => {
                let reason = String::from_utf8_lossy(reason);
                self.peer_error = Some(reason.chars().filter(|character| !character.is_control()).collect());
                Err(Violation::PeerError)
            }
            (Phase::Handshake(handshake), _) => {
                let step = handshake.handle(content)?;
                Ok(Some(self.advance(step)))
            }
            (Phase::Open, Command::Ping { context }) => Ok(Some(Event::Command(command::pong(context)))),
            (Phase::Open, Command::Other) => Ok(Some(Event::Ignored)),
            _ => Err(Violation::UnexpectedCommand),
        }
    }

    /// Applies a step of the handshake, and returns the event.
    fn advance(&mut self, step: Step) -> Event {
        let (transmit, established) = match step {
            Step::Transmit(bytes) => return Event::Transmit(bytes),
            Step::Done { transmit, established } => (transmit, established),
        };
        self.phase = Phase::Open;
        let curve = established.map(|established| {
            let Established { sealer, opener, peer } = *established;
            self.encoder = Encoder::sealing(sealer);
            self.opener = Some(Box::new(opener));
            Box::new(peer)
        });
        let done = Event::HandshakeDone { curve };
        match transmit {
            None => done,
            Some(bytes) => {
                self.queued = Some(done);
                Event::Transmit(bytes)
            }
        }
    }
}

fn check_command_size(size: u64) -> Result<usize, Violation> {
    let too_large = Violation::CommandTooLarge { bytes: size, max: COMMAND_BYTES_MAX };
    within(size, COMMAND_BYTES_MAX).ok_or(too_large)
}

/// Returns `bytes` as a size in memory, if it is at most `max`.
fn within(bytes: u64, max: usize) -> Option<usize> {
    usize::try_from(bytes).ok().filter(|bytes| *bytes <= max)
}
