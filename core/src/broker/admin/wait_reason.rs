//! `callboard.why`: what an open call waits for.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::super::{
    calls::{Call, CallState},
    coordinator::state::Broker,
    keys::{CallKey, ClientKey, WorkerKey},
    registry::{Service, Worker},
    sessions::Client,
};
use crate::{
    text::HumanDuration,
    time::Time,
    wire::{
        ids::CallId,
        limits::WHY_CALLS_MAX,
        status::{Code, Executed, Failure},
    },
};

/// The maximum number of running calls that an entry lists.
const BUSY_LISTED_MAX: usize = 8;
/// The maximum number of clients that an entry lists, of those with calls before the call.
const AHEAD_LISTED_MAX: usize = 8;

/// An open call and what it waits for: an entry of the result of `callboard.why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitReason {
    /// The correlation id of the call.
    pub call: String,
    /// The called method, `SERVICE.METHOD`.
    pub method: String,
    /// The instance name of the client.
    pub client: String,
    /// `waiting`, `running`, or `stopping`: its outcome is not wanted any more, and its worker has not ended it yet.
    pub state: String,
    /// What it waits for, in a sentence.
    pub reason: String,
    /// Milliseconds in this state.
    pub since_ms: u64,
    /// Milliseconds until its timeout. Absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
    /// The worker that runs it, will run it as a subcall of a broadcast, or was lost with it last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub worker: String,
    /// Workers that were lost with it.
    #[serde(default)]
    pub lost: u32,
    /// Calls that have their turn before it.
    #[serde(default)]
    pub ahead: usize,
    /// The clients of these calls, those with the most first; at most eight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<QueuedAhead>,
    /// The number of further clients with such calls.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub behind_others: usize,
    /// The calls that hold the slots it waits for, the oldest first; at most eight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub busy: Vec<BusySlot>,
    /// Estimated milliseconds until its turn, from how long the service's calls took lately. Absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate_ms: Option<u64>,
}

/// Calls of one client that have their turn before another call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedAhead {
    /// The instance name of the client.
    pub client: String,
    /// The number of calls.
    pub calls: usize,
}

/// A call that holds a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusySlot {
    /// The correlation id of the call.
    pub call: String,
    /// The called method, `SERVICE.METHOD`.
    pub method: String,
    /// The worker that runs it.
    pub worker: String,
    /// Milliseconds since it was sent to the worker.
    pub for_ms: u64,
}

impl WaitReason {
    /// Returns the entry for the client of the call: without information about other clients.
    pub(super) fn without_others(self) -> WaitReason {
        WaitReason { behind: Vec::new(), behind_others: 0, busy: Vec::new(), ..self }
    }
}

/// Returns the oldest open calls and what each waits for, at most [`WHY_CALLS_MAX`].
pub(crate) fn open_calls(broker: &Broker, now: Time) -> Vec<WaitReason> {
    let mut open: Vec<_> = broker.calls.iter().map(|(key, call)| (call.since, key)).collect();
    open.sort_unstable();
    open.into_iter().take(WHY_CALLS_MAX).map(|(_, key)| wait_reason(broker, now, key)).collect()
}

/// Returns what the call of a correlation id waits for.
pub(super) fn find(broker: &Broker, now: Time, text: &str) -> Result<WaitReason, Box<Failure>> {
    let fail = |code, text: String| Err(Box::new(Failure::new(code, Executed::No, text)));
    let id = match text.parse::<CallId>() {
        Ok(id) => id,
        Err(error) => return fail(Code::InvalidArgument, format!("invalid call id {text}: {error}")),
    };
    match broker.calls.find(id) {
        Some(key) => Ok(wait_reason(broker, now, key)),
        None => fail(Code::FailedPrecondition, explain_not_open(broker, id)),
    }
}

/// Returns why there is no open call with this id.
pub(crate) fn explain_not_open(broker: &Broker, id: CallId) -> String {
    let mut clients = broker.sessions.iter().map(|(_, client)| client);
    let Some(client) = clients.find(|client| client.session().prefix() == id.caller) else {
        return format!("{id} is not open, and its client is unknown: it has left, or was lost");
    };
    match client.cached_reply(id.number) {
        Some(Ok(_)) => format!("{id} is not open: it was answered with a result"),
        Some(Err(failure)) => format!("{id} is not open: it failed with {failure}"),
        None if !client.has_seen(id.number) => format!("{id} has not reached the broker: it waits in its client"),
        None => format!("{id} is not open: it has ended, and the broker no longer has its outcome"),
    }
}

fn wait_reason(broker: &Broker, now: Time, key: CallKey) -> WaitReason {
    let call = &broker.calls[key];
    let client = caller_of(broker, call);
    let reason = WaitReason {
        call: call.id().to_string(),
        method: call.method.to_string(),
        client: client.map(|client| client.name().to_owned()).unwrap_or_default(),
        state: String::new(),
        reason: String::new(),
        since_ms: millis(now.since(call.since)),
        left_ms: call.deadline.map(|deadline| millis(deadline.since(now))),
        worker: worker_of_subcall(broker, call).map_or_else(|| call.worker_name().to_string(), str::to_owned),
        lost: call.lost.into(),
        ahead: 0,
        behind: Vec::new(),
        behind_others: 0,
        busy: Vec::new(),
        estimate_ms: None,
    };
    let waiting = |text: String| WaitReason { state: "waiting".to_owned(), reason: text, ..reason.clone() };
    match call.state {
        CallState::Running { worker, started, .. } => explain_running(broker, now, call, worker, started, reason),
        CallState::Aggregating => {
            let is_waiting = |subcall: CallKey| matches!(broker.calls[subcall].state, CallState::Queued { .. });
            let text = call.aggregation.as_ref().map(|aggregation| aggregation.explain(is_waiting));
            WaitReason { state: "running".to_owned(), reason: text.unwrap_or_default(), ..reason }
        }
        CallState::WaitingForKey => waiting(broker.affinity.explain(now, call, &broker.calls)),
        CallState::New | CallState::Queued { .. } => explain_queued(broker, now, call, reason),
    }
}

/// Returns the client that waits for a call: for a subcall, the one that made the broadcast.
fn caller_of<'a>(broker: &'a Broker, call: &Call) -> Option<&'a Client> {
    let client = call.client.or_else(|| broker.calls[call.subcall_of.as_ref()?.broadcast].client)?;
    broker.sessions.get(client)
}

fn worker_of_subcall<'a>(broker: &'a Broker, call: &Call) -> Option<&'a str> {
    Some(&broker.registry.find_worker(call.subcall_of.as_ref()?.worker)?.name)
}

fn explain_running(
    broker: &Broker,
    now: Time,
    call: &Call,
    worker: WorkerKey,
    started: bool,
    reason: WaitReason,
) -> WaitReason {
    let worker = broker.registry.worker(worker);
    let (state, wanted) = match call.is_wanted() {
        true => ("running", ""),
        false => ("stopping", "; its outcome is not wanted any more, and the worker was asked to stop it"),
    };
    let begun = if started { ", and its handler has started" } else { "" };
    let quiet = HumanDuration(now.since(worker.connection.last_activity));
    let text = format!("it is at worker {}{begun}{wanted}; the worker was last active {quiet} ago", worker.name);
    WaitReason { state: state.to_owned(), reason: text, ..reason }
}

fn explain_queued(broker: &Broker, now: Time, call: &Call, reason: WaitReason) -> WaitReason {
    let reason = WaitReason { state: "waiting".to_owned(), ..reason };
    let service = broker.registry.service(call.service);
    let offered = call.method_index().is_some_and(|method| service.method(method).is_offered());
    if !offered {
        return WaitReason { reason: explain_unserved(broker, now, call), ..reason };
    }
    let (behind, behind_others, ahead) = queued_ahead(broker, call, service);
    let (slots, pauses) = slots_of(broker, call);
    let text = match slots {
        _ if let Some(text) = explain_limit(call, service) => {
            format!("{text}; {ahead} calls are ahead of it{pauses}")
        }
        _ if let Some(text) = explain_bound(broker, call) => format!("{text}; {ahead} calls are ahead of it{pauses}"),
        0 => format!("every worker of {} drains: it waits for another", service.name),
        _ => format!("all {slots} slots of {} are busy, and {ahead} calls are ahead of it{pauses}", service.name),
    };
    // There is no estimate for a subcall, which waits for one worker while the rate is that of all, and for a call that an operator holds
    // back.
    let has_estimate = call.subcall_of.is_none() && service.rule().explain_operator(call.method_index()).is_none();
    let turn = has_estimate.then(|| service.drain_rate.estimate_turn(ahead, slots)).flatten();
    let busy = busy_slots(broker, now, call);
    WaitReason { reason: text, ahead, behind, behind_others, busy, estimate_ms: turn.map(millis), ..reason }
}

/// Returns the reason of a queued call that only one worker may run.
fn explain_bound(broker: &Broker, call: &Call) -> Option<String> {
    if let Some(affinity) = &call.affinity {
        let name = &broker.registry.find_worker(affinity.worker?)?.name;
        let key = &affinity.key;
        return Some(format!("calls of key {key} run at worker {name}, which is busy"));
    }
    let name = worker_of_subcall(broker, call)?;
    Some(format!("it is a subcall of a broadcast for worker {name}, which has no free slot"))
}

fn explain_unserved(broker: &Broker, now: Time, call: &Call) -> String {
    let (_, unserved) = broker.registry.explain_unserved(call.service, call.method.method());
    match call.state {
        CallState::Queued { give_up: Some(until), .. } => {
            format!("{unserved}: it waits for a worker for {} more", HumanDuration(until.since(now)))
        }
        _ => format!("{unserved}: it waits for a worker until its timeout"),
    }
}

/// Returns the slots of a call's service, and what keeps its workers from filling them.
fn slots_of(broker: &Broker, call: &Call) -> (u32, String) {
    let workers = broker.registry.workers();
    let offers = workers.flat_map(|(_, worker)| worker.offers().iter().map(move |offer| (worker, offer)));
    let (mut slots, mut paused, mut reading, mut by_operator) = (0, 0, 0, 0);
    for (worker, offer) in offers.filter(|(_, offer)| offer.service == call.service) {
        slots += worker.slots_of(offer);
        paused += u32::from(offer.paused_until.is_some());
        reading += u32::from(worker.has_full_connection());
        by_operator += u32::from(worker.is_paused());
    }
    let describe = |workers, what: &str| match workers {
        0 => String::new(),
        _ => format!("; {workers} of its workers {what}"),
    };
    let paused = describe(paused, "handed calls back and are paused for a moment");
    let reading = describe(reading, "must read earlier calls before they get more");
    (slots, paused + &reading + &describe(by_operator, "are paused by an operator"))
}

/// Returns the clients with calls before a queued call, the number of further clients, and the number of such calls.
fn queued_ahead(broker: &Broker, call: &Call, service: &Service) -> (Vec<QueuedAhead>, usize, usize) {
    let Some(position) = call.queue_position() else { return (Vec::new(), 0, 0) };
    let mut sessions: Vec<_> = service.queue.ahead(position).into_iter().collect();
    let ahead = sessions.iter().map(|&(_, calls)| calls).sum();
    sessions.sort_by_key(|&(_, calls)| Reverse(calls));
    let others = sessions.len().saturating_sub(AHEAD_LISTED_MAX);
    sessions.truncate(AHEAD_LISTED_MAX);
    let name = |session| {
        let client = ClientKey::new(session).and_then(|key| broker.sessions.get(key));
        client.map(|client| client.name().to_owned())
    };
    let listed = |(session, calls)| QueuedAhead { client: name(session).unwrap_or_default(), calls };
    (sessions.into_iter().map(listed).collect(), others, ahead)
}

/// Returns the calls that hold what a call waits for: slots of its service, of the one worker that may have it, or the concurrency of its
/// method.
fn busy_slots(broker: &Broker, now: Time, call: &Call) -> Vec<BusySlot> {
    let is_limited = explain_limit(call, broker.registry.service(call.service)).is_some();
    let bound = call.bound_to().filter(|_| !is_limited);
    let workers = broker.registry.workers().filter(|&(at, _)| bound.is_none_or(|bound| bound == at));
    let shares_slots = |worker: &Worker| worker.shares_slots() && worker.serves(call.service);
    let running = workers.flat_map(|(_, worker)| worker.running.values().map(move |&key| (worker, key)));
    let mut busy: Vec<_> = running
        .map(|(worker, key)| (worker, &broker.calls[key]))
        .filter(|(worker, other)| other.service == call.service || (!is_limited && shares_slots(worker)))
        .filter(|(_, other)| !is_limited || other.method_index() == call.method_index())
        .collect();
    busy.sort_by_key(|(_, other)| other.since);
    let slot = |(worker, other): (&Worker, &Call)| BusySlot {
        call: other.id().to_string(),
        method: other.method.to_string(),
        worker: worker.name.to_string(),
        for_ms: millis(now.since(other.since)),
    };
    busy.into_iter().take(BUSY_LISTED_MAX).map(slot).collect()
}

/// Returns the limit that a waiting call waits for, if it does.
fn explain_limit(call: &Call, service: &Service) -> Option<String> {
    service.rule().explain(call.method_index()?)
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
