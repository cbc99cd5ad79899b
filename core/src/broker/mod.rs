//! The broker machine: clients' requests in, dispatches to workers out, and each call's one outcome back.
//!
//! | file | what it holds |
//! |---|---|
//! | `arrival` | a connection's way from its first byte to being a client or a worker |
//! | `requests` | what clients say |
//! | `dispatch` | which worker gets a call, which call waits, how a call ends |
//! | `reports` | what workers say |
//! | `departure` | peers that leave or are lost, and the broker's own end |
//! | `timers` | deadlines, heartbeats, and what has waited too long |
//! | `retries` | how much may be sent again |
//! | `stuck` | calls that run past their method's limits, and workers that do not stop them |
//! | `dead` | calls that nobody may try again, kept for an operator |
//! | `own` | the service `callboard` |
//! | `why` | of it: what a call waits for |
//! | `check` | what must hold after every step |

mod arrival;
mod call;
mod check;
mod client;
mod dead;
mod departure;
mod dispatch;
mod note;
mod own;
mod pace;
mod presence;
pub mod queue;
mod reports;
mod requests;
mod retries;
mod service;
mod settings;
mod stuck;
#[cfg(test)]
mod tests;
mod timers;
mod why;
mod worker;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use slab::Slab;

use self::{
    arrival::Arrival,
    call::Call,
    client::{Client, ClientKey},
    dead::DeadLetters,
    service::{Service, ServiceKey},
    timers::Timer,
    worker::{Worker, WorkerKey},
};
pub use self::{
    dead::{DeadLetter, OpenedLetter},
    note::{Counters, Note},
    own::{MethodStatus, ServiceStatus, Status},
    settings::{Identity, Settings},
    why::{Behind, Busy, Why},
};
use crate::{
    time::Time,
    wire::{
        bundle::{self, Reader, Refused},
        envelope::{Envelope, Ping},
        ids::{LinkId, SessionId},
        status::{Code, Executed, Failure},
    },
};

/// Which of the broker's two doors a connection came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
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
        link: LinkId,
        /// The door it came through.
        side: Side,
    },
    /// Bytes came that make no whole message yet: a sign of life.
    Heard {
        /// From where.
        link: LinkId,
    },
    /// A connection is gone; nothing comes from it any more.
    Closed {
        /// Which one.
        link: LinkId,
    },
    /// Time has passed ([`Broker::next_deadline`]).
    Wake,
    /// The operator wants the broker to end: refuse what is new, let finish what runs, until then at most.
    Shutdown {
        /// When to stop waiting.
        deadline: Time,
    },
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send an envelope on a link.
    Send(LinkId, Envelope),
    /// The peer was let in: messages of full size may come from this link now.
    Admit(LinkId),
    /// Close a link once what was sent on it has been written. The machine has forgotten it already.
    Close(LinkId),
    /// Tell the operator.
    Note(Note),
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
    links: BTreeMap<LinkId, Arrival>,
    clients: BTreeMap<ClientKey, Client>,
    workers: BTreeMap<WorkerKey, Worker>,
    /// Who owns a session.
    sessions: BTreeMap<SessionId, Owner>,
    services: BTreeMap<ServiceKey, Service>,
    service_names: BTreeMap<String, ServiceKey>,
    calls: Slab<Call>,
    dead: DeadLetters,
    timers: BTreeSet<(Time, Timer)>,
    next_key: u64,
    next_dispatch: u64,
    counters: Counters,
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
            settings,
            identity,
            started: now,
            grace: Time::ZERO,
            leaving: None,
            stopped: false,
            links: BTreeMap::new(),
            clients: BTreeMap::new(),
            workers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            services: BTreeMap::new(),
            service_names: BTreeMap::new(),
            calls: Slab::new(),
            dead: DeadLetters::default(),
            timers: BTreeSet::new(),
            next_key: 0,
            next_dispatch: 0,
            counters: Counters::default(),
        }
    }

    /// A message arrived on a link. After [`Action::Stopped`] nothing matters any more.
    pub fn receive(&mut self, now: Time, link: LinkId, frames: &[Bytes], out: &mut Vec<Action>) {
        if self.stopped {
            return;
        }
        self.notice_gap(now);
        self.hear(now, link);
        for read in bundle::read(frames, Reader::Broker) {
            match read {
                Ok(envelope) => self.envelope(now, link, envelope, out),
                Err(refused) => self.refuse(now, link, refused, out),
            }
        }
        self.stop_if_idle(now, out);
    }

    /// Something else happened. After [`Action::Stopped`] nothing matters any more.
    pub fn handle(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        if self.stopped {
            return;
        }
        self.notice_gap(now);
        match event {
            Event::Opened { link, side } => self.opened(now, link, side),
            Event::Heard { link } => self.hear(now, link),
            Event::Closed { link } => self.closed(now, link, out),
            Event::Wake => self.wake(now, out),
            Event::Shutdown { deadline } => self.shutdown(now, deadline, out),
        }
        self.stop_if_idle(now, out);
    }

    /// When the machine wants to be woken, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers.first().map(|&(at, _)| at).filter(|_| !self.stopped)
    }

    /// What the machine has counted since its start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Outcomes that are remembered because their clients have not acknowledged them yet.
    pub fn remembered_len(&self) -> usize {
        self.clients.values().map(Client::remembered_len).sum()
    }

    fn envelope(&mut self, now: Time, link: LinkId, envelope: Envelope, out: &mut Vec<Action>) {
        match self.links.get(&link) {
            Some(Arrival::Client(client)) => self.client_says(now, *client, envelope, out),
            Some(Arrival::Worker(worker)) => self.worker_says(now, *worker, envelope, out),
            Some(_) => self.newcomer_says(now, link, envelope, out),
            // The machine closed the link; what was on its way is nobody's any more.
            None => {}
        }
    }

    fn client_says(&mut self, now: Time, client: ClientKey, envelope: Envelope, out: &mut Vec<Action>) {
        match envelope {
            Envelope::Request(request) => self.request(now, client, request, out),
            Envelope::Cancel(cancel) => self.cancel(now, client, cancel, out),
            Envelope::Ping(ping) => self.client_ping(now, client, ping, out),
            Envelope::Pong(_) => {}
            Envelope::Goodbye(_) => self.client_leaves(now, client, out),
            other => self.misplaced(now, self.client_link(client), &other, out),
        }
    }

    fn worker_says(&mut self, now: Time, worker: WorkerKey, envelope: Envelope, out: &mut Vec<Action>) {
        match envelope {
            Envelope::Register(body) => self.register(now, worker, &body, out),
            Envelope::Reply(reply) => self.reply(now, worker, reply, out),
            Envelope::Started(number) => self.begun(worker, number),
            Envelope::Handback(number) => self.handback(now, worker, number, out),
            Envelope::Credit(credit) => self.slots_freed(now, worker, credit, out),
            Envelope::Drain => self.drain(worker, out),
            Envelope::Ping(Ping { number, .. }) => self.speak_to_worker(now, worker, Envelope::Pong(number), out),
            Envelope::Pong(_) => {}
            Envelope::Goodbye(_) => self.worker_leaves(now, worker, out),
            other => self.misplaced(now, self.workers.get(&worker).map(|worker| worker.presence.link), &other, out),
        }
    }

    /// An envelope that has no place in its sender's mouth.
    fn misplaced(&mut self, now: Time, link: Option<LinkId>, envelope: &Envelope, out: &mut Vec<Action>) {
        let Some(link) = link else { return };
        self.counters.refused += 1;
        let message = format!("{:?} has no place here", envelope.kind()).to_lowercase();
        self.send_away(now, link, Failure::new(Code::FailedPrecondition, Executed::No, message), out);
    }

    /// An envelope that could not be read: answered if it has a number, and only if whoever sent it was let in.
    fn refuse(&mut self, now: Time, link: LinkId, refused: Refused, out: &mut Vec<Action>) {
        self.counters.refused += 1;
        match self.links.get(&link) {
            Some(&Arrival::Client(client)) => self.refuse_request(now, client, &refused, out),
            Some(&Arrival::Worker(worker)) => self.refuse_report(now, worker, &refused, out),
            Some(_) => {
                let failure = Failure::new(refused.code(), Executed::No, refused.to_string());
                self.send_away(now, link, failure, out);
            }
            None => {}
        }
        out.push(Action::Note(Note::Refused { link, refused }));
    }

    fn fresh_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}
