//! The ledger: what every call was, what became of it, and what must never become of it.
//!
//! It sees what no single machine sees: which handlers started, at which worker, for which call of which client. Each entry into
//! it asserts what the system promises of a call, so that a broken promise is found in the step that breaks it.

use std::{collections::BTreeMap, collections::BTreeSet, time::Duration};

use bytes::Bytes;
use callboard_core::{
    body,
    time::Time,
    wire::{
        broadcast::Answer,
        envelope::Effect,
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

/// A call as its caller wants it.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Which client makes it, and which life of that client.
    pub(crate) client: (usize, u64),
    pub(crate) method: Method,
    /// The caller's own, stricter effect.
    pub(crate) effect: Option<Effect>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) wait_for_ready: bool,
    pub(crate) cast: bool,
    /// It goes to every worker that serves the method.
    pub(crate) broadcast: bool,
    /// Its handler is quick and does not fail.
    pub(crate) plain: bool,
    pub(crate) streams: Streams,
    pub(crate) plan: Plan,
    /// When it was made, by its client's clock and by the world's.
    pub(crate) made: Time,
    pub(crate) made_world: Time,
    pub(crate) body: Bytes,
    pub(crate) extensions: Bytes,
}

/// A call and what became of it.
#[derive(Debug)]
struct Entry {
    wish: Wish,
    /// Under which name it was sent.
    id: Option<CallId>,
    /// In which memories of a broker it may have been: the start of the broker, and how often that had forgotten the client.
    memories: BTreeSet<(u64, u64)>,
    sent: u32,
    /// Its caller will give it up.
    fickle: bool,
    cancelled: bool,
    end: Option<Ended>,
    starts: u32,
    /// A worker that declares the method `once` started it.
    strictly_started: bool,
    /// Who started it, of a broadcast.
    starters: BTreeSet<String>,
    /// The latest attempt, and the last one that had been made when an item arrived, at its caller or at a handler.
    attempt: u32,
    touched: Option<u32>,
    /// The last word on its progress: attempt and step.
    progress: (u32, u32),
    finished: u32,
    failed: u32,
}

/// How a call ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Answered,
    Failed(Code, Executed),
    /// Its token came back without an outcome.
    Done,
    /// Its client died.
    Orphaned,
}

/// What the ledger counts, to show that a run did something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) repeated: u64,
    /// Parts of broadcasts that were started.
    pub(crate) broadcast: u64,
    pub(crate) items: u64,
}

/// All calls of one world; a call's place is its ticket and its token, and the number that its arguments hold.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    /// Calls of each client whose token has not come back.
    pub(crate) unresolved: BTreeMap<(usize, u64), BTreeSet<u64>>,
    /// How often the broker's present start has forgotten each client.
    pub(crate) forgotten: BTreeMap<String, u64>,
    /// Clients that were told to close.
    pub(crate) closing: BTreeSet<(usize, u64)>,
    pub(crate) tally: Tally,
    rules: Rules,
}

/// What holds in one world and not in another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// Nothing goes wrong.
    pub(crate) calm: bool,
    /// Clocks run alike and processes run when they should.
    pub(crate) punctual: bool,
    /// How long a call of a limited method may run.
    pub(crate) hard: Option<Duration>,
    /// The broker is told to end from time to time, and turns calls away then.
    pub(crate) stops: bool,
    /// How long after its deadline a call may start, by the world's clock: what it needs to travel, if that is known.
    pub(crate) late_max: Option<Duration>,
}

impl Ledger {
    pub(crate) fn new(rules: Rules) -> Ledger {
        Ledger {
            entries: Vec::new(),
            unresolved: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            closing: BTreeSet::new(),
            tally: Tally::default(),
            rules,
        }
    }

    /// A caller makes a call. Returns its number.
    pub(crate) fn make(&mut self, wish: impl FnOnce(u64) -> Wish) -> u64 {
        let number = self.entries.len() as u64;
        let wish = wish(number);
        self.unresolved.entry(wish.client).or_default().insert(number);
        self.tally.calls += 1;
        self.entries.push(Entry {
            wish,
            id: None,
            memories: BTreeSet::new(),
            sent: 0,
            fickle: false,
            cancelled: false,
            end: None,
            starts: 0,
            strictly_started: false,
            starters: BTreeSet::new(),
            attempt: 0,
            touched: None,
            progress: (0, 0),
            finished: 0,
            failed: 0,
        });
        number
    }

    /// Whether there is a call of that number. What is none was said by a rogue.
    pub(crate) fn knows(&self, number: u64) -> bool {
        number < self.entries.len() as u64
    }

    pub(crate) fn wish(&self, number: u64) -> &Wish {
        &self.entries[place(number)].wish
    }

    /// The caller is going to give a call up.
    pub(crate) fn will_cancel(&mut self, number: u64) {
        self.entries[place(number)].fickle = true;
    }

    /// Whether the caller is going to give a call up.
    pub(crate) fn is_fickle(&self, number: u64) -> bool {
        self.entries[place(number)].fickle
    }

    /// The caller gives a call up.
    pub(crate) fn cancel(&mut self, number: u64) {
        self.entries[place(number)].cancelled = true;
    }

    /// A client sends a call, to a broker in that state of memory.
    pub(crate) fn sent(&mut self, number: u64, id: CallId, again: bool, memory: (u64, u64)) {
        let entry = &mut self.entries[place(number)];
        assert_eq!(entry.end, None, "call {number} is sent though it has ended");
        assert_eq!(again, entry.id.is_some(), "call {number}: what is sent a second time says so, and only that");
        assert!(entry.id.is_none_or(|before| before == id), "call {number} keeps its number");
        assert!(!(again && entry.wish.cast), "cast {number} is sent once");
        entry.id = Some(id);
        entry.memories.insert(memory);
        entry.sent += 1;
    }

    /// A worker starts a handler.
    pub(crate) fn started(&mut self, now: Time, number: u64, job: &Job, strict: bool, who: String) {
        let late_max = self.rules.late_max;
        let entry = &mut self.entries[place(number)];
        let wish = &entry.wish;
        assert_eq!(entry.id, Some(job.call), "call {number} is known by one name everywhere");
        assert_eq!(
            (&job.body, &job.extensions),
            (&wish.body, &wish.extensions),
            "call {number} arrives as it was sent"
        );
        assert!(wish.method.served, "call {number} is for a method that nobody serves");
        assert_eq!(
            (wish.streams, wish.streams.style()),
            (job.streams, wish.method.style),
            "call {number} has its streams"
        );
        // A worker that was not run for a while may start an earlier attempt late.
        let later = entry.memories.len() == 1 && entry.touched.is_some_and(|touched| touched < job.attempt);
        assert!(!later, "call {number} is sent again after an item went");
        let said_no = matches!(entry.end, Some(Ended::Failed(_, Executed::No)));
        assert!(!said_no, "call {number} starts though its caller was told that it never did");
        let first = if wish.broadcast { !entry.starters.contains(&who) } else { entry.starts == 0 };
        assert!(entry.effect() != Effect::Once || first, "call {number} may run once, and is run again");
        assert!(!wish.broadcast || job.attempt == 1, "call {number}: no part of a broadcast goes to another worker");
        let memories = u32::try_from(entry.memories.len()).expect("there are few");
        assert!((1..=ATTEMPTS_MAX).contains(&job.attempt), "call {number}: attempt {}", job.attempt);
        let runs = ATTEMPTS_MAX * memories;
        assert!(wish.broadcast || entry.starts < runs, "call {number} starts more than {ATTEMPTS_MAX} times a memory");
        if let (Some(timeout), Some(late)) = (wish.timeout, late_max) {
            assert!(now <= wish.made_world + timeout + late, "call {number} starts after its deadline");
        }
        let mixed = wish.method == MIX && memories == 1 && !wish.broadcast;
        assert!(!(mixed && entry.strictly_started), "call {number}: the strictest effect did not count");
        self.tally.repeated += u64::from(entry.starts > 0 && !wish.broadcast);
        self.tally.broadcast += u64::from(wish.broadcast);
        entry.starters.extend(wish.broadcast.then_some(who));
        entry.starts += 1;
        entry.attempt = entry.attempt.max(job.attempt);
        entry.strictly_started |= strict;
    }

    /// An item arrives at its reader: at a handler, which may not have begun yet, in that attempt; or at the caller, in the latest.
    pub(crate) fn touched(&mut self, number: u64, attempt: Option<u32>) {
        let entry = &mut self.entries[place(number)];
        entry.touched.get_or_insert(attempt.unwrap_or(entry.attempt));
        self.tally.items += 1;
    }

    /// A word on its progress arrives at its caller.
    pub(crate) fn progressed(&mut self, number: u64, attempt: u32, step: u32) {
        let entry = &mut self.entries[place(number)];
        assert!(entry.wish.streams.progress && entry.end.is_none(), "call {number}: progress that nobody waits for");
        let one_memory = entry.memories.len() == 1;
        assert!(!one_memory || entry.progress < (attempt, step), "call {number}: progress goes back");
        entry.progress = (attempt, step);
    }

    /// A handler came to its end, in one way or the other.
    pub(crate) fn finished(&mut self, number: u64, well: bool) {
        let entry = &mut self.entries[place(number)];
        let counter = if well { &mut entry.finished } else { &mut entry.failed };
        *counter += 1;
    }

    /// A client's machine gives a token back without an outcome.
    pub(crate) fn done(&mut self, number: u64) {
        let entry = &self.entries[place(number)];
        assert!(entry.wish.cast || entry.cancelled, "call {number} ends without an outcome");
        self.end(number, Ended::Done);
    }

    /// A client's machine ends a call, at that time by its clock.
    pub(crate) fn resolved(&mut self, number: u64, now: Time, outcome: &Result<Bytes, Box<Failure>>) {
        let entry = &self.entries[place(number)];
        assert!(!entry.wish.cast, "cast {number} is answered");
        match outcome {
            Ok(result) if entry.wish.broadcast => entry.check_answers(number, result),
            Ok(result) => entry.check_answer(number, result),
            Err(failure) => {
                let closing = self.closing.contains(&entry.wish.client);
                entry.check_failure(number, now, failure, &self.rules, closing);
            }
        }
        self.end(
            number,
            match outcome {
                Ok(_) => Ended::Answered,
                Err(failure) => Ended::Failed(failure.code, failure.executed),
            },
        );
    }

    /// A client dies with all that it waits for.
    pub(crate) fn orphan(&mut self, client: (usize, u64)) {
        for number in self.unresolved.remove(&client).unwrap_or_default() {
            self.entries[place(number)].end = Some(Ended::Orphaned);
        }
    }

    /// Whether a call was answered with a result.
    pub(crate) fn is_answered(&self, number: u64) -> bool {
        self.entries[place(number)].end == Some(Ended::Answered)
    }

    /// What is known of a call, for a report.
    pub(crate) fn describe(&self, number: u64) -> String {
        format!("call {number}: {:?}", self.entries[place(number)])
    }

    /// The last moment of a call that has a time-out, by its client's clock.
    pub(crate) fn last_moment(&self, number: u64) -> Option<Time> {
        let wish = self.wish(number);
        Some(wish.made + wish.timeout? + if wish.broadcast { BROADCAST_GRACE } else { EXPIRY_GRACE_MAX })
    }

    fn end(&mut self, number: u64, how: Ended) {
        let entry = &mut self.entries[place(number)];
        assert_eq!(entry.end, None, "call {number} ends a second time, now {how:?}");
        entry.end = Some(how);
        let waiting = self.unresolved.get_mut(&entry.wish.client).is_some_and(|calls| calls.remove(&number));
        assert!(waiting, "call {number} ends at a client that does not wait for it");
        match how {
            Ended::Answered => self.tally.answered += 1,
            Ended::Failed(..) => self.tally.failed += 1,
            Ended::Done | Ended::Orphaned => {}
        }
    }
}

impl Entry {
    fn check_answer(&self, number: u64, result: &Bytes) {
        if self.wish.method.is_brokers() {
            return;
        }
        let (answered, _, _): (u64, u32, u32) = body::decode(result).expect("handlers answer with three numbers");
        assert_eq!(answered, number, "call {number} gets the answer of another");
        assert!(self.finished > 0, "call {number} is answered though no handler finished it");
    }

    /// Each worker answers a broadcast once, and for itself.
    fn check_answers(&self, number: u64, result: &Bytes) {
        let answers: Vec<Answer> = body::decode(result).expect("the answers of a broadcast are a list");
        assert!(!answers.is_empty(), "call {number} waits until there is a worker");
        let workers: BTreeSet<_> = answers.iter().map(|answer| answer.worker.clone()).collect();
        assert_eq!(workers.len(), answers.len(), "call {number}: a worker answers twice");
        let (mut well, mut badly) = (0, 0);
        for answer in answers {
            let what = format!("call {number}: {answer:?}");
            match answer.outcome() {
                Ok(result) => {
                    self.check_answer(number, &result);
                    well += 1;
                }
                Err(failure) => {
                    badly += u32::from(failure.executed == Executed::Yes);
                    let limited = self.wish.timeout.is_some();
                    match failure.code {
                        Code::Unknown => assert_eq!(body::decode::<u64>(&failure.details).ok(), Some(number), "{what}"),
                        Code::DeadlineExceeded => {
                            assert!(limited || failure.message.contains("hard limit"), "{what}, and has no deadline")
                        }
                        Code::Internal | Code::Unavailable | Code::ResourceExhausted => {}
                        _ => panic!("{what}, which nothing in this world can cause"),
                    }
                }
            }
        }
        assert!(well <= self.finished && well + badly <= self.starts, "call {number}: who answers has run it");
    }

    fn check_failure(&self, number: u64, now: Time, failure: &Failure, rules: &Rules, closing: bool) {
        let what = format!("call {number} ends with {failure}");
        match failure.executed {
            Executed::No => assert_eq!(self.starts, 0, "{what}, and had started"),
            Executed::Yes => assert!(self.starts > 0, "{what}, and had not started"),
            Executed::Maybe => {}
        }
        assert!(failure.call.is_none_or(|call| Some(call) == self.id), "{what}, the failure of {:?}", failure.call);
        assert!(failure.executed == Executed::No || failure.call.is_some(), "{what}, and has no name");
        let spent = failure.spent.client + failure.spent.queued + failure.spent.running;
        assert!(!rules.punctual || spent <= now.since(self.wish.made), "{what}, after {}", failure.spent);
        match failure.code {
            Code::Unknown => {
                assert_eq!(body::decode::<u64>(&failure.details).ok(), Some(number), "{what}, the failure of another");
                assert!(self.failed > 0, "{what}, and no handler failed");
            }
            Code::Internal => assert!(self.failed > 0, "{what}, and no handler panicked"),
            Code::DeadlineExceeded => {
                let hard = rules.hard.filter(|_| self.wish.method.is_limited() && failure.executed != Executed::No);
                let limits = [self.wish.timeout, hard].into_iter().flatten();
                let limit = limits.min().unwrap_or_else(|| panic!("{what}, and has no deadline"));
                assert!(!rules.punctual || now >= self.wish.made + limit, "{what}, and had time left");
            }
            // Until a worker is there that has the method, others of its service may be that do not.
            Code::Unimplemented => assert_ne!(failure.executed, Executed::Yes, "{what}"),
            Code::Cancelled => assert!(closing, "{what}, and its client was not closed"),
            Code::Unavailable => self.check_unavailable(failure, &what, rules),
            Code::ResourceExhausted => {
                assert!(self.sent > 1 || failure.executed == Executed::No, "{what}");
            }
            Code::InvalidArgument => {
                assert_ne!(self.wish.streams.style(), self.wish.method.style, "{what}, and was called as it is");
            }
            _ => panic!("{what}, which nothing in this world can cause"),
        }
    }

    fn check_unavailable(&self, failure: &Failure, what: &str, rules: &Rules) {
        let served = self.wish.method.served;
        assert!(!(rules.calm && served), "{what}, and nothing went wrong");
        let unstarted = failure.executed == Executed::No;
        assert!(!self.wish.wait_for_ready || !unstarted || rules.stops, "{what}, and was to wait");
        let given_up = failure.message.contains("was lost while it had the call");
        let may_repeat = self.effect() < Effect::Once && self.wish.method != MIX;
        let attempts_left = failure.attempt < ATTEMPTS_MAX;
        assert!(!(given_up && may_repeat && attempts_left), "{what}, and may be repeated");
    }

    /// The strictest of what the worker declares and the caller wants, leaving aside that of `mix` workers differ.
    fn effect(&self) -> Effect {
        let declared = self.wish.method.effect;
        self.wish.effect.map_or(declared, |own| own.max(declared))
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).expect("there are few calls")
}
