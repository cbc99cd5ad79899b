//! The input as a script, whose values are taken off its front.

use std::time::Duration;

use bytes::Bytes;

/// The first byte that is followed by a number of eight bytes. A smaller byte is the number itself, because small numbers are the ones
/// in use.
const WIDE: u8 = 248;
/// The first byte of a length that is counted in [`LENGTH_STEP`]s.
const LONG: u8 = 240;
const LENGTH_STEP: usize = 2_000;

/// Spans around the heartbeats and timeouts of the machines, in milliseconds.
const SPANS_MS: [u64; 15] = [0, 1, 10, 20, 50, 200, 500, 1_000, 1_001, 2_000, 3_000, 5_000, 10_000, 30_000, 700_000];

/// The rest of an input. After its end, all values are zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Script<'a> {
        Script(input)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound
    }

    /// Returns an index below `len`, which must not be zero.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        usize::from(self.byte()) % len
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.place(from.len())]
    }

    /// Returns a number, mostly a small one.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            WIDE.. => u64::from_be_bytes(std::array::from_fn(|_| self.byte())),
            small => small.into(),
        }
    }

    /// Returns a span of time.
    pub(crate) fn span(&mut self) -> Duration {
        Duration::from_millis(self.pick(&SPANS_MS))
    }

    /// Returns a timeout: a span of time, or one that never ends.
    pub(crate) fn timeout(&mut self) -> Duration {
        let at = self.place(SPANS_MS.len() + 1);
        SPANS_MS.get(at).map_or(Duration::MAX, |&span| Duration::from_millis(span))
    }

    /// Returns bytes that follow their length. Fewer if the input ends.
    pub(crate) fn bytes(&mut self) -> Bytes {
        let length = match self.byte() {
            long @ LONG.. => usize::from(long - LONG + 1) * LENGTH_STEP,
            short => short.into(),
        };
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Bytes::copy_from_slice(taken)
    }

    /// Returns the rest of the input.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}
