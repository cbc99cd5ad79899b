//! Writing bundles.

use bytes::Bytes;

use super::{
    super::{
        envelope::Envelope,
        header::{self, major},
        limits::{BODY_INLINE_BYTES_MAX, BUNDLE_BYTES_MAX, BUNDLE_ENVELOPES_MAX},
    },
    Frames,
};

/// The least that is allocated for a bundle: room for a call or two.
const FIRST_BYTES: usize = 256;

/// Collects the envelopes for one link into as few messages as allowed. Reusable; an idle one holds no bytes.
///
/// It has no limit of its own: a driver's turn has, and takes all out at its end.
#[derive(Debug, Default)]
pub struct Bundler {
    /// Messages that are complete.
    closed: Vec<Frames>,
    closed_bytes: usize,
    /// The bundle that is being written.
    open: Vec<u8>,
    open_envelopes: usize,
    /// How much the next bundle is expected to take, by those before it, so that it is allocated once.
    expected_bytes: usize,
}

impl Bundler {
    /// An empty one.
    pub fn new() -> Bundler {
        Bundler::default()
    }

    /// Encodes `envelope` at once, behind what was pushed before it. A large body is not copied; it makes a message of its own.
    ///
    /// Texts of a failure that are beyond their limits are cut at a character.
    pub fn push(&mut self, envelope: &Envelope) {
        match envelope.body() {
            Some(body) if body.len() > BODY_INLINE_BYTES_MAX => self.push_alone(envelope, body.clone()),
            Some(body) => self.push_copied(envelope, body),
            None => self.push_copied(envelope, &[]),
        }
    }

    /// Whether nothing waits to be taken.
    pub fn is_empty(&self) -> bool {
        self.closed.is_empty() && self.open.is_empty()
    }

    /// Bytes of all messages that wait to be taken, large bodies included.
    pub fn len_bytes(&self) -> usize {
        self.closed_bytes + self.open.len()
    }

    /// Takes all messages out, in the order in which their envelopes were pushed. Those that the iterator has not given when it is
    /// dropped are gone.
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

    /// Ends the bundle that is being written, if there is one.
    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        // Falls by half at most, so that one ping among large bundles does not make the next one grow from nothing again.
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
