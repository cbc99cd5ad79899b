//! A service as the broker knows it: its methods, who offers it, and who waits for it.

use std::collections::BTreeMap;

use super::{
    call::CallKey, candidates::Candidates, client::Outcome, contracts::Contracts, keyed::Keyed, overview::Rates,
    pace::Pace, queue::FairQueue, rate::Rate, retries::Retries, worker::WorkerKey,
};
use crate::{
    time::Time,
    wire::{envelope::Effect, handshake::MethodOffer, limits::METHODS_MAX, streams::Style},
};

/// A service's number at the broker, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServiceKey(pub(super) u64);

/// One service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    /// Methods that some worker offers or offered. A place in it is the method's number, for as long as anybody offers it or a call
    /// has it; after that another method may have the place, where there is no other.
    pub(super) methods: Vec<Method>,
    pub(super) numbers: BTreeMap<String, usize>,
    /// Offers with room for a call, the best first.
    pub(super) free: Candidates,
    /// Workers that offer it.
    pub(super) workers: usize,
    /// Slots of all offers, and calls that run in them.
    pub(super) slots: u64,
    pub(super) running: u64,
    /// Offers in all.
    pub(super) offers: usize,
    /// Calls of it that the broker holds, waiting or running.
    pub(super) calls: usize,
    pub(super) queue: FairQueue<CallKey>,
    /// The affinity keys of its calls, if any ever had one.
    pub(super) keyed: Option<Box<Keyed>>,
    pub(super) pace: Pace,
    pub(super) retries: Retries,
    pub(super) arrived: Rate,
    pub(super) answered: Rate,
    pub(super) failed: Rate,
    /// Until when a service without offers is waited for.
    pub(super) awaited_until: Time,
    /// The timer that is set for its end, if any.
    pub(super) timer: Option<Time>,
    /// What its workers say that it is.
    pub(super) contracts: Contracts,
    /// The one worker that asked for the name alone.
    pub(super) exclusive: Option<WorkerKey>,
}

/// One method of a service, over all workers that offer it.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    /// Which streams it has, by the last worker that said so.
    pub(super) style: Style,
    /// How many calls of it may run at once, by the latest worker's word.
    pub(super) concurrency: Option<u32>,
    /// Calls of it that are at workers.
    pub(super) running: u32,
    /// Calls that have its number, these and those that wait.
    pub(super) calls: usize,
    /// How many offers declare each effect, by the effect's number.
    effects: [usize; 3],
    /// Until when a method without offers is waited for.
    pub(super) awaited_until: Time,
}

impl Service {
    pub(super) fn new(name: &str, awaited_until: Time, retries: Retries) -> Service {
        Service {
            name: name.to_owned(),
            methods: Vec::new(),
            numbers: BTreeMap::new(),
            free: Candidates::default(),
            workers: 0,
            slots: 0,
            running: 0,
            offers: 0,
            calls: 0,
            queue: FairQueue::default(),
            keyed: None,
            pace: Pace::default(),
            retries,
            arrived: Rate::default(),
            answered: Rate::default(),
            failed: Rate::default(),
            awaited_until,
            timer: None,
            contracts: Contracts::default(),
            exclusive: None,
        }
    }

    /// The number of a method that some worker offers, or offered.
    pub(super) fn method(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// A worker offers a method. `None` if the service has too many.
    pub(super) fn add(&mut self, offer: &MethodOffer) -> Option<usize> {
        let at = match self.numbers.get(&offer.name) {
            Some(&at) => at,
            None => self.add_new(&offer.name)?,
        };
        self.methods[at].arguments.clone_from(&offer.arguments);
        self.methods[at].style = offer.style;
        self.methods[at].concurrency = offer.limits.concurrency;
        self.methods[at].effects[offer.effect as usize] += 1;
        Some(at)
    }

    fn add_new(&mut self, name: &str) -> Option<usize> {
        let at = if self.methods.len() < METHODS_MAX {
            self.methods.push(Method::new(name));
            self.methods.len() - 1
        } else {
            let at = self.retired()?;
            let retired = std::mem::replace(&mut self.methods[at], Method::new(name));
            self.numbers.remove(&retired.name);
            at
        };
        self.numbers.insert(name.to_owned(), at);
        Some(at)
    }

    /// The method that is nobody's for longest, so that the names of many versions do not use up a service's places.
    fn retired(&self) -> Option<usize> {
        let unused = self.methods.iter().enumerate().filter(|(_, method)| !method.is_offered() && method.calls == 0);
        unused.min_by_key(|(_, method)| method.awaited_until).map(|(at, _)| at)
    }

    /// A worker that offered a method is gone. Another is waited for until then, if it was the last.
    pub(super) fn remove(&mut self, method: usize, effect: Effect, awaited_until: Time) {
        let method = &mut self.methods[method];
        method.effects[effect as usize] -= 1;
        method.awaited_until = awaited_until;
    }

    /// Calls that wait, and bytes of their bodies: in the queue, and for the turns of their affinity keys.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let (calls, bytes) = self.keyed.as_ref().map_or((0, 0), |keyed| (keyed.waiting(), keyed.bytes()));
        (self.queue.len() + calls, self.queue.bytes() + bytes)
    }

    /// Those calls.
    pub(super) fn waiting_calls(&self) -> impl Iterator<Item = CallKey> + '_ {
        self.queue.iter().chain(self.keyed.iter().flat_map(|keyed| keyed.iter()))
    }

    /// A call of it has ended.
    pub(super) fn count(&mut self, now: Time, outcome: &Outcome) {
        let rate = if outcome.is_ok() { &mut self.answered } else { &mut self.failed };
        rate.count(now);
    }

    /// How much of it is called.
    pub(super) fn rates(&self, now: Time) -> Rates {
        let [arrived, answered, failed] =
            [&self.arrived, &self.answered, &self.failed].map(|rate| rate.per_second(now));
        Rates { arrived, answered, failed }
    }

    /// The names most like one that is not there.
    pub(super) fn near(&self, name: &str) -> Vec<&str> {
        near(name, self.methods.iter().filter(|method| method.is_offered()).map(|method| method.name.as_str()))
    }
}

/// At most three of `names` that look like `name`, the most alike first.
pub(super) fn near<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let alike = |other: &'a str| (strsim::jaro_winkler(name, other), other);
    let mut alike: Vec<_> = names.map(alike).filter(|&(likeness, _)| likeness > 0.7).collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0));
    alike.into_iter().take(3).map(|(_, other)| other).collect()
}

impl Method {
    fn new(name: &str) -> Method {
        Method {
            name: name.to_owned(),
            arguments: Vec::new(),
            style: Style::Unary,
            concurrency: None,
            running: 0,
            calls: 0,
            effects: [0; 3],
            awaited_until: Time::ZERO,
        }
    }

    pub(super) fn is_offered(&self) -> bool {
        self.effects.iter().any(|&offers| offers > 0)
    }

    /// The strictest effect that a worker declares.
    pub(super) fn effect(&self) -> Effect {
        match self.effects {
            [_, 0, 0] => Effect::Read,
            [_, _, 0] => Effect::Idempotent,
            _ => Effect::Once,
        }
    }
}
