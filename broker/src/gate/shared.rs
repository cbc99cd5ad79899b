//! The state that the gate, its listeners and its connections share: the connection table and the limits over all connections.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::Instant,
};

use callboard_core::{
    wire::ids::ConnectionId,
    zmtp::{Decoder, Violation, curve::CurvePeer, error},
};
use tokio::{sync::Notify, task::AbortHandle, time::timeout_at};

use super::{
    CloseReason, Curve, Endpoint, GateCounters, GateEvent, GateLimits, PeerAddress,
    connection::{
        Connection,
        read_block::ReadBlock,
        socket::{ReadHalf, Stream},
    },
    event_queue::EventQueue,
    limits::{
        HANDSHAKE_GRACE, REJECTIONS_MAX,
        admission::{Admission, Decision},
        curve_pace::CurvePace,
        memory::MemoryAccount,
        rate_limit_key::RateLimitKey,
    },
};
use crate::log::LogLimiter;

/// The shared state of a gate. Everything runs on one thread, so it needs cells and no locks.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: GateLimits,
    /// The encryption, if the gate has a key.
    curve: RefCell<Option<Curve>>,
    /// `None` without a key.
    pub(super) curve_pace: Option<CurvePace>,
    pub(super) queue: EventQueue,
    pub(super) counters: RefCell<GateCounters>,
    /// See [`ReadBlock`].
    pub(super) block: RefCell<ReadBlock>,
    /// Every connection that has a task. The gate chooses the ids, so the default hasher is safe.
    connections: RefCell<HashMap<ConnectionId, Entry>>,
    last_connection: Cell<u64>,
    pub(super) admission: Admission,
    /// The bytes that connections hold, without those in the queue.
    memory: Rc<MemoryAccount>,
    /// Bytes written to all connections.
    bytes_sent: Rc<Cell<u64>>,
    /// How many connections are being rejected with a message.
    rejections: Cell<usize>,
    log_limiter: RefCell<LogLimiter>,
    /// Notified when the last connection is closed.
    pub(super) all_closed: Notify,
}

#[derive(Debug)]
struct Entry {
    connection: Rc<Connection>,
    task: AbortHandle,
}

impl Shared {
    pub(super) fn new(limits: GateLimits, curve: Option<Curve>) -> Shared {
        Shared {
            curve_pace: curve.is_some().then(CurvePace::new),
            curve: RefCell::new(curve),
            queue: EventQueue::new(&limits),
            counters: RefCell::default(),
            block: RefCell::default(),
            connections: RefCell::default(),
            last_connection: Cell::new(0),
            admission: Admission::new(&limits),
            memory: Rc::default(),
            bytes_sent: Rc::default(),
            rejections: Cell::new(0),
            log_limiter: RefCell::default(),
            all_closed: Notify::new(),
            limits,
        }
    }

    /// Counts a step of a handshake of CURVE.
    pub(super) fn spend_curve_step(&self) {
        if let Some(pace) = &self.curve_pace {
            pace.spend_step();
        }
    }

    /// Creates the decoder of a new connection from this address.
    pub(super) fn decoder(&self, address: PeerAddress) -> Decoder {
        let bytes_max = self.limits.handshake_bytes_max;
        let curve = self.curve.borrow();
        curve.as_ref().map_or_else(|| Decoder::new(bytes_max), |curve| curve.decoder(address, bytes_max))
    }

    /// Replaces the keys with which new connections are encrypted, if there are any.
    pub(super) fn change_curve(&self, new: Curve) {
        if let Some(curve) = self.curve.borrow_mut().as_mut() {
            *curve = new;
        }
    }

    /// Waits until one more connection with this key may be admitted. The caller registers it at once.
    ///
    /// # Errors
    /// Why the connection is rejected.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn admit(&self, key: RateLimitKey) -> Result<(), CloseReason> {
        let mut warned = false;
        loop {
            let due = match self.admission.decide(key, Instant::now()) {
                Decision::Admit => return Ok(()),
                Decision::Reject(reason) => return Err(reason),
                Decision::Displace(connection) => {
                    self.displace(connection);
                    if self.admission.decide(key, Instant::now()) == Decision::Admit {
                        return Ok(());
                    }
                    // Its handshake no longer counts, but the connection does until it is closed, which happens at once.
                    Some(Instant::now() + HANDSHAKE_GRACE)
                }
                Decision::Wait(due) => due,
            };
            if !std::mem::replace(&mut warned, true) && due.is_none() {
                let connections_max = self.limits.connections_max;
                self.log_limiter.borrow_mut().log("full", |suppressed| {
                    tracing::warn!(target: crate::log::TARGET, connections_max, suppressed, "the connection limit is reached; new peers wait");
                });
            }
            let freed = self.admission.freed.notified();
            match due {
                // Cancel safe: both only wait.
                Some(due) => drop(timeout_at(due.into(), freed).await),
                None => freed.await,
            }
        }
    }

    /// Closes a connection that has not finished its handshake, to admit another.
    fn displace(&self, connection: ConnectionId) {
        if let Some(connection) = self.connection(connection) {
            // A peer that reads receives the reason. The gate does not wait for that: a flooding peer does not read.
            if connection.greeted.get() && !connection.opened.get() {
                connection.answer(&error(&CloseReason::Displaced.to_string()));
                connection.flush();
            }
            connection.end(CloseReason::Displaced);
        }
        self.admission.end_handshake(connection);
    }

    /// Returns the counters.
    pub(super) fn counters(&self) -> GateCounters {
        GateCounters { bytes_sent: self.bytes_sent.get(), ..self.counters.borrow().clone() }
    }

    /// Counts a connection that is being rejected with a message. Returns whether there are few enough of them.
    pub(super) fn start_rejection(&self) -> bool {
        let rejections = self.rejections.get();
        let allowed = rejections < REJECTIONS_MAX;
        if allowed {
            self.rejections.set(rejections + 1);
        }
        allowed
    }

    /// Counts a connection that was rejected without a message.
    pub(super) fn count_rejected(&self, reason: CloseReason) {
        let mut counters = self.counters.borrow_mut();
        counters.accepted += 1;
        counters.count_closed(reason);
    }

    /// Creates a connection, with an id of its own, and the half of its socket that its task reads.
    pub(super) fn new_connection(
        &self,
        endpoint: Endpoint,
        stream: Stream,
        address: PeerAddress,
    ) -> (Rc<Connection>, ReadHalf) {
        self.counters.borrow_mut().accepted += 1;
        let id = ConnectionId(self.last_connection.replace(self.last_connection.get() + 1) + 1);
        let (reader, writer) = stream.into_split();
        let (memory, bytes_sent) = (Rc::clone(&self.memory), Rc::clone(&self.bytes_sent));
        (Rc::new(Connection::new(id, endpoint, address, writer, memory, bytes_sent)), reader)
    }

    /// Adds a connection whose task was started.
    pub(super) fn register(&self, connection: Rc<Connection>, task: AbortHandle) {
        self.connections.borrow_mut().insert(connection.id, Entry { connection, task });
    }

    /// Reports a connection whose ZMTP handshake is complete.
    pub(super) fn on_opened(&self, connection: &Connection, curve: Option<Box<CurvePeer>>) {
        connection.opened.set(true);
        connection.server_key.set(curve.as_ref().map(|curve| curve.server_key));
        self.counters.borrow_mut().opened += 1;
        let Connection { id, endpoint, address, accepted, .. } = *connection;
        self.queue.push(GateEvent::Opened { connection: id, endpoint, address, accepted, curve });
    }

    /// Reports a violation of ZMTP or of a limit.
    pub(super) fn on_violation(&self, connection: &Connection, violation: Violation) {
        self.queue.push(GateEvent::ProtocolViolation { connection: connection.id, violation });
    }

    /// Logs that a connection is not read for a while, because it sent more than its allowance.
    pub(super) fn log_pause(&self, connection: &Connection) {
        let Connection { id, address, .. } = *connection;
        self.log_limiter.borrow_mut().log("pause", |suppressed| {
            let reason = "it sends too many pings or messages without effect";
            tracing::info!(target: crate::log::TARGET, connection = %id, %address, reason, suppressed, "connection paused");
        });
    }

    /// Removes and reports a connection whose task has ended.
    pub(super) fn on_closed(&self, connection: &Connection, reason: CloseReason) {
        let Connection { id, address, .. } = *connection;
        self.log_limiter.borrow_mut().log(reason.name(), |suppressed| match reason.is_ordinary() {
            true => tracing::debug!(target: crate::log::TARGET, connection = %id, %address, %reason, suppressed, "connection closed"),
            false => tracing::info!(target: crate::log::TARGET, connection = %id, %address, %reason, suppressed, "connection closed"),
        });
        self.connections.borrow_mut().remove(&id);
        if self.connections() == 0 {
            self.all_closed.notify_one();
        }
        self.counters.borrow_mut().count_closed(reason);
        if connection.opened.get() {
            return self.queue.push(GateEvent::Closed { connection: id, reason });
        }
        if reason.is_refusal() {
            self.rejections.set(self.rejections.get() - 1);
        }
        self.admission.remove(id);
    }

    /// Records that the driver has taken an event.
    pub(super) fn on_event_taken(&self, event: &GateEvent) {
        if let GateEvent::Closed { connection, .. } = event {
            self.admission.remove(*connection);
        }
    }

    /// Records that the driver has authenticated a peer.
    pub(super) fn on_authenticated(&self, connection: &Connection) {
        connection.authenticated.set(true);
        self.admission.end_handshake(connection.id);
    }

    /// Returns the bytes that the gate holds for its peers.
    pub(super) fn held_bytes(&self) -> usize {
        self.memory.bytes() + self.queue.bytes()
    }

    /// Closes the connections that hold most, until the gate is within its memory limit.
    pub(super) fn enforce_memory_limit(&self) {
        let max = self.limits.held_bytes_max;
        while self.held_bytes() > max {
            let connections = self.connections.borrow();
            let largest =
                connections.values().map(|entry| &entry.connection).max_by_key(|connection| connection.held_bytes());
            let Some(connection) = largest.filter(|connection| connection.held_bytes() > 0) else { return };
            connection.end(CloseReason::Held { bytes: connection.held_bytes(), max });
            connection.release_buffers();
        }
    }

    /// Returns the connection, unless it is closed or closing.
    pub(super) fn connection(&self, id: ConnectionId) -> Option<Rc<Connection>> {
        let connections = self.connections.borrow();
        connections.get(&id).map(|entry| &entry.connection).filter(|connection| connection.ending().is_none()).cloned()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.borrow().len()
    }

    /// Returns how many encrypted connections use another key of the broker than its present one.
    pub(super) fn connections_of_previous_keys(&self) -> usize {
        let Some(present) = self.curve.borrow().as_ref().map(|curve| curve.secret_key.public_key()) else { return 0 };
        let connections = self.connections.borrow();
        connections.values().filter(|entry| entry.connection.server_key.get().is_some_and(|key| key != present)).count()
    }

    /// Closes all connections, each when everything sent to it is written.
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
