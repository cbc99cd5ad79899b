//! The keys of the broker's tables.

use std::num::NonZeroU64;

use crate::table_index::TableIndex;

/// A client's key, never reused within one start of the broker. It is not 0, so that an optional key takes no more memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientKey(NonZeroU64);

impl ClientKey {
    /// Returns the key of that number. `None` for 0, which no client has.
    pub(crate) fn new(number: u64) -> Option<ClientKey> {
        NonZeroU64::new(number).map(ClientKey)
    }

    pub(crate) fn number(self) -> u64 {
        self.0.get()
    }
}

/// A worker's key, never reused within one start of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorkerKey(pub(crate) u64);

/// A service's key, never reused within one start of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServiceKey(pub(crate) u64);

/// A tenant's key, never reused within one start of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TenantKey(pub(crate) u64);

/// A call's index in the call table. It is reused after the call was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallKey(pub(crate) TableIndex);

/// The source of the keys that are never reused, and of other increasing numbers.
#[derive(Debug, Default)]
pub(crate) struct KeySource {
    last: u64,
}

impl KeySource {
    /// Returns a number above all that it returned before.
    pub(crate) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
