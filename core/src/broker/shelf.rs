//! A place for many small bodies that are kept for a while.

use bytes::{Bytes, BytesMut};

/// An allocation for so many bytes.
const BLOCK_BYTES: usize = 2048;
/// What is larger has an allocation of its own.
const SMALL_BYTES_MAX: usize = BLOCK_BYTES / 8;

/// Copies bodies out of their read buffers, small ones side by side: one allocation for some dozens of them.
///
/// A block lives as long as anything in it. Who keeps things until they are acknowledged, in their order, keeps few blocks that are
/// not full: whatever is left alone in one was kept while its neighbours were open, and so many calls of a client are not.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    block: BytesMut,
}

impl Shelf {
    /// A copy of `bytes`.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        if bytes.len() > SMALL_BYTES_MAX {
            return Bytes::copy_from_slice(bytes);
        }
        if self.block.capacity() < bytes.len() {
            self.block = BytesMut::with_capacity(BLOCK_BYTES);
        }
        self.block.extend_from_slice(bytes);
        self.block.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_what_it_was() {
        let mut shelf = Shelf::default();
        let bodies: Vec<Vec<u8>> = (0..300).map(|len| vec![len as u8; len]).collect();
        let kept: Vec<Bytes> = bodies.iter().map(|body| shelf.keep(body)).collect();
        assert_eq!(kept, bodies);
    }

    #[test]
    fn small_bodies_share_a_block_and_no_more_than_one() {
        let mut shelf = Shelf::default();
        let kept: Vec<Bytes> = (0..2 * BLOCK_BYTES / 64).map(|_| shelf.keep(&[7; 64])).collect();
        let neighbours = kept.windows(2).filter(|two| two[0].as_ptr_range().end == two[1].as_ptr_range().start);
        assert!(neighbours.count() >= 2 * (BLOCK_BYTES / 64 - 1), "they are side by side, but for where a block ends");
        let large = shelf.keep(&[7; SMALL_BYTES_MAX + 1]);
        assert!(large.is_unique(), "it is alone in its allocation");
    }
}
