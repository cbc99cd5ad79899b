//! A process: its own clock, when it is run, and when it is not.

use std::time::Duration;

use callboard_core::time::Time;

/// How a machine is run.
#[derive(Debug)]
pub(crate) struct Process {
    /// How far its clock is ahead of the world's.
    ahead: Duration,
    /// It is not run before.
    stopped: Time,
    /// Input waits for it, and will be handled then.
    ready: Option<Time>,
    /// When it last came back from not being run, or its clock leapt.
    pub(crate) resumed: Time,
    /// How often it was run.
    pub(crate) turns: u64,
}

impl Process {
    pub(crate) fn new(now: Time, ahead: Duration) -> Process {
        Process { ahead, stopped: Time::ZERO, ready: None, resumed: now, turns: 0 }
    }

    /// What its own clock shows.
    pub(crate) fn local(&self, now: Time) -> Time {
        now + self.ahead
    }

    /// When its own clock will show that.
    pub(crate) fn world(&self, local: Time) -> Time {
        Time::ZERO + local.since(Time::ZERO + self.ahead)
    }

    /// Input came, and is handled at that time at the latest.
    pub(crate) fn rouse(&mut self, at: Time) {
        self.ready = Some(self.ready.map_or(at, |ready| ready.min(at)));
    }

    /// When it is to be run, given what its machine waits for by its own clock.
    pub(crate) fn due(&self, deadline: Option<Time>) -> Option<Time> {
        let deadline = deadline.map(|local| self.world(local));
        [self.ready, deadline].into_iter().flatten().min().map(|at| at.max(self.stopped))
    }

    /// It is run.
    pub(crate) fn begin_turn(&mut self) {
        self.ready = None;
        self.turns += 1;
    }

    /// It is not run before that time.
    pub(crate) fn stop(&mut self, until: Time) {
        self.stopped = self.stopped.max(until);
        self.resumed = self.resumed.max(until);
    }

    pub(crate) fn is_stopped(&self, now: Time) -> bool {
        self.stopped > now
    }

    /// Its clock leaps forward.
    pub(crate) fn leap(&mut self, now: Time, span: Duration) {
        self.ahead += span;
        self.resumed = self.resumed.max(now);
    }

    /// It runs again, if it was stopped.
    pub(crate) fn resume(&mut self, now: Time) {
        self.stopped = self.stopped.min(now);
        self.resumed = self.resumed.min(now);
    }
}
