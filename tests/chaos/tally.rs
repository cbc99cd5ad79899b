//! The outcomes of all calls, and the checks on them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    sync::{Mutex, MutexGuard},
};

use callboard::{Code, Executed};

use crate::event::{Event, Outcome};

/// The methods, which are called in turn.
const METHODS: [&str; 4] = ["jobs.collatz", "jobs.pause", "jobs.put", "jobs.note"];
/// The method that must not run twice.
const ONCE: &str = METHODS[3];
/// Each client has this many keys of its own.
const KEYS_OF_CLIENT: u64 = 1 << 32;

/// The outcomes of all calls, while clients make calls.
#[derive(Default)]
pub(crate) struct Calls {
    outcomes: Mutex<BTreeMap<u64, Vec<Outcome>>>,
    /// The clients that were killed. Their open calls have no outcome.
    killed: Mutex<BTreeSet<u64>>,
}

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    calls: usize,
    answered: usize,
    /// Failures by code, and whether the function ran.
    failed: BTreeMap<String, usize>,
    /// Calls that were open when their client was killed.
    abandoned: usize,
    /// Calls that failed as executed on a lost worker, without a record: the worker was killed between start and record.
    unrecorded: usize,
    /// Calls with more than one outcome, and with none.
    duplicates: usize,
    hung: usize,
    /// Calls of the `once` method that ran twice.
    once_twice: usize,
    /// Calls whose outcome contradicts the journal.
    untrue: usize,
    /// Runs in the journal without a call.
    unknown: usize,
    /// Processes that outlived their pool.
    orphans: usize,
    /// The injected faults.
    faults: BTreeMap<&'static str, usize>,
}

/// Returns the keys of the calls that a client makes.
pub(crate) fn keys_of(caller: u64) -> Range<u64> {
    caller * KEYS_OF_CLIENT..(caller + 1) * KEYS_OF_CLIENT
}

/// Returns the method and the argument of the call with this key.
pub(crate) fn call(key: u64) -> (&'static str, u64) {
    match METHODS[key as usize % METHODS.len()] {
        method @ "jobs.collatz" => (method, key % KEYS_OF_CLIENT + 1),
        method @ "jobs.pause" => (method, key % 40),
        method => (method, key),
    }
}

impl Calls {
    pub(crate) fn record(&self, event: Event) {
        match event {
            Event::Made(key) => drop(self.outcomes().insert(key, Vec::new())),
            Event::Ended(key, outcome) => self.outcomes().entry(key).or_default().push(outcome),
        }
    }

    /// Records that a client was killed.
    pub(crate) fn abandon(&self, caller: u64) {
        self.killed.lock().unwrap().insert(caller);
    }

    /// Returns whether a call of this caller has no outcome yet.
    pub(crate) fn is_waiting(&self, caller: u64) -> bool {
        self.outcomes().range(keys_of(caller)).any(|(_, outcomes)| outcomes.is_empty())
    }

    /// Compares the outcomes with the journal, in which the functions record their runs.
    pub(crate) fn tally(&self, journal: &str, faults: BTreeMap<&'static str, usize>, orphans: usize) -> Tally {
        let mut runs = BTreeMap::<(&str, u64), usize>::new();
        for line in journal.lines() {
            let mut words = line.split(' ');
            *runs.entry((words.next().unwrap(), words.next().unwrap().parse().unwrap())).or_default() += 1;
        }
        let killed = self.killed.lock().unwrap();
        let mut tally = Tally { faults, orphans, ..Tally::default() };
        for (&key, outcomes) in self.outcomes().iter() {
            let method = call(key).0;
            let ran = runs.remove(&(method.trim_start_matches("jobs."), key)).unwrap_or(0);
            tally.count(method, ran, outcomes, killed.contains(&(key / KEYS_OF_CLIENT)));
        }
        tally.unknown = runs.len();
        tally
    }

    fn outcomes(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<Outcome>>> {
        self.outcomes.lock().unwrap()
    }
}

impl Tally {
    fn count(&mut self, method: &str, ran: usize, outcomes: &[Outcome], client_killed: bool) {
        self.calls += 1;
        self.duplicates += usize::from(outcomes.len() > 1);
        self.once_twice += usize::from(method == ONCE && ran > 1);
        let is_recorded = ran > 0;
        let is_unrecorded = matches!(method, "jobs.put" | "jobs.note") && ran == 0;
        match outcomes.first() {
            Some(Outcome::Answered) => {
                self.answered += 1;
                self.untrue += usize::from(is_unrecorded);
            }
            Some(Outcome::Failed(code, executed)) => {
                *self.failed.entry(format!("{code} executed: {executed}")).or_default() += 1;
                match executed {
                    Executed::No => self.untrue += usize::from(is_recorded),
                    Executed::Yes if *code == Code::Unavailable => self.unrecorded += usize::from(is_unrecorded),
                    Executed::Yes => self.untrue += usize::from(is_unrecorded),
                    Executed::Maybe => {}
                }
            }
            None if client_killed => self.abandoned += 1,
            None => self.hung += 1,
        }
    }

    /// Returns whether every guarantee was kept.
    pub(crate) fn is_clean(&self) -> bool {
        let Tally { duplicates, hung, once_twice, untrue, unknown, orphans, .. } = self;
        duplicates + hung + once_twice + untrue + unknown + orphans == 0 && self.answered > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.faults.iter().map(|(fault, times)| (*fault, times));
        let failed = self.failed.iter().map(|(what, times)| (what.as_str(), times));
        let rows = faults.chain([("calls", &self.calls), ("answered", &self.answered)]).chain(failed).chain([
            ("open when their client was killed", &self.abandoned),
            ("worker killed between start and record", &self.unrecorded),
            ("duplicates (0)", &self.duplicates),
            ("hung (0)", &self.hung),
            ("once run twice (0)", &self.once_twice),
            ("untrue outcomes (0)", &self.untrue),
            ("runs without a call (0)", &self.unknown),
        ]);
        for (what, times) in rows {
            writeln!(f, "{what:<42}{times:>9}")?;
        }
        write!(f, "{:<42}{:>9}", "orphans (0)", self.orphans)
    }
}
