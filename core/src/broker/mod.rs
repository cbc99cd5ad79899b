//! The broker machine: clients' requests in, dispatches to workers out, and each call's one outcome back.
//!
//! | file | what it holds |
//! |---|---|
//! | `arrival` | a connection's way from its first byte to being a client or a worker |
//! | `proving` | what it has to prove on that way, and how the broker proves itself |
//! | `away` | clients that may come back |
//! | `party` | who shares the broker: sessions of one key or address, and what waits of them |
//! | `requests` | what clients say |
//! | `outcomes` | what is remembered for clients that may ask again |
//! | `candidates` | workers with room, the best first |
//! | `dispatch` | which worker gets a call, which call waits |
//! | `broadcast` | a call to every worker of a service |
//! | `ending` | how a call ends |
//! | `keyed` | affinity keys: whose turn it is, and which worker has which bucket |
//! | `reports` | what workers say |
//! | `streams` | items, credit and progress on their way through |
//! | `refusals` | what a peer may not say, or what nobody can read |
//! | `departure` | peers that leave or are lost, and the broker's own end |
//! | `timers` | deadlines, heartbeats, and what has waited too long |
//! | `retries` | how much may be sent again |
//! | `concurrency` | how many calls of a method run at once, over all workers |
//! | `stuck` | calls that run past their method's limits, and workers that do not stop them |
//! | `unread` | what a worker has been sent and may not have read |
//! | `dead` | calls that nobody may try again, kept for an operator |
//! | `own` | the service `callboard` |
//! | `peers` | what it tells of who is connected |
//! | `contracts` | what workers say that a service is |
//! | `why` | of it: what a call waits for |
//! | `overview` | the parts of `callboard.status` |
//! | `load` | what a pool asks of the broker |
//! | `check` | what must hold after every step |

mod allowed;
mod arrival;
mod away;
mod broadcast;
mod call;
mod candidates;
mod check;
mod client;
mod concurrency;
mod contracts;
mod dead;
mod departure;
mod diagnostic;
mod dispatch;
mod ending;
mod gate;
mod keyed;
mod load;
mod outcomes;
mod overview;
mod own;
mod pace;
mod party;
mod peers;
mod presence;
mod proving;
pub mod queue;
mod rate;
mod refusals;
mod remembered;
mod reports;
mod requests;
mod retries;
mod round;
mod service;
mod settings;
mod streams;
mod stuck;
#[cfg(test)]
mod tests;
mod timers;
mod unread;
mod why;
mod worker;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use bytestring::ByteString;
use slab::Slab;

pub use self::{
    allowed::{AllowedServices, AllowedServicesError},
    contracts::{Contract, ContractStatus, ServiceContracts},
    dead::{DeadLetter, OpenedLetter},
    diagnostic::{Counters, Diagnostic},
    gate::GateStatus,
    load::{Load, OfferLoad, WorkerLoad},
    overview::{CallStatus, ClientStatus, Omitted, Rates},
    own::{MethodStatus, ServiceStatus, Status, WorkerStatus},
    peers::{ConnectionStatus, PeerStatus, Peers},
    proving::Unproven,
    settings::{Identity, Settings},
    why::{Behind, Busy, Why},
};
use self::{
    arrival::{Arrival, Whence},
    away::Away,
    call::{Call, CallKey},
    client::{Client, ClientKey},
    dead::DeadLetters,
    keyed::Loose,
    party::Parties,
    remembered::Spare,
    service::{Service, ServiceKey},
    timers::Timer,
    worker::{Worker, WorkerKey},
};
use crate::{
    auth::{AuthKeys, Nonce, Principal},
    deadline_queue::DeadlineQueue,
    time::Time,
    wire::{
        bundle::{self, Recipient},
        envelope::{Envelope, Ping},
        ids::{ConnectionId, SessionId},
    },
    zmtp::Violation,
};

/// Which of the broker's two doors a connection came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// Where clients connect.
    Frontend,
    /// Where workers and pools connect.
    Backend,
}

/// What happens to the broker, other than frames.
#[derive(Clone, Debug)]
pub enum Event {
    /// A connection is there.
    Opened {
        /// Its name from now on.
        connection: ConnectionId,
        /// The door it came through.
        endpoint: Endpoint,
        /// Chance of this connection's own, fit for keys.
        nonce: Nonce,
        /// Where it comes from, for people.
        address: ByteString,
        /// Whom it is counted for where a key does not say it: an address without its port, a network, a user.
        origin: ByteString,
        /// When its handshake must be done, that of its transport included.
        until: Time,
    },
    /// Bytes came that make no whole message yet: a sign of life.
    Activity {
        /// From where.
        connection: ConnectionId,
    },
    /// A peer broke the rules of its transport: it is told, and sent away. Nothing more comes from it.
    ProtocolViolation {
        /// From where.
        connection: ConnectionId,
        /// What it did.
        violation: Violation,
    },
    /// A connection is gone; nothing comes from it any more.
    Closed {
        /// Which one.
        connection: ConnectionId,
    },
    /// These keys count from now on, for who joins; who has joined stays.
    Keys(AuthKeys),
    /// How the driver's gate stands. It says so at a time of its own, a few times a second at most.
    Gate(Box<GateStatus>),
    /// Time has passed ([`Broker::poll_timeout`]).
    Timeout,
    /// The operator wants the broker to end: refuse what is new, let finish what runs, until then at most.
    Shutdown {
        /// When to stop waiting.
        deadline: Time,
    },
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send an envelope on a connection.
    Send(ConnectionId, Envelope),
    /// The peer was let in: messages of full size may come from this connection now.
    Authenticated(ConnectionId),
    /// Close a connection once what was sent on it has been written. The machine has forgotten it already.
    Close(ConnectionId),
    /// Tell the operator.
    Log(Diagnostic),
    /// The shutdown is complete: write what is unsent, and end.
    Stopped,
}

/// The broker.
#[derive(Debug)]
pub struct Broker {
    settings: Settings,
    identity: Identity,
    started: Time,
    /// When the machine last came back from not being run in time.
    grace: Time,
    /// Set while the broker is ending: when it stops waiting for running calls.
    leaving: Option<Time>,
    stopped: bool,
    connections: BTreeMap<ConnectionId, Arrival>,
    clients: BTreeMap<ClientKey, Client>,
    parties: Parties,
    away: Away,
    workers: BTreeMap<WorkerKey, Worker>,
    /// Who owns a session.
    sessions: BTreeMap<SessionId, Owner>,
    services: BTreeMap<ServiceKey, Service>,
    service_names: BTreeMap<String, ServiceKey>,
    /// Those that somebody serves: names that callers made up are not among them, however many there are.
    served: BTreeMap<String, ServiceKey>,
    calls: Slab<Call>,
    dead: DeadLetters,
    timers: BTreeSet<(Time, Timer)>,
    /// Those of calls.
    deadlines: DeadlineQueue<CallKey>,
    next_key: u64,
    next_dispatch: u64,
    /// When calls with affinity keys may begin.
    keys_from: Time,
    /// The fence of the next bucket that gets a worker; above those of all that lost one.
    next_fence: u64,
    /// Of affinity keys, what the present event has left to be looked at.
    loose: BTreeSet<Loose>,
    /// Bytes of items that were written and not granted again: no more is held of all streams.
    stream_bytes: u64,
    /// Bytes of all outcomes that are remembered.
    outcome_bytes: usize,
    /// For small outcomes.
    spare: Spare,
    /// Bytes that answers of broadcasts hold while others are missing.
    gathered_bytes: usize,
    counters: Counters,
    gate: GateStatus,
    /// Answers of the broker's own service that may be given again.
    own_answers: BTreeMap<&'static str, (Time, Bytes)>,
}

/// Who owns a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Client(ClientKey),
    Worker(WorkerKey),
}

impl Broker {
    /// A broker that nobody knows yet.
    pub fn new(settings: Settings, identity: Identity, now: Time) -> Broker {
        Broker {
            keys_from: keyed::keys_from(now, settings.heartbeat),
            next_fence: identity.fences_from,
            loose: BTreeSet::new(),
            settings,
            identity,
            started: now,
            grace: Time::ZERO,
            leaving: None,
            stopped: false,
            connections: BTreeMap::new(),
            clients: BTreeMap::new(),
            parties: Parties::default(),
            away: Away::default(),
            workers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            services: BTreeMap::new(),
            service_names: BTreeMap::new(),
            served: BTreeMap::new(),
            calls: Slab::new(),
            dead: DeadLetters::default(),
            timers: BTreeSet::new(),
            deadlines: DeadlineQueue::default(),
            next_key: 0,
            next_dispatch: 0,
            stream_bytes: 0,
            outcome_bytes: 0,
            spare: Spare::default(),
            gathered_bytes: 0,
            counters: Counters::default(),
            gate: GateStatus::default(),
            own_answers: BTreeMap::new(),
        }
    }

    /// A message arrived on a connection. After [`Action::Stopped`] nothing matters any more.
    pub fn handle_message(&mut self, now: Time, connection: ConnectionId, frames: &[Bytes], out: &mut Vec<Action>) {
        if self.stopped {
            return;
        }
        self.detect_stall(now);
        self.hear(now, connection, frames.iter().map(Bytes::len).sum());
        for read in bundle::read(frames, Recipient::Broker) {
            match read {
                Ok(envelope) => self.envelope(now, connection, envelope, out),
                Err(refused) => self.refuse(now, connection, refused, out),
            }
        }
        self.tie_up(now, out);
        self.stop_if_idle(now, out);
    }

    /// Something else happened. After [`Action::Stopped`] nothing matters any more.
    pub fn handle_event(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        if self.stopped {
            return;
        }
        self.detect_stall(now);
        match event {
            Event::Opened { connection, endpoint, address, origin, nonce, until } => {
                self.opened(connection, endpoint, Whence { address, origin }, nonce, until);
            }
            Event::Activity { connection } => self.hear(now, connection, 0),
            Event::ProtocolViolation { connection, violation } => self.broken(now, connection, violation, out),
            Event::Closed { connection } => self.closed(now, connection, out),
            Event::Keys(keys) => self.settings.keys = Some(keys),
            Event::Gate(status) => self.gate = *status,
            Event::Timeout => self.handle_timeout(now, out),
            Event::Shutdown { deadline } => self.shutdown(now, deadline, out),
        }
        self.tie_up(now, out);
        self.stop_if_idle(now, out);
    }

    /// When the machine wants to be woken, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.first_timer().map(|(at, _)| at).filter(|_| !self.stopped)
    }

    /// What the machine has counted since its start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Who is at the other end of a connection, once it was let in.
    pub fn principal(&self, connection: ConnectionId) -> Option<&Principal> {
        match self.connections.get(&connection)? {
            Arrival::Client(key) => self.clients.get(key).map(|client| &client.principal),
            Arrival::Worker(key) => self.workers.get(key).map(|worker| &worker.principal),
            Arrival::Silent { .. } | Arrival::Challenged { .. } | Arrival::Unproven { .. } => None,
        }
    }

    /// Outcomes that are remembered because their clients have not acknowledged them yet.
    pub fn remembered_len(&self) -> usize {
        self.clients.values().map(Client::remembered_len).sum()
    }

    fn envelope(&mut self, now: Time, connection: ConnectionId, envelope: Envelope, out: &mut Vec<Action>) {
        match self.connections.get(&connection) {
            Some(Arrival::Client(client)) => self.client_says(now, *client, envelope, out),
            Some(Arrival::Worker(worker)) => self.worker_says(now, *worker, envelope, out),
            Some(_) => self.newcomer_says(now, connection, envelope, out),
            // The machine closed the connection; what was on its way is nobody's any more.
            None => {}
        }
    }

    fn client_says(&mut self, now: Time, client: ClientKey, envelope: Envelope, out: &mut Vec<Action>) {
        match envelope {
            Envelope::Request(request) => self.request(now, client, request, out),
            Envelope::Cancel(cancel) => self.cancel(now, client, cancel, out),
            Envelope::Item(item) => self.caller_item(now, client, item, out),
            Envelope::End(end) => self.caller_end(now, client, end, out),
            Envelope::StreamCredit(credit) => self.caller_room(now, client, credit, out),
            Envelope::Ping(ping) => self.client_ping(now, client, ping, out),
            Envelope::Pong(_) => {}
            Envelope::Goodbye(_) => self.client_leaves(now, client, out),
            other => self.misplaced(now, self.client_connection(client), &other, out),
        }
    }

    fn worker_says(&mut self, now: Time, worker: WorkerKey, envelope: Envelope, out: &mut Vec<Action>) {
        match envelope {
            Envelope::Register(body) => self.register(now, worker, &body, out),
            Envelope::Reply(reply) => self.reply(now, worker, reply, out),
            Envelope::Started(number) => self.begun(now, worker, number, out),
            Envelope::Handback(number) => self.handback(now, worker, number, out),
            Envelope::Credit(credit) => self.slots_freed(now, worker, credit, out),
            Envelope::KeyFreed(freed) => self.slot_and_key_freed(now, worker, &freed, out),
            Envelope::Item(item) => self.handler_item(now, worker, item, out),
            Envelope::StreamCredit(credit) => self.handler_room(now, worker, credit, out),
            Envelope::Progress(number, body) => self.handler_progress(now, worker, number, body, out),
            Envelope::Drain => self.drain(now, worker, out),
            Envelope::Ping(Ping { number, .. }) => self.speak_to_worker(now, worker, Envelope::Pong(number), out),
            Envelope::Pong(_) => {}
            Envelope::Goodbye(_) => self.worker_leaves(now, worker, out),
            other => {
                self.misplaced(now, self.workers.get(&worker).map(|worker| worker.presence.connection), &other, out)
            }
        }
    }

    fn fresh_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}
