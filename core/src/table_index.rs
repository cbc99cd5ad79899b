//! The index of a call in a table.

use std::num::NonZeroU32;

/// The index of a call in a table.
///
/// Several other tables list each call, some of them as an option. So an index has 32 bits, and is stored plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TableIndex(NonZeroU32);

impl TableIndex {
    pub(crate) fn new(index: usize) -> TableIndex {
        let number = u32::try_from(index).ok().and_then(|index| NonZeroU32::MIN.checked_add(index));
        TableIndex(number.expect("memory does not hold four billion calls"))
    }

    pub(crate) fn get(self) -> usize {
        self.0.get() as usize - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optional_index_takes_four_bytes() {
        assert_eq!(size_of::<Option<TableIndex>>(), 4);
        assert!([0, 1, 7_000_000].into_iter().all(|index| TableIndex::new(index).get() == index));
    }
}
