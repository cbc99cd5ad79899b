//! The target of the log lines of clients, for filters.

/// The target of all lines.
pub(crate) const TARGET: &str = "callboard::client";
