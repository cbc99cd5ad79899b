//! The encrypted channel of a connection, as the proofs and the identity of its peer use it.

/// The encrypted channel of one connection. A connection without encryption has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The public key that the peer proved when the channel was set up.
    pub public_key: [u8; 32],
    /// The value that both ends of the channel know, and that no other channel has.
    pub binding: ChannelBinding,
}

/// A hash of the keys of one encrypted channel. Both sides put it into their proofs, so a relay between two channels cannot pass a
/// proof on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelBinding(pub [u8; 32]);
