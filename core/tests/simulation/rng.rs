//! The random number generator: splitmix64 (Steele, Lea and Flood, 2014). The same on every machine, and nothing to depend on.

use std::time::Duration;

/// A random number generator with a seed.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`; the bias of the remainder does not matter here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Returns an index into a sequence of this length.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("an index fits into usize")
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    /// Returns a span of at most `longest`.
    pub(crate) fn span(&mut self, longest: Duration) -> Duration {
        self.span_between(Duration::ZERO, longest)
    }

    pub(crate) fn span_between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        let more = u64::try_from((longest - shortest).as_micros()).expect("spans of the simulation are short");
        shortest + Duration::from_micros(self.below(more + 1))
    }

    pub(crate) fn bytes<const LEN: usize>(&mut self) -> [u8; LEN] {
        std::array::from_fn(|_| self.next().to_le_bytes()[0])
    }
}
