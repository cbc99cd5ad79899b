//! The items of a stream that share an envelope, at their reader and at their writer.

use bytes::Bytes;

use super::{
    limits::{BATCH_BYTES, BATCH_ITEMS_MAX, DEPTH_MAX},
    streams::ItemCredit,
};
use crate::body::Reader;

/// Consecutive items of a stream in one body: a CBOR sequence (RFC 8742). A batch of one is the item itself.
///
/// The broker forwards a batch without looking into it. Its reader takes the items out, as slices of the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemBatch {
    items: u32,
    body: Bytes,
}

impl ItemBatch {
    /// Creates a batch of one item.
    pub fn one(item: Bytes) -> ItemBatch {
        ItemBatch { items: 1, body: item }
    }

    /// Creates a batch of `items` items, whose encodings follow each other in `body`.
    pub fn new(items: u32, body: Bytes) -> ItemBatch {
        ItemBatch { items, body }
    }

    /// Returns the number of items.
    pub fn items(&self) -> u32 {
        self.items
    }

    /// Returns the encoded items.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the credit that the items take.
    pub fn credit(&self) -> ItemCredit {
        ItemCredit { items: self.items, bytes: self.body.len() as u64 }
    }

    /// Returns a copy in memory of its own. The original keeps the frame that it arrived in.
    #[must_use]
    pub fn detached(&self) -> ItemBatch {
        ItemBatch { items: self.items, body: Bytes::copy_from_slice(&self.body) }
    }

    /// Takes the first item out, without a copy. `None` if no item is left.
    ///
    /// The last item is the rest of the body. So is an item that is not well-formed, because the next item cannot be found: decoding
    /// it returns an error, which ends the stream.
    pub fn take_first(&mut self) -> Option<Bytes> {
        if self.items == 0 {
            return None;
        }
        let end = if self.items == 1 { None } else { end_of_first(&self.body) };
        self.items = end.map_or(0, |_| self.items - 1);
        Some(self.body.split_to(end.unwrap_or(self.body.len())))
    }

    /// Removes all items but the last. Returns the credit of the removed items.
    pub fn keep_last(&mut self) -> ItemCredit {
        let before = self.credit();
        while self.items > 1 {
            match end_of_first(&self.body) {
                Some(end) => drop(self.body.split_to(end)),
                // The rest is not well-formed, as one item: see `take_first`.
                None => self.items = 2,
            }
            self.items -= 1;
        }
        before.without(self.credit())
    }
}

/// Returns the end of the first item. `None` if it is not well-formed.
fn end_of_first(body: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(body);
    reader.skip(DEPTH_MAX).ok()?;
    Some(body.len() - reader.rest().len())
}

/// The batch that a reader takes items from. Only the reader uses it, so an item costs no lock.
#[derive(Debug, Default)]
pub struct BatchReader {
    batch: ItemBatch,
    credit: ItemCredit,
}

impl BatchReader {
    /// Starts to read a batch.
    pub fn new(batch: ItemBatch) -> BatchReader {
        BatchReader { credit: batch.credit(), batch }
    }

    /// Takes the next item. With the last one it returns the credit of the whole batch, which the reader can grant again.
    pub fn next_item(&mut self) -> Option<(Bytes, Option<ItemCredit>)> {
        let item = self.batch.take_first()?;
        Some((item, (self.batch.items == 0).then(|| std::mem::take(&mut self.credit))))
    }

    /// Returns the bytes of the items that are left.
    pub fn unread_bytes(&self) -> u64 {
        self.batch.body.len() as u64
    }
}

/// Collects the items that a writer sends between two turns of its driver into batches.
///
/// It has no limit of its own: the credit of the stream bounds it.
#[derive(Debug, Default)]
pub struct ItemCollector {
    /// The complete batches.
    full: Vec<ItemBatch>,
    /// The items of the batch that is being written.
    items: u32,
    /// The only item of that batch. It is not copied unless a second one follows.
    single: Bytes,
    /// Several items of that batch.
    joined: Vec<u8>,
}

impl ItemCollector {
    /// Adds an encoded item. Returns whether it is the first since [`ItemCollector::take`]: the driver must be notified.
    pub fn push(&mut self, item: Bytes) -> bool {
        let first = self.is_empty();
        if self.items == BATCH_ITEMS_MAX || self.open_bytes() + item.len() > BATCH_BYTES {
            self.close();
        }
        match self.items {
            0 => self.single = item,
            1 => {
                self.joined.reserve((8 * (self.single.len() + item.len())).min(BATCH_BYTES));
                self.joined.extend_from_slice(&std::mem::take(&mut self.single));
                self.joined.extend_from_slice(&item);
            }
            _ => self.joined.extend_from_slice(&item),
        }
        self.items += 1;
        first
    }

    /// Takes all items out, in order.
    pub fn take(&mut self) -> Vec<ItemBatch> {
        self.close();
        std::mem::take(&mut self.full)
    }

    /// Returns whether no item was added since [`ItemCollector::take`].
    pub fn is_empty(&self) -> bool {
        self.items == 0 && self.full.is_empty()
    }

    fn open_bytes(&self) -> usize {
        self.single.len() + self.joined.len()
    }

    /// Completes the batch that is being written, if there is one.
    fn close(&mut self) {
        let (single, joined) = (std::mem::take(&mut self.single), std::mem::take(&mut self.joined));
        match std::mem::take(&mut self.items) {
            0 => {}
            1 => self.full.push(ItemBatch::one(single)),
            items => self.full.push(ItemBatch::new(items, joined.into())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::body;

    fn item(number: u64, bytes: usize) -> Bytes {
        body::encode(&(number, serde_bytes::ByteBuf::from(vec![7; bytes]))).unwrap()
    }

    fn collected(items: impl IntoIterator<Item = Bytes>) -> Vec<ItemBatch> {
        let mut collector = ItemCollector::default();
        for item in items {
            collector.push(item);
        }
        collector.take()
    }

    fn taken(batches: Vec<ItemBatch>) -> Vec<Bytes> {
        batches.into_iter().flat_map(|mut batch| std::iter::from_fn(move || batch.take_first())).collect()
    }

    #[test]
    fn items_are_taken_out_as_they_were_added() {
        for bytes in [0, 10, 300, BATCH_BYTES / 3, BATCH_BYTES, 2 * BATCH_BYTES] {
            let items: Vec<_> = (0..1_500).map(|number| item(number, bytes)).collect();
            let batches = collected(items.clone());
            let credit = batches.iter().fold(ItemCredit::NONE, |sum, batch| sum.with(batch.credit()));
            let sum = items.iter().fold(ItemCredit::NONE, |sum, item| sum.with(ItemCredit::one(item.len() as u64)));
            assert_eq!(credit, sum);
            assert_eq!(taken(batches), items);
        }
    }

    #[test]
    fn a_batch_ends_at_its_limit_of_items_and_of_bytes() {
        let sizes = |batches: Vec<ItemBatch>| batches.iter().map(ItemBatch::items).collect::<Vec<_>>();
        let max = BATCH_ITEMS_MAX as usize;
        assert_eq!(sizes(collected(vec![Bytes::from_static(b"\x01"); max])), [BATCH_ITEMS_MAX]);
        assert_eq!(sizes(collected(vec![Bytes::from_static(b"\x01"); max + 1])), [BATCH_ITEMS_MAX, 1]);
        let half = Bytes::from(vec![0x40; BATCH_BYTES / 2]);
        assert_eq!(sizes(collected(vec![half.clone(); 2])), [2]);
        assert_eq!(sizes(collected(vec![half; 3])), [2, 1]);
        let large = Bytes::from(vec![0x40; BATCH_BYTES + 1]);
        assert_eq!(sizes(collected([item(1, 1), large, item(2, 1)])), [1, 1, 1]);
    }

    #[test]
    fn only_the_first_item_after_a_take_needs_a_notification() {
        let mut collector = ItemCollector::default();
        assert_eq!([1, 2, 3].map(|number| collector.push(item(number, 1))), [true, false, false]);
        assert_eq!(collector.take().len(), 1);
        assert!(collector.is_empty() && collector.take().is_empty());
        assert!(collector.push(item(4, 1)));
    }

    #[test]
    fn items_share_the_memory_of_their_batch_and_a_single_item_is_not_copied() {
        let mut batch = collected([item(1, 100), item(2, 100), item(3, 100)]).remove(0);
        let body = batch.body().as_ptr_range();
        for _ in 0..3 {
            let item = batch.take_first().unwrap();
            assert!(body.start <= item.as_ptr() && item.as_ptr_range().end <= body.end);
        }
        let single = item(1, 1_000);
        assert_eq!(collected([single.clone()])[0].body().as_ptr(), single.as_ptr());
    }

    #[test]
    fn an_item_that_is_not_well_formed_is_the_rest_of_its_batch() {
        for (items, body, expected) in [
            (3, &b"\x01\x1c\x02"[..], &[&b"\x01"[..], b"\x1c\x02"][..]),
            // More items than announced, and fewer.
            (2, b"\x01\x02\x03", &[b"\x01", b"\x02\x03"]),
            (3, b"\x01", &[b"\x01", b""]),
            (1, b"", &[b""]),
        ] {
            let batch = ItemBatch::new(items, Bytes::from_static(body));
            assert_eq!(taken(vec![batch.clone()]), expected);
            let mut last = batch;
            last.keep_last();
            assert_eq!(taken(vec![last]), [expected[expected.len() - 1]]);
        }
    }

    #[test]
    fn the_last_item_remains_with_the_credit_of_the_others_returned() {
        let items = [item(1, 10), item(2, 300), item(3, 7)];
        let mut batch = collected(items.clone()).remove(0);
        let removed = ItemCredit { items: 2, bytes: (items[0].len() + items[1].len()) as u64 };
        assert_eq!(batch.keep_last(), removed);
        assert_eq!(taken(vec![batch]), [items[2].clone()]);
    }
}
