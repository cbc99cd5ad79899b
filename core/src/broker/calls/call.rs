//! The record of one call at the broker, from its arrival to its worker's final message.
//!
//! Some of a call's state belongs to other parts: affinity, streams, the replies of a broadcast, execution limits. It
//! is stored in the call as a value of the part's own type. Separate tables in the parts would cost a lookup each for
//! every call, and would have to be kept consistent with this one.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    super::{
        affinity::CallAffinity,
        flow::{BroadcastAggregation, CallStreams, SubcallId},
        keys::{ClientKey, ServiceKey, TenantKey, WorkerKey},
        metrics::CompletedCall,
        outcome::Outcome,
        scheduling::{QueueKey, QueueNumber, QueuePosition},
    },
    caller::Caller,
    limits::ExecutionLimits,
    time_spent::TimeSpent,
};
use crate::{
    deadline_queue::DeadlineKey,
    time::Time,
    wire::{
        envelope::{Effect, Priority, Request},
        extensions::Extensions,
        ids::{CallId, CallNumber, ConnectionNumber, DispatchNumber},
        limits,
        method::MethodName,
        status::{Code, Executed, Failure, Timings},
        streams::Streams,
    },
};

/// An open call, or a call whose worker has not sent its final message yet.
///
/// A million calls may wait, so its size counts: what few calls have is boxed.
#[derive(Debug)]
pub(crate) struct Call {
    /// The call's number in its client's session.
    pub(crate) number: CallNumber,
    /// The peer that made the call.
    pub(crate) caller: Arc<Caller>,
    /// The client that waits for the outcome. `None` once the client has the outcome or does not wait for it, and for a
    /// subcall.
    pub(crate) client: Option<ClientKey>,
    /// The client's connection that spent credit for the call. The credit is released only to that connection.
    pub(crate) paid_on: ConnectionNumber,
    pub(crate) service: ServiceKey,
    pub(crate) method: MethodName,
    /// The method's index in its service, once a worker has offered it. See [`Call::method_index`].
    method_index: Option<u16>,
    pub(crate) deadline: Option<Time>,
    /// The effect: the one that the caller set, or from the first dispatch on the stricter of that and the workers'
    /// one.
    pub(crate) effect: Option<Effect>,
    pub(crate) priority: Priority,
    pub(crate) cast: bool,
    pub(crate) wait_for_ready: bool,
    /// The affinity key of the call, if it has one.
    pub(crate) affinity: Option<Box<CallAffinity>>,
    /// Whether the call goes to every worker that serves the method.
    pub(crate) broadcast: bool,
    /// The replies of a broadcast, while its subcalls are open.
    pub(crate) aggregation: Option<Box<BroadcastAggregation>>,
    /// The broadcast that the call is a subcall of, if it is one.
    pub(crate) subcall_of: Option<Box<SubcallId>>,
    pub(crate) requested_streams: Streams,
    /// The streams of the call, if it has any, until it has an outcome.
    pub(crate) streams: Option<Box<CallStreams>>,
    /// Whether the call may have run in an earlier start of the broker.
    pub(crate) uncertain: bool,
    pub(crate) extensions: Extensions,
    /// The arguments, for as long as they may be needed again.
    pub(crate) body: Bytes,
    /// The bytes of credit that the call has spent.
    pub(crate) bytes: u64,
    /// The number of the call in the order of its service's queue, once it has waited or was sent to a worker.
    pub(crate) queue_number: Option<QueueNumber>,
    /// Whether the call was ever sent to a worker.
    pub(crate) dispatched: bool,
    /// The number of workers that were lost with the call.
    pub(crate) lost: u16,
    /// The name of the worker that the call was last sent to.
    pub(crate) worker: Option<Arc<ByteString>>,
    pub(crate) state: CallState,
    /// The time limits of the call at its worker, if its method has some.
    pub(crate) limits: Option<Box<ExecutionLimits>>,
    /// Since when the call has been in its state, for the timings.
    pub(crate) since: Time,
    /// How long the call waited and was at workers, up to `since`.
    pub(crate) time_spent: TimeSpent,
    /// The timeout that is set for the call, if any.
    pub(super) timeout: Option<DeadlineKey>,
}

const _: () = assert!(size_of::<Call>() <= 264, "a million calls may wait");

/// The state of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallState {
    /// Not in a lasting state: the call is being scheduled.
    New,
    /// The call waits for its affinity key.
    WaitingForKey,
    /// The call is in the queue of its service, in that sub-queue of that session. If `give_up` is set, no worker serves its method,
    /// and the call fails at that time. See [`Call::queue_position`].
    Queued { session: u64, sub_queue: usize, give_up: Option<Time> },
    /// The call is at a worker, in that offer, under that dispatch number. `started`: its handler has started, as far
    /// as the worker has reported.
    Running { worker: WorkerKey, offer: usize, dispatch: DispatchNumber, started: bool },
    /// The call is a broadcast whose subcalls are open.
    Aggregating,
}

/// Where a call comes from.
#[derive(Clone, Debug)]
pub(crate) struct CallOrigin {
    pub(crate) client: ClientKey,
    pub(crate) caller: Arc<Caller>,
    pub(crate) connection_number: ConnectionNumber,
    /// Whether the call may have run in an earlier start of the broker.
    pub(crate) uncertain: bool,
}

impl Call {
    /// Creates the call of a request.
    pub(crate) fn new(now: Time, origin: CallOrigin, service: ServiceKey, request: Request) -> Call {
        Call {
            number: request.number,
            caller: origin.caller,
            client: Some(origin.client),
            paid_on: origin.connection_number,
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
            uncertain: origin.uncertain,
            extensions: request.extensions,
            bytes: request.body.len() as u64,
            body: request.body,
            queue_number: None,
            dispatched: false,
            lost: 0,
            worker: None,
            state: CallState::New,
            limits: None,
            since: now,
            time_spent: TimeSpent::default(),
            timeout: None,
        }
    }

    /// Creates the subcall of a broadcast for one worker. Only the broadcast waits for the subcall, and both share the
    /// bytes of the body.
    pub(crate) fn subcall(&self, of: SubcallId) -> Call {
        Call {
            number: self.number,
            caller: self.caller.clone(),
            client: None,
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
            subcall_of: Some(Box::new(of)),
            requested_streams: Streams::NONE,
            streams: None,
            uncertain: self.uncertain,
            extensions: self.extensions.clone(),
            bytes: 0,
            body: self.body.clone(),
            queue_number: None,
            dispatched: false,
            lost: 0,
            worker: None,
            state: CallState::New,
            limits: None,
            since: self.since,
            time_spent: TimeSpent::default(),
            timeout: None,
        }
    }

    /// Returns the correlation id, for logs and operators.
    pub(crate) fn id(&self) -> CallId {
        CallId { caller: self.caller.tag, number: self.number }
    }

    /// Returns the tenant in whose backlog the call counts while it waits.
    pub(crate) fn tenant(&self) -> TenantKey {
        self.caller.tenant
    }

    /// Returns the method's index in its service, once a worker has offered it.
    pub(crate) fn method_index(&self) -> Option<usize> {
        self.method_index.map(usize::from)
    }

    pub(crate) fn set_method_index(&mut self, index: Option<usize>) {
        let narrow = |index| u16::try_from(index).expect("a service has at most METHODS_MAX methods");
        self.method_index = index.map(narrow);
    }

    /// Returns the flows of a queue that the call belongs to. `session` is that of its client.
    pub(crate) fn queue_key(&self, session: u64) -> QueueKey {
        QueueKey { tenant: self.tenant().0, priority: self.priority, session }
    }

    /// Returns the position of the call in its service's queue, if it is there.
    pub(crate) fn queue_position(&self) -> Option<QueuePosition> {
        let CallState::Queued { session, sub_queue, .. } = self.state else { return None };
        Some(QueuePosition::new(self.queue_key(session), sub_queue, self.queue_number?))
    }

    /// Returns the name of the worker that the call was last sent to. Empty if it was sent to none.
    pub(crate) fn worker_name(&self) -> ByteString {
        self.worker.as_deref().cloned().unwrap_or_default()
    }

    /// Returns whether a client waits for the outcome, or a broadcast for that of its subcall.
    pub(crate) fn is_wanted(&self) -> bool {
        self.client.is_some() || self.subcall_of.is_some()
    }

    /// Returns whether the call waits, in the queue or for its key.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, CallState::Queued { .. } | CallState::WaitingForKey)
    }

    /// Returns the only worker that may get the call, if there is one: that of the subcall, or that of the key's
    /// bucket.
    pub(crate) fn bound_to(&self) -> Option<WorkerKey> {
        self.subcall_of.as_ref().map(|of| of.worker).or_else(|| self.affinity.as_ref()?.worker)
    }

    /// Returns why the options of the call exclude each other, if they do.
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
        u32::from(self.lost) + 1
    }

    /// Returns whether the call ran: yes if its handler has started, no if it was at no worker, otherwise maybe.
    pub(crate) fn executed(&self) -> Executed {
        match self.state {
            CallState::Running { started: true, .. } => Executed::Yes,
            // Only a started handler sends items. An item to the handler proves no start: the worker keeps it until
            // then.
            _ if self.has_items_of_handler() => Executed::Yes,
            _ if self.ran_before() => Executed::Maybe,
            CallState::Running { .. } | CallState::Aggregating => Executed::Maybe,
            CallState::New | CallState::WaitingForKey | CallState::Queued { .. } => Executed::No,
        }
    }

    /// Adds the time since `since` to the timings. Called before the call goes to a worker, when it comes back from
    /// one, and at its end.
    pub(crate) fn count_time(&mut self, now: Time, at_worker: bool) {
        self.time_spent.add(now.since(self.since), at_worker);
        self.since = now;
    }

    /// Returns how long the call waited and was at workers, up to now.
    pub(crate) fn timings_at(&self, now: Time) -> Timings {
        let mut spent = self.time_spent;
        spent.add(now.since(self.since), matches!(self.state, CallState::Running { .. }));
        spent.timings()
    }

    /// Returns how the call ended with this outcome, after its time was counted. A broadcast is at workers while its subcalls are.
    pub(crate) fn completed(&self, outcome: &Outcome) -> CompletedCall {
        let Timings { queued, running, .. } = self.time_spent.timings();
        let was_at_worker = self.dispatched || !running.is_zero();
        let code = outcome.as_ref().err().map(|failure| failure.code);
        CompletedCall { code, queued, running: was_at_worker.then_some(running) }
    }

    /// Records that the call is at no worker any more.
    pub(crate) fn leave_worker(&mut self) {
        self.state = CallState::New;
        self.limits = None;
    }

    /// Creates a failure of this call with the attempt and the worker, for an error of the broker.
    pub(crate) fn failure(&self, code: Code, message: impl Into<ByteString>) -> Failure {
        let running = matches!(self.state, CallState::Running { .. });
        Failure {
            attempt: if running { self.attempt() } else { self.lost.into() },
            worker: self.worker_name(),
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

    /// Returns the outcome to cache, if it differs from the one to send. A client that sends a request again has lost
    /// the items of the call, and must not get the result without them.
    pub(crate) fn outcome_without_items(&self, outcome: &Outcome) -> Option<Outcome> {
        (self.has_items_of_handler() && outcome.is_ok()).then(|| {
            let text = "it succeeded, but its items were lost with the client's connection";
            Err(Box::new(self.failure(Code::Unavailable, text)))
        })
    }

    /// Returns whether the call may be sent to a worker (again), given the method's effect.
    pub(crate) fn may_run(&self, effect: Effect) -> bool {
        let effect = self.effect.map_or(effect, |own| own.max(effect));
        let again = effect < Effect::Once && u32::from(self.lost) < limits::ATTEMPTS_MAX;
        !self.has_items() && (!self.ran_before() || again)
    }

    /// Returns whether an earlier attempt may have run the call.
    pub(crate) fn ran_before(&self) -> bool {
        self.uncertain || self.lost > 0
    }

    /// Copies the call's slices of read buffers into memory of their own. Without that, 4,000 waiting bodies of 64
    /// bytes each kept 219 MiB of read buffers allocated. A large body already has a buffer of its own.
    pub(crate) fn detach(&mut self) {
        // The subcalls of a broadcast share what the broadcast has copied.
        if self.subcall_of.is_some() {
            return;
        }
        if self.body.len() <= limits::BODY_INLINE_BYTES_MAX {
            self.body = Bytes::copy_from_slice(&self.body);
        }
        self.extensions = self.extensions.detached();
    }
}
