//! Workers that were registered and that the broker does not know now.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use callboard::core::broker::Load;

/// How long a worker may be unknown to the broker while its pool is not, at least.
const ABSENT_MAX: Duration = Duration::from_secs(4);
/// The same in heartbeats of its own: one that lives pauses for one at most between two attempts to connect, an attempt may have to
/// be repeated, and so it is back within three. One that is not is stopped, or hangs with its link thread.
const HEARTBEATS_ABSENT_MAX: u32 = 3;

/// Who is absent, and since when.
#[derive(Debug, Default)]
pub(super) struct Absence {
    /// What each worker said when it was last there: a broker that was started anew has not heard it yet.
    heartbeats: BTreeMap<String, Duration>,
    since: BTreeMap<String, Instant>,
}

impl Absence {
    /// The broker was not to be asked: of before that nobody can say who was there.
    pub(super) fn forget(&mut self) {
        self.since.clear();
    }

    /// Of the workers that were `registered`, those that the broker has missed for too long.
    pub(super) fn look(&mut self, now: Instant, registered: &[&str], load: &Load) -> Vec<String> {
        self.heartbeats.retain(|instance, _| registered.contains(&instance.as_str()));
        for worker in &load.workers {
            self.heartbeats.insert(worker.name.clone(), Duration::from_millis(worker.heartbeat_ms));
        }
        let here = |instance: &str| load.workers.iter().any(|worker| worker.name == instance);
        self.since.retain(|instance, _| registered.contains(&instance.as_str()) && !here(instance));
        let gone = registered.iter().filter(|instance| !here(instance));
        gone.filter(|instance| {
            let since = *self.since.entry((**instance).to_owned()).or_insert(now);
            let heartbeat = self.heartbeats.get(**instance).copied().unwrap_or_default();
            now - since >= ABSENT_MAX.max(heartbeat * HEARTBEATS_ABSENT_MAX)
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

    /// Whether a worker is missed after `millis` of absence.
    fn missed(heartbeat_ms: u64, millis: u64) -> bool {
        let (mut absence, began) = (Absence::default(), Instant::now());
        assert!(absence.look(began, &["jobs-1"], &load(heartbeat_ms)).is_empty());
        assert!(absence.look(began, &["jobs-1"], &Load::default()).is_empty());
        let after = began + Duration::from_millis(millis);
        !absence.look(after, &["jobs-1"], &Load::default()).is_empty()
    }

    #[test]
    fn a_worker_is_missed_after_four_seconds_or_three_of_its_heartbeats() {
        assert!(!missed(1_000, 3_999) && missed(1_000, 4_000));
        assert!(!missed(MINUTE_MS, 3 * MINUTE_MS - 1) && missed(MINUTE_MS, 3 * MINUTE_MS));
    }

    #[test]
    fn who_comes_back_or_cannot_be_asked_for_begins_anew() {
        let (mut absence, began) = (Absence::default(), Instant::now());
        let late = began + Duration::from_secs(10);
        absence.look(began, &["jobs-1"], &Load::default());
        absence.look(began, &["jobs-1"], &load(1_000));
        assert!(absence.look(late, &["jobs-1"], &Load::default()).is_empty());
        absence.forget();
        assert!(absence.look(late + Duration::from_secs(10), &["jobs-1"], &Load::default()).is_empty());
    }
}
