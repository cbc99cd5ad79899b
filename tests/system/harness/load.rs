//! A load of calls with every effect, each with a callback, and the check that each outcome is allowed.

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

/// The limit of outstanding calls.
const OUTSTANDING_MAX: usize = 200;
/// The methods, which are called in turn. Because of `pause`, some calls run at any moment.
const METHODS: [&str; 4] = ["jobs.collatz", "jobs.pause", "jobs.put", "jobs.note"];
/// The method that must not run twice.
const ONCE: &str = METHODS[3];

type Outcomes = Arc<Mutex<BTreeMap<u64, Vec<Result<(), CallError>>>>>;

/// A broker, a pool, and a client that makes calls until `stop` is set.
pub(crate) struct Load {
    pub(crate) broker: Broker,
    pub(crate) pool: Pool,
    client: Client,
    journal: NamedTempFile,
    outcomes: Outcomes,
    stop: Arc<AtomicBool>,
    /// Returns the number of calls that were made.
    calling: JoinHandle<u64>,
}

impl Load {
    /// Starts a broker, a pool with this number of workers, and the calls.
    pub(crate) async fn start(workers: u32) -> Load {
        Load::start_sized(workers, &[]).await
    }

    /// As [`Load::start`], with flags for the pool.
    pub(crate) async fn start_sized(workers: u32, flags: &[&str]) -> Load {
        let (broker, journal) = (Broker::start(), NamedTempFile::new().unwrap());
        let pool = Pool::start_sized(&broker, workers, flags, &[("JOBS_JOURNAL", journal.path().as_os_str())]);
        let client = Client::builder(&broker.frontend).callbacks_max(OUTSTANDING_MAX).connect().await.unwrap();
        let (outcomes, stop) = (Outcomes::default(), Arc::new(AtomicBool::new(false)));
        let calling = tokio::spawn(call_on(client.clone(), Arc::clone(&outcomes), Arc::clone(&stop)));
        Load { broker, pool, client, journal, outcomes, stop, calling }
    }

    /// Waits until `more` calls have ended.
    pub(crate) fn wait_for_outcomes(&self, more: usize) {
        let ended = || self.outcomes.lock().unwrap().len();
        let enough = ended() + more;
        until("more calls have ended", || (ended() >= enough).then_some(()));
    }

    /// Asserts that the pool has restarted no worker.
    pub(crate) fn assert_no_restarts(&self) {
        let replicas = self.pool.status(&self.broker).workers;
        assert!(replicas.iter().all(|replica| replica.restarts == 0), "a worker was restarted: {replicas:?}");
    }

    /// Stops calling, waits for the last outcomes, and checks that
    ///
    /// - each callback ran exactly once,
    /// - each retryable call succeeded,
    /// - each other call succeeded, or it may have run by its error,
    /// - no `once` call ran twice, and each call that succeeded did run.
    ///
    /// Returns the number of failed calls, or 0 if the machine starved a worker of its heartbeats: then the calls of that worker
    /// are lost, and their errors are correct.
    pub(crate) async fn end(self) -> usize {
        self.end_with(false).await
    }

    /// As [`Load::end`], but calls may also be rejected: UNAVAILABLE, and not run.
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
                assert!(!ran, "{key} ran, although it was rejected");
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

/// Returns the argument of a call: its key, except for the first two methods.
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

/// Makes calls until `stop` is set; `on_complete` waits while too many calls are outstanding.
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
