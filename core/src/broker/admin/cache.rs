//! Cached results of the broker's own service.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{time::Time, wire::limits::ADMIN_RESULT_AGE_MAX};

/// Results that are expensive to compute, each with its time. A young one is returned again, so that a client which asks often costs
/// little.
#[derive(Debug, Default)]
pub(crate) struct AdminCache {
    results: BTreeMap<&'static str, (Time, Bytes)>,
}

impl AdminCache {
    /// Returns the cached result of that name, if it is young enough.
    pub(super) fn get(&self, now: Time, name: &str) -> Option<Bytes> {
        let (at, result) = self.results.get(name)?;
        (now.since(*at) < ADMIN_RESULT_AGE_MAX).then(|| result.clone())
    }

    pub(super) fn insert(&mut self, now: Time, name: &'static str, result: Bytes) {
        self.results.insert(name, (now, result));
    }

    /// Forgets all results: workers or services have changed.
    pub(crate) fn clear(&mut self) {
        self.results.clear();
    }
}
