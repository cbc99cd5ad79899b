//! One method of a service, over all workers that offer it.

use std::time::Duration;

use super::super::metrics::CallMetrics;
use crate::{
    time::Time,
    wire::{envelope::Effect, handshake::MethodOffer, streams::Style},
};

/// The weight of a new handler time in the smoothed value: one part in this many.
const SMOOTHING: u32 = 8;
/// The shortest handler time that is assumed. A call costs its worker as much anyway.
const HANDLER_TIME_MIN: Duration = Duration::from_micros(2);

/// One method of a service, over all workers that offer it.
///
/// Its limit of concurrent calls holds over all workers, for example because a database supports fewer calls than there
/// are slots. A call counts from its dispatch until its worker's final message about it, or the worker's loss. A call
/// that a lost worker may still run does not count, because the broker gets no message when it ends.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
    /// Its streams, as the last worker registered them.
    pub(crate) style: Style,
    /// Calls that may run at once, as the last worker registered it.
    pub(crate) concurrency: Option<u32>,
    /// Calls that are at workers.
    pub(crate) running: u32,
    /// Calls that refer to the method, running or waiting.
    pub(crate) calls: usize,
    /// How many offers declare each effect, by the effect's number.
    effects: [usize; 3],
    /// Until when calls wait for a worker that offers the method, if no worker does.
    pub(crate) awaited_until: Time,
    /// The smoothed time that its handlers run, as far as workers report it.
    handler_time: Option<Duration>,
    /// The counters of its calls, once one has ended. `None` also if too many methods have some.
    pub(crate) metrics: Option<Box<CallMetrics>>,
}

impl Method {
    pub(super) fn new(name: &str) -> Method {
        Method {
            name: name.to_owned(),
            arguments: Vec::new(),
            style: Style::Unary,
            concurrency: None,
            running: 0,
            calls: 0,
            effects: [0; 3],
            awaited_until: Time::ZERO,
            handler_time: None,
            metrics: None,
        }
    }

    /// Adds a worker's offer of the method.
    pub(super) fn add_offer(&mut self, offer: &MethodOffer) {
        self.arguments.clone_from(&offer.arguments);
        self.style = offer.style;
        self.concurrency = offer.limits.concurrency;
        self.effects[offer.effect as usize] += 1;
    }

    /// Removes a worker's offer of the method. If it was the last one, calls wait for another until `awaited_until`.
    pub(super) fn remove_offer(&mut self, effect: Effect, awaited_until: Time) {
        self.effects[effect as usize] -= 1;
        self.awaited_until = awaited_until;
    }

    /// Records how long a handler ran.
    pub(crate) fn record_handler_time(&mut self, span: Duration) {
        let smoothed = |before: Duration| (before * (SMOOTHING - 1)).saturating_add(span) / SMOOTHING;
        self.handler_time = Some(self.handler_time.map_or(span, smoothed));
    }

    /// Returns how long a handler is expected to run. Without a reported time, for ever.
    pub(super) fn expected_time(&self) -> Duration {
        self.handler_time.map_or(Duration::MAX, |time| time.max(HANDLER_TIME_MIN))
    }

    /// Returns whether a worker offers the method.
    pub(crate) fn is_offered(&self) -> bool {
        self.effects.iter().any(|&offers| offers > 0)
    }

    /// Returns whether neither a worker offers the method nor a call refers to it.
    pub(super) fn is_unused(&self) -> bool {
        !self.is_offered() && self.calls == 0
    }

    /// Returns whether the method is at its limit of concurrent calls.
    pub(crate) fn is_full(&self) -> bool {
        self.concurrency.is_some_and(|max| self.running >= max)
    }

    /// Returns the strictest effect that a worker declares.
    pub(crate) fn effect(&self) -> Effect {
        match self.effects {
            [_, 0, 0] => Effect::Read,
            [_, _, 0] => Effect::Idempotent,
            _ => Effect::Once,
        }
    }
}
