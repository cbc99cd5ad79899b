//! The targets of the log lines of workers and pools, for filters.

/// The target of the lines of a worker.
pub(crate) const WORKER: &str = "callboard::worker";
/// The target of the lines of a pool.
pub(crate) const POOL: &str = "callboard::pool";
