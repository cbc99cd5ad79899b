//! ZMTP 3.1 of both sides, without a socket: bytes in, [`Event`]s out.
//!
//! ZMTP (ZeroMQ RFCs 23 and 37) is the protocol below ZeroMQ messages: a greeting of 64 bytes, a handshake of commands (with
//! the mechanism NULL one READY in each direction, with CURVE four commands), then frames. A [`Decoder`] decodes the bytes of a
//! peer, and an [`Encoder`] writes the frames for it. This module decides nothing about sockets, time, randomness, or memory
//! beyond one connection.
//!
//! It is hand-written, because limits must be checked before bytes are buffered. Existing codecs buffer a command of 256 KiB
//! from an unauthenticated peer, and fix the size limit when the connection is made (here it grows when the peer is accepted).
//! They count the bytes of a message but not its frames, keep one allocation for every few bytes that trickle in, and hold
//! 64 KiB for each silent peer. A guard in front of such a codec would be this decoder again, and would parse the bytes twice.
//!
//! A mechanism has three places: the greeting names it, the handshake has its commands, and a mechanism that encrypts also opens
//! each frame where the decoder completes it and seals each frame in the encoder.
//!
//! | file | contents |
//! |---|---|
//! | `decoder`, `encoder` | the two directions of a connection |
//! | `greeting`, `handshake`, `command` | what comes before messages: the choice of the mechanism, and the commands |
//! | `curve` | the encryption CURVE |
//! | `frame`, `message` | frames, and the messages they form |
//! | `violation` | what a peer can do wrong |

mod command;
pub mod curve;
mod decoder;
mod encoder;
mod frame;
mod greeting;
mod handshake;
mod message;
mod violation;

#[cfg(test)]
mod tests;

pub use command::{error, ready};
pub use decoder::{Decoder, Event};
pub use encoder::Encoder;
pub use frame::{FrameHeader, FrameKind};
pub use greeting::{GREETING_BYTES, greeting};
pub use message::Message;
pub use violation::Violation;

/// The maximum bytes of the content of a command frame. READY has a socket type, an identity and perhaps a few properties, INITIATE
/// these and 257 bytes, and PING at most 18 bytes.
pub const COMMAND_BYTES_MAX: usize = 1024;

/// The maximum bytes of the context of a PING, which the PONG returns (RFC 37).
pub const PING_CONTEXT_BYTES_MAX: usize = 16;
