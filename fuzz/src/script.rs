//! An input as a script: what happens next, taken off its front.

use std::time::Duration;

use bytes::Bytes;

/// From this byte on a number is a whole one of eight bytes; below it the byte is the number. Small numbers are those that
/// mean something.
const WIDE: u8 = 248;
/// From this byte on a length counts in [`LENGTH_STEP`]s.
const LONG: u8 = 240;
const LENGTH_STEP: usize = 2_000;

/// Spans that mean something to a machine: around heartbeats, time-outs and the limits of the handshake.
const SPANS_MS: [u64; 15] = [0, 1, 10, 20, 50, 200, 500, 1_000, 1_001, 2_000, 3_000, 5_000, 10_000, 30_000, 700_000];

/// The rest of an input. One that has ended says zero for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Script<'a> {
        Script(input)
    }

    pub(crate) fn is_over(&self) -> bool {
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

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound
    }

    /// A place in something of this length, which is not empty.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        usize::from(self.byte()) % len
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.place(from.len())]
    }

    /// Any number, mostly a small one.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            WIDE.. => u64::from_be_bytes(std::array::from_fn(|_| self.byte())),
            small => small.into(),
        }
    }

    /// A span that may pass.
    pub(crate) fn span(&mut self) -> Duration {
        Duration::from_millis(self.pick(&SPANS_MS))
    }

    /// A span that somebody may wish for: one of those that may pass, or one that never will.
    pub(crate) fn wish(&mut self) -> Duration {
        let at = self.place(SPANS_MS.len() + 1);
        SPANS_MS.get(at).map_or(Duration::MAX, |&span| Duration::from_millis(span))
    }

    /// Some bytes, with their length before them; fewer if the input ends.
    pub(crate) fn bytes(&mut self) -> Bytes {
        let length = match self.byte() {
            long @ LONG.. => usize::from(long - LONG + 1) * LENGTH_STEP,
            short => short.into(),
        };
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Bytes::copy_from_slice(taken)
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}
