//! Frames: one byte of flags, a length of one or eight bytes, and the content.

use bytes::BufMut;

use super::Violation;

const MORE: u8 = 0b001;
const LONG: u8 = 0b010;
const COMMAND: u8 = 0b100;
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
