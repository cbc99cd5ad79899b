//! The contract of two applications that call each other: one trait for each.

use callboard::Schema;
use serde::{Deserialize, Serialize};

/// The umpire's reply to a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub(crate) enum Hint {
    Higher,
    Lower,
    Right,
}

/// The umpire: it has chosen a number.
#[callboard::service]
pub(crate) trait Umpire {
    /// Returns the largest possible number. The smallest is 1.
    #[rpc(read)]
    fn most(&self) -> u32;

    /// Compares a guess with the number.
    #[rpc(once)]
    fn guess(&self, number: u32) -> Hint;
}

/// The player: it searches for the number.
#[callboard::service]
pub(crate) trait Player {
    /// Reports that this was the number. Returns how many guesses were made.
    #[rpc(once)]
    fn found(&self, number: u32) -> u32;
}
