//! Heartbeats of one connection, as a client or worker tracks them.

use std::time::Duration;

use crate::{
    time::Time,
    wire::limits::{HEARTBEAT_DEFAULT, HEARTBEATS_MISSED_MAX},
};

/// When something was last received from the broker and sent to it.
#[derive(Debug)]
pub(super) struct Liveness {
    /// The interval that we announced.
    ours: Duration,
    /// The interval that the broker announced.
    theirs: Duration,
    last_received: Time,
    last_sent: Time,
    /// When this process last recovered from a stall.
    stall_recovered_at: Time,
}

impl Liveness {
    /// Creates the state before the broker's welcome.
    pub(super) fn new(ours: Duration) -> Liveness {
        Liveness {
            ours,
            theirs: HEARTBEAT_DEFAULT,
            last_received: Time::ZERO,
            last_sent: Time::ZERO,
            stall_recovered_at: Time::ZERO,
        }
    }

    /// Starts with the broker's welcome, which announces its interval.
    pub(super) fn start(&mut self, now: Time, theirs: Duration) {
        self.theirs = theirs;
        self.last_received = now;
    }

    pub(super) fn record_receive(&mut self, now: Time) {
        self.last_received = now;
    }

    pub(super) fn record_send(&mut self, now: Time) {
        self.last_sent = now;
    }

    /// Records that the machine runs at `now`, and that its timeout was due at `due`. If it is more than an interval
    /// late (the process was stopped, or the clock jumped), what the broker sent meanwhile may not have been read yet:
    /// the broker gets one more interval.
    pub(super) fn detect_stall(&mut self, now: Time, due: Time) {
        if now > due + self.theirs {
            self.stall_recovered_at = now;
        }
    }

    /// Returns when the broker counts as lost, if nothing is received before.
    pub(super) fn expires_at(&self) -> Time {
        (self.last_received + self.theirs * HEARTBEATS_MISSED_MAX).max(self.stall_recovered_at + self.theirs)
    }

    /// Returns when a ping is due, if nothing is sent before.
    pub(super) fn ping_at(&self) -> Time {
        self.last_sent + self.ours
    }
}
