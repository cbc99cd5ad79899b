//! One service: its methods, its offers, and its statistics. It contains the queue of its waiting calls, whose type is
//! in `scheduling`.

use std::collections::BTreeMap;

use super::{
    super::{
        calls::RetryBudget,
        keys::{CallKey, ServiceKey, WorkerKey},
        metrics::CallMetrics,
        scheduling::{DrainRate, FairQueue},
        timers::{Timer, Timers},
    },
    batch::Batch,
    candidates::Candidates,
    contracts::Contracts,
    method::Method,
    operator_limits::{OperatorLimits, TimerChange},
    rate::Rate,
};
use crate::{
    time::Time,
    wire::{envelope::Effect, handshake::MethodOffer, limits::METHODS_MAX},
};

/// One service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// Methods that some worker offers or offered. The index of a method is valid for as long as a worker offers it or a call refers to
    /// it. After that another method may take the place, if the service has no other place left.
    methods: Vec<Method>,
    indices: BTreeMap<String, usize>,
    /// The indices of forgotten methods, which keep no name.
    free_indices: Vec<usize>,
    /// Offers with room for a call, the best first.
    pub(super) free: Candidates,
    /// The calls that go to one worker in this turn.
    pub(super) batch: Option<Batch>,
    /// Workers that offer it.
    pub(crate) workers: usize,
    /// All offers.
    pub(crate) offers: usize,
    /// Slots of all offers, and the calls that run in them.
    pub(crate) slots: u64,
    pub(crate) running: u64,
    /// The number of calls of the service, waiting or running.
    pub(crate) calls: usize,
    /// Calls that are at workers.
    pub(crate) at_workers: u32,
    /// What operators have set for its calls.
    pub(crate) operator_limits: OperatorLimits,
    /// Calls that wait for a worker.
    pub(crate) queue: FairQueue<CallKey>,
    pub(crate) drain_rate: DrainRate,
    pub(crate) retries: RetryBudget,
    pub(crate) arrived: Rate,
    answered: Rate,
    failed: Rate,
    /// Methods with counters of their own.
    pub(super) measured_methods: usize,
    /// Until when calls wait for a worker, if no worker offers the service.
    pub(crate) awaited_until: Time,
    /// The time of the expiry timer that is set, if any.
    pub(super) expiry: Option<Time>,
    pub(crate) contracts: Contracts,
    /// The worker that registered the name exclusively.
    pub(super) exclusive: Option<WorkerKey>,
}

impl Service {
    /// Creates a service without offers.
    pub(crate) fn new(name: &str, awaited_until: Time, retries: RetryBudget) -> Service {
        Service {
            name: name.to_owned(),
            methods: Vec::new(),
            indices: BTreeMap::new(),
            free_indices: Vec::new(),
            free: Candidates::default(),
            batch: None,
            workers: 0,
            offers: 0,
            slots: 0,
            running: 0,
            calls: 0,
            at_workers: 0,
            operator_limits: OperatorLimits::default(),
            queue: FairQueue::default(),
            drain_rate: DrainRate::default(),
            retries,
            arrived: Rate::default(),
            answered: Rate::default(),
            failed: Rate::default(),
            measured_methods: 0,
            awaited_until,
            expiry: None,
            contracts: Contracts::default(),
            exclusive: None,
        }
    }

    /// Returns the methods that some worker offers or offered.
    pub(crate) fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Returns the method of an index.
    pub(crate) fn method(&self, index: usize) -> &Method {
        &self.methods[index]
    }

    pub(crate) fn method_mut(&mut self, index: usize) -> &mut Method {
        &mut self.methods[index]
    }

    /// Returns the index of a method that some worker offers or offered.
    pub(crate) fn index_of(&self, method: &str) -> Option<usize> {
        self.indices.get(method).copied()
    }

    /// Returns whether an operator can mean a method: some worker offers or offered it, or it has a limit of an operator.
    pub(crate) fn knows(&self, method: &str) -> bool {
        self.indices.contains_key(method) || !self.operator_limits.get(Some(method)).is_none()
    }

    /// Adds a worker's offer of a method. Returns its index, or `None` if the service has too many methods.
    pub(super) fn add_method(&mut self, offer: &MethodOffer) -> Option<usize> {
        let index = match self.indices.get(&offer.name) {
            Some(&index) => index,
            None => self.add_new(&offer.name)?,
        };
        self.methods[index].add_offer(offer);
        Some(index)
    }

    fn add_new(&mut self, name: &str) -> Option<usize> {
        let index = if let Some(free) = self.free_indices.pop() {
            self.methods[free] = Method::new(name);
            free
        } else if self.methods.len() < METHODS_MAX {
            self.methods.push(Method::new(name));
            self.methods.len() - 1
        } else {
            let index = self.longest_unused()?;
            let unused = std::mem::replace(&mut self.methods[index], Method::new(name));
            self.measured_methods -= unused.metrics.iter().len();
            self.indices.remove(&unused.name);
            index
        };
        self.indices.insert(name.to_owned(), index);
        Some(index)
    }

    /// Returns the method that has been without offers and calls for longest. Its place is reused, so that the method
    /// names of many versions do not use up a service's places.
    fn longest_unused(&self) -> Option<usize> {
        let unused = self.methods.iter().enumerate().filter(|(_, method)| method.is_unused());
        unused.min_by_key(|(_, method)| method.awaited_until).map(|(index, _)| index)
    }

    /// Forgets the methods that no worker has offered since `now`, and that no call refers to. Places at the end are removed. The others
    /// keep no name, since places are found by their index.
    pub(super) fn forget_unused_methods(&mut self, now: Time) {
        for (index, method) in self.methods.iter_mut().enumerate() {
            if !method.name.is_empty() && method.is_unused() && method.awaited_until <= now {
                self.indices.remove(&method.name);
                self.measured_methods -= method.metrics.iter().len();
                *method = Method::new("");
                self.free_indices.push(index);
            }
        }
        let kept = self.methods.iter().rposition(|method| !method.name.is_empty()).map_or(0, |last| last + 1);
        self.methods.truncate(kept);
        self.methods.shrink_to_fit();
        self.free_indices.retain(|&index| index < kept);
        self.free_indices.shrink_to_fit();
    }

    /// Removes a worker's offer of a method.
    pub(super) fn remove_method(&mut self, index: usize, effect: Effect, awaited_until: Time) {
        self.methods[index].remove_offer(effect, awaited_until);
    }

    /// Returns the queue, and the rule of which of its calls may start, as separate borrows.
    pub(crate) fn queue_and_rule(&mut self) -> (&mut FairQueue<CallKey>, StartRule<'_>) {
        let Service { name, queue, methods, indices, operator_limits, at_workers, .. } = self;
        (queue, StartRule { name, methods, indices, operator_limits, at_workers: *at_workers })
    }

    /// Returns the rule of which calls may start.
    pub(crate) fn rule(&self) -> StartRule<'_> {
        let Service { name, methods, indices, operator_limits, at_workers, .. } = self;
        StartRule { name, methods, indices, operator_limits, at_workers: *at_workers }
    }

    /// Counts a call of a method that starts. Returns the change of the timer at which further calls may start, if there is one.
    pub(crate) fn begin_call(&mut self, now: Time, method: usize) -> Option<TimerChange> {
        self.at_workers += 1;
        let method = &mut self.methods[method];
        method.running += 1;
        match self.operator_limits.is_empty() {
            true => None,
            false => self.operator_limits.take_token(now, &method.name),
        }
    }

    /// Counts a call of a method that has left its worker. Returns whether other calls may start because of that.
    pub(crate) fn end_call(&mut self, method: usize) -> bool {
        let was_closed = !self.rule().may_start(method) || !self.operator_limits.is_empty();
        self.at_workers -= 1;
        self.methods[method].running -= 1;
        was_closed
    }

    /// Returns whether the service is remembered only because it was called: it has no offers, calls, methods or limits.
    pub(crate) fn is_only_named(&self) -> bool {
        self.calls == 0 && self.methods.is_empty() && self.offers == 0 && self.operator_limits.is_empty()
    }

    /// Records that the expiry timer has fired.
    pub(crate) fn clear_expiry(&mut self) {
        self.expiry = None;
    }

    /// Counts a call that has ended, for the rates.
    pub(super) fn count_completed(&mut self, now: Time, succeeded: bool) {
        let rate = if succeeded { &mut self.answered } else { &mut self.failed };
        rate.count(now);
    }

    /// Returns the number of methods with counters of their own.
    pub(crate) fn measured_methods(&self) -> usize {
        self.measured_methods
    }

    /// Returns the counters of a method. Creates them if there is room for more; `None` if there is not.
    pub(super) fn metrics_of(&mut self, method: usize, has_room: bool) -> Option<&mut CallMetrics> {
        let metrics = &mut self.methods[method].metrics;
        if metrics.is_none() && has_room {
            *metrics = Some(Box::default());
            self.measured_methods += 1;
        }
        metrics.as_deref_mut()
    }

    /// Returns the calls per second that arrived, were answered, and failed.
    pub(crate) fn rates(&self, now: Time) -> [f64; 3] {
        [&self.arrived, &self.answered, &self.failed].map(|rate| rate.per_second(now))
    }

    /// Asserts that the timer of the limits is set, and that each limit that a token opens again has one.
    pub(super) fn assert_invariants(&self, key: ServiceKey, timers: &Timers) {
        let at_workers: u32 = self.methods.iter().map(|method| method.running).sum();
        assert_eq!(self.at_workers, at_workers, "the calls at workers are counted");
        let timer = self.operator_limits.timer();
        assert!(timer.is_none_or(|at| timers.is_set(at, Timer::OperatorRate(key))), "the timer of a rate is set");
        let opens_at = self.operator_limits.opens_at();
        assert!(opens_at.is_none_or(|at| timer.is_some_and(|timer| timer <= at)), "a rate opens again");
    }

    /// Returns the offered methods whose names look most like `name`.
    pub(crate) fn similar_methods(&self, name: &str) -> Vec<&str> {
        similar(name, self.methods.iter().filter(|method| method.is_offered()).map(|method| method.name.as_str()))
    }

    /// Returns the offers with room for a call, the best first.
    pub(crate) fn free(&self) -> &Candidates {
        &self.free
    }
}

/// The rule of which calls of a service may start, if a worker has room: a method has a limit of concurrent calls, and operators limit
/// methods or the whole service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartRule<'a> {
    /// The name of the service.
    name: &'a str,
    methods: &'a [Method],
    indices: &'a BTreeMap<String, usize>,
    operator_limits: &'a OperatorLimits,
    at_workers: u32,
}

impl StartRule<'_> {
    /// Returns the index of a method that some worker offers or offered.
    pub(crate) fn index_of(&self, method: &str) -> Option<usize> {
        self.indices.get(method).copied()
    }

    /// Returns whether a call of a method may start.
    pub(crate) fn may_start(&self, method: usize) -> bool {
        let method = &self.methods[method];
        !method.is_full()
            && (self.operator_limits.is_empty()
                || !self.operator_limits.is_closed(&method.name, method.running, self.at_workers))
    }

    /// Returns whether calls of a method may have to wait although workers have room.
    pub(crate) fn is_limited(&self, method: usize) -> bool {
        self.methods[method].concurrency.is_some() || !self.operator_limits.is_empty()
    }

    /// Returns why no call of a method may start, if none may.
    pub(crate) fn explain(&self, method: usize) -> Option<String> {
        let service = self.name;
        let Method { name, running, .. } = &self.methods[method];
        let is_full = self.methods[method].is_full();
        self.explain_operator(Some(method))
            .or_else(|| is_full.then(|| format!("{running} calls of {service}.{name} run, the maximum at once")))
    }

    /// Returns why an operator lets no call of a method start, if that is so.
    pub(crate) fn explain_operator(&self, method: Option<usize>) -> Option<String> {
        let Method { name, running, .. } = &self.methods[method?];
        self.operator_limits.explain(self.name, name, *running, self.at_workers)
    }

    /// Returns whether a method is offered.
    pub(crate) fn is_offered(&self, method: usize) -> bool {
        self.methods[method].is_offered()
    }
}

/// Returns at most three of `names` that are similar to `name`, the most similar first.
pub(crate) fn similar<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let scored = |other: &'a str| (strsim::jaro_winkler(name, other), other);
    let mut scored: Vec<_> = names.map(scored).filter(|&(likeness, _)| likeness > 0.7).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, other)| other).collect()
}
