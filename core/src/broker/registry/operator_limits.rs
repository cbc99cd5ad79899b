//! What operators have set for the calls of a service: a pause, and limits of how many run at once and how many start in a second.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::token_bucket::TokenBucket;
use crate::time::Time;

/// A limit that an operator has set for a service or for one of its methods: an entry of the result of `callboard.limits`.
///
/// Calls that may not start wait, in their order, like those that wait for a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OperatorLimit {
    /// Whether no call may start.
    pub paused: bool,
    /// Calls that may run at once, over all workers.
    pub concurrency: Option<u32>,
    /// Calls that may start in a second, above 0. A call that starts again after a loss or a handback counts again.
    pub rate: Option<f64>,
    /// Calls that may start at once after a pause, if there is a rate. At least 1.
    pub burst: Option<u32>,
}

impl OperatorLimit {
    /// Returns whether nothing is limited.
    pub fn is_none(&self) -> bool {
        !self.paused && self.concurrency.is_none() && self.rate.is_none()
    }

    /// Returns the calls that may start at once after a pause: those of one second, unless the burst is set.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bounds are those of the type")]
    fn burst(&self) -> u32 {
        self.burst.unwrap_or_else(|| self.rate.unwrap_or(1.0).ceil().clamp(1.0, f64::from(u32::MAX)) as u32)
    }
}

impl fmt::Display for OperatorLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paused = self.paused.then(|| "paused".to_owned());
        let concurrency = self.concurrency.map(|max| format!("at most {max} at once"));
        let rate = self.rate.map(|rate| format!("{rate} per second, {} at once after a pause", self.burst()));
        let parts: Vec<_> = [paused, concurrency, rate].into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "no limit" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// A limit with its tokens.
#[derive(Debug)]
struct Limiter {
    limit: OperatorLimit,
    bucket: Option<TokenBucket>,
}

impl Limiter {
    fn new(limit: OperatorLimit) -> Limiter {
        Limiter { limit, bucket: limit.rate.map(|rate| TokenBucket::new(rate, limit.burst())) }
    }

    /// Returns whether no further call may start while so many run.
    fn is_closed(&self, running: u32) -> bool {
        self.limit.paused
            || self.limit.concurrency.is_some_and(|max| running >= max)
            || self.bucket.as_ref().is_some_and(TokenBucket::is_empty)
    }

    /// Returns why no further call of `target` may start while so many run.
    fn explain(&self, target: &str, running: u32) -> Option<String> {
        let OperatorLimit { paused, concurrency, rate, .. } = self.limit;
        if paused {
            return Some(format!("an operator has paused {target}"));
        }
        if concurrency.is_some_and(|max| running >= max) {
            return Some(format!("{running} calls of {target} run, the maximum that an operator has set"));
        }
        let rate = rate.filter(|_| self.is_closed(running))?;
        Some(format!("an operator has limited {target} to {rate} calls per second"))
    }
}

/// The limits that operators have set for a service and its methods.
#[derive(Debug, Default)]
pub(crate) struct OperatorLimits {
    service: Option<Limiter>,
    methods: BTreeMap<String, Limiter>,
    /// The timer at which calls may start again, if it is set.
    timer: Option<Time>,
}

impl OperatorLimits {
    /// Returns whether nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        self.service.is_none() && self.methods.is_empty()
    }

    /// Returns the limit of the service, or of a method.
    pub(crate) fn get(&self, method: Option<&str>) -> OperatorLimit {
        let limiter = match method {
            None => self.service.as_ref(),
            Some(method) => self.methods.get(method),
        };
        limiter.map_or_else(OperatorLimit::default, |limiter| limiter.limit)
    }

    /// Sets the limit of the service, or of a method. Its tokens are full.
    pub(crate) fn set(&mut self, method: Option<&str>, limit: OperatorLimit) {
        let limiter = Some(limit).filter(|limit| !limit.is_none()).map(Limiter::new);
        match (method, limiter) {
            (None, limiter) => self.service = limiter,
            (Some(method), Some(limiter)) => drop(self.methods.insert(method.to_owned(), limiter)),
            (Some(method), None) => drop(self.methods.remove(method)),
        }
    }

    /// Returns the limits that are set: `None` for that of the service, or the name of a method.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<&str>, OperatorLimit)> {
        let service = self.service.iter().map(|limiter| (None, limiter.limit));
        service.chain(self.methods.iter().map(|(method, limiter)| (Some(method.as_str()), limiter.limit)))
    }

    /// Returns whether no further call of a method may start, while so many of it and of the service run.
    pub(crate) fn is_closed(&self, method: &str, running: u32, of_service: u32) -> bool {
        self.service.as_ref().is_some_and(|limiter| limiter.is_closed(of_service))
            || self.methods.get(method).is_some_and(|limiter| limiter.is_closed(running))
    }

    /// Returns why no further call of a method may start.
    pub(crate) fn explain(&self, service: &str, method: &str, running: u32, of_service: u32) -> Option<String> {
        let of_method = || self.methods.get(method)?.explain(&format!("{service}.{method}"), running);
        self.service.as_ref().and_then(|limiter| limiter.explain(service, of_service)).or_else(of_method)
    }

    /// Takes a token for a call of a method that starts now. Returns when a timer must be set, and the one that it replaces.
    pub(crate) fn take_token(&mut self, now: Time, method: &str) -> Option<TimerChange> {
        let limiters = self.service.iter_mut().chain(self.methods.get_mut(method));
        limiters.filter_map(|limiter| limiter.bucket.as_mut()).for_each(|bucket| bucket.take(now));
        self.next_timer()
    }

    /// Lets calls start whose tokens have returned. Returns when a timer must be set.
    pub(crate) fn refill(&mut self, now: Time) -> Option<TimerChange> {
        self.timer = None;
        self.buckets_mut().for_each(|bucket| bucket.refill(now));
        self.next_timer()
    }

    /// Returns the timer that is set.
    pub(crate) fn timer(&self) -> Option<Time> {
        self.timer
    }

    /// Returns when the next token of an empty bucket returns.
    pub(crate) fn opens_at(&self) -> Option<Time> {
        let limiters = self.service.iter().chain(self.methods.values());
        limiters.filter_map(|limiter| limiter.bucket.as_ref()?.opens_at()).min()
    }

    fn buckets_mut(&mut self) -> impl Iterator<Item = &mut TokenBucket> {
        self.service.iter_mut().chain(self.methods.values_mut()).filter_map(|limiter| limiter.bucket.as_mut())
    }

    /// Moves the timer to the next token of an empty bucket, if that is earlier.
    fn next_timer(&mut self) -> Option<TimerChange> {
        let set = self.opens_at().filter(|&at| self.timer.is_none_or(|timer| at < timer))?;
        Some(TimerChange { cancel: self.timer.replace(set), set })
    }
}

/// A change of the timer at which calls may start again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimerChange {
    pub(crate) cancel: Option<Time>,
    pub(crate) set: Time,
}
