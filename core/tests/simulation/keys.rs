//! Affinity keys: what is dispatched, seen from outside. Of two calls of one key that run at once the broker must have lost sight of
//! one, and that one has the lower fence.

use std::collections::{BTreeMap, BTreeSet};

use callboard_core::wire::{
    envelope::Dispatch,
    ids::{DispatchNumber, StartId},
};

/// A call with a key that was dispatched, and whose handler, if it began, has not ended.
#[derive(Debug)]
struct Sent {
    /// Service and key.
    key: (String, String),
    /// The worker that it was sent to.
    worker: String,
    fence: u64,
    /// It has reached its worker's handler.
    runs: bool,
    /// The broker knows of it: from its dispatch until its worker is lost, and again when that registers with it.
    seen: bool,
}

/// All that is dispatched with keys.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    sent: BTreeMap<(StartId, DispatchNumber), Sent>,
    /// The last call of each client that was dispatched, for each key, in this start of the broker.
    order: BTreeMap<(String, String, u32), u64>,
    /// Clients by their names, as their calls are called.
    callers: BTreeMap<String, u32>,
    /// Those that this start of the broker has forgotten: what they send again is new to it, and their casts are left behind.
    forgotten: BTreeSet<u32>,
    /// The broker may forget an outcome that is asked for again: then the call is new to it.
    forgetful: bool,
    /// The highest fence of each key.
    fences: BTreeMap<(String, String), u64>,
    /// Calls with keys that were dispatched.
    pub(crate) dispatched: u64,
}

impl Keys {
    pub(crate) fn of(forgetful: bool) -> Keys {
        Keys { forgetful, ..Keys::default() }
    }

    /// The broker sends a call to a worker.
    pub(crate) fn dispatch(&mut self, start: StartId, worker: &str, dispatch: &Dispatch) {
        let Some(affinity) = &dispatch.affinity else { return };
        let key = (dispatch.method.service().to_owned(), affinity.key.to_string());
        let fence = affinity.fence;
        for (at, other) in self.sent.iter().filter(|(_, other)| other.key == key) {
            assert!(!other.seen, "two calls of key {key:?} at once: {at:?} at {}, and one at {worker}", other.worker);
            assert!(fence > other.fence, "a call of key {key:?} is out of sight, and the next has no higher fence");
        }
        let highest = self.fences.entry(key.clone()).or_default();
        assert!(fence >= *highest, "the fence of key {key:?} falls");
        *highest = fence;
        let number = dispatch.call.number.0;
        let last = self.order.entry((key.0.clone(), key.1.clone(), dispatch.call.caller)).or_default();
        let is_new = self.forgetful || self.forgotten.contains(&dispatch.call.caller);
        let in_order = number >= *last || is_new;
        assert!(in_order, "call {} of key {key:?} runs after call {last}", dispatch.call);
        *last = number;
        self.dispatched += 1;
        self.sent
            .insert((start, dispatch.number), Sent { key, worker: worker.to_owned(), fence, runs: false, seen: true });
    }

    /// A handler takes the call.
    pub(crate) fn runs(&mut self, start: StartId, number: DispatchNumber) {
        if let Some(sent) = self.sent.get_mut(&(start, number)) {
            sent.runs = true;
        }
    }

    /// A handler has ended, or the worker gives the call back or answers it without one.
    pub(crate) fn over(&mut self, start: StartId, number: DispatchNumber) {
        self.sent.remove(&(start, number));
    }

    /// The broker has lost a worker.
    pub(crate) fn lost(&mut self, worker: &str) {
        self.sent.values_mut().filter(|sent| sent.worker == worker).for_each(|sent| sent.seen = false);
    }

    /// A worker has registered, with what it runs.
    pub(crate) fn joined(&mut self, worker: &str) {
        self.sent.values_mut().filter(|sent| sent.worker == worker && sent.runs).for_each(|sent| sent.seen = true);
    }

    /// A worker is dead, and what it ran with it.
    pub(crate) fn died(&mut self, worker: &str) {
        self.sent.retain(|_, sent| sent.worker != worker);
    }

    /// A new broker knows nothing.
    pub(crate) fn broker_starts(&mut self) {
        self.sent.values_mut().for_each(|sent| sent.seen = false);
        self.order.clear();
        self.forgotten.clear();
    }

    /// There is a client of that name.
    pub(crate) fn client(&mut self, name: &str, caller: u32) {
        self.callers.insert(name.to_owned(), caller);
    }

    /// The broker has forgotten a client.
    pub(crate) fn client_gone(&mut self, name: &str) {
        self.forgotten.extend(self.callers.get(name));
    }
}
