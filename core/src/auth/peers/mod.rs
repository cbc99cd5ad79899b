//! The peers that a broker knows, and their rights.
//!
//! | file | what it holds |
//! |---|---|
//! | `directory` | all peers of a broker |
//! | `entry` | one peer: its name, its credentials, its roles and rights |
//! | `rights` | what one peer may call, serve and operate |
//! | `pattern` | patterns of the names that a rule allows |
//! | `error` | why a peer or a rule is not accepted |

mod directory;
mod entry;
mod error;
mod pattern;
mod rights;
#[cfg(test)]
mod tests;

pub use self::{
    directory::PeerDirectory,
    entry::PeerEntry,
    error::{PeerError, RuleError},
    pattern::Pattern,
    rights::Rights,
};
