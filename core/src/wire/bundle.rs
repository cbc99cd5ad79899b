//! Bundles: the envelopes that travel in one ZeroMQ message.

mod bundler;
mod read;

use bytes::Bytes;

pub use self::{
    bundler::Bundler,
    read::{Envelopes, read},
};
pub use super::header::{EnvelopeError, EnvelopeErrorReason, Recipient};

/// The frames of one ZeroMQ message as we write them: a bundle is one frame, an envelope with a large body two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames {
    /// A CBOR sequence of envelopes; or one header alone, if `large` is there.
    pub first: Bytes,
    /// The body of the header in `first`, as it is: not wrapped in a byte string, not copied.
    pub large: Option<Bytes>,
}

impl Frames {
    /// Bytes of all frames together.
    pub fn len_bytes(&self) -> usize {
        self.first.len() + self.large.as_ref().map_or(0, Bytes::len)
    }

    /// The frames in order.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.large)
    }

    /// The frames in order, as [`read()`] and the machines take them.
    pub fn to_vec(&self) -> Vec<Bytes> {
        self.iter().cloned().collect()
    }
}

impl IntoIterator for Frames {
    type Item = Bytes;
    type IntoIter = std::iter::Chain<std::iter::Once<Bytes>, std::option::IntoIter<Bytes>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.first).chain(self.large)
    }
}

#[cfg(test)]
mod tests;
