//! The counters of the calls that have no method's own counters.

use super::call_metrics::CallMetrics;
use crate::wire::limits::METRICS_METHODS_MAX;

/// The counters of the calls that have no method's own counters, and the number of methods that have some.
#[derive(Debug, Default)]
pub(crate) struct SharedMetrics {
    /// Methods with counters of their own.
    pub(crate) methods: usize,
    /// The calls of methods beyond the limit.
    pub(crate) other: CallMetrics,
    /// The calls of methods that no worker has offered. Callers choose these names, so they get no counters of their own.
    pub(crate) unknown: CallMetrics,
}

impl SharedMetrics {
    /// Returns whether one more method may have counters of its own.
    pub(crate) fn has_room(&self) -> bool {
        self.methods < METRICS_METHODS_MAX
    }
}
