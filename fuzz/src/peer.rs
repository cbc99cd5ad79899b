//! The common part of the drivers of clients and workers.

use bytes::Bytes;
use callboard_core::{
    time::Time,
    wire::{Envelope, ids::ConnectionId},
};

/// The maximum number of timeouts of a machine within a span. After them, the rest of the span passes at once, as if the process had
/// been suspended.
pub(crate) const TIMEOUTS_MAX: usize = 24;

/// The socket of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    None,
    /// The machine has requested a connection.
    Requested,
    Open(ConnectionId),
    /// The machine has disconnected, and has not received the event yet.
    Disconnected,
}

/// An action of a peer.
#[derive(Debug)]
pub(crate) enum PeerAction {
    Sent(Envelope),
    Disconnected(ConnectionId),
}

impl Socket {
    pub(crate) fn request(&mut self) {
        assert_eq!(*self, Socket::None, "a machine requests a socket only without one");
        *self = Socket::Requested;
    }

    /// Disconnects the socket. Returns the connection, if it was open.
    pub(crate) fn disconnect(&mut self) -> Option<ConnectionId> {
        match std::mem::replace(self, Socket::Disconnected) {
            Socket::Open(connection) => Some(connection),
            Socket::Requested => None,
            other => panic!("a machine disconnects without a socket: {other:?}"),
        }
    }

    pub(crate) fn check_open(self) {
        assert!(matches!(self, Socket::Open(_)), "a machine sends only on an open socket");
    }
}

/// The machine of a client or worker with its driver.
pub(crate) trait Peer {
    fn socket(&mut self) -> &mut Socket;
    /// Returns whether the machine has ended.
    fn has_ended(&self) -> bool;
    fn poll_timeout(&self) -> Option<Time>;
    fn receive(&mut self, now: Time, frames: &[Bytes]) -> Vec<PeerAction>;
    fn is_connected(&self) -> bool;
    fn connected(&mut self, now: Time, connection: ConnectionId) -> Vec<PeerAction>;
    fn disconnected(&mut self, now: Time, chance: u32) -> Vec<PeerAction>;
    fn handle_timeout(&mut self, now: Time) -> Vec<PeerAction>;

    /// Advances the time, and calls the machine at each of its timeouts.
    fn advance(&mut self, from: Time, until: Time) -> Vec<PeerAction> {
        let (mut now, mut actions) = (from, Vec::new());
        for wakes in 0..=TIMEOUTS_MAX {
            let due = self.poll_timeout().filter(|&due| due <= until && !self.has_ended());
            let Some(due) = due else { return actions };
            now = if wakes == TIMEOUTS_MAX { until } else { now.max(due) };
            actions.extend(self.handle_timeout(now));
            assert!(self.poll_timeout().is_none_or(|next| next > now), "a timeout handles everything that is due");
        }
        actions
    }
}
