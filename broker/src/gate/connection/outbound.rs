//! The bytes that wait to be written to one peer.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use callboard_core::{
    wire::{Frames, limits::BODY_INLINE_BYTES_MAX},
    zmtp::{Encoder, FrameHeader, FrameKind, Violation},
};

/// The slices of one vectored write. Each is a large frame or all small frames before it, so a few slices hold many messages.
const SLICES_MAX: usize = 32;
/// Small frames are gathered up to this size; then a new buffer is started, so that a long queue is not moved as it grows.
const TAIL_BYTES_MAX: usize = 64 * 1024;
/// The longest header of a frame.
const FRAME_HEADER_BYTES_MAX: usize = 9;

/// The encoded bytes that wait to be written to one peer. Small frames are copied together, so that many messages take
/// one slice of one write; large ones are kept as they are. Peers share no buffers, so a peer that does not read keeps
/// only its own bytes in memory. An empty `Outbound` holds no buffer.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    /// The buffers before `tail`, in order. None is empty.
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
}

impl Outbound {
    /// Returns the number of bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the approximate size of these frames on the wire.
    pub(super) fn size_of(frames: &Frames) -> usize {
        frames.first.len() + frames.large.as_ref().map_or(0, Bytes::len)
    }

    /// Appends a message.
    ///
    /// # Errors
    /// Those of [`Encoder::write_frame`].
    pub(super) fn push_message(&mut self, frames: Frames, encoder: &mut Encoder) -> Result<(), Violation> {
        match frames.large {
            None => self.push_frame(FrameKind::Last, frames.first, encoder),
            Some(large) => {
                self.push_frame(FrameKind::More, frames.first, encoder)?;
                self.push_frame(FrameKind::Last, large, encoder)
            }
        }
    }

    /// Appends bytes that are encoded already.
    pub(super) fn push_encoded(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.bytes += bytes.len();
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// Those of [`Encoder::write_frame`].
    pub(super) fn push_frame(
        &mut self,
        kind: FrameKind,
        content: Bytes,
        encoder: &mut Encoder,
    ) -> Result<(), Violation> {
        if content.len() <= BODY_INLINE_BYTES_MAX {
            return self.push_small(kind, &content, encoder);
        }
        if encoder.is_encrypted() {
            self.close_tail();
            let mut sealed = BytesMut::with_capacity(FRAME_HEADER_BYTES_MAX + encoder.frame_bytes(content.len()));
            encoder.write_frame(kind, &content, &mut sealed)?;
            self.push_chunk(sealed.freeze());
        } else {
            let before = self.tail.len();
            FrameHeader::write(kind, content.len(), &mut self.tail);
            self.bytes += self.tail.len() - before;
            self.close_tail();
            self.push_chunk(content);
        }
        Ok(())
    }

    /// Appends a buffer as it is, after the tail was closed.
    fn push_chunk(&mut self, chunk: Bytes) {
        self.bytes += chunk.len();
        self.chunks.push_back(chunk);
    }

    /// Makes the tail a buffer that no longer grows.
    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
    }

    fn push_small(&mut self, kind: FrameKind, content: &[u8], encoder: &mut Encoder) -> Result<(), Violation> {
        let before = self.tail.len();
        encoder.write_frame(kind, content, &mut self.tail)?;
        self.bytes += self.tail.len() - before;
        if self.tail.len() >= TAIL_BYTES_MAX {
            self.close_tail();
        }
        Ok(())
    }

    /// Passes the next bytes to `write`, as many slices as one call takes. Returns the number of these bytes and what `write`
    /// returned.
    pub(super) fn offer<T>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> (usize, T) {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        let waiting = self.chunks.iter().map(|chunk| &chunk[..]).chain([&self.tail[..]]);
        for (slice, chunk) in slices.iter_mut().zip(waiting) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        let slices = &slices[..count];
        (slices.iter().map(|slice| slice.len()).sum(), write(slices))
    }

    /// Drops `count` bytes from the front: they are written.
    ///
    /// # Panics
    /// There are fewer.
    pub(super) fn advance(&mut self, mut count: usize) {
        self.bytes -= count;
        while let Some(chunk) = self.chunks.front_mut().filter(|_| count > 0) {
            let part = chunk.len().min(count);
            chunk.advance(part);
            count -= part;
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
        self.tail.advance(count);
        if self.bytes == 0 {
            *self = Outbound::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes everything, at most `size` bytes a time.
    fn written(mut outbound: Outbound, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while outbound.bytes() > 0 {
            let (offered, taken) = outbound.offer(|slices| {
                let before = out.len();
                out.extend(slices.iter().flat_map(|slice| slice.iter().copied()).take(size));
                out.len() - before
            });
            assert!(offered >= taken && taken > 0);
            outbound.advance(taken);
        }
        out
    }

    #[test]
    fn everything_is_written_once_and_in_order_after_partial_writes() {
        let sizes = [
            0,
            1,
            255,
            256,
            BODY_INLINE_BYTES_MAX,
            BODY_INLINE_BYTES_MAX + 1,
            50_000,
            3,
            16_000,
            16_000,
            16_000,
            16_000,
            7,
        ];
        let filled = || {
            let (mut outbound, mut encoder) = (Outbound::default(), Encoder::default());
            outbound.push_encoded(b"hello");
            for size in sizes {
                let body = Bytes::from(vec![7; size]);
                outbound.push_message(Frames { first: body.clone(), large: None }, &mut encoder).unwrap();
                outbound
                    .push_message(Frames { first: Bytes::from_static(b"head"), large: Some(body) }, &mut encoder)
                    .unwrap();
            }
            outbound
        };
        let whole = written(filled(), usize::MAX);
        assert_eq!(whole.len(), filled().bytes());
        assert!(whole.starts_with(b"hello\0\0\x01\x04head\0\0"));
        assert_eq!(written(filled(), 1_000), whole);
        assert_eq!(written(filled(), 7), whole);
    }
}
