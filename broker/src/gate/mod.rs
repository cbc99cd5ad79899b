//! The gate: the broker's transport server.
//!
//! It is the ROUTER to which the DEALERs of clients and workers connect, on tokio, over TCP and Unix sockets. The ZMTP codec is
//! [`callboard_core::zmtp`]. The driver gets [`GateEvent`]s in the order in which they happened, and sends messages by connection.
//!
//! Receiving: the connection's task waits for its socket, then for its turn, reads into a block that all connections share, and
//! queues complete messages. Small frames are slices of that block; a large frame gets memory of its own from its first byte on.
//! Sending: [`Gate::send`] encodes a message into the connection's buffer, and [`Gate::flush`] writes each buffer with one system
//! call. The connection's task writes later what a socket does not take.
//!
//! A peer cannot cost more than [`GateLimits`] allows or end other connections, and every end is reported: see [`CloseReason`] and
//! [`GateCounters`].
//!
//! Rejected alternatives: the ROUTER of the `zeromq` crate (a few bytes from any peer abort the process, a second peer with the same
//! identity receives the first one's replies, disconnect events are lost), a relay in front of it (costs a quarter of the throughput),
//! and an existing ZMTP codec (it applies its limits only after it has buffered the bytes).
//!
//! | folder or file | contents |
//! |---|---|
//! | `listen` | the listening sockets |
//! | `limits` | the limits on peers, and which connections are admitted |
//! | `connection` | one connection and its task |
//! | `curve` | the encryption, and which peers may connect without it |
//! | `shared` | the connection table and the limits over all connections |
//! | `event`, `event_queue` | the events for the driver, and their queue |
//! | `counters`, `status`, `error` | the counters, the status and the errors for operators |

mod connection;
mod counters;
mod curve;
mod error;
mod event;
mod event_queue;
mod limits;
mod listen;
mod shared;
mod status;

use std::{future::poll_fn, rc::Rc};

use callboard_core::{
    broker::GateStatus,
    wire::{Frames, ids::ConnectionId},
};
use tokio::{
    select,
    task::{AbortHandle, coop::cooperative, spawn_local},
};

pub use connection::close_reason::CloseReason;
pub use counters::GateCounters;
pub use curve::{Curve, PlainConnections};
pub use error::GateError;
pub use event::{Endpoint, GateEvent, PeerAddress};
pub use limits::GateLimits;
pub use listen::{
    address::{Address, AddressError, Host},
    file_limit::{file_limit, raise_file_limit},
};

use connection::Connection;
use listen::{Bound, Listener, ipc::SocketClaim};
use shared::Shared;

/// A broker's two listening sockets and all their connections.
///
/// Dropping it closes everything at once; [`Gate::shut_down`] lets the peers read to the end first.
#[derive(Debug)]
pub struct Gate {
    shared: Rc<Shared>,
    /// Connections with output that was not flushed.
    dirty: Vec<Rc<Connection>>,
    listeners: [AbortHandle; 2],
    frontend: Address,
    backend: Address,
    _claims: [Option<SocketClaim>; 2],
}

impl Gate {
    /// Listens on both addresses, and raises the process's limit on open files as far as possible. If that is too low for
    /// [`GateLimits::connections_max`], fewer connections are allowed, and a warning is logged.
    ///
    /// # Errors
    /// An address cannot be listened on, or the limits contradict each other.
    ///
    /// # Panics
    /// Outside of a [`tokio::task::LocalSet`] (or local runtime) with I/O and time: the gate's tasks run there, on the driver's
    /// thread.
    pub fn bind(frontend: &Address, backend: &Address, limits: GateLimits) -> Result<Gate, GateError> {
        Gate::bind_with_curve(frontend, backend, limits, None)
    }

    /// Replaces the keys with which new connections are encrypted. Open connections stay. A gate that was bound without a key gets none.
    pub fn change_curve(&self, curve: Curve) {
        self.shared.change_curve(curve);
    }

    /// Listens as [`Gate::bind`] does, and encrypts connections if it has a key.
    ///
    /// # Errors
    /// As [`Gate::bind`].
    ///
    /// # Panics
    /// As [`Gate::bind`].
    pub fn bind_with_curve(
        frontend: &Address,
        backend: &Address,
        limits: GateLimits,
        curve: Option<Curve>,
    ) -> Result<Gate, GateError> {
        limits.check()?;
        let limits = fit_files(limits);
        let (frontend, backend) = (Listener::bind(frontend)?, Listener::bind(backend)?);
        let shared = Rc::new(Shared::new(limits, curve));
        let accept = |endpoint, bound: Bound| {
            let task = spawn_local(listen::accept_all(Rc::clone(&shared), endpoint, bound.listener));
            (task.abort_handle(), bound.address, bound.claim)
        };
        let (front_task, frontend, front_claim) = accept(Endpoint::Frontend, frontend);
        let (back_task, backend, back_claim) = accept(Endpoint::Backend, backend);
        Ok(Gate {
            dirty: Vec::new(),
            listeners: [front_task, back_task],
            frontend,
            backend,
            _claims: [front_claim, back_claim],
            shared,
        })
    }

    /// Returns where clients connect: the actual address, with the port that the system chose.
    pub fn frontend(&self) -> &Address {
        &self.frontend
    }

    /// Returns where workers and pools connect.
    pub fn backend(&self) -> &Address {
        &self.backend
    }

    /// Waits for the next event. The gate's own tasks run in between, even if there is always a next event.
    ///
    /// # Cancel safety
    /// Safe: an event is taken only to be returned.
    pub async fn next(&mut self) -> GateEvent {
        let event = cooperative(poll_fn(|context| self.shared.queue.poll_pop(context))).await;
        self.shared.on_event_taken(&event);
        event
    }

    /// Returns the next event, if there is one already. Connections are read while the driver waits for something, never in here.
    pub fn try_next(&mut self) -> Option<GateEvent> {
        let event = self.shared.queue.pop()?;
        self.shared.on_event_taken(&event);
        Some(event)
    }

    /// Buffers a message for a connection; [`Gate::flush`] writes it. A message to a connection that is closed or closing is dropped and
    /// counted: `Closed` is or will be the connection's last event.
    ///
    /// If more than [`GateLimits::unsent_bytes_max`] would wait, the connection is closed.
    pub fn send(&mut self, connection: ConnectionId, frames: Frames) {
        let Some(connection) = self.shared.connection(connection) else {
            self.shared.counters.borrow_mut().messages_dropped += 1;
            return;
        };
        self.shared.counters.borrow_mut().messages_sent += 1;
        connection.send(frames, self.shared.limits.unsent_bytes_max);
        self.shared.enforce_memory_limit();
        if !connection.dirty.replace(true) {
            self.dirty.push(connection);
        }
    }

    /// Writes what was sent since the last call, as far as the sockets take it without waiting. The rest follows by itself.
    pub fn flush(&mut self) {
        for connection in self.dirty.drain(..) {
            connection.dirty.set(false);
            connection.flush();
        }
    }

    /// Counts envelopes of a connection that no credit bounds. A connection that sends too many is not read for a while.
    pub fn spend_uncredited(&mut self, connection: ConnectionId, envelopes: usize) {
        if let Some(connection) = self.shared.connection(connection) {
            connection.spend_uncredited(u32::try_from(envelopes).unwrap_or(u32::MAX));
        }
    }

    /// Marks a peer as authenticated: from now on its messages may have [`GateLimits::message_bytes_max`] bytes.
    pub fn set_authenticated(&mut self, connection: ConnectionId) {
        if let Some(connection) = self.shared.connection(connection) {
            self.shared.on_authenticated(&connection);
        }
    }

    /// Closes a connection when everything sent to it is written, or after [`GateLimits::close_max`]. Nothing more is read from it; only
    /// events that are queued already still come, and `Closed` comes last.
    pub fn close(&mut self, connection: ConnectionId) {
        if let Some(connection) = self.shared.connection(connection) {
            connection.end(CloseReason::Requested);
        }
    }

    /// Returns the bytes that wait to be written to a connection; 0 if it is closed.
    pub fn unsent_bytes(&self, connection: ConnectionId) -> usize {
        self.shared.connection(connection).map_or(0, |connection| connection.unsent_bytes())
    }

    /// Returns the number of open connections, including those in the handshake.
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// Returns how many of them are not authenticated.
    pub fn pending(&self) -> usize {
        self.shared.admission.pending()
    }

    /// Returns the bytes that the gate holds for its peers: messages that wait for the driver, what is unsent, and incomplete messages. See
    /// [`GateLimits::held_bytes_max`].
    pub fn held_bytes(&self) -> usize {
        self.shared.held_bytes()
    }

    /// Returns the limits in force, which may be lower than requested: see [`Gate::bind`].
    pub fn limits(&self) -> &GateLimits {
        &self.shared.limits
    }

    /// Returns the counters.
    pub fn counters(&self) -> GateCounters {
        self.shared.counters()
    }

    /// Returns the state of the gate, as `callboard.gate` reports it.
    pub fn status(&self) -> GateStatus {
        status::status(&self.shared)
    }

    /// Stops accepting connections. Open ones remain.
    pub fn stop_accepting(&mut self) {
        for listener in &self.listeners {
            listener.abort();
        }
    }

    /// Stops accepting, closes each connection as [`Gate::close`] does, and returns when all are closed, after [`GateLimits::close_max`] at
    /// the latest. Events that come meanwhile are dropped.
    ///
    /// # Cancel safety
    /// Cancelling drops the gate: what is not written is lost.
    pub async fn shut_down(mut self) {
        self.stop_accepting();
        self.flush();
        self.shared.close();
        let shared = Rc::clone(&self.shared);
        while self.connections() > 0 {
            select! {
                // Cancel safe. Events are dropped: the driver no longer acts on them.
                _ = self.next() => {}
                () = shared.all_closed.notified() => {}
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop_accepting();
        self.shared.abort();
    }
}

/// Lowers the connection limit to what the limit on open files allows. Each connection is an open file, and a few more
/// are needed. At the connection limit the gate can choose which connection to displace; without a free file descriptor
/// it cannot.
fn fit_files(limits: GateLimits) -> GateLimits {
    if let Err(error) = raise_file_limit() {
        tracing::warn!(target: crate::log::TARGET, %error, "cannot raise the limit on open files");
    }
    let wanted = limits.connections_max;
    let connections_max = file_limit().map_or(wanted, |files| wanted.min(connections_of(files)));
    if connections_max < wanted {
        tracing::warn!(target: crate::log::TARGET,
            files = file_limit(),
            wanted,
            connections_max,
            "too few open files for so many connections; raise the limit (ulimit -n)"
        );
    }
    GateLimits { connections_max, ..limits }
}

/// Returns how many connections this many files allow: 64 files are kept for other uses, or half of them if there are few.
fn connections_of(files: u64) -> usize {
    const OTHER_FILES: u64 = 64;
    usize::try_from(files.saturating_sub(OTHER_FILES).max(files / 2)).unwrap_or(usize::MAX)
}
