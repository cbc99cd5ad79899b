//! The state of an admin endpoint: its latest snapshot.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use super::{snapshot::Snapshot, source::Source};

/// The age up to which a snapshot is used again. So a broker collects its state ten times a second at most, however many requests arrive.
const AGE_MAX: Duration = Duration::from_millis(100);

/// The latest snapshot, and where the next one comes from.
pub(super) struct AdminState {
    source: Source,
    latest: Mutex<Option<(Instant, Arc<Snapshot>)>>,
}

impl AdminState {
    pub(super) fn new(source: Source) -> AdminState {
        AdminState { source, latest: Mutex::new(None) }
    }

    /// Returns a recent snapshot.
    ///
    /// # Cancel safety
    /// Cancel safe: the next caller collects a snapshot.
    pub(super) async fn snapshot(&self) -> Arc<Snapshot> {
        // Held while a snapshot is collected, so that concurrent requests share one. The source answers within a bound.
        let mut latest = self.latest.lock().await;
        if let Some((at, snapshot)) = &*latest
            && at.elapsed() < AGE_MAX
        {
            return Arc::clone(snapshot);
        }
        let snapshot = Arc::new(self.source.snapshot().await);
        *latest = Some((Instant::now(), Arc::clone(&snapshot)));
        snapshot
    }
}
