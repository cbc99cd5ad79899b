//! The missing-worker detector: finds workers that were registered and are not connected to the broker any more.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use callboard::core::broker::Load;

/// The minimum time without a connection to the broker after which a worker counts as missing.
const MISSING_MAX: Duration = Duration::from_secs(4);
/// The same in heartbeat intervals of the worker. A worker that runs pauses for at most one interval between two attempts to
/// connect, and may have to repeat an attempt, so it reconnects within three. One that does not is stopped, or its I/O thread hangs.
const HEARTBEATS_MISSING_MAX: u32 = 3;

/// The workers that are missing, and since when.
#[derive(Debug, Default)]
pub(super) struct MissingWorkerDetector {
    /// The last reported heartbeat interval of each worker: a restarted broker may not report it yet.
    heartbeats: BTreeMap<String, Duration>,
    since: BTreeMap<String, Instant>,
}

impl MissingWorkerDetector {
    /// Clears the missing workers, because the broker could not be queried.
    pub(super) fn reset(&mut self) {
        self.since.clear();
    }

    /// Returns the `registered` workers that have been missing at the broker for too long.
    pub(super) fn check(&mut self, now: Instant, registered: &[&str], load: &Load) -> Vec<String> {
        self.heartbeats.retain(|instance, _| registered.contains(&instance.as_str()));
        for worker in &load.workers {
            self.heartbeats.insert(worker.name.clone(), Duration::from_millis(worker.heartbeat_ms));
        }
        let present = |instance: &str| load.workers.iter().any(|worker| worker.name == instance);
        self.since.retain(|instance, _| registered.contains(&instance.as_str()) && !present(instance));
        let missing = registered.iter().filter(|instance| !present(instance));
        missing
            .filter(|instance| {
                let since = *self.since.entry((**instance).to_owned()).or_insert(now);
                let heartbeat = self.heartbeats.get(**instance).copied().unwrap_or_default();
                now - since >= MISSING_MAX.max(heartbeat * HEARTBEATS_MISSING_MAX)
            })
            .map(|instance| (*instance).to_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use callboard::core::broker::WorkerLoad;

    use super::*;

    const MINUTE_MS: u64 = 60_000;

    fn load(heartbeat_ms: u64) -> Load {
        let name = "jobs-1".to_owned();
        let (draining, stuck, running, answered, failed) = (false, false, 0, 0, 0);
        let worker = WorkerLoad { name, draining, stuck, running, answered, failed, heartbeat_ms };
        Load { workers: vec![worker], offers: Vec::new() }
    }

    /// Returns whether a worker counts as missing after `millis`.
    fn is_missing(heartbeat_ms: u64, millis: u64) -> bool {
        let (mut detector, start) = (MissingWorkerDetector::default(), Instant::now());
        assert!(detector.check(start, &["jobs-1"], &load(heartbeat_ms)).is_empty());
        assert!(detector.check(start, &["jobs-1"], &Load::default()).is_empty());
        let after = start + Duration::from_millis(millis);
        !detector.check(after, &["jobs-1"], &Load::default()).is_empty()
    }

    #[test]
    fn a_worker_is_missing_after_four_seconds_or_three_of_its_heartbeats() {
        assert!(!is_missing(1_000, 3_999) && is_missing(1_000, 4_000));
        assert!(!is_missing(MINUTE_MS, 3 * MINUTE_MS - 1) && is_missing(MINUTE_MS, 3 * MINUTE_MS));
    }

    #[test]
    fn a_reconnect_or_a_failed_query_starts_the_wait_again() {
        let (mut detector, start) = (MissingWorkerDetector::default(), Instant::now());
        let late = start + Duration::from_secs(10);
        detector.check(start, &["jobs-1"], &Load::default());
        detector.check(start, &["jobs-1"], &load(1_000));
        assert!(detector.check(late, &["jobs-1"], &Load::default()).is_empty());
        detector.reset();
        assert!(detector.check(late + Duration::from_secs(10), &["jobs-1"], &Load::default()).is_empty());
    }
}
