//! Proving that both sides know a shared key, without saying it: the mechanism `hmac-sha-256` of the handshake.
//!
//! | file | what it holds |
//! |---|---|
//! | `key` | one key, and how it is written |
//! | `keys` | the keys of one side, and their file |
//! | `roles` | what a key lets its owner be |
//! | `proof` | nonces, and what is proved with them |
//! | `principal` | who a peer has proved to be |
//!
//! Nonces are chance, so they come in as arguments. Nothing here is encrypted: a proof says who is at the other end when a
//! connection is made, and no more.

mod key;
mod keys;
mod principal;
mod proof;
mod roles;
#[cfg(test)]
mod tests;

pub use self::{
    key::{AuthKey, AuthKeyError},
    keys::{AuthKeys, AuthKeysError},
    principal::Principal,
    proof::{MECHANISM, Nonce, Proof, Prover, Transcript},
    roles::Roles,
};
