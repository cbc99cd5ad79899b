//! Bundles: the envelopes of one ZeroMQ message.

mod bundler;
mod read;

use bytes::Bytes;

pub use self::{
    bundler::Bundler,
    read::{Envelopes, read},
};
pub use super::header::{EnvelopeError, EnvelopeErrorReason, Recipient};

/// The frames of one ZeroMQ message that this library writes: one for a bundle, two for an envelope with a large body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames {
    /// A CBOR sequence of envelopes or, if `large` is set, one header.
    pub first: Bytes,
    /// The body of the header in `first`, unchanged: not wrapped in a byte string, not copied.
    pub large: Option<Bytes>,
}

impl Frames {
    /// Returns the number of bytes of all frames together.
    pub fn len_bytes(&self) -> usize {
        self.first.len() + self.large.as_ref().map_or(0, Bytes::len)
    }

    /// Returns the frames in order.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.large)
    }

    /// Returns the frames in order, in the form that [`read()`] and the machines take.
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
