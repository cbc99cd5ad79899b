//! The effect of a change on callers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The effect of a change on callers of the old contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Callers are not affected.
    Safe,
    /// The descriptions do not determine it.
    Unknown,
    /// Some calls fail, or their results have another type than callers expect.
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
