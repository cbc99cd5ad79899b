//! ZMTP 3.1 as the broker's ROUTER speaks it, with no socket in it: bytes in, [`Event`]s out.
//!
//! ZMTP (ZeroMQ RFCs 23 and 37) is what travels under every ZeroMQ message: a greeting of 64 bytes, a handshake of
//! commands (with the mechanism NULL one READY each way), then frames. A [`Decoder`] takes the peer's bytes and says
//! what they mean; the functions here write what goes back. Nothing is decided about sockets, time or memory beyond
//! one connection.
//!
//! Written by hand, because the limits must come before the bytes. Ready-made codecs buffer a command of 256 KiB from
//! a stranger, fix the size limit when the connection is made (ours grows when the peer is let in), count a message's
//! bytes but not its frames, keep one allocation for every few bytes that trickle in, and hold 64 KiB for each silent
//! peer. A guard in front of one would be this decoder again, and the bytes would be parsed twice.
//!
//! Another mechanism (PLAIN, CURVE) joins in two places: the greeting names it, and [`Decoder`] answers its commands
//! with [`Event::Transmit`] until it says [`Event::HandshakeDone`]. One that encrypts also unwraps each frame where the decoder
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

/// A whole command frame's content. READY carries a socket type, an identity and perhaps a few properties; PING 18
/// bytes. More is buffered for nobody.
pub const COMMAND_BYTES_MAX: usize = 1024;

/// The context of a PING, which comes back in the PONG (RFC 37).
pub const PING_CONTEXT_BYTES_MAX: usize = 16;
