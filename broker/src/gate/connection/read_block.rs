//! The buffer that all connections read into.

use bytes::{BufMut, Bytes, BytesMut, buf::Limit};

use super::super::limits::{READ_BLOCK_BYTES, READ_BYTES_MAX};

/// The buffer that all connections read into, one after another. Messages are slices of it, and its memory is reused when the last
/// of them is dropped.
#[derive(Debug, Default)]
pub(in crate::gate) struct ReadBlock(BytesMut);

impl ReadBlock {
    /// Returns space for a read, behind the bytes that were kept from the last one.
    pub(super) fn space(&mut self, kept: &[u8]) -> Limit<&mut BytesMut> {
        let needed = kept.len() + READ_BYTES_MAX;
        if !self.0.try_reclaim(needed) {
            self.0 = BytesMut::with_capacity(READ_BLOCK_BYTES);
        }
        self.0.put_slice(kept);
        (&mut self.0).limit(READ_BYTES_MAX)
    }

    /// Returns the kept bytes and those of the read together.
    pub(super) fn filled(&mut self) -> Bytes {
        self.0.split().freeze()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
