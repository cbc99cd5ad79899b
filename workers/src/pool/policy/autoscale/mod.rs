//! Autoscaling: how many processes a pool needs for its load.
//!
//! The pool grows at once when calls wait too long or slots run short, to the size at which the load uses [`UTILISATION_TARGET`] of
//! the slots. It shrinks by one process at a time, and only after it has been too large for all of [`SCALE_DOWN_AFTER`]: growing
//! late delays calls, while shrinking late only costs memory.

use std::time::Duration;

use callboard_core::time::Time;

use crate::pool::replicas::Bounds;

/// The utilisation (running and waiting calls per slot, in percent) above which the pool grows.
pub const UTILISATION_HIGH: u64 = 80;
/// The utilisation, in percent, below which the pool shrinks. It is far enough below the target that one process less does not make
/// the pool grow again.
pub const UTILISATION_LOW: u64 = 40;
/// The utilisation, in percent, for which a new size is chosen.
pub const UTILISATION_TARGET: u64 = 60;
/// A call that has waited this long makes the pool grow at any utilisation.
pub const WAIT_HIGH: Duration = Duration::from_millis(500);
/// How long a pool must have been too large before it shrinks by one process.
pub const SCALE_DOWN_AFTER: Duration = Duration::from_secs(30);
/// The minimum time between two scale-ups: new processes need some time before they take calls.
pub const SCALE_UP_COOLDOWN: Duration = Duration::from_secs(3);

/// The load of a pool: that of its busiest service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolLoad {
    /// Running and waiting calls.
    pub calls: u64,
    /// The number of calls that the processes can run at once.
    pub slots: u64,
    /// How long the oldest waiting call has waited.
    pub oldest_wait: Duration,
}

/// Chooses the size of a pool from periodic measurements.
#[derive(Clone, Debug)]
pub struct Autoscaler {
    bounds: Bounds,
    last_scale_up: Option<Time>,
    /// Since when the pool has been too large.
    idle_since: Option<Time>,
}

impl Autoscaler {
    /// Creates an autoscaler that stays within these bounds.
    pub fn new(bounds: Bounds) -> Autoscaler {
        Autoscaler { bounds, last_scale_up: None, idle_since: None }
    }

    /// Returns the new size for a pool of `size` processes, or `None` if it needs no change. `size` counts the processes whose slots are
    /// in `load`.
    pub fn decide(&mut self, now: Time, size: u32, load: PoolLoad) -> Option<u32> {
        let used = load.calls.saturating_mul(100);
        if used > load.slots.saturating_mul(UTILISATION_HIGH) || load.oldest_wait >= WAIT_HIGH {
            self.idle_since = None;
            return self.scale_up(now, size, load);
        }
        // The slots with one process less: a pool must not shrink to a size from which it grows again.
        let slots_after = load.slots - load.slots / u64::from(size.max(1));
        let idle =
            used < load.slots.saturating_mul(UTILISATION_LOW) && used <= slots_after.saturating_mul(UTILISATION_TARGET);
        if !idle || size <= self.bounds.min {
            self.idle_since = None;
            return None;
        }
        let since = *self.idle_since.get_or_insert(now);
        if now.since(since) < SCALE_DOWN_AFTER {
            return None;
        }
        self.idle_since = Some(now);
        Some(size - 1)
    }

    fn scale_up(&mut self, now: Time, size: u32, load: PoolLoad) -> Option<u32> {
        if self.last_scale_up.is_some_and(|at| now.since(at) < SCALE_UP_COOLDOWN) {
            return None;
        }
        let slots_per_process = (load.slots / u64::from(size.max(1))).max(1);
        let needed = load.calls.saturating_mul(100).div_ceil(slots_per_process * UTILISATION_TARGET);
        // At most twice the size, because a short burst is not a lasting load; at least one more, because calls are waiting.
        let wanted = needed.clamp(u64::from(size) + 1, u64::from(size.max(1)) * 2);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX).min(self.bounds.max);
        (wanted > size).then(|| {
            self.last_scale_up = Some(now);
            wanted
        })
    }
}

#[cfg(test)]
mod tests;
