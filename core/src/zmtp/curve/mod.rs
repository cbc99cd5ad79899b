//! CurveZMQ (ZeroMQ RFC 26), the encryption of ZMTP: the handshake and the messages of both sides, compatible with libzmq.
//!
//! Each side has a permanent key pair and makes another one, the transient pair, for each connection. The client sends HELLO,
//! the server WELCOME with its transient public key, the client INITIATE with its permanent public key, and the server READY.
//! From then on every frame is sealed with a key that only the two transient pairs yield. So a permanent key that leaks later
//! does not reveal what was recorded before.
//!
//! | file | contents |
//! |---|---|
//! | `keys`, `z85`, `key_file` | permanent keys, their text form, and the files that hold them |
//! | `secret_box` | the cipher: X25519, XSalsa20 and Poly1305 |
//! | `nonce` | the nonces of both directions |
//! | `command` | the names and lengths of the commands |
//! | `server`, `client` | the two handshakes |
//! | `traffic` | frames after the handshake: sealing and opening |
//! | `peer` | what the handshake proves about the other side |
//! | `violation` | what a peer can do wrong |
//!
//! Randomness comes in as [`Entropy`]. The cipher is that of the `dryoc` crate: `docs/decisions/0029-curve.md` explains the choice.

mod client;
mod command;
mod key_file;
mod keys;
mod nonce;
mod peer;
mod secret_box;
mod server;
mod traffic;
mod violation;
mod z85;

#[cfg(test)]
mod tests;

pub use client::CurveClient;
pub use key_file::{KeyFileError, public_key_from_file, secret_key_from_file, server_keys_from_file};
pub use keys::{Entropy, PublicKey, SecretKey};
pub use peer::CurvePeer;
pub use server::CurveServer;
pub use violation::CurveViolation;
pub use z85::KeyError;

pub(super) use client::{ClientHandshake, ClientStep};
pub(super) use server::{ServerHandshake, ServerStep};
pub(super) use traffic::{Established, Opener, SEAL_BYTES, Sealer};
