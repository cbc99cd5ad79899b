//! The outcomes of all calls, and the checks on them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard},
};

use callboard::{CallError, Executed};

/// What is called, in turn.
const METHODS: [&str; 4] = ["jobs.collatz", "jobs.pause", "jobs.put", "jobs.note"];
/// The one of them that must not run twice.
const ONCE: &str = METHODS[3];

/// Every call with its outcomes, while calls are made.
#[derive(Default)]
pub(crate) struct Counting(Mutex<BTreeMap<u64, Vec<Result<(), CallError>>>>);

/// What it came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    calls: usize,
    answered: usize,
    /// Failures by code, and whether the function ran.
    failed: BTreeMap<String, usize>,
    /// Calls with more than one outcome, and with none.
    duplicates: usize,
    hung: usize,
    /// Calls that must run once and ran again.
    once_twice: usize,
    /// Calls whose outcome says something else than what happened.
    lies: usize,
    /// What was done to the processes.
    deeds: BTreeMap<&'static str, usize>,
}

/// The method and argument of the call of that key.
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

    /// Whether a call of that caller has not ended.
    pub(crate) fn is_waiting(&self, caller: u64, callers: u64) -> bool {
        self.calls().iter().any(|(key, outcomes)| key % callers == caller && outcomes.is_empty())
    }

    /// What it all came to, with what the functions wrote down of their runs.
    pub(crate) fn result(&self, journal: &str, deeds: BTreeMap<&'static str, usize>) -> Tally {
        let mut runs = BTreeMap::<(&str, u64), usize>::new();
        for line in journal.lines() {
            let mut words = line.split(' ');
            *runs.entry((words.next().unwrap(), words.next().unwrap().parse().unwrap())).or_default() += 1;
        }
        let mut tally = Tally { deeds, ..Tally::default() };
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
                self.lies += usize::from(written_down && ran == 0);
            }
            Some(Err(error)) => {
                let what = format!("{} executed: {}", error.code(), error.executed());
                *self.failed.entry(what).or_default() += 1;
                // What had begun when it was killed may have written nothing down, so `yes` is nobody's lie.
                self.lies += usize::from(written_down && ran > 0 && error.executed() == Executed::No);
            }
            None => {}
        }
    }

    /// Whether every promise was kept.
    pub(crate) fn is_clean(&self) -> bool {
        self.duplicates + self.hung + self.once_twice + self.lies == 0 && self.answered > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (deed, times) in &self.deeds {
            writeln!(f, "{deed:<42}{times:>9}")?;
        }
        writeln!(f, "{:<42}{:>9}", "calls", self.calls)?;
        writeln!(f, "{:<42}{:>9}", "answered", self.answered)?;
        for (what, times) in &self.failed {
            writeln!(f, "{what:<42}{times:>9}")?;
        }
        writeln!(f, "{:<42}{:>9}", "duplicates (0)", self.duplicates)?;
        writeln!(f, "{:<42}{:>9}", "hung (0)", self.hung)?;
        writeln!(f, "{:<42}{:>9}", "once run twice (0)", self.once_twice)?;
        write!(f, "{:<42}{:>9}", "outcomes that are not true (0)", self.lies)
    }
}
