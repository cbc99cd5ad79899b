//! When a peer was last heard from, and when it was last spoken to.

use std::time::Duration;

use bytestring::ByteString;

use crate::{
    time::Time,
    wire::{
        envelope::Envelope,
        handshake::Hello,
        ids::ConnectionId,
        limits::{BODY_COPIED_BYTES_MAX, HEADER_BYTES_MAX, HEARTBEATS_MISSED_MAX, MESSAGE_BYTES_MAX},
    },
};

/// The life of one connection.
#[derive(Debug)]
pub(super) struct Presence {
    pub(super) connection: ConnectionId,
    /// Where the peer connects from, for people.
    pub(super) address: ByteString,
    /// When it was let in.
    pub(super) since: Time,
    /// Calls that it made, or was given.
    pub(super) calls: u64,
    /// Bytes of the messages that came from it.
    pub(super) bytes_in: u64,
    /// Bytes of the bodies that were sent to it.
    pub(super) bytes_out: u64,
    /// How often it met a limit.
    pub(super) limits_hit: u64,
    /// How often the peer said it would be heard from.
    pub(super) interval: Duration,
    /// The largest body that it takes, with room for a header: what a bundle of ours may hold is taken in any case.
    pub(super) body_bytes_max: usize,
    pub(super) heard: Time,
    pub(super) spoken: Time,
    /// The timer that is set for it.
    pub(super) timer: Time,
}

impl Presence {
    /// Of a peer that was let in.
    pub(super) fn new(connection: ConnectionId, address: ByteString, hello: &Hello, now: Time) -> Presence {
        let message_bytes_max =
            hello.message_bytes_max.map_or(MESSAGE_BYTES_MAX, |bytes| bytes.try_into().unwrap_or(usize::MAX));
        Presence {
            connection,
            address,
            since: now,
            calls: 0,
            bytes_in: 0,
            bytes_out: 0,
            limits_hit: 0,
            interval: Duration::from_millis(hello.heartbeat_ms),
            body_bytes_max: message_bytes_max.saturating_sub(HEADER_BYTES_MAX).max(BODY_COPIED_BYTES_MAX),
            heard: now,
            spoken: now,
            timer: now,
        }
    }

    /// An envelope goes to it now.
    pub(super) fn speaks(&mut self, now: Time, envelope: &Envelope) {
        self.spoken = now;
        self.bytes_out += envelope.body().map_or(0, |body| body.len() as u64);
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
