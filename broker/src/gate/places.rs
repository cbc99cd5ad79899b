//! The places that there are for connections, and who holds them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use callboard_core::wire::ids::ConnectionId;
use tokio::sync::Notify;

use super::{CloseReason, GateLimits, limits::HANDSHAKE_GRACE, origin::Origin};

/// Who is connected, by origin.
///
/// A place is free again when the driver has seen the connection's end, so that a driver that falls behind is not buried
/// under openings and closings.
#[derive(Debug)]
pub(super) struct Places {
    guests: RefCell<Guests>,
    connections_max: usize,
    per_address_max: usize,
    handshakes_max: usize,
    /// Somebody left, or was let in: there may be room.
    pub(super) freed: Notify,
}

#[derive(Debug, Default)]
struct Guests {
    origins: HashMap<Origin, Group>,
    of: HashMap<ConnectionId, Origin>,
    pending: usize,
}

/// The connections of one origin.
#[derive(Debug, Default)]
struct Group {
    all: usize,
    /// Those that were not let in yet, and since when they are there. Links are numbered in their order, so the oldest is
    /// the first.
    pending: BTreeMap<ConnectionId, Instant>,
}

/// What becomes of a connection that comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is a place.
    Free,
    /// This one has to make way for it.
    Displace(ConnectionId),
    /// It waits: until somebody leaves or, if there is one, until then at most.
    Later(Option<Instant>),
    /// It is not wanted.
    Refused(CloseReason),
}

impl Places {
    pub(super) fn new(limits: &GateLimits) -> Places {
        Places {
            guests: RefCell::default(),
            connections_max: limits.connections_max,
            per_address_max: limits.connections_per_address_max,
            handshakes_max: limits.handshakes_max,
            freed: Notify::new(),
        }
    }

    /// Whether one more connection may come from there.
    pub(super) fn room(&self, origin: Origin, now: Instant) -> Room {
        let guests = self.guests.borrow();
        if let Some(group) = guests.origins.get(&origin).filter(|group| group.all >= self.per_address_max) {
            // Its own kin pay for it or nobody does. Waiting here would make all others wait, too.
            return match group.displaceable() {
                Some((connection, at)) if at <= now => Room::Displace(connection),
                _ => Room::Refused(CloseReason::AddressFull { max: self.per_address_max }),
            };
        }
        if guests.of.len() < self.connections_max && guests.pending < self.handshakes_max {
            return Room::Free;
        }
        let largest = guests.origins.values().max_by_key(|group| group.pending.len());
        match largest.and_then(Group::displaceable) {
            Some((connection, at)) if at <= now => Room::Displace(connection),
            later => Room::Later(later.map(|(_, at)| at)),
        }
    }

    /// A connection takes a place, to do its handshake.
    pub(super) fn enter(&self, connection: ConnectionId, origin: Origin, now: Instant) {
        let mut guests = self.guests.borrow_mut();
        guests.of.insert(connection, origin);
        guests.pending += 1;
        let group = guests.origins.entry(origin).or_default();
        group.all += 1;
        group.pending.insert(connection, now);
    }

    /// A connection's handshake is over: it was let in, or has to make way.
    pub(super) fn settle(&self, connection: ConnectionId) {
        self.guests.borrow_mut().settle(connection);
        self.freed.notify_waiters();
    }

    /// A connection is gone.
    pub(super) fn leave(&self, connection: ConnectionId) {
        self.guests.borrow_mut().leave(connection);
        self.freed.notify_waiters();
    }

    /// Connections that were not let in yet.
    pub(super) fn pending(&self) -> usize {
        self.guests.borrow().pending
    }
}

impl Guests {
    fn settle(&mut self, connection: ConnectionId) {
        let group = self.of.get(&connection).and_then(|origin| self.origins.get_mut(origin));
        if group.is_some_and(|group| group.pending.remove(&connection).is_some()) {
            self.pending -= 1;
        }
    }

    fn leave(&mut self, connection: ConnectionId) {
        self.settle(connection);
        let Some(origin) = self.of.remove(&connection) else { return };
        let group = self.origins.get_mut(&origin).expect("a guest's origin is known as long as it has guests");
        group.all -= 1;
        if group.all == 0 {
            self.origins.remove(&origin);
        }
    }
}

impl Group {
    /// The oldest whose handshake is not done, and from when on it may have to make way.
    fn displaceable(&self) -> Option<(ConnectionId, Instant)> {
        self.pending.first_key_value().map(|(&connection, &since)| (connection, since + HANDSHAKE_GRACE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Origin = Origin::User(1);
    const THERE: Origin = Origin::User(2);

    fn places(connections_max: usize, connections_per_address_max: usize, handshakes_max: usize) -> Places {
        let limits =
            GateLimits { connections_max, connections_per_address_max, handshakes_max, ..GateLimits::default() };
        Places::new(&limits)
    }

    #[test]
    fn the_oldest_handshake_of_the_busiest_origin_makes_way_after_its_grace() {
        let (places, now) = (places(100, 100, 3), Instant::now());
        places.enter(ConnectionId(1), THERE, now);
        places.enter(ConnectionId(2), HERE, now);
        assert_eq!(places.room(THERE, now), Room::Free);
        places.enter(ConnectionId(3), HERE, now);
        let due = now + HANDSHAKE_GRACE;
        assert_eq!(places.room(THERE, now), Room::Later(Some(due)));
        assert_eq!(
            places.room(THERE, due),
            Room::Displace(ConnectionId(2)),
            "not the oldest of all: that one floods nobody"
        );
        places.settle(ConnectionId(2));
        assert_eq!((places.room(THERE, due), places.pending()), (Room::Free, 2));
        places.leave(ConnectionId(2));
        assert_eq!(places.pending(), 2, "it was counted out once");
    }

    #[test]
    fn who_was_let_in_makes_way_for_nobody() {
        let (places, now) = (places(2, 100, 100), Instant::now());
        for connection in [ConnectionId(1), ConnectionId(2)] {
            places.enter(connection, HERE, now);
            places.settle(connection);
        }
        assert_eq!(places.room(THERE, now + HANDSHAKE_GRACE), Room::Later(None));
        places.leave(ConnectionId(1));
        assert_eq!(places.room(THERE, now), Room::Free);
    }

    #[test]
    fn an_address_that_has_enough_is_refused_and_others_are_not() {
        let (places, now) = (places(100, 2, 100), Instant::now());
        places.enter(ConnectionId(1), HERE, now);
        places.settle(ConnectionId(1));
        places.enter(ConnectionId(2), HERE, now);
        assert_eq!(places.room(HERE, now), Room::Refused(CloseReason::AddressFull { max: 2 }));
        assert_eq!(places.room(THERE, now), Room::Free);
        assert_eq!(places.room(HERE, now + HANDSHAKE_GRACE), Room::Displace(ConnectionId(2)));
        places.leave(ConnectionId(2));
        assert_eq!(places.room(HERE, now), Room::Free);
        places.leave(ConnectionId(1));
        assert!(places.guests.borrow().origins.is_empty(), "an origin that is gone is forgotten");
    }
}
