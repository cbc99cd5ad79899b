//! ZMTP 3.1 of the broker's ROUTER, without a socket: bytes in, [`Event`]s out.
//!
//! ZMTP (ZeroMQ RFCs 23 and 37) is the protocol below ZeroMQ messages: a greeting of 64 bytes, a handshake of commands (with
//! the mechanism NULL one READY in each direction), then frames. A [`Decoder`] decodes the bytes of a peer, and the functions
//! here write the bytes for the peer. This module decides nothing about sockets, time, or memory beyond one connection.
//!
//! It is hand-written, because limits must be checked before bytes are buffered. Existing codecs buffer a command of 256 KiB
//! from an unauthenticated peer, and fix the size limit when the connection is made (here it grows when the peer is accepted).
//! They count the bytes of a message but not its frames, keep one allocation for every few bytes that trickle in, and hold
//! 64 KiB for each silent peer. A guard in front of such a codec would be this decoder again, and would parse the bytes twice.
//!
//! To add another mechanism (PLAIN, CURVE), change two places: the greeting names it, and [`Decoder`] responds to its commands
//! with [`Event::Transmit`] until [`Event::HandshakeDone`]. A mechanism that encrypts also decrypts each frame where the decoder
//! completes it.

mod command;
mod decoder;
mod frame;
mod greeting;
mod message;
mod violation;

#[cfg(test)]
mod tests;

pub use command::{error, ready};
pub use decoder::{Decoder, Event};
pub use frame::{FrameHeader, FrameKind};
pub use greeting::greeting;
pub use message::Message;
pub use violation::Violation;

/// The maximum bytes of the content of a command frame. READY has a socket type, an identity and perhaps a few properties, and
/// PING at most 18 bytes.
pub const COMMAND_BYTES_MAX: usize = 1024;

/// The maximum bytes of the context of a PING, which the PONG returns (RFC 37).
pub const PING_CONTEXT_BYTES_MAX: usize = 16;
