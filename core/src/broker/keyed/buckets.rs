//! Which worker has which bucket.

use super::{
    super::{
        Action, Broker,
        call::{Call, CallKey, State},
        candidates::Candidate,
        service::{Service, ServiceKey},
        worker::WorkerKey,
    },
    Loose,
};
use crate::{time::Time, wire::affinity::Affinity};

impl Broker {
    /// A call is about to wait in the queue: for its bucket's worker, if it has a key and that has one.
    pub(in crate::broker) fn find_worker(&mut self, key: CallKey) {
        let at = self.bound_worker(&self.calls[key.0]);
        if let Some(turn) = &mut self.calls[key.0].turn {
            (turn.at, turn.let_in) = (at, true);
        }
    }

    /// The worker of a call's bucket that has its method.
    pub(in crate::broker) fn bound_worker(&self, call: &Call) -> Option<WorkerKey> {
        let (turn, method) = (call.turn.as_ref()?, call.method_number?);
        let bucket = self.services[&call.service].keyed.as_ref()?.buckets.get(&turn.bucket)?;
        let serves = |key: &WorkerKey| {
            let mut offers = self.workers[key].offers.iter();
            offers.any(|offer| offer.service == call.service && offer.serves(method))
        };
        bucket.workers.iter().copied().find(serves)
    }

    /// The best offer with room for a call that has a key: its bucket's worker's. If that has none, that whose worker has fewest
    /// buckets, for it will keep this one.
    pub(in crate::broker) fn keyed_offer(&self, service: &Service, call: &Call) -> Option<Candidate> {
        let method = call.method_number?;
        if let Some(worker) = self.bound_worker(call) {
            return self.offer_at(worker, call, method);
        }
        let serves = |candidate: &&Candidate| self.workers[&candidate.worker].offers[candidate.offer].serves(method);
        let free = service.free.iter().filter(serves);
        free.min_by_key(|candidate| self.workers[&candidate.worker].buckets).copied()
    }

    /// A call with a key goes to a worker, which has its bucket from now on. What its handler is told.
    pub(in crate::broker) fn bind(&mut self, key: CallKey, worker: WorkerKey) -> Option<Affinity> {
        let call = &self.calls[key.0];
        let turn = call.turn.as_ref()?;
        let (service, bucket, key) = (call.service, turn.bucket, turn.key.clone());
        Some(Affinity { key, fence: self.bind_bucket(service, bucket, worker) })
    }

    /// Gives a bucket with a key in use to a worker, unless it has it. The bucket's fence.
    pub(super) fn bind_bucket(&mut self, service: ServiceKey, bucket: u16, worker: WorkerKey) -> u64 {
        let keyed = self.services.get_mut(&service).and_then(|service| service.keyed.as_mut());
        let entry =
            keyed.and_then(|keyed| keyed.buckets.get_mut(&bucket)).expect("a bucket with a key in use is there");
        if entry.workers.contains(&worker) {
            return entry.fence;
        }
        entry.workers.push(worker);
        entry.fence = self.next_fence;
        self.workers.get_mut(&worker).expect("the caller looked it up").buckets += 1;
        self.queue_anew(service, bucket);
        self.next_fence
    }

    /// Calls of a bucket that are in the queue wait for the worker that it has now.
    fn queue_anew(&mut self, service: ServiceKey, bucket: u16) {
        for call in self.services[&service].keyed.as_ref().map_or(Vec::new(), |keyed| keyed.turns(bucket)) {
            if let State::Waiting { place, give_up } = self.calls[call.0].state {
                self.leave_queue(call, place);
                self.enqueue(call, give_up);
            }
        }
    }

    /// A worker has its buckets no more: it drains, is stuck, or is gone.
    pub(in crate::broker) fn unbind(&mut self, worker: WorkerKey) {
        let Some(entry) = self.workers.get_mut(&worker).filter(|worker| worker.buckets > 0) else { return };
        entry.buckets = 0;
        for service in entry.offers.iter().map(|offer| offer.service) {
            let keyed = self.services.get_mut(&service).and_then(|service| service.keyed.as_mut());
            for (&bucket, entry) in keyed.into_iter().flat_map(|keyed| &mut keyed.buckets) {
                if entry.workers.contains(&worker) {
                    entry.workers.retain(|&other| other != worker);
                    // Whoever has its keys from now on: another worker of it, the next one, or this one when it has come back.
                    self.next_fence += 1;
                    entry.fence = self.next_fence;
                    self.loose.insert(Loose::Bucket(service, bucket));
                }
            }
        }
    }

    /// Calls of a bucket that waited for a worker which it has no more may go to others.
    pub(super) fn place_bucket(&mut self, now: Time, service: ServiceKey, bucket: u16, out: &mut Vec<Action>) {
        let Some(keyed) = self.services.get_mut(&service).and_then(|service| service.keyed.as_mut()) else { return };
        keyed.tidy(bucket, None);
        for call in keyed.turns(bucket) {
            let Some(State::Waiting { place, give_up }) = self.calls.get(call.0).map(|call| call.state) else {
                continue;
            };
            self.leave_queue(call, place);
            match give_up {
                None => self.place(now, call, out),
                // Nobody serves its method now.
                Some(_) => self.enqueue(call, give_up),
            }
        }
    }

    /// What a call in the queue waits for if it has a key: its bucket's worker.
    pub(in crate::broker) fn why_worker(&self, call: &Call) -> Option<String> {
        let turn = call.turn.as_ref()?;
        let name = &self.workers.get(&turn.at?)?.name;
        Some(format!("calls of key {} run at worker {name}, which is busy, though others may be free", turn.key))
    }
}
