//! What clients and workers have in common, as their drivers see it.

use bytes::Bytes;
use callboard_core::{
    auth::Nonce,
    time::Time,
    wire::{Envelope, ids::ConnectionId},
};

/// Times that a machine may want to be woken while a span passes; then the rest of the span passes in one leap, as if the
/// process had been stopped.
pub(crate) const WAKES_MAX: usize = 24;

/// The socket of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    None,
    /// The machine wants one.
    Asked,
    Open(ConnectionId),
    /// The machine dropped it, and was not told yet that it is gone.
    Dropped,
}

/// What a peer did.
#[derive(Debug)]
pub(crate) enum Did {
    Said(Envelope),
    Dropped(ConnectionId),
}

impl Socket {
    pub(crate) fn ask(&mut self) {
        assert_eq!(*self, Socket::None, "a machine asks for a socket when it has none");
        *self = Socket::Asked;
    }

    /// The machine drops it. Returns its connection, if it was connected.
    pub(crate) fn drop_it(&mut self) -> Option<ConnectionId> {
        match std::mem::replace(self, Socket::Dropped) {
            Socket::Open(connection) => Some(connection),
            Socket::Asked => None,
            other => panic!("a machine drops a socket that it does not have: {other:?}"),
        }
    }

    pub(crate) fn check_open(self) {
        assert!(matches!(self, Socket::Open(_)), "a machine speaks where it is connected");
    }
}

/// A machine of a client or worker with its driver's part.
pub(crate) trait Peer {
    fn socket(&mut self) -> &mut Socket;
    /// Nothing more may happen to it.
    fn is_over(&self) -> bool;
    fn next_deadline(&self) -> Option<Time>;
    fn receive(&mut self, now: Time, frames: &[Bytes]) -> Vec<Did>;
    fn is_connected(&self) -> bool;
    fn connected(&mut self, now: Time, nonce: Nonce) -> Vec<Did>;
    fn disconnected(&mut self, now: Time, chance: u32) -> Vec<Did>;
    fn wake(&mut self, now: Time) -> Vec<Did>;

    /// Time passes, and the machine is woken when it wants to be.
    fn pass(&mut self, from: Time, until: Time) -> Vec<Did> {
        let (mut now, mut did) = (from, Vec::new());
        for wakes in 0..=WAKES_MAX {
            let due = self.next_deadline().filter(|&due| due <= until && !self.is_over());
            let Some(due) = due else { return did };
            now = if wakes == WAKES_MAX { until } else { now.max(due) };
            did.extend(self.wake(now));
            assert!(self.next_deadline().is_none_or(|next| next > now), "a wake does all that is due");
        }
        did
    }
}
