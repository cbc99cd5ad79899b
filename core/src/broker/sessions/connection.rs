//! The connection of an authenticated peer: its liveness, and its traffic.

use std::time::Duration;

use bytestring::ByteString;

use crate::{
    time::Time,
    wire::{
        envelope::Envelope,
        handshake::Hello,
        ids::ConnectionId,
        limits::{BODY_INLINE_BYTES_MAX, HEADER_BYTES_MAX, HEARTBEATS_MISSED_MAX, MESSAGE_BYTES_MAX},
    },
};

/// The connection of a client or worker.
#[derive(Debug)]
pub(crate) struct PeerConnection {
    pub(crate) id: ConnectionId,
    /// The peer's address, for the log and the status.
    pub(crate) address: ByteString,
    /// When the peer was authenticated.
    pub(crate) since: Time,
    /// Calls that a client made, or that a worker was given.
    pub(crate) calls: u64,
    /// Bytes of the messages received from the peer.
    pub(crate) bytes_in: u64,
    /// Bytes of the bodies sent to the peer.
    pub(crate) bytes_out: u64,
    /// How often the peer met a limit.
    pub(crate) limits_hit: u64,
    /// The heartbeat interval that the peer announced.
    pub(crate) interval: Duration,
    /// The largest body that the peer accepts: its message limit less the size of a header. A body that fits into a
    /// bundle is always accepted.
    pub(crate) body_bytes_max: usize,
    /// When something was last received from the peer.
    pub(crate) last_activity: Time,
    last_sent: Time,
    /// The time of the heartbeat timer that is set.
    pub(crate) timer: Time,
}

/// What is due on a connection when its heartbeat timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeartbeatDue {
    /// The peer was silent for too long.
    Lost,
    /// A ping is to be sent.
    Ping,
    /// Nothing yet.
    Nothing,
}

impl PeerConnection {
    /// Creates the connection of a peer that was just authenticated.
    pub(crate) fn new(id: ConnectionId, address: ByteString, hello: &Hello, now: Time) -> PeerConnection {
        let message_bytes_max =
            hello.message_bytes_max.map_or(MESSAGE_BYTES_MAX, |bytes| bytes.try_into().unwrap_or(usize::MAX));
        PeerConnection {
            id,
            address,
            since: now,
            calls: 0,
            bytes_in: 0,
            bytes_out: 0,
            limits_hit: 0,
            interval: Duration::from_millis(hello.heartbeat_ms),
            body_bytes_max: message_bytes_max.saturating_sub(HEADER_BYTES_MAX).max(BODY_INLINE_BYTES_MAX),
            last_activity: now,
            last_sent: now,
            timer: now,
        }
    }

    /// Records that bytes of the peer arrived.
    pub(crate) fn record_activity(&mut self, now: Time, bytes: usize) {
        self.last_activity = now;
        self.bytes_in += bytes as u64;
    }

    /// Records that an envelope is sent to the peer.
    pub(crate) fn record_send(&mut self, now: Time, envelope: &Envelope) {
        self.last_sent = now;
        self.bytes_out += envelope.body().map_or(0, |body| body.len() as u64);
    }

    /// Returns what is due now.
    pub(crate) fn heartbeat_due(&self, now: Time, stall_recovered_at: Time, heartbeat: Duration) -> HeartbeatDue {
        if now >= self.lost_at(stall_recovered_at) {
            HeartbeatDue::Lost
        } else if now >= self.ping_at(heartbeat) {
            HeartbeatDue::Ping
        } else {
            HeartbeatDue::Nothing
        }
    }

    /// Returns when the heartbeat timer must fire next, and stores that time.
    pub(crate) fn next_heartbeat(&mut self, stall_recovered_at: Time, heartbeat: Duration) -> Time {
        self.timer = self.lost_at(stall_recovered_at).min(self.ping_at(heartbeat));
        self.timer
    }

    /// Returns when the peer is lost if nothing is received before. After a stall of the broker, the peer gets one more
    /// interval: its messages may not have been read yet.
    fn lost_at(&self, stall_recovered_at: Time) -> Time {
        (self.last_activity + self.interval * HEARTBEATS_MISSED_MAX).max(stall_recovered_at + self.interval)
    }

    fn ping_at(&self, heartbeat: Duration) -> Time {
        self.last_sent + heartbeat
    }
}
