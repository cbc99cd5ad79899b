//! A broker, clients, workers and unauthenticated peers, with connections that keep the order of messages.

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
    broker::{BrokerAction, BrokerHost},
    client::ClientHost,
    generate,
    peer::{Peer, PeerAction, Socket},
    worker::WorkerHost,
};

/// The maximum number of rounds of one [`World::deliver_all`], in case two machines exchange messages endlessly.
const DELIVERIES_MAX: usize = 2_000;
/// Longer than all timeouts of the broker: of calls, disconnected clients and services.
const LONG: Duration = Duration::from_secs(4_000);

pub(crate) const CLIENTS: usize = 2;
pub(crate) const WORKERS: usize = 2;

/// All machines, and the network between them.
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

/// The index of a peer: clients first, then workers.
pub(crate) type PeerIndex = usize;

/// A connection in the network.
#[derive(Debug)]
struct Connection {
    /// The peer. `None`: an unauthenticated one, which reads nothing.
    peer: Option<PeerIndex>,
    to_broker: VecDeque<Vec<Bytes>>,
    to_peer: VecDeque<Vec<Bytes>>,
    peer_left: bool,
    broker_left: bool,
}

impl World {
    pub(crate) fn new(keyed: bool) -> World {
        let key = || keyed.then(generate::key);
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

    /// Returns the open connections of the broker.
    pub(crate) fn open_connections(&self) -> Vec<ConnectionId> {
        self.broker.open_connections()
    }

    pub(crate) fn peer(&mut self, at: PeerIndex) -> &mut dyn Peer {
        match at.checked_sub(CLIENTS) {
            None => &mut self.clients[at],
            Some(at) => &mut self.workers[at],
        }
    }

    /// Opens a connection of an unauthenticated peer.
    pub(crate) fn connect_stranger(&mut self, endpoint: Endpoint) {
        self.connect(None, endpoint);
    }

    /// Passes a message to the broker at once, in order or not.
    pub(crate) fn receive_at_broker(&mut self, connection: ConnectionId, frames: &[Bytes]) {
        if self.broker.stage(connection).is_some() {
            let actions = self.broker.receive(self.now, connection, frames);
            self.apply_broker_actions(actions);
        }
    }

    /// Passes a message to a peer at once, in order or not.
    pub(crate) fn receive_at_peer(&mut self, at: PeerIndex, frames: &[Bytes]) {
        let now = self.now;
        let peer = self.peer(at);
        if matches!(peer.socket(), Socket::Open(_)) && !peer.has_ended() {
            let actions = peer.receive(now, frames);
            self.apply_peer_actions(at, actions);
        }
    }

    /// Delivers the next message of a connection, or its end, to the broker. Returns whether there was one.
    pub(crate) fn deliver_to_broker(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        match connection.to_broker.pop_front() {
            Some(frames) => self.receive_at_broker(id, &frames),
            None if connection.peer_left => {
                self.connections.remove(&id);
                let actions = self.broker.closed(self.now, id);
                self.apply_broker_actions(actions);
            }
            None => return false,
        }
        true
    }

    /// Delivers the next message of a connection, or its end, to the peer. Returns whether there was one.
    pub(crate) fn deliver_to_peer(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let Some(at) = connection.peer.filter(|_| !connection.peer_left) else { return false };
        match connection.to_peer.pop_front() {
            Some(frames) => self.receive_at_peer(at, &frames),
            None if connection.broker_left => {
                self.connections.remove(&id);
                self.disconnect_peer(at, 0);
            }
            None => return false,
        }
        true
    }

    /// Connects all requested sockets, and delivers all messages in flight.
    pub(crate) fn deliver_all(&mut self) {
        for _ in 0..DELIVERIES_MAX {
            let mut moved = false;
            for at in 0..CLIENTS + WORKERS {
                moved |= self.resolve_socket(at, true);
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

    /// Completes a requested socket, successfully if `works` is set, or a disconnect. Returns whether there was one.
    pub(crate) fn resolve_socket(&mut self, at: PeerIndex, works: bool) -> bool {
        let (now, endpoint) = (self.now, if at < CLIENTS { Endpoint::Frontend } else { Endpoint::Backend });
        let works = works && !self.broker.stopped;
        let peer = self.peer(at);
        if peer.has_ended() {
            return false;
        }
        match *peer.socket() {
            Socket::None | Socket::Open(_) => return false,
            Socket::Requested if works => {
                let connection = self.connect(Some(at), endpoint);
                *self.peer(at).socket() = Socket::Open(connection);
                let actions = self.peer(at).connected(now, connection);
                self.apply_peer_actions(at, actions);
            }
            Socket::Requested | Socket::Disconnected => self.disconnect_peer(at, u32::MAX / 2),
        }
        true
    }

    /// Breaks a connection: messages in flight are lost, and both ends receive the event.
    pub(crate) fn cut(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(&id) {
            let actions = self.broker.closed(self.now, id);
            self.apply_broker_actions(actions);
            if let Some(at) = connection.peer.filter(|_| !connection.peer_left) {
                self.disconnect_peer(at, 7);
            }
        }
    }

    /// Advances the time, and calls each machine at its timeouts.
    pub(crate) fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        let actions = self.broker.advance(self.now, until);
        self.apply_broker_actions(actions);
        for at in 0..CLIENTS + WORKERS {
            let now = self.now;
            let actions = self.peer(at).advance(now, until);
            self.apply_peer_actions(at, actions);
        }
        self.now = until;
    }

    /// Advances the time without running the machines.
    pub(crate) fn skip(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// Shuts down the broker.
    pub(crate) fn shut_down(&mut self, drain: Duration) {
        let actions = self.broker.shut_down(self.now, drain);
        self.apply_broker_actions(actions);
    }

    /// Kills the broker, and starts it again.
    pub(crate) fn restart(&mut self) {
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            self.cut(id);
        }
        self.starts = self.starts.wrapping_add(1);
        self.broker = BrokerHost::new(self.starts, self.keyed, self.now);
    }

    /// Ends all machines in order, and checks that the broker is empty.
    pub(crate) fn end(&mut self) {
        for at in 0..CLIENTS {
            if !self.clients[at].has_ended() {
                let actions = self.clients[at].close(self.now, Duration::from_secs(1));
                self.apply_peer_actions(at, actions);
            }
        }
        for at in 0..WORKERS {
            if !self.workers[at].has_ended() {
                let actions = self.workers[at].shut_down(self.now, Duration::from_secs(1));
                self.apply_peer_actions(CLIENTS + at, actions);
            }
        }
        self.deliver_all();
        for _ in 0..3 {
            self.advance(Duration::from_secs(3));
        }
        self.clients.iter().for_each(ClientHost::check_ended);
        self.workers.iter().for_each(WorkerHost::check_ended);
        for id in self.open_connections() {
            self.connections.remove(&id);
            let actions = self.broker.closed(self.now, id);
            self.apply_broker_actions(actions);
        }
        for _ in 0..3 {
            self.advance(LONG);
        }
        self.broker.check_empty(self.now);
    }

    fn connect(&mut self, peer: Option<PeerIndex>, endpoint: Endpoint) -> ConnectionId {
        self.next_connection += 1;
        let id = ConnectionId(self.next_connection);
        let (to_broker, to_peer) = (VecDeque::new(), VecDeque::new());
        self.connections.insert(id, Connection { peer, to_broker, to_peer, peer_left: false, broker_left: false });
        if self.broker.stopped {
            return id;
        }
        let actions = self.broker.opened(self.now, id, endpoint);
        self.apply_broker_actions(actions);
        id
    }

    /// Passes the end of its connection to a peer.
    fn disconnect_peer(&mut self, at: PeerIndex, chance: u32) {
        let now = self.now;
        let peer = self.peer(at);
        *peer.socket() = Socket::None;
        if !peer.has_ended() {
            let actions = peer.disconnected(now, chance);
            self.apply_peer_actions(at, actions);
        }
    }

    /// Applies actions of the broker to the network.
    pub(crate) fn apply_broker_actions(&mut self, actions: Vec<BrokerAction>) {
        for action in actions {
            match action {
                BrokerAction::Sent(id, envelope) => {
                    let reader = self
                        .connections
                        .get_mut(&id)
                        .filter(|connection| connection.peer.is_some() && !connection.peer_left);
                    if let Some(connection) = reader {
                        connection.to_peer.extend(generate::messages(&envelope));
                    }
                }
                BrokerAction::Closed(id) => {
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

    /// Applies actions of a peer to the network. Messages before a disconnect are still delivered.
    pub(crate) fn apply_peer_actions(&mut self, at: PeerIndex, actions: Vec<PeerAction>) {
        let own = |connection: &&mut Connection| connection.peer == Some(at) && !connection.peer_left;
        for action in actions {
            match action {
                PeerAction::Sent(envelope) => self.send(at, &envelope),
                PeerAction::Disconnected(id) => {
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

    fn send(&mut self, at: PeerIndex, envelope: &Envelope) {
        let mut connections = self.connections.values_mut();
        if let Some(connection) = connections
            .find(|connection| connection.peer == Some(at) && !connection.peer_left && !connection.broker_left)
        {
            connection.to_broker.extend(generate::messages(envelope));
        }
    }
}
