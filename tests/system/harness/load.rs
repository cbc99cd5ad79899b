//! Calls of every effect, one after another, each with a callback; and the check that each outcome is allowed.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use callboard::{CallError, Client, Code, Executed};
use serde::de::IgnoredAny;
use tempfile::NamedTempFile;
use tokio::task::JoinHandle;

use super::{Broker, Pool, until};

/// Calls that are outstanding at most.
const OUTSTANDING_MAX: usize = 200;
/// What is called, in turn. `pause` has calls running at any moment.
const METHODS: [&str; 4] = ["jobs.collatz", "jobs.pause", "jobs.put", "jobs.note"];
/// The one of them that must not run twice.
const ONCE: &str = METHODS[3];

type Outcomes = Arc<Mutex<BTreeMap<u64, Vec<Result<(), CallError>>>>>;

/// A broker, a pool, and a client that calls until it is told to stop.
pub(crate) struct Load {
    pub(crate) broker: Broker,
    pub(crate) pool: Pool,
    client: Client,
    journal: NamedTempFile,
    outcomes: Outcomes,
    stop: Arc<AtomicBool>,
    /// Gives the number of calls that were made.
    calling: JoinHandle<u64>,
}

impl Load {
    /// Starts it all, with so many worker processes.
    pub(crate) async fn start(workers: u32) -> Load {
        Load::start_sized(workers, &[]).await
    }

    /// The same, with flags for the pool.
    pub(crate) async fn start_sized(workers: u32, flags: &[&str]) -> Load {
        let (broker, journal) = (Broker::start(), NamedTempFile::new().unwrap());
        let pool = Pool::start_sized(&broker, workers, flags, &[("JOBS_JOURNAL", journal.path().as_os_str())]);
        let client = Client::builder(&broker.frontend).callbacks_max(OUTSTANDING_MAX).connect().await.unwrap();
        let (outcomes, stop) = (Outcomes::default(), Arc::new(AtomicBool::new(false)));
        let calling = tokio::spawn(call_on(client.clone(), Arc::clone(&outcomes), Arc::clone(&stop)));
        Load { broker, pool, client, journal, outcomes, stop, calling }
    }

    /// Waits until so many more calls have ended.
    pub(crate) fn wait_for_outcomes(&self, more: usize) {
        let ended = || self.outcomes.lock().unwrap().len();
        let enough = ended() + more;
        until("calls go on ending", || (ended() >= enough).then_some(()));
    }

    /// Stops calling, waits for the last outcomes, and checks that
    ///
    /// - each callback ran exactly once,
    /// - what may be repeated succeeded,
    /// - what may not be repeated succeeded, or may have run by its error,
    /// - nothing that may not be repeated ran twice, and what succeeded did run.
    ///
    /// Returns how many calls failed for another reason than that the machine starved a worker of its heartbeats: then what it had
    /// is lost, and rightly told so.
    pub(crate) async fn end(self) -> usize {
        self.end_with(false).await
    }

    /// As [`Load::end`], where calls may also have been turned away: UNAVAILABLE, and certainly not run.
    pub(crate) async fn end_after_refusals(self) {
        self.end_with(true).await;
    }

    async fn end_with(self, refusals: bool) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let calls = self.calling.await.unwrap();
        until("every call has ended", || (self.outcomes.lock().unwrap().len() as u64 == calls).then_some(()));
        self.client.close().await.unwrap();
        let outcomes = self.outcomes.lock().unwrap();
        let journal = fs::read_to_string(self.journal.path()).unwrap();
        let mut runs = BTreeMap::<(&str, u64), u64>::new();
        for line in journal.lines() {
            let mut words = line.split(' ');
            let run = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
            *runs.entry(run).or_default() += 1;
        }
        for (&key, ended) in outcomes.iter() {
            let [outcome] = &ended[..] else { panic!("call {key} ended {} times", ended.len()) };
            if refusals && outcome.as_ref().is_err_and(is_refusal) {
                let ran = runs.contains_key(&(method(key).trim_start_matches("jobs."), key));
                assert!(!ran, "{key} ran, and was turned away");
                continue;
            }
            check(key, outcome, runs.get(&(method(key).trim_start_matches("jobs."), key)).copied().unwrap_or(0));
        }
        let starved = self.broker.process.stderr.so_far().contains("silent for too long");
        if starved { 0 } else { outcomes.values().flatten().filter(|outcome| outcome.is_err()).count() }
    }
}

fn method(key: u64) -> &'static str {
    METHODS[key as usize % METHODS.len()]
}

/// Calls are known by their key; the first two methods take something else.
fn argument(key: u64) -> u64 {
    match method(key) {
        "jobs.collatz" => key + 1,
        "jobs.pause" => key % 16,
        _ => key,
    }
}

fn check(key: u64, outcome: &Result<(), CallError>, runs: u64) {
    let method = method(key);
    match outcome {
        Ok(()) if method == ONCE => assert_eq!(runs, 1, "{method} {key}"),
        Ok(()) => assert!(runs > 0 || method != "jobs.put", "{method} {key} never ran"),
        Err(error) => {
            assert_eq!(method, ONCE, "{key}: {error}");
            assert_eq!(error.code(), Code::Unavailable, "{method} {key}: {error}");
            assert!(runs == 0 || (runs == 1 && error.executed() != Executed::No), "{key} ran {runs} times: {error}");
        }
    }
}

fn is_refusal(error: &CallError) -> bool {
    (error.code(), error.executed()) == (Code::Unavailable, Executed::No)
}

/// Calls until it is told to stop; `on_complete` waits where too many calls are outstanding.
async fn call_on(client: Client, outcomes: Outcomes, stop: Arc<AtomicBool>) -> u64 {
    let mut key = 0;
    while !stop.load(Ordering::Relaxed) {
        let outcomes = Arc::clone(&outcomes);
        let note = move |outcome: Result<IgnoredAny, _>| {
            outcomes.lock().unwrap().entry(key).or_default().push(outcome.map(drop));
        };
        client.call(method(key), (argument(key),)).wait_for_ready().on_complete(note).await.unwrap();
        key += 1;
    }
    key
}
