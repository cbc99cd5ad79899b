//! The target of the log lines of a broker, for filters.

/// The target of all lines.
pub(crate) const TARGET: &str = "callboard::broker";
