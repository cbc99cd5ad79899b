//! What the gate, its listeners and its connections have in common.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::Instant,
};

use callboard_core::{
    wire::ids::ConnectionId,
    zmtp::{Violation, error},
};
use tokio::{
    sync::Notify,
    task::{AbortHandle, spawn_local},
    time::timeout_at,
};

use super::{
    CloseReason, Endpoint, GateCounters, GateEvent, GateLimits, PeerAddress,
    complaints::Complaints,
    connection::{self, Connection},
    held::Held,
    inbound::ReadBlock,
    limits::{FAREWELLS_MAX, HANDSHAKE_GRACE},
    origin::Origin,
    places::{Places, Room},
    queue::Queue,
    stream::{ReadHalf, Stream},
};

/// Everything is on one thread: cells, no locks.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: GateLimits,
    pub(super) queue: Queue,
    pub(super) counters: RefCell<GateCounters>,
    /// See [`ReadBlock`].
    pub(super) block: RefCell<ReadBlock>,
    /// Every connection that has a task. The numbers are ours, so the hasher has nobody to fear.
    connections: RefCell<HashMap<ConnectionId, Entry>>,
    last_connection: Cell<u64>,
    pub(super) places: Places,
    /// What connections hold; the queue's bytes come on top.
    held: Rc<Held>,
    /// Connections that are refused with a word.
    farewells: Cell<usize>,
    complaints: RefCell<Complaints>,
    /// The last connection is gone.
    pub(super) deserted: Notify,
}

#[derive(Debug)]
struct Entry {
    connection: Rc<Connection>,
    task: AbortHandle,
}

impl Shared {
    pub(super) fn new(limits: GateLimits) -> Shared {
        Shared {
            queue: Queue::new(&limits),
            counters: RefCell::default(),
            block: RefCell::default(),
            connections: RefCell::default(),
            last_connection: Cell::new(0),
            places: Places::new(&limits),
            held: Rc::default(),
            farewells: Cell::new(0),
            complaints: RefCell::default(),
            deserted: Notify::new(),
            limits,
        }
    }

    /// Waits until one more connection may come from `origin`. The caller lets it enter at once.
    ///
    /// # Errors
    /// It is not wanted.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn place(&self, origin: Origin) -> Result<(), CloseReason> {
        let mut told = false;
        loop {
            let due = match self.places.room(origin, Instant::now()) {
                Room::Free => return Ok(()),
                Room::Refused(reason) => return Err(reason),
                Room::Displace(connection) => {
                    self.displace(connection);
                    if self.places.room(origin, Instant::now()) == Room::Free {
                        return Ok(());
                    }
                    // Its handshake does not count any more, but its place does until it is gone, which is at once.
                    Some(Instant::now() + HANDSHAKE_GRACE)
                }
                Room::Later(due) => due,
            };
            if !std::mem::replace(&mut told, true) && due.is_none() {
                let connections_max = self.limits.connections_max;
                self.complaints.borrow_mut().say("full", || {
                    tracing::warn!(connections_max, "no more connections are possible; peers wait");
                });
            }
            let freed = self.places.freed.notified();
            match due {
                // Cancel safe: both only wait.
                Some(due) => drop(timeout_at(due.into(), freed).await),
                None => freed.await,
            }
        }
    }

    /// A connection that did not finish its handshake makes way for another.
    fn displace(&self, connection: ConnectionId) {
        if let Some(connection) = self.connection(connection) {
            // Whoever reads hears why. Nobody waits for that: floods do not read.
            if !connection.opened.get() {
                connection.answer(&error(&CloseReason::Displaced.to_string()));
                connection.flush();
            }
            connection.end(CloseReason::Displaced);
        }
        self.places.settle(connection);
    }

    /// A connection was accepted and has room.
    pub(super) fn accepted(self: &Rc<Self>, endpoint: Endpoint, stream: Stream, address: PeerAddress) {
        let (connection, reader) = self.new_connection(endpoint, stream, address);
        self.places.enter(connection.id, address.into(), connection.accepted);
        self.start(connection, reader);
    }

    /// A connection was accepted and is not wanted. It is told why, unless there are too many like it.
    pub(super) fn refused(
        self: &Rc<Self>,
        endpoint: Endpoint,
        stream: Stream,
        address: PeerAddress,
        reason: CloseReason,
    ) {
        if self.farewells.get() < FAREWELLS_MAX {
            let (connection, reader) = self.new_connection(endpoint, stream, address);
            connection.end(reason);
            self.farewells.set(self.farewells.get() + 1);
            return self.start(connection, reader);
        }
        let mut counters = self.counters.borrow_mut();
        counters.accepted += 1;
        counters.count_closed(reason);
    }

    fn new_connection(&self, endpoint: Endpoint, stream: Stream, address: PeerAddress) -> (Rc<Connection>, ReadHalf) {
        self.counters.borrow_mut().accepted += 1;
        let id = ConnectionId(self.last_connection.replace(self.last_connection.get() + 1) + 1);
        let (reader, writer) = stream.into_split();
        (Rc::new(Connection::new(id, endpoint, address, writer, Rc::clone(&self.held))), reader)
    }

    fn start(self: &Rc<Self>, connection: Rc<Connection>, reader: ReadHalf) {
        let id = connection.id;
        let task = spawn_local(connection::run(Rc::clone(self), Rc::clone(&connection), reader)).abort_handle();
        self.connections.borrow_mut().insert(id, Entry { connection, task });
    }

    /// A connection's ZMTP handshake is done.
    pub(super) fn opened(&self, connection: &Connection) {
        connection.opened.set(true);
        self.counters.borrow_mut().opened += 1;
        let Connection { id, endpoint, address, accepted, .. } = *connection;
        self.queue.push(GateEvent::Opened { connection: id, endpoint, address, accepted });
    }

    /// A peer broke the rules.
    pub(super) fn broken(&self, connection: &Connection, violation: Violation) {
        self.queue.push(GateEvent::ProtocolViolation { connection: connection.id, violation });
    }

    /// A connection's task is done.
    pub(super) fn closed(&self, connection: &Connection, reason: CloseReason) {
        let Connection { id, address, .. } = *connection;
        if reason.is_ordinary() {
            tracing::debug!(connection = %id, %address, %reason, "connection closed");
        } else {
            self.complaints
                .borrow_mut()
                .say(reason.name(), || tracing::info!(connection = %id, %address, %reason, "connection closed"));
        }
        self.connections.borrow_mut().remove(&id);
        if self.connections() == 0 {
            self.deserted.notify_one();
        }
        self.counters.borrow_mut().count_closed(reason);
        if connection.opened.get() {
            return self.queue.push(GateEvent::Closed { connection: id, reason });
        }
        if reason.is_refusal() {
            self.farewells.set(self.farewells.get() - 1);
        }
        self.places.leave(id);
    }

    /// The driver has taken an event.
    pub(super) fn taken(&self, event: &GateEvent) {
        if let GateEvent::Closed { connection, .. } = event {
            self.places.leave(*connection);
        }
    }

    /// The driver has let a peer in.
    pub(super) fn admitted(&self, connection: &Connection) {
        connection.admitted.set(true);
        self.places.settle(connection.id);
    }

    /// The bytes that peers make the gate hold.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.bytes() + self.queue.bytes()
    }

    /// Closes connections, those that hold most first, until no more is held than may be.
    pub(super) fn relieve(&self) {
        let max = self.limits.held_bytes_max;
        while self.held_bytes() > max {
            let connections = self.connections.borrow();
            let largest =
                connections.values().map(|entry| &entry.connection).max_by_key(|connection| connection.held_bytes());
            let Some(connection) = largest.filter(|connection| connection.held_bytes() > 0) else { return };
            connection.end(CloseReason::Held { bytes: connection.held_bytes(), max });
            connection.let_go();
        }
    }

    /// The connection, unless it is gone or going.
    pub(super) fn connection(&self, id: ConnectionId) -> Option<Rc<Connection>> {
        let connections = self.connections.borrow();
        connections.get(&id).map(|entry| &entry.connection).filter(|connection| connection.ending().is_none()).cloned()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.borrow().len()
    }

    /// Closes all connections, each as soon as what was sent to it is written.
    pub(super) fn close(&self) {
        for entry in self.connections.borrow().values() {
            entry.connection.end(CloseReason::Requested);
        }
    }

    /// Ends all connections at once.
    pub(super) fn abort(&self) {
        self.close();
        for entry in self.connections.borrow().values() {
            entry.task.abort();
        }
    }
}
