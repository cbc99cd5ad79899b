//! The writer of bundles.

use bytes::Bytes;

use super::{
    super::{
        envelope::Envelope,
        header::{self, major},
        limits::{BODY_INLINE_BYTES_MAX, BUNDLE_BYTES_MAX, BUNDLE_ENVELOPES_MAX},
    },
    Frames,
};

/// The minimum that is allocated for a bundle: room for a call or two.
const FIRST_BYTES: usize = 256;

/// Collects the envelopes for one connection into as few messages as the limits allow. It is reusable, and holds no memory while idle.
///
/// It has no limit of its own. A driver's turn is limited, and takes all messages out at its end.
#[derive(Debug, Default)]
pub struct Bundler {
    /// The complete messages.
    closed: Vec<Frames>,
    closed_bytes: usize,
    /// The bundle that is being written.
    open: Vec<u8>,
    open_envelopes: usize,
    /// The expected size of the next bundle, from the sizes of earlier ones, so that it is allocated once.
    expected_bytes: usize,
}

impl Bundler {
    /// Creates an empty bundler.
    pub fn new() -> Bundler {
        Bundler::default()
    }

    /// Encodes `envelope` at once, after the envelopes that were pushed before. A large body is not copied, and gets a message of its
    /// own.
    ///
    /// Texts of a failure that exceed their limits are cut at a character boundary.
    pub fn push(&mut self, envelope: &Envelope) {
        match envelope.body() {
            Some(body) if body.len() > BODY_INLINE_BYTES_MAX => self.push_alone(envelope, body.clone()),
            Some(body) => self.push_copied(envelope, body),
            None => self.push_copied(envelope, &[]),
        }
    }

    /// Returns whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.closed.is_empty() && self.open.is_empty()
    }

    /// Returns the bytes of all messages that are not taken yet, including large bodies.
    pub fn len_bytes(&self) -> usize {
        self.closed_bytes + self.open.len()
    }

    /// Takes all messages out, in the order in which their envelopes were pushed. Dropping the iterator discards the rest.
    pub fn take(&mut self) -> impl Iterator<Item = Frames> + use<'_> {
        self.close();
        self.closed_bytes = 0;
        self.closed.drain(..)
    }

    fn push_alone(&mut self, envelope: &Envelope, body: Bytes) {
        self.close();
        let mut first = Vec::with_capacity(FIRST_BYTES);
        header::write(envelope, &mut first);
        self.push_message(Frames { first: first.into(), large: Some(body) });
    }

    fn push_copied(&mut self, envelope: &Envelope, body: &[u8]) {
        if self.open_envelopes == BUNDLE_ENVELOPES_MAX {
            self.close();
        }
        if self.open.capacity() == 0 {
            self.open.reserve(self.expected_bytes.max(FIRST_BYTES + body.len()));
        }
        let start = self.open.len();
        header::write(envelope, &mut self.open);
        header::write_head(&mut self.open, major::BYTES, body.len() as u64);
        self.open.extend_from_slice(body);
        if self.open.len() > BUNDLE_BYTES_MAX && start > 0 {
            let last = self.open.split_off(start);
            self.close();
            self.open = last;
        }
        self.open_envelopes += 1;
    }

    /// Completes the bundle that is being written, if there is one.
    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        // It decreases by half at most, so that after one ping among large bundles the next bundle does not start small again.
        self.expected_bytes = self.open.len().max(self.expected_bytes / 2);
        self.open_envelopes = 0;
        let first = std::mem::take(&mut self.open).into();
        self.push_message(Frames { first, large: None });
    }

    fn push_message(&mut self, frames: Frames) {
        self.closed_bytes += frames.len_bytes();
        self.closed.push(frames);
    }
}
