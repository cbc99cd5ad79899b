//! Who is who: the peers as `callboard.peers` tells them.

use serde::{Deserialize, Serialize};

use super::{
    Broker,
    client::{Client, ClientKey},
    presence::Presence,
    worker::{Worker, WorkerKey},
};
use crate::{
    time::Time,
    wire::{handshake::Role, ids::SessionId, limits::PEERS_PAGE_MAX},
};

/// Some of the broker's peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// At most [`PEERS_PAGE_MAX`], in the order in which they came.
    pub peers: Vec<PeerStatus>,
    /// What to ask for to have those that follow; none if these were the last.
    pub next: Option<u64>,
}

/// A peer as `callboard.peers` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The broker's own number for it.
    pub id: u64,
    /// What it is.
    pub role: Role,
    /// The first eight digits of its session, as in the names of its calls. The whole is its secret.
    pub session: String,
    /// The id of the key that it proved, if that has one.
    pub key: Option<String>,
    /// Its instance name.
    pub instance: String,
    /// Its pool, if it has one.
    pub pool: Option<String>,
    /// Its process on its machine.
    pub pid: Option<u32>,
    /// Its machine, by its own word.
    pub host: String,
    /// What is known of its connection; none while a lost client may yet return.
    pub connection: Option<ConnectionStatus>,
    /// Its calls that are open now: that it waits for, or that it runs.
    pub open: u64,
}

/// A peer's connection as `callboard.peers` tells it: what was counted since it was let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// Where it comes from.
    pub address: String,
    /// Milliseconds since it was let in.
    pub age_ms: u64,
    /// Calls that it made, or was given.
    pub calls: u64,
    /// Bytes of the messages that came from it.
    pub bytes_in: u64,
    /// Bytes of the bodies that were sent to it.
    pub bytes_out: u64,
    /// How often it met a limit: calls that found a full queue, envelopes that were refused.
    pub limits_hit: u64,
}

impl Broker {
    /// The peers from the one with this number on, as many as an answer may hold.
    pub fn peers(&self, now: Time, from: u64) -> Peers {
        let clients = self.clients.range(ClientKey(from)..).map(|(key, client)| (key.0, Peer::Client(client)));
        let workers = self.workers.range(WorkerKey(from)..).map(|(key, worker)| (key.0, Peer::Worker(worker)));
        let mut all: Vec<_> = clients.take(PEERS_PAGE_MAX + 1).chain(workers.take(PEERS_PAGE_MAX + 1)).collect();
        all.sort_unstable_by_key(|&(id, _)| id);
        let next = all.get(PEERS_PAGE_MAX).map(|&(id, _)| id);
        Peers { peers: all.iter().take(PEERS_PAGE_MAX).map(|(id, peer)| peer.status(*id, now)).collect(), next }
    }
}

enum Peer<'a> {
    Client(&'a Client),
    Worker(&'a Worker),
}

impl Peer<'_> {
    fn status(&self, id: u64, now: Time) -> PeerStatus {
        let digits = |session: SessionId| format!("{:08x}", session.tag());
        match self {
            Peer::Client(client) => PeerStatus {
                id,
                role: Role::Client,
                session: digits(client.session),
                key: client.principal.key.clone(),
                instance: client.name.clone(),
                pool: None,
                pid: client.pid,
                host: client.host.clone(),
                connection: client.presence.as_ref().map(|presence| presence.status(now)),
                open: client.open.len() as u64,
            },
            Peer::Worker(worker) => PeerStatus {
                id,
                role: Role::Worker,
                session: digits(worker.session),
                key: worker.principal.key.clone(),
                instance: worker.name.to_string(),
                pool: worker.pool.clone(),
                pid: worker.pid,
                host: worker.host.clone(),
                connection: Some(worker.presence.status(now)),
                open: worker.running.len() as u64,
            },
        }
    }
}

impl Presence {
    fn status(&self, now: Time) -> ConnectionStatus {
        ConnectionStatus {
            address: self.address.to_string(),
            age_ms: u64::try_from(now.since(self.since).as_millis()).unwrap_or(u64::MAX),
            calls: self.calls,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            limits_hit: self.limits_hit,
        }
    }
}
