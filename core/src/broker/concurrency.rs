//! How many calls of a method run at once, over all workers: what they call may bear less than the workers have slots.
//!
//! A call runs from its dispatch until its worker's last word, or the worker's loss. One that a lost worker may still run is not
//! counted: nobody can say when it ends.

use std::collections::BTreeMap;

use super::{
    Action, Broker,
    call::{CallKey, State},
    keyed::Loose,
    service::{Method, ServiceKey},
};
use crate::time::Time;

impl Method {
    /// Whether as many calls of it run as may.
    pub(super) fn is_full(&self) -> bool {
        self.concurrency.is_some_and(|max| self.running >= max)
    }
}

impl Broker {
    /// A call goes to a worker.
    pub(super) fn enter_method(&mut self, key: CallKey) {
        self.with_method(key, |method| method.running += 1);
    }

    /// A call is at no worker any more: who waits for that is looked at when this event has been handled.
    pub(super) fn leave_method(&mut self, key: CallKey) {
        let was_full = self.with_method(key, |method| {
            let was_full = method.is_full();
            method.running -= 1;
            was_full
        });
        if was_full {
            self.loose.insert(Loose::Method(self.calls[key.0].service));
        }
    }

    fn with_method<T>(&mut self, key: CallKey, change: impl FnOnce(&mut Method) -> T) -> T {
        let call = &self.calls[key.0];
        let service = self.services.get_mut(&call.service).expect("a call's service lives as long as it has calls");
        change(&mut service.methods[call.method_number.expect("what runs has been offered")])
    }

    /// Some method of a service may run more calls than it did: those that wait go to whichever workers have room.
    pub(super) fn fill_service(&mut self, now: Time, service: ServiceKey, out: &mut Vec<Action>) {
        while let Some(call) = self.next_waiting_anywhere(service) {
            self.place_next(now, call, out);
        }
    }

    /// Asserts what must hold after every step.
    pub(super) fn check_concurrency(&self) {
        let mut counted = BTreeMap::<_, (u32, usize)>::new();
        for (_, call) in &self.calls {
            let (running, calls) = counted.entry((call.service, call.method_number)).or_default();
            *running += u32::from(matches!(call.state, State::Running { .. }));
            *calls += 1;
        }
        for (&key, service) in &self.services {
            for (number, method) in service.methods.iter().enumerate() {
                let counted = counted.remove(&(key, Some(number))).unwrap_or_default();
                assert_eq!((method.running, method.calls), counted, "calls of a method are counted");
            }
        }
    }

    fn next_waiting_anywhere(&mut self, service: ServiceKey) -> Option<CallKey> {
        let service = self.services.get(&service).filter(|service| !service.queue.is_empty())?;
        let free: Vec<_> = service.free.iter().copied().collect();
        free.into_iter().find_map(|candidate| self.next_waiting(candidate.worker, candidate.offer))
    }
}
