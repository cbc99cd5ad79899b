//! When the broker was last heard, and when we last spoke to it.

use std::time::Duration;

use crate::{
    time::Time,
    wire::limits::{HEARTBEAT_DEFAULT, HEARTBEATS_MISSED_MAX},
};

/// The life of one connection, as a peer sees it.
#[derive(Debug)]
pub(super) struct Presence {
    /// How often we said that we will be heard.
    ours: Duration,
    /// How often the broker said that it will be heard.
    theirs: Duration,
    heard: Time,
    spoken: Time,
    /// When we last came back from not being run in time.
    grace: Time,
}

impl Presence {
    /// Of a peer that has not been let in yet.
    pub(super) fn new(ours: Duration) -> Presence {
        Presence { ours, theirs: HEARTBEAT_DEFAULT, heard: Time::ZERO, spoken: Time::ZERO, grace: Time::ZERO }
    }

    /// The broker let us in, and announced its interval.
    pub(super) fn begin(&mut self, now: Time, theirs: Duration) {
        self.theirs = theirs;
        self.heard = now;
    }

    pub(super) fn heard(&mut self, now: Time) {
        self.heard = now;
    }

    pub(super) fn spoke(&mut self, now: Time) {
        self.spoken = now;
    }

    /// We are run at `now` and wanted to be at `due`. If that is more than an interval late (the process was stopped,
    /// the clock leapt), what the broker said meanwhile may not have been read yet: it gets an interval of grace.
    pub(super) fn notice_gap(&mut self, now: Time, due: Time) {
        if now > due + self.theirs {
            self.grace = now;
        }
    }

    /// When the broker's silence means that it is lost.
    pub(super) fn lost_at(&self) -> Time {
        (self.heard + self.theirs * HEARTBEATS_MISSED_MAX).max(self.grace + self.theirs)
    }

    /// When we must be heard, at the latest.
    pub(super) fn speak_at(&self) -> Time {
        self.spoken + self.ours
    }
}
