//! Sessions: the owner of each session id, and the state of each client's session.
//!
//! Only [`Sessions`] adds and removes clients. It also sends to clients, because credit and liveness change with each
//! envelope. The coordinator changes single fields of a client through [`Sessions::client_mut`]: its credit, and the
//! counters of its connection.

mod client;
mod connection;
mod credit;
mod disconnected;
mod reply_cache;

use std::{collections::BTreeMap, time::Duration};

pub(crate) use self::{
    client::{Client, RequestStatus},
    connection::{HeartbeatDue, PeerConnection},
    credit::CreditAccount,
};
use self::{disconnected::DisconnectedSessions, reply_cache::BufferPool};
use super::{
    interface::Action,
    keys::{CallKey, ClientKey, TenantKey, WorkerKey},
    outcome::{self, Outcome},
    scheduling::Tenants,
    timers::{Timer, Timers},
};
use crate::{
    auth::Principal,
    time::Time,
    wire::{
        envelope::{Envelope, Reply},
        extensions::Extensions,
        handshake::Hello,
        ids::{CallNumber, ConnectionId, ConnectionNumber, SessionId},
        limits::CLIENT_RETURN_HEARTBEATS,
    },
};

/// The divisor of the part that is evicted at once if too many bytes are cached: finding the oldest outcome takes time
/// linear in the number of clients.
const EVICTED_PART: usize = 8;

/// The sessions of all clients, and the owners of all session ids.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    clients: BTreeMap<ClientKey, Client>,
    owners: BTreeMap<SessionId, SessionOwner>,
    disconnected: DisconnectedSessions,
    /// Bytes of all reply caches.
    cached_bytes: usize,
    buffers: BufferPool,
}

/// The peer that a session belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionOwner {
    Client(ClientKey),
    Worker(WorkerKey),
}

/// A client's new connection, authenticated.
#[derive(Debug)]
pub(crate) struct ClientAdmission {
    pub(crate) hello: Hello,
    pub(crate) principal: Principal,
    pub(crate) tenant: TenantKey,
    pub(crate) credit: CreditAccount,
    pub(crate) connection: PeerConnection,
}

impl Sessions {
    /// Returns the owner of a session.
    pub(crate) fn owner(&self, session: &SessionId) -> Option<SessionOwner> {
        self.owners.get(session).copied()
    }

    /// Makes a worker the owner of a session.
    pub(crate) fn claim_for_worker(&mut self, session: SessionId, worker: WorkerKey) {
        self.owners.insert(session, SessionOwner::Worker(worker));
    }

    /// Removes the owner of a session.
    pub(crate) fn release(&mut self, session: &SessionId) {
        self.owners.remove(session);
    }

    pub(crate) fn get(&self, key: ClientKey) -> Option<&Client> {
        self.clients.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: ClientKey) -> Option<&mut Client> {
        self.clients.get_mut(&key)
    }

    /// Returns a client that must exist.
    ///
    /// # Panics
    /// If there is no such client: a connection that is a client's has a client.
    pub(crate) fn client_mut(&mut self, key: ClientKey) -> &mut Client {
        self.clients.get_mut(&key).expect("a connection that is a client's has a client")
    }

    /// Returns all clients, in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ClientKey, &Client)> {
        self.clients.iter().map(|(&key, client)| (key, client))
    }

    /// Returns the clients from a key on.
    pub(crate) fn iter_from(&self, key: ClientKey) -> impl Iterator<Item = (ClientKey, &Client)> {
        self.clients.range(key..).map(|(&key, client)| (key, client))
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Returns the bytes of all reply caches.
    pub(crate) fn cached_bytes(&self) -> usize {
        self.cached_bytes
    }

    pub(crate) fn owners(&self) -> impl Iterator<Item = (&SessionId, &SessionOwner)> {
        self.owners.iter()
    }

    /// Attaches a connection to a session, which is new if the key is. The tenant of an earlier connection is left.
    pub(crate) fn attach(
        &mut self,
        key: ClientKey,
        admission: ClientAdmission,
        tenants: &mut Tenants,
        timers: &mut Timers,
    ) {
        let ClientAdmission { hello, principal, tenant, credit, connection } = admission;
        self.owners.insert(hello.session, SessionOwner::Client(key));
        self.unlist_disconnected(key);
        if let Some(client) = self.clients.get(&key) {
            tenants.leave(client.tenant());
        }
        let interval = connection.interval;
        let client = self.clients.entry(key).or_insert_with(|| Client::new(&hello, tenant, interval, credit));
        timers.cancel(client.expires_at, Timer::ClientExpiry(key));
        client.connection_number = hello.connection;
        client.interval = interval;
        client.authenticate(principal, tenant);
        client.credit = credit;
        client.connection = Some(connection);
    }

    /// Takes the connection of a client, and cancels its heartbeat.
    pub(crate) fn detach(&mut self, key: ClientKey, timers: &mut Timers) -> Option<PeerConnection> {
        let connection = self.clients.get_mut(&key)?.connection.take()?;
        timers.cancel(connection.timer, Timer::ClientHeartbeat(key));
        Some(connection)
    }

    /// Sets the time until which a disconnected client may return.
    pub(crate) fn schedule_expiry(&mut self, now: Time, key: ClientKey, timers: &mut Timers) {
        let client = self.client_mut(key);
        let until = now + client.interval * CLIENT_RETURN_HEARTBEATS;
        self.postpone_expiry(until, key, timers);
    }

    /// Postpones the time until which a disconnected client may return.
    pub(crate) fn postpone_expiry(&mut self, until: Time, key: ClientKey, timers: &mut Timers) {
        self.client_mut(key).expires_at = until;
        timers.set(until, Timer::ClientExpiry(key));
    }

    /// Lists a client as disconnected. Returns the session to evict if there are too many.
    pub(crate) fn list_disconnected(&mut self, now: Time, key: ClientKey, max: usize) -> Option<ClientKey> {
        let client = self.clients.get_mut(&key)?;
        let rank = client.rank(now, key);
        client.eviction_rank = Some(rank);
        self.disconnected.add(client.tenant(), rank, max)
    }

    fn unlist_disconnected(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        if let Some(rank) = client.eviction_rank.take() {
            self.disconnected.remove(client.tenant(), rank);
        }
    }

    /// Removes a client's session. The caller must end its calls.
    pub(crate) fn remove(&mut self, key: ClientKey, tenants: &mut Tenants, timers: &mut Timers) -> Option<Client> {
        self.unlist_disconnected(key);
        let client = self.clients.remove(&key)?;
        self.owners.remove(&client.session);
        self.cached_bytes -= client.cached_bytes();
        tenants.leave(client.tenant());
        timers.cancel(client.expires_at, Timer::ClientExpiry(key));
        Some(client)
    }

    /// Sets the timer of a client's next heartbeat.
    pub(crate) fn schedule_heartbeat(
        &mut self,
        key: ClientKey,
        stall_recovered_at: Time,
        heartbeat: Duration,
        timers: &mut Timers,
    ) {
        let Some(connection) = self.clients.get_mut(&key).and_then(|client| client.connection.as_mut()) else { return };
        timers.set(connection.next_heartbeat(stall_recovered_at, heartbeat), Timer::ClientHeartbeat(key));
    }

    /// Drops the calls and cached replies of a client below a number. Returns the calls that were still open.
    pub(crate) fn acknowledge(&mut self, key: ClientKey, below: Option<CallNumber>) -> Vec<CallKey> {
        let client = self.clients.get_mut(&key).expect("a connection that is a client's has a client");
        let before = client.cached_bytes();
        let unwanted = client.acknowledge(below, &mut self.buffers);
        self.cached_bytes = self.cached_bytes - before + client.cached_bytes();
        unwanted
    }

    /// Caches an outcome for a client, if it still exists. If all caches together have more than `max` bytes, the oldest outcomes are
    /// evicted.
    pub(crate) fn cache_reply(
        &mut self,
        key: ClientKey,
        number: CallNumber,
        outcome: &Outcome,
        extensions: &Extensions,
        max: usize,
    ) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let before = client.cached_bytes();
        client.cache_reply(number, outcome, extensions, &mut self.buffers);
        self.cached_bytes = self.cached_bytes - before + client.cached_bytes();
        if self.cached_bytes > max {
            self.evict_replies(max);
        }
    }

    /// Evicts outcomes, those of the oldest sessions first, and of disconnected ones before all others.
    fn evict_replies(&mut self, max: usize) {
        let enough = max - max / EVICTED_PART;
        for connected in [false, true] {
            let clients = self.clients.values_mut().filter(|client| client.connection.is_some() == connected);
            for client in clients {
                while self.cached_bytes > enough {
                    let before = client.cached_bytes();
                    if !client.evict_oldest_reply(&mut self.buffers) {
                        break;
                    }
                    self.cached_bytes -= before - client.cached_bytes();
                }
            }
        }
    }

    /// Returns the id of a client's connection, if it is connected.
    pub(crate) fn connection_of(&self, key: ClientKey) -> Option<ConnectionId> {
        self.clients.get(&key)?.connection.as_ref().map(|connection| connection.id)
    }

    /// Returns whether a client is connected, by its connection of that number.
    pub(crate) fn is_connected_by(&self, key: ClientKey, number: ConnectionNumber) -> bool {
        let client = self.clients.get(&key);
        client.is_some_and(|client| client.connection.is_some() && client.connection_number == number)
    }

    /// Releases the credit of a call to the connection that spent it. A later connection has a window of its own.
    pub(crate) fn release_credit(&mut self, key: ClientKey, spent_on: ConnectionNumber, bytes: u64) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        if client.connection_number == spent_on {
            client.credit.release(bytes);
        }
    }

    /// Sends an envelope to a client, if it is connected.
    pub(crate) fn send(&mut self, now: Time, key: ClientKey, envelope: Envelope, out: &mut Vec<Action>) {
        let Some(connection) = self.clients.get_mut(&key).and_then(|client| client.connection.as_mut()) else { return };
        connection.record_send(now, &envelope);
        out.push(Action::Send(connection.id, envelope));
    }

    /// Grants a connected client the credit that is due.
    pub(crate) fn grant_credit(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        let Some(client) = self.clients.get_mut(&key).filter(|client| client.connection.is_some()) else { return };
        if let Some(credit) = client.credit.take_grant() {
            self.send(now, key, Envelope::Credit(credit), out);
        }
    }

    /// Sends a client an outcome, with the credit that is due.
    pub(crate) fn deliver(
        &mut self,
        now: Time,
        key: ClientKey,
        number: CallNumber,
        outcome: Outcome,
        extensions: Extensions,
        out: &mut Vec<Action>,
    ) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let Some(max) = client.connection.as_ref().map(|connection| connection.body_bytes_max) else { return };
        let (outcome, credit) = (outcome::fitting(outcome, max), client.credit.take_grant());
        self.send(
            now,
            key,
            Envelope::Reply(Reply { number: number.0, outcome, credit, handler_time: None, extensions }),
            out,
        );
    }

    /// Asserts the invariants within this part.
    pub(crate) fn assert_invariants(&self, disconnected_max: usize, cached_bytes_max: usize) {
        self.clients.values().for_each(Client::assert_invariants);
        let disconnected = self.clients.values().filter(|client| client.connection.is_none());
        let ranks = disconnected.map(|client| {
            (
                client.tenant(),
                client.eviction_rank.expect("a disconnected session has a place in the order of eviction"),
            )
        });
        self.disconnected.assert_invariants(ranks, disconnected_max);
        let cached: usize = self.clients.values().map(Client::cached_bytes).sum();
        assert_eq!(self.cached_bytes, cached, "bytes of reply caches are counted");
        assert!(cached <= cached_bytes_max, "reply caches are bounded together");
    }
}
