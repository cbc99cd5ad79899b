//! One direction of a stream, as each of the three sides of it keeps count.
//!
//! Who reads grants room; who writes uses it, item by item; the broker between them looks at both. What is granted before the first
//! item is the *window*. Credit that comes later gives back what was read, so that never more than the window is on its way or unread:
//! that bounds what the broker and the reader hold of a stream, whatever its writer does and however slow its reader is.

use std::fmt;

use crate::wire::{limits::ITEM_BYTES_MAX, streams::ItemCredit};

/// How a side broke the rules of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Items have a gap, or came twice.
    Sequence { came: u64, due: u64 },
    /// An item came for which there was no credit.
    Credit,
    /// More credit was granted than the window, or than a window may be.
    Window,
    /// Something came after the end.
    Ended,
    /// There is no such stream on this call.
    Absent,
    /// An item or an end could not be read.
    Unreadable,
    /// An item is larger than any may be.
    Large,
}

/// The writing end.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    left: ItemCredit,
    /// The number of the next item.
    next: u64,
    ended: bool,
}

/// The reading end.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// What the writer may still send.
    left: ItemCredit,
    /// What was read, and is not granted again yet.
    owed: ItemCredit,
    next: u64,
    ended: bool,
}

/// What passes through the broker.
#[derive(Debug, Default)]
pub(crate) struct Passage {
    /// What was granted before the first item.
    window: ItemCredit,
    /// What the writer may still send.
    left: ItemCredit,
    /// What the writer has of an earlier reader's credit, or the reader's earlier connection granted: it is not granted twice.
    absorb: ItemCredit,
    next: u64,
    ended: bool,
}

impl Writer {
    /// The reader grants more.
    pub(crate) fn grant(&mut self, credit: ItemCredit) -> Result<(), Broken> {
        let left = self.left.with(credit);
        if !ItemCredit::WINDOW.holds(left) {
            return Err(Broken::Window);
        }
        self.left = left;
        Ok(())
    }

    /// What may still be sent.
    pub(crate) fn left(&self) -> ItemCredit {
        self.left
    }

    /// An item is to be sent: its number. `None` if there is no room for it, or the end was said.
    pub(crate) fn send(&mut self, bytes: u64) -> Option<u64> {
        let item = ItemCredit::one(bytes);
        if self.ended || !self.left.holds(item) {
            return None;
        }
        self.left = self.left.without(item);
        self.next += 1;
        Some(self.next - 1)
    }

    /// There will be no more items: how many there were, the first time.
    pub(crate) fn end(&mut self) -> Option<u64> {
        (!std::mem::replace(&mut self.ended, true)).then_some(self.next)
    }

    /// How many items there were, if the end was said.
    pub(crate) fn ended(&self) -> Option<u64> {
        self.ended.then_some(self.next)
    }

    /// Whether an item went.
    pub(crate) fn has_sent(&self) -> bool {
        self.next > 0
    }

    pub(crate) fn check(&self) {
        assert!(ItemCredit::WINDOW.holds(self.left), "a writer has no more credit than a window: {:?}", self.left);
    }
}

impl Reader {
    /// The reader begins, or begins anew on another connection: what it grants first.
    pub(crate) fn open(&mut self) -> ItemCredit {
        self.left = ItemCredit::WINDOW;
        self.owed = ItemCredit::NONE;
        self.left
    }

    /// An item arrives.
    pub(crate) fn take(&mut self, sequence: u64, bytes: u64) -> Result<(), Broken> {
        let item = ItemCredit::one(bytes);
        match () {
            () if self.ended => Err(Broken::Ended),
            () if sequence != self.next => Err(Broken::Sequence { came: sequence, due: self.next }),
            () if !self.left.holds(item) => Err(Broken::Credit),
            () => {
                self.left = self.left.without(item);
                self.next += 1;
                Ok(())
            }
        }
    }

    /// So much was read: what to grant now, which is nothing until it is half the window. Who reads more than there is gets no more
    /// than that.
    pub(crate) fn read(&mut self, credit: ItemCredit) -> Option<ItemCredit> {
        let unread = ItemCredit::WINDOW.without(self.left).without(self.owed);
        self.owed = self.owed.with(credit.shared(unread));
        let half = self.owed.items >= ItemCredit::WINDOW.items / 2 || self.owed.bytes >= ItemCredit::WINDOW.bytes / 2;
        if self.ended || !half {
            return None;
        }
        let owed = std::mem::take(&mut self.owed);
        self.left = self.left.with(owed);
        Some(owed)
    }

    /// The writer says that there were so many items.
    pub(crate) fn end(&mut self, items: u64) -> Result<(), Broken> {
        match () {
            () if self.ended => Err(Broken::Ended),
            () if items != self.next => Err(Broken::Sequence { came: items, due: self.next }),
            () => {
                self.ended = true;
                Ok(())
            }
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether an item came.
    pub(crate) fn has_taken(&self) -> bool {
        self.next > 0
    }

    pub(crate) fn check(&self) {
        assert!(ItemCredit::WINDOW.holds(self.left.with(self.owed)), "no more is granted than a window");
    }
}

impl Passage {
    /// An item goes through.
    pub(crate) fn take(&mut self, sequence: u64, bytes: u64) -> Result<(), Broken> {
        let item = ItemCredit::one(bytes);
        match () {
            () if self.ended => Err(Broken::Ended),
            () if bytes > ITEM_BYTES_MAX => Err(Broken::Large),
            () if sequence != self.next => Err(Broken::Sequence { came: sequence, due: self.next }),
            () if !self.left.holds(item) => Err(Broken::Credit),
            () => {
                self.left = self.left.without(item);
                self.next += 1;
                Ok(())
            }
        }
    }

    /// The reader grants: what the writer is to be told of it.
    pub(crate) fn grant(&mut self, credit: ItemCredit) -> Result<ItemCredit, Broken> {
        let known = self.absorb.shared(credit);
        self.absorb = self.absorb.without(known);
        let new = credit.without(known);
        let left = self.left.with(new);
        if self.next == 0 {
            self.window = left.shared(ItemCredit::WINDOW);
        }
        if !self.window.holds(left) {
            return Err(Broken::Window);
        }
        self.left = left;
        Ok(new)
    }

    /// The writer says that there were so many items. Saying it again changes nothing. Whether it was said the first time.
    pub(crate) fn end(&mut self, items: u64) -> Result<bool, Broken> {
        if items != self.next {
            return Err(Broken::Sequence { came: items, due: self.next });
        }
        Ok(!std::mem::replace(&mut self.ended, true))
    }

    /// The reader is another one, or on another connection, and will grant anew what the writer has.
    pub(crate) fn reader_begins_anew(&mut self) {
        self.absorb = self.left;
    }

    /// Whether the reader has still to grant what the writer has already.
    pub(crate) fn awaits_reader(&self) -> bool {
        self.absorb != ItemCredit::NONE
    }

    /// What the writer may still send.
    pub(crate) fn left(&self) -> ItemCredit {
        self.left
    }

    /// How many items went through.
    pub(crate) fn items(&self) -> u64 {
        self.next
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Bytes that may be on their way or unread: what this side of the broker holds at most.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.window.bytes - self.left.bytes
    }

    pub(crate) fn check(&self) {
        assert!(ItemCredit::WINDOW.holds(self.window), "a window has a limit");
        assert!(self.window.holds(self.left), "credit never exceeds the window");
        assert!(self.left.holds(self.absorb), "only what the writer has is not granted again");
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Sequence { came, due } => write!(f, "item {came} came where item {due} was due"),
            Broken::Credit => f.write_str("an item came for which there was no credit"),
            Broken::Window => f.write_str("more credit was granted than the stream's window"),
            Broken::Ended => f.write_str("an item came after the end"),
            Broken::Absent => f.write_str("the call has no such stream"),
            Broken::Large => write!(f, "an item has more than {ITEM_BYTES_MAX} bytes"),
            Broken::Unreadable => f.write_str("an item could not be read"),
        }
    }
}
