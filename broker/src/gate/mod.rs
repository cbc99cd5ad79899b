//! The gate: the broker's endpoint of every connection.
//!
//! It is the ROUTER that clients and workers connect their DEALERs to, on tokio, over TCP and Unix sockets; what ZMTP's
//! bytes mean is [`callboard_core::zmtp`]'s business. Towards the driver a connection is a *connection*: [`GateEvent`]s come out,
//! messages go in, in the order in which they happened.
//!
//! A message's way in: the connection's task waits for its socket, then for its turn, reads into a block that
//! all connections share, and queues what is whole; small frames are slices of that block, large ones have a place of
//! their own from their first byte on. A message's way out: [`Gate::send`] encodes it into the connection's buffer,
//! [`Gate::flush`] writes the buffers, each with one system call; what a socket does not take, the connection's task writes
//! later.
//!
//! Nothing that a peer does costs more than [`GateLimits`] says, ends more than its own connection, or goes unreported:
//! see [`CloseReason`] and [`GateCounters`].
//!
//! Rejected: the ROUTER of the `zeromq` crate (a few bytes from any peer end the process, a second peer with an identity
//! takes the first one's replies, disconnects get lost), a relay in front of it (a quarter of the throughput), and a
//! ready-made ZMTP codec (its limits come after the bytes).

mod address;
mod complaints;
mod connection;
mod counters;
mod error;
mod event;
mod files;
mod held;
mod inbound;
mod ipc;
mod limits;
mod listener;
mod origin;
mod outbound;
mod places;
mod queue;
mod reason;
mod shared;
mod status;
mod stream;

use std::{future::poll_fn, rc::Rc};

use callboard_core::{
    broker::GateStatus,
    wire::{Frames, ids::ConnectionId},
};
use tokio::{
    select,
    task::{AbortHandle, coop::cooperative, spawn_local},
};

pub use address::{Address, AddressError, Host};
pub(crate) use complaints::Complaints;
pub use counters::GateCounters;
pub use error::GateError;
pub use event::{Endpoint, GateEvent, PeerAddress};
pub use files::{file_limit, raise_file_limit};
pub use limits::GateLimits;
pub use reason::CloseReason;

use connection::Connection;
use ipc::Claim;
use listener::{Bound, Listener};
use shared::Shared;

/// A broker's two listening sockets and all connections that came in through them.
///
/// Dropping it ends them all at once; [`Gate::shut_down`] lets everybody read to the end first.
#[derive(Debug)]
pub struct Gate {
    shared: Rc<Shared>,
    /// Links with output that was not flushed yet.
    dirty: Vec<Rc<Connection>>,
    listeners: [AbortHandle; 2],
    frontend: Address,
    backend: Address,
    _claims: [Option<Claim>; 2],
}

impl Gate {
    /// Listens on both addresses, and raises the process's limit on open files as far as it goes; where that is too low for
    /// [`GateLimits::connections_max`], fewer connections are possible, which is logged.
    ///
    /// # Errors
    /// An address cannot be listened on, or the limits contradict each other.
    ///
    /// # Panics
    /// Outside of a [`tokio::task::LocalSet`] (or local runtime) with I/O and time: the gate's tasks live there, on the
    /// driver's thread.
    pub fn bind(frontend: &Address, backend: &Address, limits: GateLimits) -> Result<Gate, GateError> {
        limits.check()?;
        let limits = fit_files(limits);
        let (frontend, backend) = (Listener::bind(frontend)?, Listener::bind(backend)?);
        let shared = Rc::new(Shared::new(limits));
        let accept = |endpoint, bound: Bound| {
            let task = spawn_local(listener::accept_all(Rc::clone(&shared), endpoint, bound.listener));
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

    /// Where clients connect: the actual address, with the port that the system chose.
    pub fn frontend(&self) -> &Address {
        &self.frontend
    }

    /// Where workers and pools connect.
    pub fn backend(&self) -> &Address {
        &self.backend
    }

    /// Waits for the next event. It lets the gate's own tasks run in between, also if there is always a next event.
    ///
    /// # Cancel safety
    /// Safe: an event is taken only to be returned.
    pub async fn next(&mut self) -> GateEvent {
        let event = cooperative(poll_fn(|context| self.shared.queue.poll_pop(context))).await;
        self.shared.taken(&event);
        event
    }

    /// The next event, if it is there already. The connections are read while the driver waits for something, never in
    /// here.
    pub fn try_next(&mut self) -> Option<GateEvent> {
        let event = self.shared.queue.pop()?;
        self.shared.taken(&event);
        Some(event)
    }

    /// Buffers a message for a connection; [`Gate::flush`] writes it. To a connection that is gone or going it is dropped and counted:
    /// its `Closed` comes, or has come.
    ///
    /// If more than [`GateLimits::unsent_bytes_max`] would wait then, the connection is closed.
    pub fn send(&mut self, connection: ConnectionId, frames: Frames) {
        let Some(connection) = self.shared.connection(connection) else {
            self.shared.counters.borrow_mut().messages_dropped += 1;
            return;
        };
        self.shared.counters.borrow_mut().messages_sent += 1;
        connection.send(frames, self.shared.limits.unsent_bytes_max);
        self.shared.relieve();
        if !connection.dirty.replace(true) {
            self.dirty.push(connection);
        }
    }

    /// Writes what was sent since the last time, as far as the sockets take it without waiting. The rest follows by itself.
    pub fn flush(&mut self) {
        for connection in self.dirty.drain(..) {
            connection.dirty.set(false);
            connection.flush();
        }
    }

    /// Lets a peer in: from now on its messages may have [`GateLimits::message_bytes_max`] bytes.
    pub fn admit(&mut self, connection: ConnectionId) {
        if let Some(connection) = self.shared.connection(connection) {
            self.shared.admitted(&connection);
        }
    }

    /// Closes a connection when what was sent to it is written, or after [`GateLimits::close_max`]. Nothing more is read from it
    /// but events that wait already; `Closed` comes when it is done.
    pub fn close(&mut self, connection: ConnectionId) {
        if let Some(connection) = self.shared.connection(connection) {
            connection.end(CloseReason::Requested);
        }
    }

    /// The bytes that wait to be written to a connection; 0 if it is gone.
    pub fn unsent_bytes(&self, connection: ConnectionId) -> usize {
        self.shared.connection(connection).map_or(0, |connection| connection.unsent_bytes())
    }

    /// The connections that there are, those in the handshake included.
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// Those of them that were not let in yet.
    pub fn pending(&self) -> usize {
        self.shared.places.pending()
    }

    /// The bytes that peers make the gate hold: messages that wait for the driver, what is unsent, and messages that have
    /// not come whole. See [`GateLimits::held_bytes_max`].
    pub fn held_bytes(&self) -> usize {
        self.shared.held_bytes()
    }

    /// The limits that hold, which may be lower than what was asked for: see [`Gate::bind`].
    pub fn limits(&self) -> &GateLimits {
        &self.shared.limits
    }

    /// What has happened so far, in numbers.
    pub fn counters(&self) -> GateCounters {
        self.shared.counters.borrow().clone()
    }

    /// How the gate stands, as `callboard.gate` tells it.
    pub fn status(&self) -> GateStatus {
        status::status(self)
    }

    /// Accepts nobody any more. Connections live on.
    pub fn stop_accepting(&mut self) {
        for listener in &self.listeners {
            listener.abort();
        }
    }

    /// Closes everything: accepts nobody, closes each connection as [`Gate::close`] does, and returns when all are gone, after
    /// [`GateLimits::close_max`] at the latest. Events that come meanwhile are dropped.
    ///
    /// # Cancel safety
    /// A cancelled one drops the gate: what is not written yet is lost.
    pub async fn shut_down(mut self) {
        self.stop_accepting();
        self.flush();
        self.shared.close();
        let shared = Rc::clone(&self.shared);
        while self.connections() > 0 {
            select! {
                // Cancel safe, and so is dropping events: nobody is there to act on them.
                _ = self.next() => {}
                () = shared.deserted.notified() => {}
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

/// Each connection is an open file; a few more are needed besides. If the system allows too few, fewer connections are
/// possible: peers that wait for a place are better off than ones that wait for a file, for in one case it is known who
/// has to make way.
fn fit_files(limits: GateLimits) -> GateLimits {
    if let Err(error) = raise_file_limit() {
        tracing::warn!(%error, "cannot raise the limit on open files");
    }
    let wanted = limits.connections_max;
    let connections_max = file_limit().map_or(wanted, |files| wanted.min(connections_of(files)));
    if connections_max < wanted {
        tracing::warn!(
            files = file_limit(),
            wanted,
            connections_max,
            "too few open files for so many connections; raise the limit (ulimit -n)"
        );
    }
    GateLimits { connections_max, ..limits }
}

/// How many connections so many files allow: what is kept for other things is 64, or half of very few.
fn connections_of(files: u64) -> usize {
    const OTHER_FILES: u64 = 64;
    usize::try_from(files.saturating_sub(OTHER_FILES).max(files / 2)).unwrap_or(usize::MAX)
}
