//! What the gate, its listeners and its connections have in common.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::Instant,
};

use callboard_core::{
    wire::ids::LinkId,
    zmtp::{Violation, error},
};
use tokio::{
    sync::Notify,
    task::{AbortHandle, spawn_local},
    time::timeout_at,
};

use super::{
    CloseReason, GateCounters, GateEvent, GateLimits, PeerAddress, Side,
    complaints::Complaints,
    held::Held,
    inbound::ReadBlock,
    limits::{FAREWELLS_MAX, HANDSHAKE_GRACE},
    link::{self, Link},
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
    links: RefCell<HashMap<LinkId, Connection>>,
    last_link: Cell<u64>,
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
                Room::Displace(link) => {
                    self.displace(link);
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
    fn displace(&self, link: LinkId) {
        if let Some(link) = self.link(link) {
            // Whoever reads hears why. Nobody waits for that: floods do not read.
            if !link.opened.get() {
                link.answer(&error(&CloseReason::Displaced.to_string()));
                link.flush();
            }
            link.end(CloseReason::Displaced);
        }
        self.places.settle(link);
    }

    /// A connection was accepted and has room.
    pub(super) fn accepted(self: &Rc<Self>, side: Side, stream: Stream, address: PeerAddress) {
        let (link, reader) = self.connection(side, stream, address);
        self.places.enter(link.id, address.into(), link.accepted);
        self.start(link, reader);
    }

    /// A connection was accepted and is not wanted. It is told why, unless there are too many like it.
    pub(super) fn refused(self: &Rc<Self>, side: Side, stream: Stream, address: PeerAddress, reason: CloseReason) {
        if self.farewells.get() < FAREWELLS_MAX {
            let (link, reader) = self.connection(side, stream, address);
            link.end(reason);
            self.farewells.set(self.farewells.get() + 1);
            return self.start(link, reader);
        }
        let mut counters = self.counters.borrow_mut();
        counters.accepted += 1;
        counters.count_closed(reason);
    }

    fn connection(&self, side: Side, stream: Stream, address: PeerAddress) -> (Rc<Link>, ReadHalf) {
        self.counters.borrow_mut().accepted += 1;
        let id = LinkId(self.last_link.replace(self.last_link.get() + 1) + 1);
        let (reader, writer) = stream.into_split();
        (Rc::new(Link::new(id, side, address, writer, Rc::clone(&self.held))), reader)
    }

    fn start(self: &Rc<Self>, link: Rc<Link>, reader: ReadHalf) {
        let id = link.id;
        let task = spawn_local(link::run(Rc::clone(self), Rc::clone(&link), reader)).abort_handle();
        self.links.borrow_mut().insert(id, Connection { link, task });
    }

    /// A connection's ZMTP handshake is done.
    pub(super) fn opened(&self, link: &Link) {
        link.opened.set(true);
        self.counters.borrow_mut().opened += 1;
        let Link { id, side, address, accepted, .. } = *link;
        self.queue.push(GateEvent::Opened { link: id, side, address, accepted });
    }

    /// A peer broke the rules.
    pub(super) fn broken(&self, link: &Link, violation: Violation) {
        self.queue.push(GateEvent::Broken { link: link.id, violation });
    }

    /// A connection's task is done.
    pub(super) fn closed(&self, link: &Link, reason: CloseReason) {
        let Link { id, address, .. } = *link;
        if reason.is_ordinary() {
            tracing::debug!(link = %id, %address, %reason, "connection closed");
        } else {
            self.complaints
                .borrow_mut()
                .say(reason.name(), || tracing::info!(link = %id, %address, %reason, "connection closed"));
        }
        self.links.borrow_mut().remove(&id);
        if self.connections() == 0 {
            self.deserted.notify_one();
        }
        self.counters.borrow_mut().count_closed(reason);
        if link.opened.get() {
            return self.queue.push(GateEvent::Closed { link: id, reason });
        }
        if reason.is_refusal() {
            self.farewells.set(self.farewells.get() - 1);
        }
        self.places.leave(id);
    }

    /// The driver has taken an event.
    pub(super) fn taken(&self, event: &GateEvent) {
        if let GateEvent::Closed { link, .. } = event {
            self.places.leave(*link);
        }
    }

    /// The driver has let a peer in.
    pub(super) fn admitted(&self, link: &Link) {
        link.admitted.set(true);
        self.places.settle(link.id);
    }

    /// The bytes that peers make the gate hold.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.bytes() + self.queue.bytes()
    }

    /// Closes connections, those that hold most first, until no more is held than may be.
    pub(super) fn relieve(&self) {
        let max = self.limits.held_bytes_max;
        while self.held_bytes() > max {
            let links = self.links.borrow();
            let largest = links.values().map(|connection| &connection.link).max_by_key(|link| link.held_bytes());
            let Some(link) = largest.filter(|link| link.held_bytes() > 0) else { return };
            link.end(CloseReason::Held { bytes: link.held_bytes(), max });
            link.let_go();
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
