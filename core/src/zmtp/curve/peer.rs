//! What the handshake proves about the other side.

use sha2::{Digest, Sha256};

use super::PublicKey;
use crate::auth::{Channel, ChannelBinding};

/// The label of the channel binding, so that its hash is never valid for another purpose.
const BINDING_LABEL: &[u8] = b"callboard CURVE channel binding";

/// The other side of an encrypted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurvePeer {
    /// The permanent public key of the other side, which has proved that it has the secret key.
    pub public_key: PublicKey,
    /// A hash of all four public keys of the connection, the same on both sides and different on every connection. A proof
    /// that covers it is valid on this connection only, so a relay cannot pass it on.
    pub binding: [u8; 32],
    /// The permanent public key of the server of this connection. A server may have a previous key besides its own.
    pub server_key: PublicKey,
}

impl From<CurvePeer> for Channel {
    fn from(peer: CurvePeer) -> Channel {
        Channel { public_key: *peer.public_key.as_bytes(), binding: ChannelBinding(peer.binding) }
    }
}

/// The four public keys of a connection.
pub(super) struct ConnectionKeys {
    pub(super) client: PublicKey,
    pub(super) server: PublicKey,
    pub(super) client_transient: PublicKey,
    pub(super) server_transient: PublicKey,
}

impl ConnectionKeys {
    /// Returns SHA-256 of the label and the four keys in the order of the fields.
    pub(super) fn binding(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(BINDING_LABEL);
        for key in [self.client, self.server, self.client_transient, self.server_transient] {
            hash.update(key.as_bytes());
        }
        hash.finalize().into()
    }
}
