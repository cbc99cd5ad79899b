//! Whose turn it is: one call of each key.

use super::{
    super::{
        Action, Broker,
        call::{Call, CallKey, State},
        service::ServiceKey,
        timers::Timer,
        worker::WorkerKey,
    },
    Key, Loose, Turn,
};
use crate::{
    time::Time,
    wire::{affinity::AffinityKey, envelope::KeyFreed},
};

impl Broker {
    /// Whether a call may be placed now: it has no key, or the turn of its key. Else it waits in its bucket, or has ended.
    pub(in crate::broker) fn takes_turn(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) -> bool {
        let call = &mut self.calls[key.0];
        let Some(turn) = &mut call.turn else { return true };
        let service = self.services.get_mut(&call.service).expect("a call's service lives as long as it has calls");
        let keyed = service.keyed.get_or_insert_default();
        if turn.number == 0 {
            keyed.last_number += 1;
            turn.number = keyed.last_number;
            turn.lane = call.client.map_or(0, |client| client.0);
        }
        let early = now < self.keys_from;
        let entry = keyed.key(turn);
        if entry.is_unused() && !early {
            entry.turn = Some(key);
        }
        if entry.turn == Some(key) && entry.held == 0 {
            return true;
        }
        entry.turn.take_if(|holder| *holder == key);
        if early {
            self.timers.insert((self.keys_from, Timer::Keys));
        }
        match self.no_room(now, key) {
            Some(message) => self.exhausted(now, key, message, out),
            None => self.block(key),
        }
        false
    }

    /// A call waits in its bucket until it has the turn.
    fn block(&mut self, key: CallKey) {
        let call = &mut self.calls[key.0];
        call.detach();
        let turn = call.turn.as_mut().expect("only calls with a key wait for a turn");
        turn.let_in = true;
        turn.at = None;
        let keyed = self.services.get_mut(&call.service).and_then(|service| service.keyed.as_mut());
        keyed.expect("it has asked for the turn").wait(turn, key, call.body.len());
        self.parties.begin_to_wait(call.party, call.body.len());
        call.state = State::Blocked;
        self.watch_call(key);
    }

    /// A call is taken out of the broker: who waits behind it has the turn when this event has been handled.
    pub(in crate::broker) fn leave_turn(&mut self, key: CallKey) {
        let call = &self.calls[key.0];
        let Some(turn) = &call.turn else { return };
        let Some(keyed) = self.services.get_mut(&call.service).and_then(|service| service.keyed.as_mut()) else {
            return;
        };
        let entry = keyed.key(turn);
        entry.turn.take_if(|holder| *holder == key);
        if entry.remove(turn.lane, turn.number).is_some() {
            keyed.waiting -= 1;
            keyed.bytes -= call.body.len();
            self.parties.end_to_wait(call.party, call.body.len());
        }
        self.loose.insert(Loose::Key(call.service, turn.key.clone()));
    }

    /// Looks at what an event has left loose: keys whose next call has the turn, calls whose bucket has lost its worker.
    pub(in crate::broker) fn tie_up(&mut self, now: Time, out: &mut Vec<Action>) {
        while let Some(loose) = self.loose.pop_first() {
            match loose {
                Loose::Key(service, key) => self.next_turn(now, service, &key, out),
                Loose::Bucket(service, bucket) => self.place_bucket(now, service, bucket, out),
                Loose::Method(service) => self.fill_service(now, service, out),
            }
        }
    }

    fn next_turn(&mut self, now: Time, service: ServiceKey, key: &AffinityKey, out: &mut Vec<Action>) {
        let bucket = key.bucket();
        let Some(keyed) = self.services.get_mut(&service).and_then(|service| service.keyed.as_mut()) else { return };
        let Some(entry) = keyed.buckets.get_mut(&bucket).and_then(|bucket| bucket.keys.get_mut(key)) else { return };
        let may = entry.is_free() && now >= self.keys_from;
        let Some(call) = may.then(|| entry.pop()).flatten() else { return keyed.tidy(bucket, Some(key)) };
        entry.turn = Some(call);
        keyed.waiting -= 1;
        let waited = &mut self.calls[call.0];
        keyed.bytes -= waited.body.len();
        self.parties.end_to_wait(waited.party, waited.body.len());
        waited.state = State::New;
        self.place(now, call, out);
    }

    /// The time is over in which workers come back to a young broker.
    pub(in crate::broker) fn keys_begin(&mut self) {
        for (&service, known) in &self.services {
            let buckets = known.keyed.iter().flat_map(|keyed| keyed.buckets.values());
            let keys = buckets.flat_map(|bucket| bucket.keys.keys());
            self.loose.extend(keys.map(|key| Loose::Key(service, key.clone())));
        }
    }

    /// A worker registers with calls of an earlier connection that still run: nobody else has their keys until these are over. Their
    /// buckets are its own, unless somebody has got them meanwhile.
    pub(in crate::broker) fn hold_keys(&mut self, worker: WorkerKey, service: ServiceKey, keys: &[AffinityKey]) {
        for turn in keys.iter().map(Turn::of) {
            let known = self.services.get_mut(&service).expect("it was just offered");
            let keyed = known.keyed.get_or_insert_default();
            let entry = keyed.key(&turn);
            entry.held += 1;
            let waits = entry.turn.filter(|call| matches!(self.calls[call.0].state, State::Waiting { .. }));
            let has_worker = !keyed.buckets[&turn.bucket].workers.is_empty();
            if let Some(call) = waits {
                self.lose_turn(call);
            }
            let at = self.workers.get_mut(&worker).expect("it registers");
            *at.held.entry((service, turn.key)).or_default() += 1;
            if !has_worker && at.takes_calls() {
                self.bind_bucket(service, turn.bucket, worker);
            }
        }
    }

    /// A call in the queue goes back to its bucket, to its old place there.
    fn lose_turn(&mut self, key: CallKey) {
        let State::Waiting { place, .. } = self.calls[key.0].state else { return };
        self.leave_queue(key, place);
        let call = &self.calls[key.0];
        let keyed = self.services.get_mut(&call.service).and_then(|service| service.keyed.as_mut());
        if let (Some(turn), Some(keyed)) = (&call.turn, keyed) {
            keyed.key(turn).turn = None;
            self.block(key);
        }
    }

    /// A call of an earlier connection is over at a worker that had said that it runs.
    pub(in crate::broker) fn key_freed(&mut self, worker: WorkerKey, freed: &KeyFreed) {
        let Some(worker) = self.workers.get_mut(&worker) else { return };
        let Some(service) = worker.offers.get(freed.offer as usize).map(|offer| offer.service) else { return };
        let held = (service, freed.key.clone());
        let Some(calls) = worker.held.get_mut(&held) else { return };
        *calls -= 1;
        if *calls == 0 {
            worker.held.remove(&held);
        }
        self.let_go(held, 1);
    }

    /// A worker is gone, or says anew what it runs.
    pub(in crate::broker) fn let_go_all(&mut self, worker: WorkerKey) {
        let held = self.workers.get_mut(&worker).map(|worker| std::mem::take(&mut worker.held));
        held.into_iter().flatten().for_each(|(held, calls)| self.let_go(held, calls));
    }

    /// So many calls of a key that was held are over, or out of sight.
    fn let_go(&mut self, (service, key): (ServiceKey, AffinityKey), calls: usize) {
        let keyed = self.services.get_mut(&service).and_then(|service| service.keyed.as_mut());
        let bucket = keyed.and_then(|keyed| keyed.buckets.get_mut(&key.bucket()));
        bucket.and_then(|bucket| bucket.keys.get_mut(&key)).expect("a key that is held is there").held -= calls;
        self.loose.insert(Loose::Key(service, key));
    }

    /// Why a call waits for its turn.
    pub(in crate::broker) fn why_blocked(&self, now: Time, call: &Call) -> String {
        let (service, Some(turn)) = (&self.services[&call.service], &call.turn) else { return String::new() };
        let key = &turn.key;
        if now < self.keys_from {
            let left = self.keys_from.since(now).as_millis();
            return format!(
                "the broker is young: for {left} ms more, workers come back that may run calls of key {key}"
            );
        }
        match service.keyed.as_ref().and_then(|keyed| keyed.known(turn)) {
            Some(Key { held: 1.., .. }) => {
                format!("a worker that came back still runs an earlier call of key {key}, and those run one at a time")
            }
            Some(Key { turn: Some(first), .. }) => {
                format!("{} has the turn of key {key}, and calls of one key run one at a time", self.calls[first.0].id)
            }
            _ => format!("others of key {key} have their turn first"),
        }
    }
}
