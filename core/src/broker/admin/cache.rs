//! Cached results of the broker's own service.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{time::Time, wire::limits::ADMIN_RESULT_AGE_MAX};

/// Results that are expensive to compute, each with its time. A recent one is returned again, so that frequent queries
/// are cheap.
#[derive(Debug, Default)]
pub(crate) struct AdminCache {
    results: BTreeMap<&'static str, (Time, Bytes)>,
}

impl AdminCache {
    /// Returns the cached result of that name, if it is recent enough.
    pub(super) fn get(&self, now: Time, name: &str) -> Option<Bytes> {
        let (at, result) = self.results.get(name)?;
        (now.since(*at) < ADMIN_RESULT_AGE_MAX).then(|| result.clone())
    }

    pub(super) fn insert(&mut self, now: Time, name: &'static str, result: Bytes) {
        self.results.insert(name, (now, result));
    }

    /// Drops all results, because workers or services have changed.
    pub(crate) fn clear(&mut self) {
        self.results.clear();
    }
}
