//! Violations of ZMTP or its limits, which end a connection.

use super::curve::CurveViolation;

/// A peer violated ZMTP, or a limit on it. Its connection ends, and other connections are not affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The first bytes are not a ZMTP signature: the peer uses another protocol.
    #[error("it does not speak ZeroMQ: its first bytes are not those of ZMTP")]
    NotZmtp,
    /// The peer uses ZMTP 1 or 2.
    #[error("it speaks ZMTP {major}, and version 3 or later is required: use libzmq 4.0 or later")]
    Version {
        /// The major version of the peer.
        major: u8,
    },
    /// The security mechanism is neither NULL nor CURVE.
    #[error("it requested a security mechanism other than NULL and CURVE: connect without PLAIN or GSSAPI")]
    Mechanism,
    /// The peer connects without encryption, and this side requires it.
    #[error(
        "it connects without encryption, and CURVE is required: pass the public key of the server with --server-key"
    )]
    PlainRefused,
    /// The peer requires encryption, and this side has no key for it.
    #[error(
        "it requires CURVE, and this side has no key: start the broker with a CURVE key, or connect without a server key"
    )]
    CurveUnavailable,
    /// The peer violated CURVE.
    #[error(transparent)]
    Curve(#[from] CurveViolation),
    /// The flags of a frame have no meaning in ZMTP 3, or combine a command with MORE.
    #[error("the flags {flags:#04x} of a frame have no meaning in ZMTP 3")]
    Flags {
        /// The first byte of the frame.
        flags: u8,
    },
    /// A command exceeds [`super::COMMAND_BYTES_MAX`].
    #[error("it announced a command of {bytes} bytes, and the maximum is {max}")]
    CommandTooLarge {
        /// The announced bytes.
        bytes: u64,
        /// The limit.
        max: usize,
    },
    /// A message exceeds the limit that applies to the peer now.
    #[error("it announced a message of {bytes} bytes, and the maximum is {max}")]
    MessageTooLarge {
        /// The announced bytes of all known frames of the message.
        bytes: u64,
        /// The limit.
        max: usize,
    },
    /// A message has more frames than the protocol allows.
    #[error("it announced a message of more than {max} frames")]
    TooManyFrames {
        /// The limit.
        max: usize,
    },
    /// The peer sent more messages and commands than a handshake needs, before the driver had authenticated it.
    #[error("it sent more than {max} messages and commands before its welcome")]
    TooManyBeforeWelcome {
        /// The limit.
        max: usize,
    },
    /// The peer sent a message before its READY.
    #[error("it sent a message before its READY")]
    EarlyMessage,
    /// A command could not be parsed.
    #[error("it sent a malformed command")]
    MalformedCommand,
    /// A well-formed command is not allowed in this state.
    #[error("it sent an unexpected command")]
    UnexpectedCommand,
    /// The READY is not that of a DEALER.
    #[error("it is a {name} socket; connect with a DEALER")]
    SocketType {
        /// The socket type of the peer, if it is one of ZeroMQ.
        name: &'static str,
    },
    /// The READY is not that of a ROUTER.
    #[error("it is a {name} socket; connect to the ROUTER of a broker")]
    NotRouter {
        /// The socket type of the peer, if it is one of ZeroMQ.
        name: &'static str,
    },
    /// The peer sent ERROR in the handshake.
    #[error("it rejected the handshake with an ERROR command")]
    PeerError,
    /// There is not enough memory for a frame within the limits.
    #[error("not enough memory for a frame of {bytes} bytes")]
    NoMemory {
        /// The size of the frame.
        bytes: usize,
    },
}

impl Violation {
    /// Returns a short name, the same for all values of a variant, for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Violation::NotZmtp => "not-zmtp",
            Violation::Version { .. } => "version",
            Violation::Mechanism => "mechanism",
            Violation::PlainRefused => "plain-refused",
            Violation::CurveUnavailable => "curve-unavailable",
            Violation::Curve(violation) => violation.name(),
            Violation::Flags { .. } => "flags",
            Violation::CommandTooLarge { .. } => "command-too-large",
            Violation::MessageTooLarge { .. } => "message-too-large",
            Violation::TooManyFrames { .. } => "too-many-frames",
            Violation::TooManyBeforeWelcome { .. } => "too-many-before-welcome",
            Violation::EarlyMessage => "early-message",
            Violation::MalformedCommand => "malformed-command",
            Violation::UnexpectedCommand => "unexpected-command",
            Violation::SocketType { .. } => "socket-type",
            Violation::NotRouter { .. } => "not-router",
            Violation::PeerError => "refused-by-peer",
            Violation::NoMemory { .. } => "no-memory",
        }
    }
}
