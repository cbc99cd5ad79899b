//! The outcomes of all calls, and the checks on them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard},
};

use callboard::{CallError, Executed};

/// The methods, which are called in turn.
const METHODS: [&str; 4] = ["jobs.collatz", "jobs.pause", "jobs.put", "jobs.note"];
/// The method that must not run twice.
const ONCE: &str = METHODS[3];

/// The outcomes of all calls, while clients make calls.
#[derive(Default)]
pub(crate) struct Counting(Mutex<BTreeMap<u64, Vec<Result<(), CallError>>>>);

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    calls: usize,
    answered: usize,
    /// Failures by code, and whether the function ran.
    failed: BTreeMap<String, usize>,
    /// Calls with more than one outcome, and with none.
    duplicates: usize,
    hung: usize,
    /// Calls of the `once` method that ran twice.
    once_twice: usize,
    /// Calls whose outcome contradicts the journal.
    untrue: usize,
    /// The injected faults.
    faults: BTreeMap<&'static str, usize>,
}

/// Returns the method and the argument of the call with this key.
pub(crate) fn call(key: u64) -> (&'static str, u64) {
    match METHODS[key as usize % METHODS.len()] {
        method @ "jobs.collatz" => (method, key + 1),
        method @ "jobs.pause" => (method, key % 40),
        method => (method, key),
    }
}

impl Counting {
    pub(crate) fn made(&self, key: u64) {
        self.calls().insert(key, Vec::new());
    }

    pub(crate) fn ended(&self, key: u64, outcome: Result<(), CallError>) {
        self.calls().entry(key).or_default().push(outcome);
    }

    /// Returns whether a call of this caller has no outcome yet.
    pub(crate) fn is_waiting(&self, caller: u64, callers: u64) -> bool {
        self.calls().iter().any(|(key, outcomes)| key % callers == caller && outcomes.is_empty())
    }

    /// Compares the outcomes with the journal, in which the functions record their runs.
    pub(crate) fn result(&self, journal: &str, faults: BTreeMap<&'static str, usize>) -> Tally {
        let mut runs = BTreeMap::<(&str, u64), usize>::new();
        for line in journal.lines() {
            let mut words = line.split(' ');
            *runs.entry((words.next().unwrap(), words.next().unwrap().parse().unwrap())).or_default() += 1;
        }
        let mut tally = Tally { faults, ..Tally::default() };
        for (&key, outcomes) in self.calls().iter() {
            let method = call(key).0;
            let ran = runs.get(&(method.trim_start_matches("jobs."), key)).copied().unwrap_or(0);
            tally.count(method, ran, outcomes);
        }
        tally
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<Result<(), CallError>>>> {
        self.0.lock().unwrap()
    }
}

impl Tally {
    fn count(&mut self, method: &str, ran: usize, outcomes: &[Result<(), CallError>]) {
        let written_down = matches!(method, "jobs.put" | "jobs.note");
        self.calls += 1;
        self.duplicates += usize::from(outcomes.len() > 1);
        self.hung += usize::from(outcomes.is_empty());
        self.once_twice += usize::from(method == ONCE && ran > 1);
        match outcomes.first() {
            Some(Ok(())) => {
                self.answered += 1;
                self.untrue += usize::from(written_down && ran == 0);
            }
            Some(Err(error)) => {
                let what = format!("{} executed: {}", error.code(), error.executed());
                *self.failed.entry(what).or_default() += 1;
                // A function that was killed may have recorded nothing, so `yes` without a record is not untrue.
                self.untrue += usize::from(written_down && ran > 0 && error.executed() == Executed::No);
            }
            None => {}
        }
    }

    /// Returns whether every guarantee was kept.
    pub(crate) fn is_clean(&self) -> bool {
        self.duplicates + self.hung + self.once_twice + self.untrue == 0 && self.answered > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fault, times) in &self.faults {
            writeln!(f, "{fault:<42}{times:>9}")?;
        }
        writeln!(f, "{:<42}{:>9}", "calls", self.calls)?;
        writeln!(f, "{:<42}{:>9}", "answered", self.answered)?;
        for (what, times) in &self.failed {
            writeln!(f, "{what:<42}{times:>9}")?;
        }
        writeln!(f, "{:<42}{:>9}", "duplicates (0)", self.duplicates)?;
        writeln!(f, "{:<42}{:>9}", "hung (0)", self.hung)?;
        writeln!(f, "{:<42}{:>9}", "once run twice (0)", self.once_twice)?;
        write!(f, "{:<42}{:>9}", "untrue outcomes (0)", self.untrue)
    }
}
