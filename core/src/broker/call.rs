//! A call as the broker knows it, from its arrival to the worker's last word.

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    broadcast::{Gathering, PartOf},
    client::{ClientKey, Outcome},
    keyed::Turn,
    party::PartyKey,
    queue::Place,
    service::ServiceKey,
    streams::Flows,
    worker::WorkerKey,
};
use crate::{
    deadline_queue::DeadlineKey,
    time::Time,
    wire::{
        envelope::{Effect, Priority, Request},
        handshake::MethodLimits,
        ids::{CallId, ConnectionNumber, DispatchNumber},
        limits,
        method::MethodName,
        status::{Code, Executed, Failure, Spent},
        streams::Streams,
    },
};

/// A place in the table of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallKey(pub(super) usize);

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    /// The call as people see it.
    pub(super) id: CallId,
    /// Who made it; nobody once its outcome is settled.
    pub(super) client: Option<ClientKey>,
    /// Whom it is counted for while it waits.
    pub(super) party: PartyKey,
    /// Which connection of the client paid credit for it; the credit goes back to that one only.
    pub(super) paid_on: ConnectionNumber,
    pub(super) service: ServiceKey,
    pub(super) method: MethodName,
    /// The method's number in its service, once a worker was seen that has it.
    pub(super) method_number: Option<usize>,
    pub(super) deadline: Option<Time>,
    /// The caller's own, stricter effect.
    pub(super) effect: Option<Effect>,
    pub(super) priority: Priority,
    pub(super) cast: bool,
    pub(super) wait_for_ready: bool,
    /// What it has of its affinity key, if it has one.
    pub(super) turn: Option<Box<Turn>>,
    /// To every worker that serves the method.
    pub(super) broadcast: bool,
    /// The answers of a broadcast, while they come.
    pub(super) gathering: Option<Box<Gathering>>,
    /// The broadcast that waits for this call's outcome.
    pub(super) part_of: Option<PartOf>,
    pub(super) streams: Streams,
    /// Its streams, if it has any, for as long as somebody waits for its outcome.
    pub(super) flows: Option<Box<Flows>>,
    /// It may have run in an earlier life of the broker.
    pub(super) uncertain: bool,
    pub(super) extensions: Bytes,
    /// The arguments, for as long as they may be needed again.
    pub(super) body: Bytes,
    /// What its body cost in credit.
    pub(super) bytes: u64,
    /// Whether it was ever sent to a worker.
    pub(super) dispatched: bool,
    /// Workers that were lost with it.
    pub(super) lost: u32,
    /// The worker it was last sent to.
    pub(super) worker: ByteString,
    pub(super) state: State,
    /// The time limits of the worker's offer that has it.
    pub(super) limits: Limits,
    /// Since when it runs, or waits for (another) worker.
    pub(super) since: Time,
    /// How long it waited, and was at workers, before that.
    pub(super) spent: Spent,
    /// The timer that is set for it, if any.
    pub(super) timer: Option<DeadlineKey>,
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It was just made and is nowhere yet.
    New,
    /// It waits for the turn of its affinity key.
    Blocked,
    /// In its service's queue. Without a worker in sight it gives up at that time.
    Waiting { place: Place, give_up: Option<Time> },
    /// At a worker, in this offer of it, under this number; `started` by its own word.
    Running { worker: WorkerKey, offer: usize, dispatch: DispatchNumber, started: bool },
    /// A broadcast: its parts are calls of their own.
    Gathering,
}

/// The time limits of a running call's method.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// When the log is told that it takes long.
    pub(super) soft: Option<Time>,
    /// When it is stopped.
    pub(super) hard: Option<Time>,
    /// When its worker counts as stuck, after it was to stop it.
    pub(super) grace: Option<Time>,
    /// Its worker counts as stuck because of it.
    pub(super) stuck: bool,
}

impl Limits {
    /// Those of a call that begins now.
    pub(super) fn from(now: Time, limits: MethodLimits) -> Limits {
        let at = |millis: Option<u64>| millis.map(|millis| now + Duration::from_millis(millis));
        Limits { soft: at(limits.soft_ms), hard: at(limits.hard_ms), ..Limits::default() }
    }

    /// What is due of them next.
    pub(super) fn next(&self) -> Option<Time> {
        [self.soft, self.hard, self.grace].into_iter().flatten().min()
    }
}

/// Who makes a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) client: ClientKey,
    pub(super) party: PartyKey,
    pub(super) tag: u32,
    pub(super) connection_number: ConnectionNumber,
    /// The call may have run in an earlier life of the broker.
    pub(super) uncertain: bool,
}

impl Call {
    pub(super) fn new(now: Time, from: Caller, service: ServiceKey, request: Request) -> Call {
        Call {
            id: CallId { caller: from.tag, number: request.number },
            client: Some(from.client),
            party: from.party,
            paid_on: from.connection_number,
            service,
            method: request.method,
            method_number: None,
            deadline: request.timeout.map(|left| now + left),
            effect: request.effect,
            priority: request.priority,
            cast: request.flags.cast,
            wait_for_ready: request.flags.wait_for_ready,
            turn: request.key.as_ref().map(|key| Box::new(Turn::of(key))),
            broadcast: request.flags.broadcast,
            gathering: None,
            part_of: None,
            streams: request.streams,
            flows: Flows::of(request.streams),
            uncertain: from.uncertain,
            extensions: request.extensions,
            bytes: request.body.len() as u64,
            body: request.body,
            dispatched: false,
            lost: 0,
            worker: ByteString::new(),
            state: State::New,
            limits: Limits::default(),
            since: now,
            spent: Spent::default(),
            timer: None,
        }
    }

    /// The part of a broadcast that one worker gets. Nobody but the broadcast waits for it, and the body is the same bytes.
    pub(super) fn part(&self, of: PartOf) -> Call {
        Call {
            id: self.id,
            client: None,
            party: self.party,
            paid_on: self.paid_on,
            service: self.service,
            method: self.method.clone(),
            method_number: self.method_number,
            deadline: self.deadline,
            effect: self.effect,
            priority: self.priority,
            cast: false,
            wait_for_ready: false,
            turn: None,
            broadcast: false,
            gathering: None,
            part_of: Some(of),
            streams: Streams::NONE,
            flows: None,
            uncertain: self.uncertain,
            extensions: self.extensions.clone(),
            bytes: 0,
            body: self.body.clone(),
            dispatched: false,
            lost: 0,
            worker: ByteString::new(),
            state: State::New,
            limits: Limits::default(),
            since: self.since,
            spent: Spent::default(),
            timer: None,
        }
    }

    /// Whether somebody waits for its outcome: its client, or the broadcast that it is a part of.
    pub(super) fn is_wanted(&self) -> bool {
        self.client.is_some() || self.part_of.is_some()
    }

    /// The only worker that may have it, if there is such a one: that of its key's bucket, or of its part of a broadcast.
    pub(super) fn bound_to(&self) -> Option<WorkerKey> {
        self.part_of.map(|of| of.worker).or_else(|| self.turn.as_ref()?.at)
    }

    /// The attempt that a dispatch now would be.
    pub(super) fn attempt(&self) -> u32 {
        self.lost + 1
    }

    /// Whether it may have run, as far as the broker knows.
    pub(super) fn executed(&self) -> Executed {
        match self.state {
            State::Running { started: true, .. } => Executed::Yes,
            // An item can have come from nobody but its handler. One that went to it says nothing: it waits there for its beginning.
            _ if self.has_items_of_handler() => Executed::Yes,
            _ if self.ran_before() => Executed::Maybe,
            State::Running { .. } | State::Gathering => Executed::Maybe,
            State::New | State::Blocked | State::Waiting { .. } => Executed::No,
        }
    }

    /// The time since the last such moment is counted for what it did meanwhile: before it goes to a worker, when it comes back
    /// from one, and at its end.
    pub(super) fn count_time(&mut self, now: Time, at_worker: bool) {
        let bucket = if at_worker { &mut self.spent.running } else { &mut self.spent.queued };
        *bucket += now.since(self.since);
        self.since = now;
    }

    /// It is at no worker any more.
    pub(super) fn leave_worker(&mut self) {
        self.state = State::New;
        self.limits = Limits::default();
    }

    /// How it failed, in the broker's words: with attempt and worker as far as it got.
    pub(super) fn failure(&self, code: Code, message: impl Into<ByteString>) -> Failure {
        let running = matches!(self.state, State::Running { .. });
        Failure {
            attempt: if running { self.attempt() } else { self.lost },
            worker: self.worker.clone(),
            ..Failure::new(code, self.executed(), message)
        }
    }

    /// Whether an item went in some direction: then it is never sent to another worker, for what went cannot be taken back.
    pub(super) fn is_touched(&self) -> bool {
        self.flows.as_ref().is_some_and(|flows| flows.is_touched())
    }

    fn has_items_of_handler(&self) -> bool {
        self.flows.as_ref().is_some_and(|flows| flows.has_sent_to_caller())
    }

    /// What its client is told if it asks for this outcome again: then it has lost what came before it on its connection. A result
    /// whose items are lost is none. `None` where the outcome itself is to be told.
    pub(super) fn without_items(&self, outcome: &Outcome) -> Option<Outcome> {
        (self.has_items_of_handler() && outcome.is_ok()).then(|| {
            let text = "it was done, and its items were lost with the client's connection";
            Err(Box::new(self.failure(Code::Unavailable, text)))
        })
    }

    /// Whether it may be sent to a worker (again), given the method's effect.
    pub(super) fn may_run(&self, effect: Effect) -> bool {
        let effect = self.effect.map_or(effect, |own| own.max(effect));
        let again = effect < Effect::Once && self.lost < limits::ATTEMPTS_MAX;
        !self.is_touched() && (!self.ran_before() || again)
    }

    /// Whether an earlier attempt may have run it.
    pub(super) fn ran_before(&self) -> bool {
        self.uncertain || self.lost > 0
    }

    /// Moves what it holds of read buffers into memory of its own: 4,000 waiting bodies of 64 bytes each once kept 219 MiB of
    /// read buffers alive. A large body has a buffer of its own already.
    pub(super) fn detach(&mut self) {
        // The parts of a broadcast share what the whole has copied.
        if self.part_of.is_some() {
            return;
        }
        if self.body.len() <= limits::BODY_COPIED_BYTES_MAX {
            self.body = Bytes::copy_from_slice(&self.body);
        }
        if !self.extensions.is_empty() {
            self.extensions = Bytes::copy_from_slice(&self.extensions);
        }
    }
}
