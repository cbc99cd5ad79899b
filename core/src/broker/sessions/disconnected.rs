//! Sessions of clients that lost their connection and may return.
//!
//! Their number is bounded: a session costs its client nothing, and each may announce a return within twenty minutes.
//! Sessions without open calls and cached outcomes are evicted first. Little is lost with such a session: if its client
//! returns, a `once` call that never reached the broker cannot be distinguished from one whose outcome was evicted, and
//! ends `maybe` instead of running.

use std::collections::{BTreeMap, BTreeSet};

use super::super::keys::{ClientKey, TenantKey};
use crate::{time::Time, wire::limits::TENANT_SHARE};

/// The disconnected sessions, of each tenant in the order of eviction.
#[derive(Debug, Default)]
pub(crate) struct DisconnectedSessions {
    all: BTreeSet<EvictionRank>,
    by_tenant: BTreeMap<TenantKey, BTreeSet<EvictionRank>>,
}

/// The place of a session in the order of eviction: sessions without calls and outcomes first, then the others; each
/// group by the time of the disconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EvictionRank {
    pub(super) has_state: bool,
    pub(super) since: Time,
    pub(super) client: ClientKey,
}

impl DisconnectedSessions {
    /// Adds a session. Returns the session to evict if there are more than `max` in all, or a tenant has more than its share of that.
    pub(crate) fn add(&mut self, tenant: TenantKey, rank: EvictionRank, max: usize) -> Option<ClientKey> {
        self.all.insert(rank);
        let ranks = self.by_tenant.entry(tenant).or_default();
        ranks.insert(rank);
        let of_tenant = ranks.first().filter(|_| ranks.len() > max.div_ceil(TENANT_SHARE));
        let of_all = self.all.first().filter(|_| self.all.len() > max);
        of_tenant.or(of_all).map(|rank| rank.client)
    }

    /// Removes a session that is connected again, or has ended.
    pub(crate) fn remove(&mut self, tenant: TenantKey, rank: EvictionRank) {
        self.all.remove(&rank);
        let Some(ranks) = self.by_tenant.get_mut(&tenant) else { return };
        ranks.remove(&rank);
        if ranks.is_empty() {
            self.by_tenant.remove(&tenant);
        }
    }

    /// Asserts that it has exactly the disconnected `sessions`, and not too many.
    pub(crate) fn assert_invariants(&self, sessions: impl Iterator<Item = (TenantKey, EvictionRank)>, max: usize) {
        let mut by_tenant = BTreeMap::<TenantKey, BTreeSet<EvictionRank>>::new();
        for (tenant, rank) in sessions {
            assert!(self.all.contains(&rank), "a disconnected session is listed");
            by_tenant.entry(tenant).or_default().insert(rank);
        }
        assert_eq!(self.by_tenant, by_tenant, "a disconnected session is listed for its tenant");
        assert_eq!(self.all.len(), by_tenant.values().map(BTreeSet::len).sum::<usize>(), "all listed sessions exist");
        assert!(self.all.len() <= max, "disconnected sessions are bounded");
        assert!(
            by_tenant.values().all(|ranks| ranks.len() <= max.div_ceil(TENANT_SHARE)),
            "and so are those of a tenant"
        );
    }
}
