//! A process: its clock, and when it runs.

use std::time::Duration;

use callboard_core::time::Time;

/// The clock and the schedule of one process.
#[derive(Debug)]
pub(crate) struct Process {
    /// How far its clock is ahead of the clock of the world.
    clock_offset: Duration,
    /// It does not run before this time.
    paused_until: Time,
    /// When it handles the input that waits for it.
    ready: Option<Time>,
    /// When its last pause ended, or its clock last jumped.
    pub(crate) resumed: Time,
    /// How often it has run.
    pub(crate) runs: u64,
}

impl Process {
    pub(crate) fn new(now: Time, clock_offset: Duration) -> Process {
        Process { clock_offset, paused_until: Time::ZERO, ready: None, resumed: now, runs: 0 }
    }

    /// Returns the time of its clock.
    pub(crate) fn local(&self, now: Time) -> Time {
        now + self.clock_offset
    }

    /// Converts a time of its clock to the time of the world.
    pub(crate) fn world(&self, local: Time) -> Time {
        Time::ZERO + local.since(Time::ZERO + self.clock_offset)
    }

    /// Schedules a run at that time or earlier.
    pub(crate) fn wake(&mut self, at: Time) {
        self.ready = Some(self.ready.map_or(at, |ready| ready.min(at)));
    }

    /// Returns when it runs next, with the deadline of its machine by its own clock.
    pub(crate) fn due(&self, deadline: Option<Time>) -> Option<Time> {
        let deadline = deadline.map(|local| self.world(local));
        [self.ready, deadline].into_iter().flatten().min().map(|at| at.max(self.paused_until))
    }

    /// Records that it runs.
    pub(crate) fn begin_run(&mut self) {
        self.ready = None;
        self.runs += 1;
    }

    /// Pauses it until that time.
    pub(crate) fn pause(&mut self, until: Time) {
        self.paused_until = self.paused_until.max(until);
        self.resumed = self.resumed.max(until);
    }

    pub(crate) fn is_paused(&self, now: Time) -> bool {
        self.paused_until > now
    }

    /// Moves its clock forward.
    pub(crate) fn jump_clock(&mut self, now: Time, span: Duration) {
        self.clock_offset += span;
        self.resumed = self.resumed.max(now);
    }

    /// Ends its pause.
    pub(crate) fn resume(&mut self, now: Time) {
        self.paused_until = self.paused_until.min(now);
        self.resumed = self.resumed.min(now);
    }
}
