//! How many processes a pool needs, from how busy it is: pure, as all decisions are.
//!
//! It grows at once when calls wait too long or slots run short, to what the load needs at [`UTILISATION_GOAL`], and shrinks by one
//! at a time, only when it has been too large for all of [`SHRINK_AFTER`]: growing late costs calls, shrinking late costs memory.

use std::time::Duration;

use callboard_core::time::Time;

use super::ask::Bounds;

/// Calls, running and waiting, for each slot, above which the pool grows, in hundredths.
pub const UTILISATION_HIGH: u64 = 80;
/// Below which it shrinks. Far enough below the goal that one process fewer does not make it grow again.
pub const UTILISATION_LOW: u64 = 40;
/// What a new size is chosen for.
pub const UTILISATION_GOAL: u64 = 60;
/// A call that has waited this long makes the pool grow, whatever the slots say.
pub const WAIT_HIGH: Duration = Duration::from_millis(500);
/// How long a pool must have been too large before it shrinks.
pub const SHRINK_AFTER: Duration = Duration::from_secs(30);
/// The least time between two changes upwards: new processes need a moment before they take their share.
pub const GROW_PAUSE: Duration = Duration::from_secs(3);

/// How busy a pool is: of its services the busiest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Calls that run and that wait.
    pub calls: u64,
    /// Calls that its processes can run at once.
    pub slots: u64,
    /// How long the oldest call waits.
    pub oldest_wait: Duration,
}

/// Decides the size of a pool, look by look.
#[derive(Clone, Debug)]
pub struct Autoscale {
    bounds: Bounds,
    grown: Option<Time>,
    /// Since when it is too large.
    idle_since: Option<Time>,
}

impl Autoscale {
    /// A pool within these bounds.
    pub fn new(bounds: Bounds) -> Autoscale {
        Autoscale { bounds, grown: None, idle_since: None }
    }

    /// The size that a pool of `size` processes should have, if another. `size` counts those whose slots are in `demand`.
    pub fn decide(&mut self, now: Time, size: u32, demand: Demand) -> Option<u32> {
        let used = demand.calls.saturating_mul(100);
        if used > demand.slots.saturating_mul(UTILISATION_HIGH) || demand.oldest_wait >= WAIT_HIGH {
            self.idle_since = None;
            return self.grow(now, size, demand);
        }
        // What one process fewer could do; a pool must not shrink into its own growth.
        let fewer = demand.slots - demand.slots / u64::from(size.max(1));
        let idle =
            used < demand.slots.saturating_mul(UTILISATION_LOW) && used <= fewer.saturating_mul(UTILISATION_GOAL);
        if !idle || size <= self.bounds.min {
            self.idle_since = None;
            return None;
        }
        let since = *self.idle_since.get_or_insert(now);
        if now.since(since) < SHRINK_AFTER {
            return None;
        }
        self.idle_since = Some(now);
        Some(size - 1)
    }

    fn grow(&mut self, now: Time, size: u32, demand: Demand) -> Option<u32> {
        if self.grown.is_some_and(|at| now.since(at) < GROW_PAUSE) {
            return None;
        }
        let each = (demand.slots / u64::from(size.max(1))).max(1);
        let needed = demand.calls.saturating_mul(100).div_ceil(each * UTILISATION_GOAL);
        // Twice as many at most, for a moment's crowd is no load; one more at least, for something waits.
        let wanted = needed.clamp(u64::from(size) + 1, u64::from(size.max(1)) * 2);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX).min(self.bounds.max);
        (wanted > size).then(|| {
            self.grown = Some(now);
            wanted
        })
    }
}

#[cfg(test)]
mod tests;
