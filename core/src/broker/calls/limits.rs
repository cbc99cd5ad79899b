//! The time limits of a running call.

use std::time::Duration;

use crate::{
    time::Time,
    wire::{handshake::MethodLimits, limits::UNRESPONSIVE_AFTER},
};

/// The time limits of a running call, as its worker registered them for the method.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ExecutionLimits {
    /// When the call is logged as slow.
    soft: Option<Time>,
    /// When the call is stopped.
    hard: Option<Time>,
    /// When the worker counts as unresponsive, after it was asked to stop the call.
    unresponsive_at: Option<Time>,
    /// Whether the worker counts as unresponsive because of this call.
    pub(crate) is_unresponsive: bool,
}

/// A limit that a call has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitReached {
    Soft,
    Hard,
    Unresponsive,
}

impl ExecutionLimits {
    /// Creates the limits of a call that begins now, if its method has some.
    pub(crate) fn new(now: Time, limits: MethodLimits) -> Option<Box<ExecutionLimits>> {
        if limits.soft_ms.is_none() && limits.hard_ms.is_none() {
            return None;
        }
        let at = |millis: Option<u64>| millis.map(|millis| now + Duration::from_millis(millis));
        let (soft, hard) = (at(limits.soft_ms), at(limits.hard_ms));
        Some(Box::new(ExecutionLimits { soft, hard, ..ExecutionLimits::default() }))
    }

    /// Returns when the next limit is reached.
    pub(crate) fn next(&self) -> Option<Time> {
        [self.soft, self.hard, self.unresponsive_at].into_iter().flatten().min()
    }

    /// Removes the limits that are reached, so that each is reported once, and returns the most severe of them.
    pub(crate) fn take_reached(&mut self, now: Time) -> Option<LimitReached> {
        let due = |at: &mut Option<Time>| at.take_if(|at| *at <= now).is_some();
        let (slow, over, unresponsive) = (due(&mut self.soft), due(&mut self.hard), due(&mut self.unresponsive_at));
        if over {
            self.unresponsive_at = Some(now + UNRESPONSIVE_AFTER);
            return Some(LimitReached::Hard);
        }
        if unresponsive {
            self.is_unresponsive = true;
            return Some(LimitReached::Unresponsive);
        }
        slow.then_some(LimitReached::Soft)
    }
}
