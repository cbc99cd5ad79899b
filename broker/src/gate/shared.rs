//! What the gate, its listeners and its connections have in common.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use callboard_core::wire::ids::LinkId;
use tokio::{
    sync::{Notify, Semaphore},
    task::{AbortHandle, spawn_local},
};

use super::{
    CloseReason, GateCounters, GateEvent, GateLimits, PeerAddress, Side,
    inbound::ReadBlock,
    link::{self, Link},
    queue::Queue,
    stream::Stream,
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
    links: RefCell<HashMap<LinkId, Connection>>,
    last_link: Cell<u64>,
    /// Places for connections. One is free again when the driver has seen the connection's end, so that a driver that
    /// falls behind is not buried under openings and closings.
    places: Semaphore,
    /// The last connection is gone.
    pub(super) deserted: Notify,
}

#[derive(Debug)]
struct Connection {
    link: Rc<Link>,
    task: AbortHandle,
}

impl Shared {
    pub(super) fn new(limits: GateLimits) -> Shared {
        Shared {
            queue: Queue::new(&limits),
            counters: RefCell::default(),
            block: RefCell::default(),
            links: RefCell::default(),
            last_link: Cell::new(0),
            places: Semaphore::new(limits.connections_max),
            deserted: Notify::new(),
            limits,
        }
    }

    /// Waits until one more connection may be.
    pub(super) async fn place(&self) {
        if self.places.available_permits() == 0 {
            tracing::warn!(
                connections_max = self.limits.connections_max,
                "no more connections are possible; peers wait"
            );
        }
        self.places.acquire().await.expect("nothing closes this semaphore").forget();
    }

    /// A connection was accepted and has its place.
    pub(super) fn accepted(self: &Rc<Self>, side: Side, stream: Stream, address: PeerAddress) {
        self.counters.borrow_mut().accepted += 1;
        let id = LinkId(self.last_link.replace(self.last_link.get() + 1) + 1);
        let (reader, writer) = stream.into_split();
        let link = Rc::new(Link::new(id, side, address, writer));
        let task = spawn_local(link::run(Rc::clone(self), Rc::clone(&link), reader)).abort_handle();
        self.links.borrow_mut().insert(id, Connection { link, task });
    }

    /// A connection was accepted and is not wanted.
    pub(super) fn refused(&self, address: PeerAddress, reason: CloseReason) {
        tracing::info!(%address, %reason, "connection refused");
        let mut counters = self.counters.borrow_mut();
        counters.accepted += 1;
        counters.count_closed(reason);
        self.places.add_permits(1);
    }

    /// A connection's handshake is done.
    pub(super) fn opened(&self, link: &Link) {
        link.opened.set(true);
        self.counters.borrow_mut().opened += 1;
        self.queue.push(GateEvent::Opened { link: link.id, side: link.side, address: link.address });
    }

    /// A connection's task is done.
    pub(super) fn closed(&self, link: &Link, reason: CloseReason) {
        if reason.is_ordinary() {
            tracing::debug!(link = %link.id, address = %link.address, %reason, "connection closed");
        } else {
            tracing::info!(link = %link.id, address = %link.address, %reason, "connection closed");
        }
        self.links.borrow_mut().remove(&link.id);
        if self.connections() == 0 {
            self.deserted.notify_one();
        }
        self.counters.borrow_mut().count_closed(reason);
        if link.opened.get() {
            self.queue.push(GateEvent::Closed { link: link.id, reason });
        } else {
            self.places.add_permits(1);
        }
    }

    /// The driver has taken an event.
    pub(super) fn taken(&self, event: &GateEvent) {
        if let GateEvent::Closed { .. } = event {
            self.places.add_permits(1);
        }
    }

    /// The connection, unless it is gone or going.
    pub(super) fn link(&self, id: LinkId) -> Option<Rc<Link>> {
        let links = self.links.borrow();
        links.get(&id).map(|connection| &connection.link).filter(|link| link.ending().is_none()).cloned()
    }

    pub(super) fn connections(&self) -> usize {
        self.links.borrow().len()
    }

    /// Closes all connections, each as soon as what was sent to it is written.
    pub(super) fn close(&self) {
        for connection in self.links.borrow().values() {
            connection.link.end(CloseReason::Requested);
        }
    }

    /// Ends all connections at once.
    pub(super) fn abort(&self) {
        self.close();
        for connection in self.links.borrow().values() {
            connection.task.abort();
        }
    }
}
