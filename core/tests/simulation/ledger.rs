//! The ledger: a record of every call and its outcome, and the checker of the guarantees.
//!
//! It sees what no single machine sees: which handlers started, on which worker, for which call of which client. Each method
//! asserts the guarantees for a call, so that a violation is found in the step that causes it.

mod outcomes;

use std::{collections::BTreeMap, collections::BTreeSet, time::Duration};

use bytes::Bytes;
use callboard_core::{
    time::Time,
    wire::{
        envelope::{Effect, Priority},
        ids::CallId,
        limits::{ATTEMPTS_MAX, BROADCAST_GRACE, EXPIRY_GRACE_MAX},
        status::{Code, Executed, Failure},
        streams::Streams,
    },
    worker::Job,
};

use super::{
    catalogue::{MIX, Method},
    streams::Plan,
};

/// A call as its caller makes it.
#[derive(Clone, Debug)]
pub(crate) struct CallSpec {
    /// The index and the incarnation of its client.
    pub(crate) client: (usize, u64),
    pub(crate) method: Method,
    /// The stricter effect that the caller requests.
    pub(crate) effect: Option<Effect>,
    pub(crate) priority: Priority,
    pub(crate) timeout: Option<Duration>,
    pub(crate) wait_for_ready: bool,
    pub(crate) cast: bool,
    /// Whether it goes to every worker that serves the method.
    pub(crate) broadcast: bool,
    /// Whether its handler is quick and does not fail.
    pub(crate) quick: bool,
    /// Its affinity key.
    pub(crate) key: Option<&'static str>,
    pub(crate) streams: Streams,
    pub(crate) plan: Plan,
    /// When it was made, by the clock of its client and by the clock of the world.
    pub(crate) made: Time,
    pub(crate) made_world: Time,
    pub(crate) body: Bytes,
    pub(crate) extensions: Bytes,
}

/// A call and its progress.
#[derive(Debug)]
struct Entry {
    spec: CallSpec,
    /// The id under which it was sent.
    id: Option<CallId>,
    /// The broker states that may have known it: the start of the broker, and how often it had removed the session of the client.
    broker_states: BTreeSet<(u64, u64)>,
    sent: u32,
    /// Whether its caller will cancel it.
    will_be_cancelled: bool,
    cancelled: bool,
    end: Option<CallEnd>,
    starts: u32,
    /// Whether a worker that declares the method `once` started it.
    started_as_once: bool,
    /// The workers that started it, if it is a broadcast.
    started_by: BTreeSet<String>,
    /// The latest attempt, and the attempt whose first item arrived at the caller or at a handler.
    attempt: u32,
    first_item_attempt: Option<u32>,
    /// The last progress message: attempt and step.
    progress: (u32, u32),
    finished: u32,
    failed: u32,
}

/// How a call ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallEnd {
    Answered,
    Failed(Code, Executed),
    /// The client machine returned its token without an outcome.
    Done,
    /// Its client crashed.
    Orphaned,
}

/// Statistics of a run, which show that the simulation exercised the system.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) calls: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) repeated: u64,
    /// Subcalls of broadcasts that were started.
    pub(crate) broadcast: u64,
    pub(crate) items: u64,
    /// How often a worker held a call ready.
    pub(crate) prefetched: u64,
    pub(crate) keyed: u64,
    /// Calls that their client may not make.
    pub(crate) denied: u64,
    /// What an operator has changed.
    pub(crate) operated: u64,
}

/// The record of all calls of one world. The index of a call is its ticket, its token and the number in its arguments.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    /// The calls of each client whose token has not been returned.
    pub(crate) unresolved: BTreeMap<(usize, u64), BTreeSet<u64>>,
    /// How often the current broker start has removed the session of each client.
    pub(crate) removed_sessions: BTreeMap<String, u64>,
    /// Clients that are closing.
    pub(crate) closing: BTreeSet<(usize, u64)>,
    pub(crate) stats: Stats,
    rules: Rules,
}

/// The guarantees that depend on the faults of a world.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// No faults are injected.
    pub(crate) fault_free: bool,
    /// No clock jumps, and no process is paused.
    pub(crate) clocks_agree: bool,
    /// How long a call of a limited method may run.
    pub(crate) hard: Option<Duration>,
    /// The reply cache is so small that the broker may evict a reply before a resend: then the call is new to the broker.
    pub(crate) evicts_replies: bool,
    /// The broker shuts down from time to time, and rejects calls then.
    pub(crate) stops: bool,
    /// An operator cancels and purges calls.
    pub(crate) operated: bool,
    /// How long after its deadline a call may start, by the clock of the world: the network delay, if it is bounded.
    pub(crate) late_max: Option<Duration>,
}

impl Ledger {
    pub(crate) fn new(rules: Rules) -> Ledger {
        Ledger {
            entries: Vec::new(),
            unresolved: BTreeMap::new(),
            removed_sessions: BTreeMap::new(),
            closing: BTreeSet::new(),
            stats: Stats::default(),
            rules,
        }
    }

    /// Records a new call. Returns its number.
    pub(crate) fn make(&mut self, spec: impl FnOnce(u64) -> CallSpec) -> u64 {
        let number = self.entries.len() as u64;
        let spec = spec(number);
        self.unresolved.entry(spec.client).or_default().insert(number);
        self.stats.calls += 1;
        self.entries.push(Entry {
            spec,
            id: None,
            broker_states: BTreeSet::new(),
            sent: 0,
            will_be_cancelled: false,
            cancelled: false,
            end: None,
            starts: 0,
            started_as_once: false,
            started_by: BTreeSet::new(),
            attempt: 0,
            first_item_attempt: None,
            progress: (0, 0),
            finished: 0,
            failed: 0,
        });
        number
    }

    /// Returns whether there is a call with this number. Other numbers come from the rogue.
    pub(crate) fn contains(&self, number: u64) -> bool {
        number < self.entries.len() as u64
    }

    pub(crate) fn spec(&self, number: u64) -> &CallSpec {
        &self.entries[index(number)].spec
    }

    /// Records that the caller will cancel a call.
    pub(crate) fn plan_cancel(&mut self, number: u64) {
        self.entries[index(number)].will_be_cancelled = true;
    }

    /// Returns whether the caller will cancel a call.
    pub(crate) fn will_be_cancelled(&self, number: u64) -> bool {
        self.entries[index(number)].will_be_cancelled
    }

    /// Records that the caller cancels a call.
    pub(crate) fn cancel(&mut self, number: u64) {
        self.entries[index(number)].cancelled = true;
    }

    /// Records that a client sends a call to a broker in that state.
    pub(crate) fn sent(&mut self, number: u64, id: CallId, again: bool, broker_state: (u64, u64)) {
        let entry = &mut self.entries[index(number)];
        assert_eq!(entry.end, None, "call {number} is sent after its end");
        assert_eq!(again, entry.id.is_some(), "call {number}: exactly the resends have the resend flag");
        assert!(entry.id.is_none_or(|before| before == id), "call {number} must keep its id");
        assert!(!(again && entry.spec.cast), "cast {number} is sent twice");
        entry.id = Some(id);
        entry.broker_states.insert(broker_state);
        entry.sent += 1;
    }

    /// Records that a worker starts a handler.
    pub(crate) fn started(&mut self, now: Time, number: u64, job: &Job, strict: bool, worker: String) {
        let late_max = self.rules.late_max;
        let entry = &mut self.entries[index(number)];
        let spec = &entry.spec;
        assert_eq!(entry.id, Some(job.call), "call {number} has another id at its worker");
        assert_eq!(
            (&*job.body, &*job.extensions),
            (&*spec.body, &*spec.extensions),
            "call {number} arrives with another body or other extensions"
        );
        let key = job.affinity.as_ref().map(|affinity| affinity.key.as_str());
        assert_eq!(key, spec.key, "call {number} arrives with another key");
        assert!(spec.method.served, "call {number} is for an unserved method");
        assert_eq!(
            (spec.streams, spec.streams.style),
            (job.streams, spec.method.style),
            "call {number} arrives with other streams"
        );
        // A paused worker may start an earlier attempt late.
        let resent_after_item =
            entry.broker_states.len() == 1 && entry.first_item_attempt.is_some_and(|attempt| attempt < job.attempt);
        assert!(!resent_after_item, "call {number} is retried after an item was sent");
        let reported_unexecuted = matches!(entry.end, Some(CallEnd::Failed(_, Executed::No)));
        assert!(
            !reported_unexecuted || self.rules.evicts_replies,
            "call {number} starts after `executed: no` was reported to its caller"
        );
        let first = if spec.broadcast { !entry.started_by.contains(&worker) } else { entry.starts == 0 };
        assert!(entry.effect() != Effect::Once || first, "call {number} is `once`, and runs again");
        assert!(!spec.broadcast || job.attempt == 1, "call {number}: a subcall of a broadcast is retried");
        let broker_states = u32::try_from(entry.broker_states.len()).expect("the number is small");
        assert!((1..=ATTEMPTS_MAX).contains(&job.attempt), "call {number}: attempt {}", job.attempt);
        let broker_states = if self.rules.evicts_replies { broker_states.max(entry.sent) } else { broker_states };
        let runs = ATTEMPTS_MAX * broker_states;
        assert!(
            spec.broadcast || entry.starts < runs,
            "call {number} starts more than {ATTEMPTS_MAX} times for one broker state"
        );
        if let (Some(timeout), Some(late)) = (spec.timeout, late_max) {
            assert!(now <= spec.made_world + timeout + late, "call {number} starts after its deadline");
        }
        let mixed = spec.method == MIX && broker_states == 1 && !spec.broadcast;
        assert!(!(mixed && entry.started_as_once), "call {number}: the strictest effect was not applied");
        self.stats.repeated += u64::from(entry.starts > 0 && !spec.broadcast);
        self.stats.broadcast += u64::from(spec.broadcast);
        entry.started_by.extend(spec.broadcast.then_some(worker));
        entry.starts += 1;
        entry.attempt = entry.attempt.max(job.attempt);
        entry.started_as_once |= strict;
    }

    /// Records items at their reader: at a handler, which may not have started yet, in that attempt; or at the caller, in the
    /// latest attempt.
    pub(crate) fn items_arrived(&mut self, number: u64, items: u32, attempt: Option<u32>) {
        let entry = &mut self.entries[index(number)];
        entry.first_item_attempt.get_or_insert(attempt.unwrap_or(entry.attempt));
        self.stats.items += u64::from(items);
    }

    /// Records a progress message at the caller.
    pub(crate) fn progressed(&mut self, number: u64, attempt: u32, step: u32) {
        let entry = &mut self.entries[index(number)];
        assert!(entry.spec.streams.progress && entry.end.is_none(), "call {number}: unexpected progress message");
        let one_broker_state = entry.broker_states.len() == 1 && !self.rules.evicts_replies;
        assert!(!one_broker_state || entry.progress < (attempt, step), "call {number}: progress decreases");
        entry.progress = (attempt, step);
    }

    /// Records the end of a handler.
    pub(crate) fn finished(&mut self, number: u64, succeeded: bool) {
        let entry = &mut self.entries[index(number)];
        let counter = if succeeded { &mut entry.finished } else { &mut entry.failed };
        *counter += 1;
    }

    /// Records that a client machine returns a token without an outcome.
    pub(crate) fn released(&mut self, number: u64) {
        let entry = &self.entries[index(number)];
        assert!(entry.spec.cast || entry.cancelled, "call {number} ends without an outcome");
        self.end(number, CallEnd::Done);
    }

    /// Records the outcome of a call, at that time by the clock of its client.
    pub(crate) fn completed(&mut self, number: u64, now: Time, outcome: &Result<Bytes, Box<Failure>>) {
        let entry = &self.entries[index(number)];
        assert!(!entry.spec.cast, "cast {number} has an outcome");
        match outcome {
            Ok(result) if entry.spec.broadcast => entry.check_answers(number, result),
            Ok(result) => entry.check_answer(number, result),
            Err(failure) => {
                let closing = self.closing.contains(&entry.spec.client);
                entry.check_failure(number, now, failure, &self.rules, closing);
            }
        }
        self.end(
            number,
            match outcome {
                Ok(_) => CallEnd::Answered,
                Err(failure) => CallEnd::Failed(failure.code, failure.executed),
            },
        );
    }

    /// Records that a client crashed with its open calls.
    pub(crate) fn orphan(&mut self, client: (usize, u64)) {
        for number in self.unresolved.remove(&client).unwrap_or_default() {
            self.entries[index(number)].end = Some(CallEnd::Orphaned);
        }
    }

    /// Returns whether a call ended with a result.
    pub(crate) fn is_answered(&self, number: u64) -> bool {
        self.entries[index(number)].end == Some(CallEnd::Answered)
    }

    /// Describes a call for a report.
    pub(crate) fn describe(&self, number: u64) -> String {
        format!("call {number}: {:?}", self.entries[index(number)])
    }

    /// Returns the latest end of a call with a timeout, by the clock of its client.
    pub(crate) fn latest_end(&self, number: u64) -> Option<Time> {
        let spec = self.spec(number);
        Some(spec.made + spec.timeout? + if spec.broadcast { BROADCAST_GRACE } else { EXPIRY_GRACE_MAX })
    }

    fn end(&mut self, number: u64, how: CallEnd) {
        let entry = &mut self.entries[index(number)];
        assert_eq!(entry.end, None, "call {number} ends a second time, now {how:?}");
        entry.end = Some(how);
        let is_open = self.unresolved.get_mut(&entry.spec.client).is_some_and(|calls| calls.remove(&number));
        assert!(is_open, "call {number} ends at a client that has already ended it");
        match how {
            CallEnd::Answered => self.stats.answered += 1,
            CallEnd::Failed(..) => self.stats.failed += 1,
            CallEnd::Done | CallEnd::Orphaned => {}
        }
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("the number of calls is small")
}
