//! Authentication with a shared key: the mechanism `hmac-sha-256` of the handshake. The key itself is never sent.
//!
//! | file | what it holds |
//! |---|---|
//! | `key` | a key, and its text form |
//! | `keys` | the keys of one side, and their file |
//! | `roles` | the roles that a key allows |
//! | `error` | why a key or a file of keys is not accepted |
//! | `proof` | the nonces and proofs that a handshake sends |
//! | `transcript` | what a proof is computed over |
//! | `principal` | the identity of an authenticated peer |
//!
//! Nonces are random, so they come in as arguments. Nothing here is encrypted: a proof identifies the other end when a
//! connection is made. It does not protect what follows.

mod error;
mod key;
mod keys;
mod principal;
mod proof;
mod roles;
#[cfg(test)]
mod tests;
mod transcript;

pub use self::{
    error::{AuthKeyError, AuthKeysError},
    key::AuthKey,
    keys::AuthKeys,
    principal::Principal,
    proof::{Nonce, Proof},
    roles::Roles,
    transcript::{MECHANISM, Prover, Transcript},
};
