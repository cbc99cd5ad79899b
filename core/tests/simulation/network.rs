//! The network: connections that deliver in order and with delays, stall and break.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::Duration,
};

use bytes::Bytes;
use callboard_core::{broker::Endpoint, time::Time, wire::ids::ConnectionId};

/// A process of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    Broker,
    Client(usize),
    Worker(usize),
    Rogue,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Host::Broker => "broker".to_owned(),
            Host::Client(at) => format!("client-{at}"),
            Host::Worker(at) => format!("worker-{at}"),
            Host::Rogue => "rogue".to_owned(),
        };
        f.pad(&name)
    }
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Peer,
    Broker,
}

impl End {
    pub(crate) fn other(self) -> End {
        match self {
            End::Peer => End::Broker,
            End::Broker => End::Peer,
        }
    }
}

/// What a connection delivers.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    Opened,
    Message(Vec<Bytes>),
    Closed,
}

/// One direction of a connection, named by the end at which it arrives.
#[derive(Debug, Default)]
struct Pipe {
    in_flight: VecDeque<(Time, Packet)>,
    /// Nothing arrives before this time.
    stalled: Time,
    /// Packets sent from now on are lost: the connection is broken, or its receiver has closed.
    closed: bool,
}

impl Pipe {
    fn send(&mut self, at: Time, packet: Packet) {
        if !self.closed {
            let last = self.in_flight.back().map_or(Time::ZERO, |&(last, _)| last);
            self.in_flight.push_back((at.max(last), packet));
        }
    }

    fn due(&self) -> Option<Time> {
        self.in_flight.front().map(|&(at, _)| at.max(self.stalled))
    }

    /// Closes the receiver: drops all packets in flight.
    fn discard(&mut self) {
        self.in_flight.clear();
        self.closed = true;
    }

    /// Delivers the end of the connection as the last packet at that time, or never.
    fn end(&mut self, at: Option<Time>) {
        if let Some(at) = at {
            self.send(at, Packet::Closed);
        }
        self.closed = true;
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: Host,
    pub(crate) endpoint: Endpoint,
    towards_peer: Pipe,
    towards_broker: Pipe,
}

impl Connection {
    fn pipe(&mut self, towards: End) -> &mut Pipe {
        match towards {
            End::Peer => &mut self.towards_peer,
            End::Broker => &mut self.towards_broker,
        }
    }

    /// Stalls both directions: nothing arrives before that time.
    fn stall(&mut self, until: Time) {
        self.towards_peer.stalled = until;
        self.towards_broker.stalled = until;
    }

    fn is_over(&self) -> bool {
        let over = |pipe: &Pipe| pipe.closed && pipe.in_flight.is_empty();
        over(&self.towards_peer) && over(&self.towards_broker)
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Network {
    connections: BTreeMap<ConnectionId, Connection>,
    /// When each partition of a peer ends.
    partitions: BTreeMap<Host, Time>,
    opened: u64,
}

impl Network {
    /// Opens a connection of a peer, which reaches the broker at that time.
    pub(crate) fn connect(&mut self, peer: Host, endpoint: Endpoint, at: Time) -> ConnectionId {
        self.opened += 1;
        let id = ConnectionId(self.opened);
        let mut connection =
            Connection { peer, endpoint, towards_peer: Pipe::default(), towards_broker: Pipe::default() };
        connection.towards_broker.send(at, Packet::Opened);
        connection.stall(self.partitions.get(&peer).copied().unwrap_or(Time::ZERO));
        self.connections.insert(id, connection);
        id
    }

    pub(crate) fn send(&mut self, id: ConnectionId, towards: End, at: Time, packet: Packet) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.pipe(towards).send(at, packet);
        }
    }

    /// Returns when the next packet arrives.
    pub(crate) fn due(&self) -> Option<Time> {
        self.connections
            .values()
            .flat_map(|connection| [connection.towards_broker.due(), connection.towards_peer.due()])
            .flatten()
            .min()
    }

    /// Takes the next packet that has arrived, with its connection and its end.
    pub(crate) fn arrival(&mut self, now: Time) -> Option<(ConnectionId, Host, Endpoint, End, Packet)> {
        for (&id, connection) in &mut self.connections {
            for end in [End::Broker, End::Peer] {
                let pipe = connection.pipe(end);
                if pipe.due().is_some_and(|due| due <= now) {
                    let (_, packet) = pipe.in_flight.pop_front()?;
                    let (peer, endpoint) = (connection.peer, connection.endpoint);
                    if connection.is_over() {
                        self.connections.remove(&id);
                    }
                    return Some((id, peer, endpoint, end, packet));
                }
            }
        }
        None
    }

    /// Closes one end. The other end detects it after the packets in flight, except for the last `lost` ones.
    pub(crate) fn close(&mut self, id: ConnectionId, end: End, seen: Option<Time>, lost: usize) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.pipe(end).discard();
        let other = connection.pipe(end.other());
        other.in_flight.truncate(other.in_flight.len().saturating_sub(lost));
        other.end(seen);
        if connection.is_over() {
            self.connections.remove(&id);
        }
    }

    /// Breaks a connection: packets in flight are lost, and each end detects it at its time, or never.
    pub(crate) fn cut(&mut self, id: ConnectionId, peer_sees: Option<Time>, broker_sees: Option<Time>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        for (towards, seen) in [(End::Peer, peer_sees), (End::Broker, broker_sees)] {
            let pipe = connection.pipe(towards);
            if !pipe.closed {
                pipe.in_flight.clear();
                pipe.end(seen);
            }
        }
        if connection.is_over() {
            self.connections.remove(&id);
        }
    }

    /// Partitions a peer from the broker until that time.
    pub(crate) fn partition(&mut self, peer: Host, until: Time) {
        self.partitions.insert(peer, until);
        self.connections
            .values_mut()
            .filter(|connection| connection.peer == peer)
            .for_each(|connection| connection.stall(until));
    }

    /// Stalls one direction: nothing arrives at that end before that time.
    pub(crate) fn stall(&mut self, id: ConnectionId, towards: End, until: Time) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.pipe(towards).stalled = until;
        }
    }

    /// Returns all connections with their peers.
    pub(crate) fn connections(&self) -> Vec<(ConnectionId, Host)> {
        self.connections.iter().map(|(&id, connection)| (id, connection.peer)).collect()
    }

    /// Ends all stalls and partitions.
    pub(crate) fn heal(&mut self) {
        self.partitions.clear();
        self.connections.values_mut().for_each(|connection| connection.stall(Time::ZERO));
    }
}

/// Returns the time `span` after `now`, if there is a span.
pub(crate) fn later(now: Time, span: Option<Duration>) -> Option<Time> {
    span.map(|span| now + span)
}
