//! What a peer did that ends its connection.

/// A peer broke ZMTP, or a limit of ours on it. The connection ends; nobody else notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The first bytes are no ZMTP signature: something else found our port.
    #[error("it does not speak ZeroMQ: its first bytes are not those of ZMTP")]
    NotZmtp,
    /// ZMTP 1 or 2.
    #[error("it speaks ZMTP {major}, and version 3 or later is needed: use libzmq 4.0 or later")]
    Version {
        /// The major version it named.
        major: u8,
    },
    /// A security mechanism other than NULL.
    #[error("it wants another security mechanism than NULL: connect without PLAIN, CURVE or GSSAPI")]
    Mechanism,
    /// Flag bits that ZMTP 3 does not have, or a command with MORE.
    #[error("the flags {flags:#04x} of a frame have no meaning in ZMTP 3")]
    Flags {
        /// The frame's first byte.
        flags: u8,
    },
    /// A command above [`super::COMMAND_BYTES_MAX`].
    #[error("it announced a command of {bytes} bytes; at most {max} are taken")]
    CommandTooLarge {
        /// As announced.
        bytes: u64,
        /// The limit.
        max: usize,
    },
    /// A message above the limit that holds for this peer now.
    #[error("it announced a message of {bytes} bytes; at most {max} are taken")]
    MessageTooLarge {
        /// All frames of the message that are known by now, as announced.
        bytes: u64,
        /// The limit.
        max: usize,
    },
    /// A message of more frames than any of ours has.
    #[error("it announced a message of more than {max} frames")]
    TooManyFrames {
        /// The limit.
        max: usize,
    },
    /// A data frame where READY was due.
    #[error("it sent a message before its READY")]
    EarlyMessage,
    /// A command that cannot be read.
    #[error("it sent a malformed command")]
    MalformedCommand,
    /// A well-formed command in the wrong place.
    #[error("it sent a command that does not belong there")]
    UnexpectedCommand,
    /// READY names no DEALER.
    #[error("it is a {name} socket; connect with a DEALER")]
    SocketType {
        /// What it named, if that is a socket type of ZeroMQ.
        name: &'static str,
    },
    /// It answered our greeting with ERROR.
    #[error("it refused the handshake with an ERROR command")]
    PeerError,
    /// A frame within the limits for which there is no memory.
    #[error("no memory is left for a frame of {bytes} bytes")]
    NoMemory {
        /// The frame's size.
        bytes: usize,
    },
}

impl Violation {
    /// A short name, the same for all values of a variant: for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Violation::NotZmtp => "not-zmtp",
            Violation::Version { .. } => "version",
            Violation::Mechanism => "mechanism",
            Violation::Flags { .. } => "flags",
            Violation::CommandTooLarge { .. } => "command-too-large",
            Violation::MessageTooLarge { .. } => "message-too-large",
            Violation::TooManyFrames { .. } => "too-many-frames",
            Violation::EarlyMessage => "early-message",
            Violation::MalformedCommand => "malformed-command",
            Violation::UnexpectedCommand => "unexpected-command",
            Violation::SocketType { .. } => "socket-type",
            Violation::PeerError => "refused-by-peer",
            Violation::NoMemory { .. } => "no-memory",
        }
    }
}
