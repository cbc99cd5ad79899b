//! Bundles: the envelopes that travel in one ZeroMQ message.

use bytes::Bytes;

/// The frames of one ZeroMQ message as we write them: a bundle is one frame, an envelope with a large body two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames {
    /// A CBOR sequence of envelopes; or one header alone, if `large` is there.
    pub first: Bytes,
    /// The body of the header in `first`, as it is: not wrapped in a byte string, not copied.
    pub large: Option<Bytes>,
}
