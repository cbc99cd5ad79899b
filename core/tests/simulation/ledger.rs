//! The ledger: what every call was, what became of it, and what must never become of it.
//!
//! It sees what no single machine sees: which handlers started, at which worker, for which call of which client. Each entry into
//! it asserts what the system promises of a call, so that a broken promise is found in the step that breaks it.

mod endings;

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

/// A call as its caller wants it.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Which client makes it, and which life of that client.
    pub(crate) client: (usize, u64),
    pub(crate) method: Method,
    /// The caller's own, stricter effect.
    pub(crate) effect: Option<Effect>,
    pub(crate) priority: Priority,
    pub(crate) timeout: Option<Duration>,
    pub(crate) wait_for_ready: bool,
    pub(crate) cast: bool,
    /// It goes to every worker that serves the method.
    pub(crate) broadcast: bool,
    /// Its handler is quick and does not fail.
    pub(crate) plain: bool,
    /// Its affinity key.
    pub(crate) key: Option<&'static str>,
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
    pub(crate) keyed: u64,
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
    /// The broker keeps so few outcomes that it may forget one that is asked for again: then the call is new to it.
    pub(crate) forgetful: bool,
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
        let key = job.affinity.as_ref().map(|affinity| affinity.key.as_str());
        assert_eq!(key, wish.key, "call {number} has its key");
        assert!(wish.method.served, "call {number} is for a method that no worker serves");
        assert_eq!(
            (wish.streams, wish.streams.style()),
            (job.streams, wish.method.style),
            "call {number} has its streams"
        );
        // A worker that was not run for a while may start an earlier attempt late.
        let later = entry.memories.len() == 1 && entry.touched.is_some_and(|touched| touched < job.attempt);
        assert!(!later, "call {number} is sent again after an item went");
        let said_no = matches!(entry.end, Some(Ended::Failed(_, Executed::No)));
        assert!(!said_no || self.rules.forgetful, "call {number} starts though its caller was told that it never did");
        let first = if wish.broadcast { !entry.starters.contains(&who) } else { entry.starts == 0 };
        assert!(entry.effect() != Effect::Once || first, "call {number} may run once, and is run again");
        assert!(!wish.broadcast || job.attempt == 1, "call {number}: no part of a broadcast goes to another worker");
        let memories = u32::try_from(entry.memories.len()).expect("there are few");
        assert!((1..=ATTEMPTS_MAX).contains(&job.attempt), "call {number}: attempt {}", job.attempt);
        let memories = if self.rules.forgetful { memories.max(entry.sent) } else { memories };
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
        let one_memory = entry.memories.len() == 1 && !self.rules.forgetful;
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

fn place(number: u64) -> usize {
    usize::try_from(number).expect("there are few calls")
}
