//! The checker of affinity keys. If two calls of one key run at once, the broker must have lost the worker of one, and that call
//! has the lower fencing token.

use std::collections::{BTreeMap, BTreeSet};

use callboard_core::wire::{
    envelope::Dispatch,
    ids::{DispatchNumber, StartId},
};

/// A dispatched call with a key whose handler has not ended.
#[derive(Debug)]
struct DispatchedCall {
    /// Service and key.
    key: (String, String),
    /// The worker that it was sent to.
    worker: String,
    fence: u64,
    /// Whether its handler has started.
    running: bool,
    /// Whether the broker has a record of it: from its dispatch until its worker is lost, and again when the worker
    /// registers with it.
    known_to_broker: bool,
}

/// All dispatched calls with keys.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    sent: BTreeMap<(StartId, DispatchNumber), DispatchedCall>,
    /// The last call of each client that was dispatched, for each key, in this start of the broker.
    order: BTreeMap<(String, String, u32), u64>,
    /// The caller ids of the clients by name.
    callers: BTreeMap<String, u32>,
    /// Callers whose session this start of the broker has removed: their resends are new to it, and their casts remain.
    forgotten: BTreeSet<u32>,
    /// Whether the broker may evict a reply before a resend: then the call is new to it.
    evicts_replies: bool,
    /// The highest fencing token of each key.
    fences: BTreeMap<(String, String), u64>,
    /// The number of dispatched calls with keys.
    pub(crate) dispatched: u64,
}

impl Keys {
    pub(crate) fn of(evicts_replies: bool) -> Keys {
        Keys { evicts_replies, ..Keys::default() }
    }

    /// Records and checks a dispatch to a worker.
    pub(crate) fn dispatch(&mut self, start: StartId, worker: &str, dispatch: &Dispatch) {
        let Some(affinity) = &dispatch.affinity else { return };
        let key = (dispatch.method.service().to_owned(), affinity.key.to_string());
        let fence = affinity.fence;
        for (at, other) in self.sent.iter().filter(|(_, other)| other.key == key) {
            assert!(
                !other.known_to_broker,
                "two calls of key {key:?} run at once: {at:?} at {}, and one at {worker}",
                other.worker
            );
            assert!(
                fence > other.fence,
                "a lost call of key {key:?} still runs, and the next one has no higher fencing token"
            );
        }
        let highest = self.fences.entry(key.clone()).or_default();
        assert!(fence >= *highest, "the fencing token of key {key:?} decreases");
        *highest = fence;
        let number = dispatch.call.number.0;
        let last = self.order.entry((key.0.clone(), key.1.clone(), dispatch.call.caller)).or_default();
        let is_new = self.evicts_replies || self.forgotten.contains(&dispatch.call.caller);
        let in_order = number >= *last || is_new;
        assert!(in_order, "call {} of key {key:?} runs after call {last}", dispatch.call);
        *last = number;
        self.dispatched += 1;
        self.sent.insert(
            (start, dispatch.number),
            DispatchedCall { key, worker: worker.to_owned(), fence, running: false, known_to_broker: true },
        );
    }

    /// Records that a handler starts the call.
    pub(crate) fn handler_started(&mut self, start: StartId, number: DispatchNumber) {
        if let Some(sent) = self.sent.get_mut(&(start, number)) {
            sent.running = true;
        }
    }

    /// Records that a handler has ended, or that the worker handed the call back or answered it without a handler.
    pub(crate) fn ended(&mut self, start: StartId, number: DispatchNumber) {
        self.sent.remove(&(start, number));
    }

    /// Records that the broker has lost a worker.
    pub(crate) fn worker_lost(&mut self, worker: &str) {
        self.sent.values_mut().filter(|sent| sent.worker == worker).for_each(|sent| sent.known_to_broker = false);
    }

    /// Records that a worker has registered with its running calls.
    pub(crate) fn worker_registered(&mut self, worker: &str) {
        self.sent
            .values_mut()
            .filter(|sent| sent.worker == worker && sent.running)
            .for_each(|sent| sent.known_to_broker = true);
    }

    /// Records that a worker has exited with its running calls.
    pub(crate) fn worker_died(&mut self, worker: &str) {
        self.sent.retain(|_, sent| sent.worker != worker);
    }

    /// Records a new start of the broker, which has no calls.
    pub(crate) fn broker_started(&mut self) {
        self.sent.values_mut().for_each(|sent| sent.known_to_broker = false);
        self.order.clear();
        self.forgotten.clear();
    }

    /// Records the caller id of a client.
    pub(crate) fn client_started(&mut self, name: &str, caller: u32) {
        self.callers.insert(name.to_owned(), caller);
    }

    /// Records that the broker has removed the session of a client.
    pub(crate) fn session_removed(&mut self, name: &str) {
        self.forgotten.extend(self.callers.get(name));
    }
}
