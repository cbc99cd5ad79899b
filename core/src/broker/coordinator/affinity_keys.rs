//! The course of a call with an affinity key: it gets the key, waits for it, or loses it.

use super::{
    super::{
        calls::CallState,
        interface::Action,
        keys::{CallKey, ServiceKey, WorkerKey},
    },
    state::Broker,
};
use crate::{time::Time, wire::affinity::AffinityKey};

impl Broker {
    /// Tries to give a call its affinity key. Returns true if the call can be scheduled: it has the key, or needs none.
    /// Otherwise the call now waits for the key, or has failed.
    pub(super) fn acquire_key(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) -> bool {
        if self.affinity.acquire(now, key, &mut self.calls[key], &mut self.timers) {
            return true;
        }
        match self.explain_no_room(now, key) {
            Some(message) => self.reject(now, key, message, out),
            None => self.wait_for_key(key),
        }
        false
    }

    fn wait_for_key(&mut self, key: CallKey) {
        let call = &mut self.calls[key];
        call.detach();
        self.affinity.add_waiting(key, call);
        self.tenants.add_waiting(call.tenant(), call.body.len());
        call.state = CallState::WaitingForKey;
        self.calls.schedule_timeout(key);
    }

    /// Schedules the next call that waits for a key, after a call of that key has ended.
    pub(super) fn schedule_next_of_key(
        &mut self,
        now: Time,
        service: ServiceKey,
        key: &AffinityKey,
        out: &mut Vec<Action>,
    ) {
        let Some(next) = self.affinity.pop_waiting(now, service, key) else { return };
        let call = &mut self.calls[next];
        self.affinity.uncount_waiting(call);
        self.tenants.remove_waiting(call.tenant(), call.body.len());
        self.schedule_popped(now, next, out);
    }

    /// Reschedules the queued calls of a bucket that lost its worker: they may go to other workers.
    pub(super) fn reschedule_bucket(&mut self, now: Time, service: ServiceKey, bucket: u16, out: &mut Vec<Action>) {
        for key in self.affinity.tidy_bucket(service, bucket) {
            let state = self.calls.get(key).map(|call| call.state);
            let Some(CallState::Queued { give_up, .. }) = state else { continue };
            self.leave_queue(key);
            match give_up {
                None => self.schedule(now, key, out),
                // No worker serves its method now.
                Some(_) => self.enqueue(key, give_up),
            }
        }
    }

    /// Holds a key for a worker that registers while it still runs a call of an earlier connection with this key. Binds
    /// the bucket of the key to that worker, unless another worker has it by now.
    pub(super) fn hold_key(&mut self, worker: WorkerKey, service: ServiceKey, key: &AffinityKey) {
        let (owner, has_worker) = self.affinity.hold(worker, service, key);
        if let Some(call) = owner {
            self.take_key_from(call);
        }
        if !has_worker && self.registry.worker(worker).takes_calls() {
            self.bind_bucket(service, key, worker);
        }
    }

    /// Takes the key from a queued call, which then waits for the key again, at its old position. A running call keeps
    /// the key.
    fn take_key_from(&mut self, key: CallKey) {
        if !matches!(self.calls[key].state, CallState::Queued { .. }) {
            return;
        }
        self.leave_queue(key);
        self.affinity.take_key(&self.calls[key]);
        self.wait_for_key(key);
    }

    /// Makes a worker the owner of a key's bucket. Returns the bucket's fence.
    pub(super) fn bind_bucket(&mut self, service: ServiceKey, key: &AffinityKey, worker: WorkerKey) -> u64 {
        let (fence, is_new) = self.affinity.bind(service, key, worker);
        if is_new {
            // Calls of the bucket that are in the queue wait for that worker from now on.
            for call in self.affinity.owners(service, key.bucket()) {
                if let CallState::Queued { give_up, .. } = self.calls[call].state {
                    self.leave_queue(call);
                    self.enqueue(call, give_up);
                }
            }
        }
        fence
    }
}
