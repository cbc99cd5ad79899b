//! What a change does to callers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a change does to callers of the old contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They can go on.
    Safe,
    /// The descriptions do not tell.
    Unknown,
    /// Some of their calls fail, or what comes back is not what they expect.
    Breaks,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Safe => "safe",
            Verdict::Unknown => "unknown",
            Verdict::Breaks => "breaks",
        })
    }
}
