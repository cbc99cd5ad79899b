//! One call as the broker knows it, from its arrival to its worker's final message.
//!
//! Each part of the broker has some of a call's state: affinity, streams, a broadcast's replies, execution limits. That state lies in the
//! call as a value of the part's own type, whose fields only the part sees. Tables of the parts, keyed by call, would cost a lookup each
//! on the path of every call, and would have to be kept consistent with this one.

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    super::{
        affinity::CallAffinity,
        flow::{BroadcastAggregation, CallStreams, SubcallId},
        keys::{ClientKey, ServiceKey, TenantKey, WorkerKey},
        outcome::Outcome,
        scheduling::QueuePosition,
    },
    limits::ExecutionLimits,
};
use crate::{
    deadline_queue::DeadlineKey,
    time::Time,
    wire::{
        envelope::{Effect, Priority, Request},
        ids::{CallId, ConnectionNumber, DispatchNumber},
        limits,
        method::MethodName,
        status::{Code, Executed, Failure, Timings},
        streams::Streams,
    },
};

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    /// The correlation id that people see.
    pub(crate) id: CallId,
    /// The client that waits for the outcome. `None` once it has the outcome, or gave up.
    pub(crate) client: Option<ClientKey>,
    /// The tenant that it counts for while it waits.
    pub(crate) tenant: TenantKey,
    /// The client's connection that spent credit for it. The credit is released to that one only.
    pub(crate) paid_on: ConnectionNumber,
    pub(crate) service: ServiceKey,
    pub(crate) method: MethodName,
    /// The method's index in its service, once a worker has offered it.
    pub(crate) method_index: Option<usize>,
    pub(crate) deadline: Option<Time>,
    /// The effect: the caller's stricter one, and from the first dispatch on at least what the workers declare.
    pub(crate) effect: Option<Effect>,
    pub(crate) priority: Priority,
    pub(crate) cast: bool,
    pub(crate) wait_for_ready: bool,
    /// Its affinity key, if it has one.
    pub(crate) affinity: Option<Box<CallAffinity>>,
    /// It goes to every worker that serves the method.
    pub(crate) broadcast: bool,
    /// The replies of a broadcast, while its subcalls are open.
    pub(crate) aggregation: Option<Box<BroadcastAggregation>>,
    /// It is a subcall of this broadcast.
    pub(crate) subcall_of: Option<SubcallId>,
    pub(crate) requested_streams: Streams,
    /// Its streams, if it has any, until it has an outcome.
    pub(crate) streams: Option<Box<CallStreams>>,
    /// It may have run in an earlier start of the broker.
    pub(crate) uncertain: bool,
    pub(crate) extensions: Bytes,
    /// The arguments, for as long as they may be needed again.
    pub(crate) body: Bytes,
    /// The credit that its body cost.
    pub(crate) bytes: u64,
    /// Whether it was ever sent to a worker.
    pub(crate) dispatched: bool,
    /// Workers that were lost with it.
    pub(crate) lost: u32,
    /// The worker that it was last sent to.
    pub(crate) worker: ByteString,
    pub(crate) state: CallState,
    pub(crate) limits: ExecutionLimits,
    /// Since when it runs, or waits for a worker.
    pub(crate) since: Time,
    /// How long it waited, and was at workers, before that.
    pub(crate) timings: Timings,
    /// The timeout that is set for it, if any.
    pub(super) timeout: Option<DeadlineKey>,
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallState {
    /// It is between two states.
    New,
    /// It waits for its affinity key.
    WaitingForKey,
    /// It is in its service's queue. If no worker serves its method, it fails at `give_up`.
    Queued { position: QueuePosition, give_up: Option<Time> },
    /// It is at a worker, in that offer, under that dispatch number. `started`: the worker has reported its start.
    Running { worker: WorkerKey, offer: usize, dispatch: DispatchNumber, started: bool },
    /// It is a broadcast whose subcalls are open.
    Aggregating,
}

/// The origin of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) client: ClientKey,
    pub(crate) tenant: TenantKey,
    pub(crate) tag: u32,
    pub(crate) connection_number: ConnectionNumber,
    /// The call may have run in an earlier start of the broker.
    pub(crate) uncertain: bool,
}

impl Call {
    /// Creates the call of a request.
    pub(crate) fn new(now: Time, caller: Caller, service: ServiceKey, request: Request) -> Call {
        Call {
            id: CallId { caller: caller.tag, number: request.number },
            client: Some(caller.client),
            tenant: caller.tenant,
            paid_on: caller.connection_number,
            service,
            method: request.method,
            method_index: None,
            deadline: request.timeout.map(|left| now + left),
            effect: request.effect,
            priority: request.priority,
            cast: request.flags.cast,
            wait_for_ready: request.flags.wait_for_ready,
            affinity: request.key.as_ref().map(|key| Box::new(CallAffinity::new(key))),
            broadcast: request.flags.broadcast,
            aggregation: None,
            subcall_of: None,
            requested_streams: request.streams,
            streams: CallStreams::new(request.streams),
            uncertain: caller.uncertain,
            extensions: request.extensions,
            bytes: request.body.len() as u64,
            body: request.body,
            dispatched: false,
            lost: 0,
            worker: ByteString::new(),
            state: CallState::New,
            limits: ExecutionLimits::default(),
            since: now,
            timings: Timings::default(),
            timeout: None,
        }
    }

    /// Creates the subcall of a broadcast for one worker. Only the broadcast waits for it, and its body shares the same bytes.
    pub(crate) fn subcall(&self, of: SubcallId) -> Call {
        Call {
            id: self.id,
            client: None,
            tenant: self.tenant,
            paid_on: self.paid_on,
            service: self.service,
            method: self.method.clone(),
            method_index: self.method_index,
            deadline: self.deadline,
            effect: self.effect,
            priority: self.priority,
            cast: false,
            wait_for_ready: false,
            affinity: None,
            broadcast: false,
            aggregation: None,
            subcall_of: Some(of),
            requested_streams: Streams::NONE,
            streams: None,
            uncertain: self.uncertain,
            extensions: self.extensions.clone(),
            bytes: 0,
            body: self.body.clone(),
            dispatched: false,
            lost: 0,
            worker: ByteString::new(),
            state: CallState::New,
            limits: ExecutionLimits::default(),
            since: self.since,
            timings: Timings::default(),
            timeout: None,
        }
    }

    /// Returns whether its client, or the broadcast that it is a subcall of, waits for its outcome.
    pub(crate) fn is_wanted(&self) -> bool {
        self.client.is_some() || self.subcall_of.is_some()
    }

    /// Returns whether it waits, in the queue or for its key.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, CallState::Queued { .. } | CallState::WaitingForKey)
    }

    /// Returns the only worker that may have it, if there is one: that of its subcall, or that of its key's bucket.
    pub(crate) fn bound_to(&self) -> Option<WorkerKey> {
        self.subcall_of.map(|of| of.worker).or_else(|| self.affinity.as_ref()?.worker)
    }

    /// Returns the contradiction in its options, if there is one.
    pub(crate) fn contradiction(&self) -> Option<&'static str> {
        match self {
            Call { broadcast: true, streams: Some(_), .. } => Some("a broadcast cannot have streams or progress"),
            Call { broadcast: true, affinity: Some(_), .. } => Some(
                "a broadcast cannot have an affinity key: it goes to every worker, and calls of one key go to one worker",
            ),
            _ => None,
        }
    }

    /// Returns the number of the attempt that a dispatch now would be.
    pub(crate) fn attempt(&self) -> u32 {
        self.lost + 1
    }

    /// Returns whether it may have run, as far as the broker knows.
    pub(crate) fn executed(&self) -> Executed {
        match self.state {
            CallState::Running { started: true, .. } => Executed::Yes,
            // Only its handler can have sent an item. One that went to the handler proves nothing: it waits there for the start.
            _ if self.has_items_of_handler() => Executed::Yes,
            _ if self.ran_before() => Executed::Maybe,
            CallState::Running { .. } | CallState::Aggregating => Executed::Maybe,
            CallState::New | CallState::WaitingForKey | CallState::Queued { .. } => Executed::No,
        }
    }

    /// Adds the time since it was last counted to what it was spent on. Called before it goes to a worker, when it comes back from one,
    /// and at its end.
    pub(crate) fn count_time(&mut self, now: Time, at_worker: bool) {
        let bucket = if at_worker { &mut self.timings.running } else { &mut self.timings.queued };
        *bucket += now.since(self.since);
        self.since = now;
    }

    /// Records that it is at no worker any more.
    pub(crate) fn leave_worker(&mut self) {
        self.state = CallState::New;
        self.limits = ExecutionLimits::default();
    }

    /// Creates a failure of the broker for it, with the attempt and the worker as far as it got.
    pub(crate) fn failure(&self, code: Code, message: impl Into<ByteString>) -> Failure {
        let running = matches!(self.state, CallState::Running { .. });
        Failure {
            attempt: if running { self.attempt() } else { self.lost },
            worker: self.worker.clone(),
            ..Failure::new(code, self.executed(), message)
        }
    }

    /// Returns whether an item went in either direction. Such a call is never sent to another worker: items cannot be taken back.
    pub(crate) fn has_items(&self) -> bool {
        self.streams.as_ref().is_some_and(|streams| streams.has_items())
    }

    fn has_items_of_handler(&self) -> bool {
        self.streams.as_ref().is_some_and(|streams| streams.has_items_to_caller())
    }

    /// Returns the outcome to cache if it differs from the one to send. A client that asks for an outcome again has lost the items that
    /// came before it, and a result without its items is no result.
    pub(crate) fn outcome_without_items(&self, outcome: &Outcome) -> Option<Outcome> {
        (self.has_items_of_handler() && outcome.is_ok()).then(|| {
            let text = "it succeeded, but its items were lost with the client's connection";
            Err(Box::new(self.failure(Code::Unavailable, text)))
        })
    }

    /// Returns whether it may be sent to a worker (again), given the method's effect.
    pub(crate) fn may_run(&self, effect: Effect) -> bool {
        let effect = self.effect.map_or(effect, |own| own.max(effect));
        let again = effect < Effect::Once && self.lost < limits::ATTEMPTS_MAX;
        !self.has_items() && (!self.ran_before() || again)
    }

    /// Returns whether an earlier attempt may have run it.
    pub(crate) fn ran_before(&self) -> bool {
        self.uncertain || self.lost > 0
    }

    /// Copies what it holds of read buffers into memory of its own: 4,000 waiting bodies of 64 bytes each once kept 219 MiB of read
    /// buffers alive. A large body has a buffer of its own already.
    pub(crate) fn detach(&mut self) {
        // The subcalls of a broadcast share what the broadcast has copied.
        if self.subcall_of.is_some() {
            return;
        }
        if self.body.len() <= limits::BODY_INLINE_BYTES_MAX {
            self.body = Bytes::copy_from_slice(&self.body);
        }
        if !self.extensions.is_empty() {
            self.extensions = Bytes::copy_from_slice(&self.extensions);
        }
    }
}
