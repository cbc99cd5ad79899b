//! `callboard.peers`: the connected peers.

use serde::{Deserialize, Serialize};

use super::super::{
    coordinator::state::Broker,
    keys::{ClientKey, WorkerKey},
    registry::Worker,
    sessions::{Client, PeerConnection},
};
use crate::{
    time::Time,
    wire::{handshake::Role, ids::SessionId, limits::PEERS_PAGE_MAX},
};

/// A page of the broker's peers: the result of `callboard.peers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// At most [`PEERS_PAGE_MAX`], in the order in which they connected.
    pub peers: Vec<PeerStatus>,
    /// The argument that returns the next page. `None` on the last page.
    pub next: Option<u64>,
}

/// A peer in the result of `callboard.peers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its number at the broker.
    pub id: u64,
    /// Its role.
    pub role: Role,
    /// The first eight digits of its session, as in the correlation ids of its calls. The whole session id is secret.
    pub session: String,
    /// The id of the key that it proved, if the key has one.
    pub key: Option<String>,
    /// Its instance name.
    pub instance: String,
    /// Its pool, if it has one.
    pub pool: Option<String>,
    /// Its process id on its host.
    pub pid: Option<u32>,
    /// Its host, as it announced it.
    pub host: String,
    /// Its connection. `None` while a disconnected client may return.
    pub connection: Option<ConnectionStatus>,
    /// Its open calls: those that a client waits for, or a worker runs.
    pub open: u64,
}

/// A peer's connection in the result of `callboard.peers`, with counters since it was authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// The address of the peer.
    pub address: String,
    /// Milliseconds since the peer was authenticated.
    pub age_ms: u64,
    /// Calls that the peer made, or was given.
    pub calls: u64,
    /// Bytes of the messages received from the peer.
    pub bytes_in: u64,
    /// Bytes of the bodies sent to the peer.
    pub bytes_out: u64,
    /// How often the peer met a limit: calls that found a full queue, envelopes that were rejected.
    pub limits_hit: u64,
}

/// Returns the peers from the one with this number on, as many as a result may hold.
pub(crate) fn peers(broker: &Broker, now: Time, from: u64) -> Peers {
    let first = ClientKey::new(from.max(1)).expect("at least 1 is not 0");
    let clients = broker.sessions.iter_from(first).map(|(key, client)| (key.number(), Peer::Client(client)));
    let workers = broker.registry.workers_from(WorkerKey(from)).map(|(key, worker)| (key.0, Peer::Worker(worker)));
    let mut all: Vec<_> = clients.take(PEERS_PAGE_MAX + 1).chain(workers.take(PEERS_PAGE_MAX + 1)).collect();
    all.sort_unstable_by_key(|&(id, _)| id);
    let next = all.get(PEERS_PAGE_MAX).map(|&(id, _)| id);
    Peers { peers: all.iter().take(PEERS_PAGE_MAX).map(|(id, peer)| peer.status(*id, now)).collect(), next }
}

enum Peer<'a> {
    Client(&'a Client),
    Worker(&'a Worker),
}

impl Peer<'_> {
    fn status(&self, id: u64, now: Time) -> PeerStatus {
        let digits = |session: SessionId| format!("{:08x}", session.prefix());
        match self {
            Peer::Client(client) => PeerStatus {
                id,
                role: Role::Client,
                session: digits(client.session()),
                key: client.principal().name().map(ToString::to_string),
                instance: client.name().to_owned(),
                pool: None,
                pid: client.pid(),
                host: client.host().to_owned(),
                connection: client.connection().as_ref().map(|connection| connection_status(connection, now)),
                open: client.open_len() as u64,
            },
            Peer::Worker(worker) => PeerStatus {
                id,
                role: Role::Worker,
                session: digits(worker.session),
                key: worker.principal.name().map(ToString::to_string),
                instance: worker.name.to_string(),
                pool: worker.pool.clone(),
                pid: worker.pid,
                host: worker.host.clone(),
                connection: Some(connection_status(&worker.connection, now)),
                open: worker.running.len() as u64,
            },
        }
    }
}

fn connection_status(connection: &PeerConnection, now: Time) -> ConnectionStatus {
    ConnectionStatus {
        address: connection.address.to_string(),
        age_ms: u64::try_from(now.since(connection.since).as_millis()).unwrap_or(u64::MAX),
        calls: connection.calls,
        bytes_in: connection.bytes_in,
        bytes_out: connection.bytes_out,
        limits_hit: connection.limits_hit,
    }
}
