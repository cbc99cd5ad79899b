//! Which new connections are admitted.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use callboard_core::wire::ids::ConnectionId;
use tokio::sync::Notify;

use super::{super::CloseReason, GateLimits, HANDSHAKE_GRACE, rate_limit_key::RateLimitKey};

/// The connections that were admitted, by rate-limit key.
///
/// A connection counts until the driver has taken its `Closed` event, so that a driver that falls behind is not flooded with
/// opened and closed connections.
#[derive(Debug)]
pub(in crate::gate) struct Admission {
    connections: RefCell<Connections>,
    connections_max: usize,
    per_address_max: usize,
    handshakes_max: usize,
    /// Notified when a connection was closed or authenticated: another may be admitted.
    pub(in crate::gate) freed: Notify,
}

#[derive(Debug, Default)]
struct Connections {
    by_key: HashMap<RateLimitKey, Group>,
    keys: HashMap<ConnectionId, RateLimitKey>,
    pending: usize,
}

/// The connections of one rate-limit key.
#[derive(Debug, Default)]
struct Group {
    all: usize,
    /// Those that are not authenticated, with the time at which they were accepted. Ids are given in order, so the first is the
    /// oldest.
    pending: BTreeMap<ConnectionId, Instant>,
}

/// The decision on a new connection.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gate) enum Decision {
    /// Admit it.
    Admit,
    /// Close this other connection first.
    Displace(ConnectionId),
    /// Wait until a connection is closed or authenticated, and at most until this time, then decide again.
    Wait(Option<Instant>),
    /// Reject it.
    Reject(CloseReason),
}

impl Admission {
    pub(in crate::gate) fn new(limits: &GateLimits) -> Admission {
        Admission {
            connections: RefCell::default(),
            connections_max: limits.connections_max,
            per_address_max: limits.connections_per_address_max,
            handshakes_max: limits.handshakes_max,
            freed: Notify::new(),
        }
    }

    /// Decides on one more connection with this key.
    pub(in crate::gate) fn decide(&self, key: RateLimitKey, now: Instant) -> Decision {
        let connections = self.connections.borrow();
        if let Some(group) = connections.by_key.get(&key).filter(|group| group.all >= self.per_address_max) {
            // Only a connection with the same key is displaced for it. Waiting here would make all others wait, too.
            return match group.displaceable() {
                Some((connection, at)) if at <= now => Decision::Displace(connection),
                _ => Decision::Reject(CloseReason::AddressFull { max: self.per_address_max }),
            };
        }
        if connections.keys.len() < self.connections_max && connections.pending < self.handshakes_max {
            return Decision::Admit;
        }
        let largest = connections.by_key.values().max_by_key(|group| group.pending.len());
        match largest.and_then(Group::displaceable) {
            Some((connection, at)) if at <= now => Decision::Displace(connection),
            wait => Decision::Wait(wait.map(|(_, at)| at)),
        }
    }

    /// Adds a connection that starts its handshake.
    pub(in crate::gate) fn register(&self, connection: ConnectionId, key: RateLimitKey, now: Instant) {
        let mut connections = self.connections.borrow_mut();
        connections.keys.insert(connection, key);
        connections.pending += 1;
        let group = connections.by_key.entry(key).or_default();
        group.all += 1;
        group.pending.insert(connection, now);
    }

    /// Records that a connection's handshake is over: it was authenticated or displaced.
    pub(in crate::gate) fn end_handshake(&self, connection: ConnectionId) {
        self.connections.borrow_mut().end_handshake(connection);
        self.freed.notify_waiters();
    }

    /// Removes a connection that is closed.
    pub(in crate::gate) fn remove(&self, connection: ConnectionId) {
        self.connections.borrow_mut().remove(connection);
        self.freed.notify_waiters();
    }

    /// Returns how many connections are not authenticated.
    pub(in crate::gate) fn pending(&self) -> usize {
        self.connections.borrow().pending
    }
}

impl Connections {
    fn end_handshake(&mut self, connection: ConnectionId) {
        let group = self.keys.get(&connection).and_then(|key| self.by_key.get_mut(key));
        if group.is_some_and(|group| group.pending.remove(&connection).is_some()) {
            self.pending -= 1;
        }
    }

    fn remove(&mut self, connection: ConnectionId) {
        self.end_handshake(connection);
        let Some(key) = self.keys.remove(&connection) else { return };
        let group = self.by_key.get_mut(&key).expect("a key is known as long as it has connections");
        group.all -= 1;
        if group.all == 0 {
            self.by_key.remove(&key);
        }
    }
}

impl Group {
    /// Returns the oldest connection whose handshake is not complete, and from when on it may be displaced.
    fn displaceable(&self) -> Option<(ConnectionId, Instant)> {
        self.pending.first_key_value().map(|(&connection, &since)| (connection, since + HANDSHAKE_GRACE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: RateLimitKey = RateLimitKey::User(1);
    const THERE: RateLimitKey = RateLimitKey::User(2);

    fn admission(connections_max: usize, connections_per_address_max: usize, handshakes_max: usize) -> Admission {
        let limits =
            GateLimits { connections_max, connections_per_address_max, handshakes_max, ..GateLimits::default() };
        Admission::new(&limits)
    }

    #[test]
    fn the_oldest_handshake_of_the_busiest_key_is_displaced_after_its_grace() {
        let (admission, now) = (admission(100, 100, 3), Instant::now());
        admission.register(ConnectionId(1), THERE, now);
        admission.register(ConnectionId(2), HERE, now);
        assert_eq!(admission.decide(THERE, now), Decision::Admit);
        admission.register(ConnectionId(3), HERE, now);
        let due = now + HANDSHAKE_GRACE;
        assert_eq!(admission.decide(THERE, now), Decision::Wait(Some(due)));
        assert_eq!(
            admission.decide(THERE, due),
            Decision::Displace(ConnectionId(2)),
            "not the oldest of all: its key has few connections"
        );
        admission.end_handshake(ConnectionId(2));
        assert_eq!((admission.decide(THERE, due), admission.pending()), (Decision::Admit, 2));
        admission.remove(ConnectionId(2));
        assert_eq!(admission.pending(), 2, "it is counted once");
    }

    #[test]
    fn an_authenticated_connection_is_never_displaced() {
        let (admission, now) = (admission(2, 100, 100), Instant::now());
        for connection in [ConnectionId(1), ConnectionId(2)] {
            admission.register(connection, HERE, now);
            admission.end_handshake(connection);
        }
        assert_eq!(admission.decide(THERE, now + HANDSHAKE_GRACE), Decision::Wait(None));
        admission.remove(ConnectionId(1));
        assert_eq!(admission.decide(THERE, now), Decision::Admit);
    }

    #[test]
    fn a_full_address_is_rejected_and_others_are_not() {
        let (admission, now) = (admission(100, 2, 100), Instant::now());
        admission.register(ConnectionId(1), HERE, now);
        admission.end_handshake(ConnectionId(1));
        admission.register(ConnectionId(2), HERE, now);
        assert_eq!(admission.decide(HERE, now), Decision::Reject(CloseReason::AddressFull { max: 2 }));
        assert_eq!(admission.decide(THERE, now), Decision::Admit);
        assert_eq!(admission.decide(HERE, now + HANDSHAKE_GRACE), Decision::Displace(ConnectionId(2)));
        admission.remove(ConnectionId(2));
        assert_eq!(admission.decide(HERE, now), Decision::Admit);
        admission.remove(ConnectionId(1));
        assert!(admission.connections.borrow().by_key.is_empty(), "a key without connections is removed");
    }
}
