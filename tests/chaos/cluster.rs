//! The processes, and the faults that are injected.

use std::{
    collections::BTreeMap,
    fs, thread,
    time::{Duration, Instant},
};

use callboard::{Client, ClientBuilder, CurveKeys, parse_server_key};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::NamedTempFile;

use crate::{
    harness::{Broker, Keys, Pool, Process, example_path},
    random::Random,
    workers::{self, WorkerProcess},
};

/// The longest pause between two faults, in milliseconds.
const PAUSE_MAX: u64 = 700;
/// The longest outage of a stopped process, in milliseconds. A broker restarts within a quarter of it.
const OUTAGE_MAX: u64 = 4_000;
/// The timeout of a query for the pool's processes.
const QUERY_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a process may outlive its pool.
const ORPHAN_AFTER: Duration = Duration::from_secs(10);

/// A broker, a pool, and clients that are killed.
pub(crate) struct Cluster {
    pub(crate) random: Random,
    /// The keys of an encrypted broker.
    keys: Option<Keys>,
    broker: Broker,
    pool: Process,
    pool_size: u32,
    journal: NamedTempFile,
    /// Queries the pool for its processes.
    client: Client,
    /// The stopped processes, and when each is continued.
    stopped: Vec<(Instant, u32)>,
    faults: BTreeMap<&'static str, usize>,
}

/// The part of a pool's status that the faults need.
#[derive(Deserialize)]
struct Status {
    workers: Vec<WorkerStatus>,
}

#[derive(Deserialize)]
struct WorkerStatus {
    pid: Option<u32>,
    state: String,
}

impl Cluster {
    pub(crate) fn start(seed: u64, curve: bool, workers: u32) -> Cluster {
        let keys = curve.then(Keys::new);
        let broker = keys.as_ref().map_or_else(Broker::start, Keys::broker);
        let journal = NamedTempFile::new().unwrap();
        let pool = start_pool(&broker, keys.as_ref(), workers, &journal);
        assert_eq!(pool.line(), format!("ready {workers} workers"));
        let client = client_builder(&broker, keys.as_ref()).timeout(QUERY_TIMEOUT).connect_lazily().unwrap();
        let random = Random::new(seed);
        let (stopped, faults) = (Vec::new(), BTreeMap::new());
        Cluster { random, keys, broker, pool, pool_size: workers, journal, client, stopped, faults }
    }

    pub(crate) fn frontend(&self) -> &str {
        &self.broker.frontend
    }

    /// Returns the file with the broker's public key, if the broker encrypts.
    pub(crate) fn server_key(&self) -> Option<String> {
        self.keys.as_ref().map(|keys| keys.file("broker.public"))
    }

    /// Returns a client of the broker, yet to be configured.
    pub(crate) fn client_builder(&self) -> ClientBuilder {
        client_builder(&self.broker, self.keys.as_ref())
    }

    /// Returns the journal, in which the workers' functions record their runs.
    pub(crate) fn journal(&self) -> String {
        fs::read_to_string(self.journal.path()).unwrap()
    }

    pub(crate) fn faults(&self) -> BTreeMap<&'static str, usize> {
        self.faults.clone()
    }

    /// Counts a fault.
    pub(crate) fn count(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Waits for a random time, then injects a random fault.
    pub(crate) async fn inject_fault(&mut self) {
        let pause = self.random.millis_below(PAUSE_MAX);
        tokio::time::sleep(pause).await;
        self.resume_processes(Instant::now());
        self.restart_ended_pool();
        let worker = self.random_worker().await;
        match (self.random.below(10), worker) {
            (0..=2, Some(worker)) => self.kill_worker(worker),
            (3 | 4, Some(worker)) => self.stop("workers stopped", worker),
            (5, _) => self.kill_broker(),
            (6, _) => self.restart_broker("brokers terminated", Signal::TERM),
            (7, _) => self.stop("brokers stopped", self.broker.process.pid()),
            (8, _) => self.kill_pool(),
            _ => self.kill_client(),
        }
    }

    pub(crate) fn kill_worker(&mut self, worker: u32) {
        signal(worker, Signal::KILL);
        self.count("workers killed");
    }

    /// Kills the broker. Another one starts at the same addresses after a random time.
    pub(crate) fn kill_broker(&mut self) {
        self.restart_broker("brokers killed", Signal::KILL);
    }

    /// Panics if the pool has ended.
    pub(crate) fn assert_pool_runs(&mut self) {
        assert!(!self.pool.has_ended(), "the pool has ended");
    }

    /// Returns all live worker processes, including those that the pool does not know.
    pub(crate) fn workers(&self) -> Vec<WorkerProcess> {
        workers::workers_of(self.journal.path())
    }

    /// Returns the number of registered workers, if the query succeeds.
    pub(crate) async fn registered_workers(&self) -> Option<usize> {
        let workers = self.status().await?.workers;
        Some(workers.iter().filter(|worker| worker.state == "registered").count())
    }

    /// Resumes all stopped processes and restarts the pool if it has ended.
    pub(crate) fn heal(&mut self) {
        self.resume_processes(Instant::now() + Duration::from_secs(3_600));
        self.restart_ended_pool();
    }

    /// Kills the pool, then the broker. Returns the number of processes that outlived the pool, and kills those.
    pub(crate) fn end(&mut self) -> usize {
        self.pool.kill();
        self.broker.process.kill();
        let started = Instant::now();
        let processes = || workers::processes_of(self.journal.path());
        while !processes().is_empty() && started.elapsed() < ORPHAN_AFTER {
            thread::sleep(Duration::from_millis(20));
        }
        let orphans = processes();
        orphans.iter().for_each(|&(process, _)| signal(process, Signal::KILL));
        orphans.len()
    }

    fn stop(&mut self, fault: &'static str, process: u32) {
        signal(process, Signal::STOP);
        let outage = self.random.millis_below(OUTAGE_MAX);
        self.stopped.push((Instant::now() + outage, process));
        self.count(fault);
    }

    /// Continues the processes whose outage is over.
    fn resume_processes(&mut self, now: Instant) {
        self.stopped.retain(|&(until, process)| {
            if until <= now {
                signal(process, Signal::CONT);
            }
            until > now
        });
    }

    fn restart_broker(&mut self, fault: &'static str, how: Signal) {
        // A stopped process would not handle SIGTERM.
        signal(self.broker.process.pid(), Signal::CONT);
        self.broker.process.signal(how);
        self.broker.process.end();
        self.stopped.retain(|&(_, process)| process != self.broker.process.pid());
        thread::sleep(self.random.millis_below(OUTAGE_MAX / 4));
        let (frontend, backend) = (&self.broker.frontend, &self.broker.backend);
        self.broker = match &self.keys {
            Some(keys) => keys.broker_at(frontend, backend),
            None => Broker::start_at(frontend, backend),
        };
        self.count(fault);
    }

    fn kill_pool(&mut self) {
        self.pool.kill();
        self.restart_ended_pool();
        self.count("pools killed");
    }

    /// Restarts the pool if it was killed, or gave up because its workers were killed.
    fn restart_ended_pool(&mut self) {
        if self.pool.has_ended() {
            self.pool = start_pool(&self.broker, self.keys.as_ref(), self.pool_size, &self.journal);
        }
    }

    /// Returns a worker process of the pool, if the query succeeds.
    async fn random_worker(&mut self) -> Option<u32> {
        let workers = self.status().await?.workers;
        self.random.pick(workers.iter().filter_map(|worker| worker.pid).collect())
    }

    async fn status(&self) -> Option<Status> {
        self.client.call("callboard.pool.jobs.status", ()).await.ok()
    }

    /// Kills a client process that has an open call.
    fn kill_client(&mut self) {
        let mut command = self.broker.command_line(&["call", "jobs.pause", "300"]);
        command.envs(self.server_key().map(|key| ("CALLBOARD_SERVER_KEY", key)));
        let mut client = Process::start(command);
        thread::sleep(self.random.millis_below(200));
        client.kill();
        self.count("clients killed");
    }
}

fn client_builder(broker: &Broker, keys: Option<&Keys>) -> ClientBuilder {
    let client = Client::builder(&broker.frontend);
    match keys {
        Some(keys) => client.curve(CurveKeys::new(parse_server_key(&keys.file("broker.public")).unwrap())),
        None => client,
    }
}

fn start_pool(broker: &Broker, keys: Option<&Keys>, size: u32, journal: &NamedTempFile) -> Process {
    let server_key = keys.map(|keys| keys.file("broker.public"));
    let flags: Vec<&str> = server_key.iter().flat_map(|key| ["--server-key", key]).collect();
    let mut command = Pool::command_with(&broker.backend, "jobs", size, &flags);
    command.arg(example_path("pool-worker")).env(workers::JOURNAL, journal.path());
    Process::start(command)
}

/// Signals a process that may have ended.
fn signal(process: u32, which: Signal) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, which);
    }
}
