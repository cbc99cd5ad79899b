//! Violations of CurveZMQ, which end a connection.

/// A peer violated CurveZMQ, or what it sent was changed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CurveViolation {
    /// A command has the wrong length for its kind, or the padding of a HELLO is not zero.
    #[error("it sent a malformed CURVE command")]
    Malformed,
    /// The HELLO has another version of CurveZMQ.
    #[error("it uses version {major}.{minor} of CurveZMQ, and 1.0 is required")]
    Version {
        /// The major version of the peer.
        major: u8,
        /// The minor version of the peer.
        minor: u8,
    },
    /// The HELLO cannot be opened with the server's secret key.
    #[error("its HELLO was encrypted for another server key: pass the public key of this server with --server-key")]
    ServerKey,
    /// The WELCOME was not made with the expected secret key.
    #[error("it does not have the secret key of the expected server key: check the server key and the address")]
    Welcome,
    /// The cookie of an INITIATE is not the one of the WELCOME.
    #[error("its INITIATE does not return the cookie of the WELCOME")]
    Cookie,
    /// The INITIATE cannot be opened.
    #[error("its INITIATE cannot be decrypted")]
    Initiate,
    /// The peer did not prove that it has the secret key of its public key.
    #[error("it did not prove that it has the secret key of its public key")]
    Vouch,
    /// The READY cannot be opened.
    #[error("its READY cannot be decrypted")]
    Ready,
    /// A frame after the handshake is not a MESSAGE.
    #[error("it sent a frame without encryption on an encrypted connection")]
    Unencrypted,
    /// A message cannot be opened: it was changed on the way, or made with another key.
    #[error("a message cannot be decrypted: it was changed on the way, or encrypted with another key")]
    Message,
    /// The counter of a message or command does not follow the one before.
    #[error("a message is repeated, missing or out of order")]
    Sequence,
    /// This side has used all nonces of the connection.
    #[error("all 2^64 - 1 nonces of the connection are used: connect again")]
    NoncesExhausted,
}

impl CurveViolation {
    /// Returns a short name, the same for all values of a variant, for counters.
    pub const fn name(self) -> &'static str {
        match self {
            CurveViolation::Malformed => "curve-malformed",
            CurveViolation::Version { .. } => "curve-version",
            CurveViolation::ServerKey => "curve-server-key",
            CurveViolation::Welcome => "curve-welcome",
            CurveViolation::Cookie => "curve-cookie",
            CurveViolation::Initiate => "curve-initiate",
            CurveViolation::Vouch => "curve-vouch",
            CurveViolation::Ready => "curve-ready",
            CurveViolation::Unencrypted => "curve-unencrypted",
            CurveViolation::Message => "curve-message",
            CurveViolation::Sequence => "curve-sequence",
            CurveViolation::NoncesExhausted => "curve-nonces-exhausted",
        }
    }
}
