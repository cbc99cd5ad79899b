//! All timers except those of calls, which are in the call table.

use std::collections::BTreeSet;

use super::keys::{CallKey, ClientKey, ServiceKey, WorkerKey};
use crate::{time::Time, wire::ids::ConnectionId};

/// The purpose of a timer. At most one timer of each value is set. Timers of the same time fire in the order of the
/// variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The handshake of a connection times out.
    Handshake(ConnectionId),
    /// A client is pinged, or is lost.
    ClientHeartbeat(ClientKey),
    /// A worker is pinged, or is lost.
    WorkerHeartbeat(WorkerKey),
    /// A disconnected client can no longer return.
    ClientExpiry(ClientKey),
    /// A call reaches a deadline or a limit. Kept in [`Calls`](super::calls::Calls).
    Call(CallKey),
    /// A service without workers and calls is removed.
    ServiceExpiry(ServiceKey),
    /// The pause of an offer that handed a call back ends.
    OfferPause(WorkerKey, usize),
    /// Calls of a service may start again, whose rate an operator has limited.
    OperatorRate(ServiceKey),
    /// Calls with affinity keys may be dispatched.
    AffinityStart,
    /// The broker stops waiting for running calls.
    Shutdown,
}

/// The timers that are set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    set: BTreeSet<(Time, Timer)>,
}

impl Timers {
    /// Sets a timer.
    pub(crate) fn set(&mut self, at: Time, timer: Timer) {
        self.set.insert((at, timer));
    }

    /// Sets a timer in place of the one of an earlier value, if that is set.
    pub(crate) fn replace(&mut self, old: Option<Time>, at: Time, timer: Timer) {
        if let Some(old) = old {
            self.cancel(old, timer);
        }
        self.set(at, timer);
    }

    /// Cancels a timer. Does nothing if it is not set.
    pub(crate) fn cancel(&mut self, at: Time, timer: Timer) {
        self.set.remove(&(at, timer));
    }

    /// Returns whether the timer is set for that time.
    pub(crate) fn is_set(&self, at: Time, timer: Timer) -> bool {
        self.set.contains(&(at, timer))
    }

    /// Returns the timer that is due first.
    pub(crate) fn first(&self) -> Option<(Time, Timer)> {
        self.set.first().copied()
    }
}
