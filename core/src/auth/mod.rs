//! Authentication with a shared key: the mechanism `hmac-sha-256` of the handshake. The key itself is never sent.
//!
//! | file | what it holds |
//! |---|---|
//! | `key` | a key, and its text form |
//! | `keys` | the keys of one side, and their file |
//! | `roles` | the roles that a key allows |
//! | `peers` | the peers that a broker knows, and their rights |
//! | `error` | why a key or a file of keys is not accepted |
//! | `proof` | the nonces and proofs that a handshake sends |
//! | `transcript` | the messages that a proof covers |
//! | `welcome` | the broker's proof in its welcome |
//! | `channel` | the encrypted channel of a connection, which a proof covers, too |
//! | `principal` | the identity of an authenticated peer |
//!
//! Nonces are random, so they come in as arguments. Nothing here is encrypted: a proof identifies the other end when a
//! connection is made. It does not protect what follows.

mod channel;
mod error;
mod key;
mod keys;
mod peers;
mod principal;
mod proof;
mod roles;
#[cfg(test)]
mod tests;
mod transcript;
mod welcome;

pub use self::{
    channel::{Channel, ChannelBinding},
    error::{AuthKeyError, AuthKeysError},
    key::AuthKey,
    keys::AuthKeys,
    peers::{Pattern, PeerDirectory, PeerEntry, PeerError, Rights, RuleError},
    principal::Principal,
    proof::{Nonce, Proof},
    roles::Roles,
    transcript::{HelloTranscript, MECHANISM, Prover, Transcript},
};
