//! The encoder of what is sent on one connection after the handshake.

use bytes::{Bytes, BytesMut};

use super::{
    FrameHeader, FrameKind, Violation,
    curve::{SEAL_BYTES, Sealer},
};
use crate::wire::Frames;

/// Encodes frames, and encrypts them if the connection uses CURVE. [`super::Decoder::take_encoder`] returns it after the handshake.
#[derive(Debug, Default)]
pub struct Encoder {
    /// `None` without encryption.
    sealer: Option<Box<Sealer>>,
}

impl Encoder {
    pub(super) fn sealing(sealer: Sealer) -> Encoder {
        Encoder { sealer: Some(Box::new(sealer)) }
    }

    /// Returns whether frames are encrypted. If not, a large frame may be sent from where it is, after [`FrameHeader::write`].
    pub fn is_encrypted(&self) -> bool {
        self.sealer.is_some()
    }

    /// Returns the bytes that a frame with `content_bytes` takes, without its header.
    pub fn frame_bytes(&self, content_bytes: usize) -> usize {
        content_bytes + if self.is_encrypted() { SEAL_BYTES } else { 0 }
    }

    /// Appends a frame to `out`. The content is copied once, and encrypted in place.
    ///
    /// # Errors
    /// [`super::curve::CurveViolation::NoncesExhausted`], after 2^64 - 1 frames: the connection must end.
    pub fn write_frame(&mut self, kind: FrameKind, content: &[u8], out: &mut BytesMut) -> Result<(), Violation> {
        let Some(sealer) = &mut self.sealer else {
            FrameHeader::write(kind, content.len(), out);
            out.extend_from_slice(content);
            return Ok(());
        };
        FrameHeader::write(FrameKind::Last, SEAL_BYTES + content.len(), out);
        Ok(sealer.seal(kind.sealed_flags(), content, out)?)
    }

    /// Appends a message to `out`.
    ///
    /// # Errors
    /// Those of [`Encoder::write_frame`].
    pub fn write_message(&mut self, frames: &Frames, out: &mut BytesMut) -> Result<(), Violation> {
        let is_last = frames.large.is_none();
        self.write_frame(if is_last { FrameKind::Last } else { FrameKind::More }, &frames.first, out)?;
        frames.large.as_ref().map_or(Ok(()), |large: &Bytes| self.write_frame(FrameKind::Last, large, out))
    }
}
