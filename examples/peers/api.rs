//! What two applications want of each other: a trait each.

use callboard::Schema;
use serde::{Deserialize, Serialize};

/// What an umpire says of a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub(crate) enum Hint {
    Higher,
    Lower,
    Right,
}

/// Has a number in mind.
#[callboard::service]
pub(crate) trait Umpire {
    /// The number is at least 1, and at most this.
    #[rpc(read)]
    fn most(&self) -> u32;

    /// What is to be said of a guess.
    #[rpc(once)]
    fn guess(&self, number: u32) -> Hint;
}

/// Tries to find it.
#[callboard::service]
pub(crate) trait Player {
    /// This was the number. Answers how many guesses were made.
    #[rpc(once)]
    fn found(&self, number: u32) -> u32;
}
