//! Frames: one byte of flags, a length of one or eight bytes, and the content.

use bytes::{BufMut, Bytes, buf::Limit};

use super::Violation;
use crate::wire::limits::TURN_BYTES_MAX;

const MORE: u8 = 0b001;
const LONG: u8 = 0b010;
const COMMAND: u8 = 0b100;
/// The flag of a command inside of a CURVE MESSAGE.
const SEALED_COMMAND: u8 = 0b010;
const SHORT_BYTES: usize = 2;
const LONG_BYTES: usize = 9;

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// The last or only frame of a message.
    Last,
    /// A frame of a message that another frame follows.
    More,
    /// A command, which is not part of a message.
    Command,
}

/// The header of a frame, before its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The kind of the frame.
    pub kind: FrameKind,
    /// The announced length of the content, which the peer may not send.
    pub size: u64,
    /// The length of the header itself: 2 or 9.
    pub header_bytes: usize,
}

impl FrameKind {
    /// Returns the flags of a frame inside of a CURVE MESSAGE. There a command has another bit than on the wire of ZMTP.
    pub(super) const fn sealed_flags(self) -> u8 {
        match self {
            FrameKind::Last => 0,
            FrameKind::More => MORE,
            FrameKind::Command => SEALED_COMMAND,
        }
    }

    /// Returns the kind of a frame that was inside of a CURVE MESSAGE.
    ///
    /// # Errors
    /// [`Violation::Flags`].
    pub(super) const fn from_sealed_flags(flags: u8) -> Result<FrameKind, Violation> {
        match flags {
            0 => Ok(FrameKind::Last),
            MORE => Ok(FrameKind::More),
            SEALED_COMMAND => Ok(FrameKind::Command),
            _ => Err(Violation::Flags { flags }),
        }
    }
}

impl FrameHeader {
    /// Reads the header at the start of `input`. `None` if it is incomplete.
    ///
    /// # Errors
    /// [`Violation::Flags`], at the first byte. Lengths are not checked here, because their limits depend on the peer.
    pub fn read(input: &[u8]) -> Result<Option<FrameHeader>, Violation> {
        let Some(&flags) = input.first() else { return Ok(None) };
        let kind = match flags & !LONG {
            0 => FrameKind::Last,
            MORE => FrameKind::More,
            COMMAND => FrameKind::Command,
            _ => return Err(Violation::Flags { flags }),
        };
        if flags & LONG == 0 {
            return Ok(input.get(1).map(|&size| FrameHeader { kind, size: size.into(), header_bytes: SHORT_BYTES }));
        }
        let Some(size) = input[1..].first_chunk() else { return Ok(None) };
        Ok(Some(FrameHeader { kind, size: u64::from_be_bytes(*size), header_bytes: LONG_BYTES }))
    }

    /// Writes the header of a frame of `size` bytes.
    pub fn write(kind: FrameKind, size: usize, out: &mut impl BufMut) {
        let flags = match kind {
            FrameKind::Last => 0,
            FrameKind::More => MORE,
            FrameKind::Command => COMMAND,
        };
        match u8::try_from(size) {
            Ok(size) => out.put_slice(&[flags, size]),
            Err(_) => {
                out.put_u8(flags | LONG);
                out.put_u64(size as u64);
            }
        }
    }
}

/// The maximum step in which memory for a large frame is allocated, unless more bytes have arrived already: then a step may be as
/// large as these. So a frame that is announced and never sent costs little memory, even on systems that commit memory eagerly.
pub(super) const LARGE_STEP_BYTES: usize = TURN_BYTES_MAX;

/// A frame above [`BODY_INLINE_BYTES_MAX`], in an allocation of its own. In the end the allocation has exactly the size of the
/// frame, so keeping the frame keeps nothing else alive.
#[derive(Debug)]
pub(super) struct LargeFrame {
    kind: FrameKind,
    size: usize,
    content: Vec<u8>,
}

impl LargeFrame {
    pub(super) fn new(kind: FrameKind, size: usize) -> Result<LargeFrame, Violation> {
        let mut large = LargeFrame { kind, size, content: Vec::new() };
        large.reserve(0)?;
        Ok(large)
    }

    /// Returns the buffer for the next bytes. It may be smaller than what is missing. `None` if the frame is complete.
    pub(super) fn buffer(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        let room = self.missing().min(self.content.capacity() - self.content.len());
        (room > 0).then(|| (&mut self.content).limit(room))
    }

    /// Returns the bytes that have arrived.
    pub(super) fn received(&self) -> usize {
        self.content.len()
    }

    /// Returns the kind and the content of a complete frame.
    pub(super) fn into_parts(self) -> (FrameKind, Vec<u8>) {
        (self.kind, self.content)
    }

    /// Reserves memory for `count` more bytes, and for at least one more byte if the frame is incomplete.
    fn reserve(&mut self, count: usize) -> Result<(), Violation> {
        if self.content.capacity() - self.content.len() > count || self.content.capacity() == self.size {
            return Ok(());
        }
        let step = count.max(self.content.len()).max(LARGE_STEP_BYTES).min(self.missing());
        self.content.try_reserve_exact(step).map_err(|_| Violation::NoMemory { bytes: self.size })
    }

    pub(super) fn missing(&self) -> usize {
        self.size - self.content.len()
    }

    pub(super) fn fill_from(&mut self, input: &mut Bytes) -> Result<(), Violation> {
        let count = self.missing().min(input.len());
        self.reserve(count)?;
        self.content.extend_from_slice(&input.split_to(count));
        self.reserve(0)
    }
}
