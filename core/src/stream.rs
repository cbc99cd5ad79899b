//! The credit and item counts of one direction of a stream, for each of its three sides.
//!
//! The reader grants credit, the writer spends it, and the broker between them checks both. An envelope carries a batch of items: each
//! side accounts for it in one step, by its number of items and bytes. The credit that is
//! granted before the first item is the *window*. Later grants return what was read, so that at most one window is in flight or
//! unread. That bounds what the broker and the reader hold of a stream, whatever its writer does and however slow its reader is.

use std::fmt;

use crate::wire::{limits::ITEM_BYTES_MAX, streams::ItemCredit};

/// A violation of the rules of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamError {
    /// Items are missing, or an item came twice.
    Sequence { received: u64, expected: u64 },
    /// The writer sent items without credit for them.
    NoCredit,
    /// The reader granted more credit than the window, or than a window may be.
    WindowExceeded,
    /// Something came after the end.
    AfterEnd,
    /// The call has no such stream.
    NoSuchStream,
    /// An item or an end could not be decoded.
    Malformed,
    /// The items of one envelope exceed the size limit.
    TooLarge,
}

/// The writing side.
#[derive(Debug, Default)]
pub(crate) struct StreamWriter {
    /// The credit that is left.
    left: ItemCredit,
    /// The number of the next item.
    next: u64,
    ended: bool,
}

/// The reading side.
#[derive(Debug, Default)]
pub(crate) struct StreamReader {
    /// The credit that the writer has left.
    left: ItemCredit,
    /// What was read and is not granted again yet.
    owed: ItemCredit,
    /// The number of the next item.
    next: u64,
    ended: bool,
}

/// The broker's side: the items and the credit that pass through it.
#[derive(Debug, Default)]
pub(crate) struct StreamRelay {
    /// What was granted before the first item.
    window: ItemCredit,
    /// The credit that the writer has left.
    left: ItemCredit,
    /// The part of `left` that an earlier reader, or an earlier connection of the reader, granted. The new reader grants it
    /// again, and the relay does not pass it on twice.
    absorb: ItemCredit,
    /// The number of the next item.
    next: u64,
    ended: bool,
}

impl StreamWriter {
    /// Adds credit that the reader granted.
    ///
    /// # Errors
    /// [`StreamError::WindowExceeded`] if that makes more than a window.
    pub(crate) fn grant(&mut self, credit: ItemCredit) -> Result<(), StreamError> {
        let left = self.left.with(credit);
        if !ItemCredit::WINDOW.covers(left) {
            return Err(StreamError::WindowExceeded);
        }
        self.left = left;
        Ok(())
    }

    /// Returns the credit that is left.
    pub(crate) fn left(&self) -> ItemCredit {
        self.left
    }

    /// Spends the credit of a batch and returns the number of its first item. `None` if the credit does not suffice, or the stream has
    /// ended.
    pub(crate) fn send(&mut self, batch: ItemCredit) -> Option<u64> {
        if self.ended || !self.left.covers(batch) {
            return None;
        }
        self.left = self.left.without(batch);
        let first = self.next;
        self.next += u64::from(batch.items);
        Some(first)
    }

    /// Ends the stream. Returns how many items were sent; `None` if it had ended before.
    pub(crate) fn end(&mut self) -> Option<u64> {
        (!std::mem::replace(&mut self.ended, true)).then_some(self.next)
    }

    /// Returns how many items were sent, if the stream has ended.
    pub(crate) fn ended(&self) -> Option<u64> {
        self.ended.then_some(self.next)
    }

    /// Returns whether an item was sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.next > 0
    }

    pub(crate) fn assert_invariants(&self) {
        assert!(ItemCredit::WINDOW.covers(self.left), "a writer has at most one window of credit: {:?}", self.left);
    }
}

impl StreamReader {
    /// Starts reading, or starts anew on another connection. Returns the credit to grant first.
    pub(crate) fn open(&mut self) -> ItemCredit {
        self.left = ItemCredit::WINDOW;
        self.owed = ItemCredit::NONE;
        self.left
    }

    /// Accepts a batch of items whose first has the number `sequence`.
    ///
    /// # Errors
    /// [`StreamError`] if the writer may not send it.
    pub(crate) fn take(&mut self, sequence: u64, batch: ItemCredit) -> Result<(), StreamError> {
        match () {
            () if self.ended => Err(StreamError::AfterEnd),
            () if sequence != self.next => Err(StreamError::Sequence { received: sequence, expected: self.next }),
            () if !self.left.covers(batch) => Err(StreamError::NoCredit),
            () => {
                self.left = self.left.without(batch);
                self.next += u64::from(batch.items);
                Ok(())
            }
        }
    }

    /// Counts what was read. Returns the credit to grant now, once it is half the window. Reading more than what is unread counts
    /// as reading all of it.
    pub(crate) fn read(&mut self, credit: ItemCredit) -> Option<ItemCredit> {
        let unread = ItemCredit::WINDOW.without(self.left).without(self.owed);
        self.owed = self.owed.with(credit.min(unread));
        let half = self.owed.items >= ItemCredit::WINDOW.items / 2 || self.owed.bytes >= ItemCredit::WINDOW.bytes / 2;
        if self.ended || !half {
            return None;
        }
        let owed = std::mem::take(&mut self.owed);
        self.left = self.left.with(owed);
        Some(owed)
    }

    /// Accepts the end of the stream, after `items` items.
    ///
    /// # Errors
    /// [`StreamError`] if that is not how many came, or the stream had ended before.
    pub(crate) fn end(&mut self, items: u64) -> Result<(), StreamError> {
        match () {
            () if self.ended => Err(StreamError::AfterEnd),
            () if items != self.next => Err(StreamError::Sequence { received: items, expected: self.next }),
            () => {
                self.ended = true;
                Ok(())
            }
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Returns whether an item was received.
    pub(crate) fn has_taken(&self) -> bool {
        self.next > 0
    }

    pub(crate) fn assert_invariants(&self) {
        assert!(ItemCredit::WINDOW.covers(self.left.with(self.owed)), "a reader grants at most one window");
    }
}

impl StreamRelay {
    /// Accepts a batch of items from the writer, to be forwarded. Its first item has the number `sequence`.
    ///
    /// # Errors
    /// [`StreamError`] if the writer may not send it.
    pub(crate) fn take(&mut self, sequence: u64, batch: ItemCredit) -> Result<(), StreamError> {
        match () {
            () if self.ended => Err(StreamError::AfterEnd),
            () if batch.bytes > ITEM_BYTES_MAX => Err(StreamError::TooLarge),
            () if sequence != self.next => Err(StreamError::Sequence { received: sequence, expected: self.next }),
            () if !self.left.covers(batch) => Err(StreamError::NoCredit),
            () => {
                self.left = self.left.without(batch);
                self.next += u64::from(batch.items);
                Ok(())
            }
        }
    }

    /// Accepts credit from the reader. Returns the part to forward to the writer.
    ///
    /// # Errors
    /// [`StreamError::WindowExceeded`] if the writer would have more than the window.
    pub(crate) fn grant(&mut self, credit: ItemCredit) -> Result<ItemCredit, StreamError> {
        let known = self.absorb.min(credit);
        self.absorb = self.absorb.without(known);
        let new = credit.without(known);
        let left = self.left.with(new);
        if self.next == 0 {
            self.window = left.min(ItemCredit::WINDOW);
        }
        if !self.window.covers(left) {
            return Err(StreamError::WindowExceeded);
        }
        self.left = left;
        Ok(new)
    }

    /// Accepts the end of the stream, after `items` items. Returns whether it is the first; another one changes nothing.
    ///
    /// # Errors
    /// [`StreamError::Sequence`] if that is not how many went through.
    pub(crate) fn end(&mut self, items: u64) -> Result<bool, StreamError> {
        if items != self.next {
            return Err(StreamError::Sequence { received: items, expected: self.next });
        }
        Ok(!std::mem::replace(&mut self.ended, true))
    }

    /// Records that the reader has changed or reconnected: the new reader grants again the credit that the writer
    /// already has.
    pub(crate) fn restart_reader(&mut self) {
        self.absorb = self.left;
    }

    /// Returns whether the reader has still to grant what the writer already has.
    pub(crate) fn is_awaiting_reader(&self) -> bool {
        self.absorb != ItemCredit::NONE
    }

    /// Returns the credit that the writer has left.
    pub(crate) fn left(&self) -> ItemCredit {
        self.left
    }

    /// Returns how many items went through.
    pub(crate) fn items(&self) -> u64 {
        self.next
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Returns the bytes that may be in flight or unread: the most that the broker holds of this stream.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.window.bytes - self.left.bytes
    }

    pub(crate) fn assert_invariants(&self) {
        assert!(ItemCredit::WINDOW.covers(self.window), "a window does not exceed its limit");
        assert!(self.window.covers(self.left), "the writer's credit does not exceed the window");
        assert!(self.left.covers(self.absorb), "only credit that the writer has is absorbed");
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Sequence { received, expected } => {
                write!(f, "received item {received}, expected item {expected}")
            }
            StreamError::NoCredit => f.write_str("received items without credit for them"),
            StreamError::WindowExceeded => f.write_str("received more credit than the stream's window"),
            StreamError::AfterEnd => f.write_str("received an item after the end"),
            StreamError::NoSuchStream => f.write_str("the call has no such stream"),
            StreamError::TooLarge => write!(f, "received more than {ITEM_BYTES_MAX} bytes of items in one envelope"),
            StreamError::Malformed => f.write_str("received an item that could not be decoded"),
        }
    }
}
