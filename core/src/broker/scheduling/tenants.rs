//! Tenants: the units of fairness. All sessions of one named key are one tenant, and without a named key all sessions of one
//! address. A tenant has one turn in a queue and one share of the backlog, however many sessions it has.

use std::{collections::BTreeMap, fmt};

use bytestring::ByteString;

use super::super::keys::TenantKey;
use crate::wire::limits::TENANT_SHARE;

/// The name of a tenant: the property that its sessions share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TenantName {
    /// The id of the key that they proved.
    Key(String),
    /// The address from which they connect.
    Origin(ByteString),
}

/// The tenants that have clients or waiting calls.
#[derive(Debug, Default)]
pub(crate) struct Tenants {
    keys: BTreeMap<TenantName, TenantKey>,
    known: BTreeMap<TenantKey, Tenant>,
    next: u64,
    backlog: Backlog,
}

#[derive(Debug, Default)]
struct Tenant {
    /// `None` if its last client had left before one of its calls was queued again.
    name: Option<TenantName>,
    clients: usize,
    backlog: Backlog,
}

/// Waiting calls, in all queues, and the bytes of their bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    pub(crate) calls: usize,
    pub(crate) bytes: usize,
}

/// Why a call may not wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BacklogFull {
    /// The backlog of all tenants is full.
    Broker(Backlog),
    /// The backlog of the call's tenant is full.
    Tenant(Backlog, Option<TenantName>),
}

impl Tenants {
    /// Adds a client to the tenant of that name.
    pub(crate) fn join(&mut self, name: TenantName) -> TenantKey {
        let next = &mut self.next;
        let key = *self.keys.entry(name.clone()).or_insert_with(|| {
            *next += 1;
            TenantKey(*next)
        });
        self.known.entry(key).or_insert_with(|| Tenant { name: Some(name), ..Tenant::default() }).clients += 1;
        key
    }

    /// Removes a client from its tenant.
    pub(crate) fn leave(&mut self, key: TenantKey) {
        self.known.get_mut(&key).expect("a tenant is known while it has clients").clients -= 1;
        self.remove_if_idle(key);
    }

    /// Checks whether a call with a body of so many bytes may wait. `max` limits the backlog of all tenants.
    pub(crate) fn check_room(&self, key: TenantKey, bytes: usize, max: Backlog) -> Result<(), BacklogFull> {
        if !self.backlog.has_room(bytes, max) {
            return Err(BacklogFull::Broker(self.backlog));
        }
        let Some(tenant) = self.known.get(&key) else { return Ok(()) };
        let share = Backlog { calls: max.calls.div_ceil(TENANT_SHARE), bytes: max.bytes.div_ceil(TENANT_SHARE) };
        match tenant.backlog.has_room(bytes, share) {
            true => Ok(()),
            false => Err(BacklogFull::Tenant(tenant.backlog, tenant.name.clone())),
        }
    }

    /// Returns the waiting calls of all tenants.
    pub(crate) fn backlog(&self) -> Backlog {
        self.backlog
    }

    /// Adds a call to the tenant's backlog.
    pub(crate) fn add_waiting(&mut self, key: TenantKey, bytes: usize) {
        self.backlog.add(bytes);
        self.known.entry(key).or_default().backlog.add(bytes);
    }

    /// Removes a call from the tenant's backlog.
    pub(crate) fn remove_waiting(&mut self, key: TenantKey, bytes: usize) {
        self.backlog.subtract(bytes);
        self.known.get_mut(&key).expect("a tenant is known while its calls wait").backlog.subtract(bytes);
        self.remove_if_idle(key);
    }

    fn remove_if_idle(&mut self, key: TenantKey) {
        if self.known.get(&key).is_some_and(|tenant| tenant.clients == 0 && tenant.backlog.calls == 0)
            && let Some(Tenant { name: Some(name), .. }) = self.known.remove(&key)
        {
            self.keys.remove(&name);
        }
    }

    /// Asserts that clients and backlogs are counted. `clients` yields the tenant of each client, `waiting` the tenant and the
    /// bytes of each waiting call.
    pub(crate) fn assert_invariants(
        &self,
        clients: impl Iterator<Item = TenantKey>,
        waiting: impl Iterator<Item = (TenantKey, usize)>,
    ) {
        let mut counted = BTreeMap::<TenantKey, (usize, Backlog)>::new();
        clients.for_each(|key| counted.entry(key).or_default().0 += 1);
        let mut all = Backlog::default();
        for (key, bytes) in waiting {
            counted.entry(key).or_default().1.add(bytes);
            all.add(bytes);
        }
        assert_eq!(self.backlog, all, "the backlog is counted");
        let known = self.known.iter().map(|(&key, tenant)| (key, (tenant.clients, tenant.backlog)));
        assert_eq!(known.collect::<BTreeMap<_, _>>(), counted, "tenants are counted, and idle ones are forgotten");
        let named = self.known.iter().filter_map(|(&key, tenant)| Some((tenant.name.clone()?, key)));
        assert_eq!(named.collect::<BTreeMap<_, _>>(), self.keys, "a tenant is found by its name");
    }
}

impl Backlog {
    fn has_room(self, bytes: usize, max: Backlog) -> bool {
        self.calls < max.calls && self.bytes.saturating_add(bytes) <= max.bytes
    }

    fn add(&mut self, bytes: usize) {
        self.calls += 1;
        self.bytes += bytes;
    }

    fn subtract(&mut self, bytes: usize) {
        self.calls -= 1;
        self.bytes -= bytes;
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TenantName::Key(id) => write!(f, "key {id}"),
            TenantName::Origin(origin) => f.write_str(origin),
        }
    }
}

impl fmt::Display for BacklogFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whose, Backlog { calls, bytes }) = match self {
            BacklogFull::Broker(backlog) => ("at this broker".to_owned(), backlog),
            BacklogFull::Tenant(backlog, Some(name)) => (format!("of {name} at this broker"), backlog),
            BacklogFull::Tenant(backlog, None) => ("of its sender".to_owned(), backlog),
        };
        write!(f, "{calls} calls with {bytes} bytes wait {whose}, the maximum")
    }
}
