//! When a peer was last heard from, and when it was last spoken to.

use std::time::Duration;

use crate::{
    time::Time,
    wire::{ids::LinkId, limits::HEARTBEATS_MISSED_MAX},
};

/// The life of one connection.
#[derive(Debug)]
pub(super) struct Presence {
    pub(super) link: LinkId,
    /// How often the peer said it would be heard from.
    pub(super) interval: Duration,
    pub(super) heard: Time,
    pub(super) spoken: Time,
    /// The timer that is set for it.
    pub(super) timer: Time,
}

impl Presence {
    pub(super) fn new(link: LinkId, interval: Duration, now: Time) -> Presence {
        Presence { link, interval, heard: now, spoken: now, timer: now }
    }

    /// When its silence means that it is lost. After a gap in our own running (from which we came back at `grace`) one
    /// interval passes first: what it said meanwhile may not have been read yet.
    pub(super) fn lost_at(&self, grace: Time) -> Time {
        (self.heard + self.interval * HEARTBEATS_MISSED_MAX).max(grace + self.interval)
    }

    /// When we must be heard, at the latest.
    pub(super) fn speak_at(&self, heartbeat: Duration) -> Time {
        self.spoken + heartbeat
    }
}
