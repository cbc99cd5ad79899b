//! A broker, clients, workers and strangers, joined by connections that keep their order.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use callboard_core::{
    broker::Endpoint,
    time::Time,
    wire::{Envelope, ids::ConnectionId},
};

use super::{
    broker::{BrokerHost, Done},
    client::ClientHost,
    peer::{Did, Peer, Socket},
    said,
    worker::WorkerHost,
};

/// Messages that one call of [`World::flow`] delivers at most, should two machines never tire of each other.
const FLOW_MAX: usize = 2_000;
/// Longer than the broker waits for anybody: calls, clients that may come back, services.
const LONG: Duration = Duration::from_secs(4_000);

pub(crate) const CLIENTS: usize = 2;
pub(crate) const WORKERS: usize = 2;

/// Everything that there is.
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) broker: BrokerHost,
    keyed: bool,
    starts: u8,
    pub(crate) clients: [ClientHost; CLIENTS],
    pub(crate) workers: [WorkerHost; WORKERS],
    connections: BTreeMap<ConnectionId, Connection>,
    next_connection: u64,
}

/// Whose machine is meant: clients first, then workers.
pub(crate) type PeerAt = usize;

/// One connection, as the network sees it.
#[derive(Debug)]
struct Connection {
    /// `None`: a stranger's, who reads nothing.
    peer: Option<PeerAt>,
    to_broker: VecDeque<Vec<Bytes>>,
    to_peer: VecDeque<Vec<Bytes>>,
    peer_left: bool,
    broker_left: bool,
}

impl World {
    pub(crate) fn new(keyed: bool) -> World {
        let key = || keyed.then(said::key);
        let now = Time::from_micros(1);
        World {
            now,
            broker: BrokerHost::new(0, keyed, now),
            keyed,
            starts: 0,
            clients: [ClientHost::new(1, key()), ClientHost::new(2, key())],
            workers: [WorkerHost::new(3, true, key()), WorkerHost::new(4, false, key())],
            connections: BTreeMap::new(),
            next_connection: 0,
        }
    }

    /// The connections that the broker has open.
    pub(crate) fn open(&self) -> Vec<ConnectionId> {
        self.broker.open()
    }

    pub(crate) fn peer(&mut self, at: PeerAt) -> &mut dyn Peer {
        match at.checked_sub(CLIENTS) {
            None => &mut self.clients[at],
            Some(at) => &mut self.workers[at],
        }
    }

    /// A stranger connects.
    pub(crate) fn open_link(&mut self, endpoint: Endpoint) {
        self.connect(None, endpoint);
    }

    /// Bytes arrive at the broker, in their turn or out of it.
    pub(crate) fn tell_broker(&mut self, connection: ConnectionId, frames: &[Bytes]) {
        if self.broker.stage(connection).is_some() {
            let done = self.broker.receive(self.now, connection, frames);
            self.carry_out(done);
        }
    }

    /// Bytes arrive at a peer, in their turn or out of it.
    pub(crate) fn tell_peer(&mut self, at: PeerAt, frames: &[Bytes]) {
        let now = self.now;
        let peer = self.peer(at);
        if matches!(peer.socket(), Socket::Open(_)) && !peer.is_over() {
            let did = peer.receive(now, frames);
            self.carry(at, did);
        }
    }

    /// The broker reads the next message of a connection, or that it has ended. False: there is nothing.
    pub(crate) fn deliver_to_broker(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        match connection.to_broker.pop_front() {
            Some(frames) => self.tell_broker(id, &frames),
            None if connection.peer_left => {
                self.connections.remove(&id);
                let done = self.broker.closed(self.now, id);
                self.carry_out(done);
            }
            None => return false,
        }
        true
    }

    /// A peer reads the next message of its connection, or that it has ended. False: there is nothing.
    pub(crate) fn deliver_to_peer(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let Some(at) = connection.peer.filter(|_| !connection.peer_left) else { return false };
        match connection.to_peer.pop_front() {
            Some(frames) => self.tell_peer(at, &frames),
            None if connection.broker_left => {
                self.connections.remove(&id);
                self.part(at, 0);
            }
            None => return false,
        }
        true
    }

    /// Everything that is on its way arrives, and sockets that were asked for are there.
    pub(crate) fn flow(&mut self) {
        for _ in 0..FLOW_MAX {
            let mut moved = false;
            for at in 0..CLIENTS + WORKERS {
                moved |= self.settle(at, true);
            }
            for id in self.connections.keys().copied().collect::<Vec<_>>() {
                moved |= self.deliver_to_broker(id);
                moved |= self.deliver_to_peer(id);
            }
            if !moved {
                break;
            }
        }
        self.broker.check_status(self.now);
    }

    /// The socket that a peer asked for is there or not, and the one that it dropped is gone.
    pub(crate) fn settle(&mut self, at: PeerAt, works: bool) -> bool {
        let (now, endpoint) = (self.now, if at < CLIENTS { Endpoint::Frontend } else { Endpoint::Backend });
        let works = works && !self.broker.stopped;
        let peer = self.peer(at);
        if peer.is_over() {
            return false;
        }
        match *peer.socket() {
            Socket::None | Socket::Open(_) => return false,
            Socket::Asked if works => {
                let connection = self.connect(Some(at), endpoint);
                *self.peer(at).socket() = Socket::Open(connection);
                let did = self.peer(at).connected(now, said::nonce(connection.0));
                self.carry(at, did);
            }
            Socket::Asked | Socket::Dropped => self.part(at, u32::MAX / 2),
        }
        true
    }

    /// The network breaks a connection: what was on its way is lost, and both ends learn of it.
    pub(crate) fn cut(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(&id) {
            let done = self.broker.closed(self.now, id);
            self.carry_out(done);
            if let Some(at) = connection.peer.filter(|_| !connection.peer_left) {
                self.part(at, 7);
            }
        }
    }

    /// Time passes; whoever wants to be woken is.
    pub(crate) fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        let done = self.broker.pass(self.now, until);
        self.carry_out(done);
        for at in 0..CLIENTS + WORKERS {
            let now = self.now;
            let did = self.peer(at).pass(now, until);
            self.carry(at, did);
        }
        self.now = until;
    }

    /// Time passes, and nobody is run meanwhile.
    pub(crate) fn leap(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// The broker's operator ends it.
    pub(crate) fn shut_down(&mut self, patience: Duration) {
        let done = self.broker.shut_down(self.now, patience);
        self.carry_out(done);
    }

    /// The broker dies, and another start of it is there.
    pub(crate) fn restart(&mut self) {
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            self.cut(id);
        }
        self.starts = self.starts.wrapping_add(1);
        self.broker = BrokerHost::new(self.starts, self.keyed, self.now);
    }

    /// Everybody leaves, in order, and then nothing may be left of them.
    pub(crate) fn end(&mut self) {
        for at in 0..CLIENTS {
            if !self.clients[at].is_over() {
                let did = self.clients[at].close(self.now, Duration::from_secs(1));
                self.carry(at, did);
            }
        }
        for at in 0..WORKERS {
            if !self.workers[at].is_over() {
                let did = self.workers[at].shut_down(self.now, Duration::from_secs(1));
                self.carry(CLIENTS + at, did);
            }
        }
        self.flow();
        for _ in 0..3 {
            self.pass(Duration::from_secs(3));
        }
        self.clients.iter().for_each(ClientHost::check_ended);
        self.workers.iter().for_each(WorkerHost::check_ended);
        for id in self.open() {
            self.connections.remove(&id);
            let done = self.broker.closed(self.now, id);
            self.carry_out(done);
        }
        for _ in 0..3 {
            self.pass(LONG);
        }
        self.broker.check_empty(self.now);
    }

    fn connect(&mut self, peer: Option<PeerAt>, endpoint: Endpoint) -> ConnectionId {
        self.next_connection += 1;
        let id = ConnectionId(self.next_connection);
        let (to_broker, to_peer) = (VecDeque::new(), VecDeque::new());
        self.connections.insert(id, Connection { peer, to_broker, to_peer, peer_left: false, broker_left: false });
        if self.broker.stopped {
            return id;
        }
        let done = self.broker.opened(self.now, id, endpoint);
        self.carry_out(done);
        id
    }

    /// A peer learns that it has no socket any more.
    fn part(&mut self, at: PeerAt, chance: u32) {
        let now = self.now;
        let peer = self.peer(at);
        *peer.socket() = Socket::None;
        if !peer.is_over() {
            let did = peer.disconnected(now, chance);
            self.carry(at, did);
        }
    }

    /// What the broker did goes its way.
    pub(crate) fn carry_out(&mut self, done: Vec<Done>) {
        for done in done {
            match done {
                Done::Said(id, envelope) => {
                    let heard = self
                        .connections
                        .get_mut(&id)
                        .filter(|connection| connection.peer.is_some() && !connection.peer_left);
                    if let Some(connection) = heard {
                        connection.to_peer.extend(said::messages(&envelope));
                    }
                }
                Done::Closed(id) => {
                    let connection = self.connections.get_mut(&id);
                    let read = connection.map(|connection| {
                        connection.broker_left = true;
                        connection.peer.is_some() && !connection.peer_left
                    });
                    if read == Some(false) {
                        self.connections.remove(&id);
                    }
                }
            }
        }
    }

    /// What a peer did goes its way. What it said before it dropped its socket is still read.
    pub(crate) fn carry(&mut self, at: PeerAt, did: Vec<Did>) {
        let own = |connection: &&mut Connection| connection.peer == Some(at) && !connection.peer_left;
        for did in did {
            match did {
                Did::Said(envelope) => self.say(at, &envelope),
                Did::Dropped(id) => {
                    let connection = self.connections.get_mut(&id).filter(own);
                    let gone = connection.is_some_and(|connection| {
                        connection.peer_left = true;
                        connection.broker_left
                    });
                    if gone {
                        self.connections.remove(&id);
                    }
                }
            }
        }
    }

    fn say(&mut self, at: PeerAt, envelope: &Envelope) {
        let mut connections = self.connections.values_mut();
        if let Some(connection) = connections
            .find(|connection| connection.peer == Some(at) && !connection.peer_left && !connection.broker_left)
        {
            connection.to_broker.extend(said::messages(envelope));
        }
    }
}
