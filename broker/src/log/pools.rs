//! The changes of the workers of a pool, in one line.
//!
//! A reload replaces each worker of a pool: three lines for each worker would hide the rest of the log.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use callboard_core::broker::Diagnostic;
use tracing::info;

use super::target::TARGET;

/// A line is written after so much time without a change.
const QUIET: Duration = Duration::from_secs(1);
/// A line is written so long after the first change, even if there are more.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Pools with changes that are not written. Peers choose the names of pools.
const POOLS_MAX: usize = 64;

/// The changes of the workers of all pools since the last line about each.
#[derive(Debug, Default)]
pub(super) struct PoolChanges(BTreeMap<String, Changes>);

/// The changes of the workers of one pool.
#[derive(Debug)]
pub(super) struct Changes {
    joined: usize,
    draining: usize,
    left: usize,
    /// Of the worker that joined last.
    services: String,
    /// The key of that worker, if it has one.
    key: Option<String>,
    first: Instant,
    last: Instant,
}

impl PoolChanges {
    /// Records a diagnostic about a worker of a pool. Others are ignored.
    pub(super) fn record(&mut self, diagnostic: &Diagnostic, now: Instant) {
        match diagnostic {
            Diagnostic::WorkerRegistered { pool: Some(pool), services, key, .. } => self.change(pool, now, |changes| {
                changes.joined += 1;
                (changes.services, changes.key) = (services.join(" "), key.clone());
            }),
            Diagnostic::WorkerDraining { pool: Some(pool), .. } => {
                self.change(pool, now, |changes| changes.draining += 1);
            }
            Diagnostic::WorkerDeregistered { pool: Some(pool), .. } => {
                self.change(pool, now, |changes| changes.left += 1);
            }
            _ => {}
        }
    }

    fn change(&mut self, pool: &str, now: Instant, change: impl FnOnce(&mut Changes)) {
        if let Some(changes) = self.0.get_mut(pool) {
            changes.last = now;
            return change(changes);
        }
        // Beyond the limit, the changes are only in the counters and in the lines at debug level.
        if self.0.len() < POOLS_MAX {
            let mut changes = Changes::new(now);
            change(&mut changes);
            self.0.insert(pool.to_owned(), changes);
        }
    }

    /// Returns when the next line is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.0.values().map(Changes::due).min()
    }

    /// Removes the changes that are due, and passes each to `write`.
    pub(super) fn take_due(&mut self, now: Instant, mut write: impl FnMut(&str, &Changes)) {
        self.0.retain(|pool, changes| {
            let is_due = changes.due() <= now;
            if is_due {
                write(pool, changes);
            }
            !is_due
        });
    }
}

impl Changes {
    fn new(now: Instant) -> Changes {
        Changes { joined: 0, draining: 0, left: 0, services: String::new(), key: None, first: now, last: now }
    }

    fn due(&self) -> Instant {
        (self.last + QUIET).min(self.first + LINE_INTERVAL)
    }
}

/// Writes the line about a pool.
pub(super) fn write(pool: &str, changes: &Changes, suppressed: Option<u64>) {
    let Changes { joined, draining, left, services, key, .. } = changes;
    info!(target: TARGET, pool, joined, draining, left, services, key, suppressed, "workers of a pool changed");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(pool: &str) -> Diagnostic {
        Diagnostic::WorkerDeregistered { name: "worker".into(), pool: Some(pool.to_owned()) }
    }

    fn taken(changes: &mut PoolChanges, now: Instant) -> Vec<(String, usize)> {
        let mut taken = Vec::new();
        changes.take_due(now, |pool, changes| taken.push((pool.to_owned(), changes.left)));
        taken
    }

    #[test]
    fn changes_of_a_pool_are_one_line_once_it_is_quiet() {
        let (mut changes, start) = (PoolChanges::default(), Instant::now());
        (0..8).for_each(|_| changes.record(&left("jobs"), start));
        changes.record(&left("mail"), start + Duration::from_millis(500));
        assert_eq!(changes.poll_timeout(), Some(start + QUIET));
        assert_eq!(taken(&mut changes, start + QUIET), [("jobs".to_owned(), 8)]);
        assert_eq!(taken(&mut changes, start + 2 * QUIET), [("mail".to_owned(), 1)]);
        assert_eq!(changes.poll_timeout(), None);
    }

    #[test]
    fn a_pool_that_is_never_quiet_has_a_line_in_each_interval() {
        let (mut changes, start) = (PoolChanges::default(), Instant::now());
        let mut lines = 0;
        for tick in 0..300 {
            let now = start + Duration::from_millis(100) * tick;
            changes.record(&left("jobs"), now);
            lines += taken(&mut changes, now).len();
        }
        assert_eq!(lines, 2);
    }

    #[test]
    fn the_number_of_pools_is_bounded() {
        let (mut changes, start) = (PoolChanges::default(), Instant::now());
        (0..10 * POOLS_MAX).for_each(|number| changes.record(&left(&format!("pool_{number}")), start));
        assert_eq!(taken(&mut changes, start + QUIET).len(), POOLS_MAX);
    }
}
