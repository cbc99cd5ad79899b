//! The processes, and the faults that are injected.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, thread,
    time::{Duration, Instant},
};

use callboard::Client;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use crate::harness::{Broker, Pool, Process, example_path};

/// Worker processes.
const WORKERS: u32 = 3;
/// The longest pause between two faults, in milliseconds.
const PAUSE_MAX: u64 = 700;
/// The longest outage of a stopped process, in milliseconds. A broker restarts within a quarter of it.
const OUTAGE_MAX: u64 = 4_000;
/// The timeout of a query for the pool's processes.
const QUERY_TIMEOUT: Duration = Duration::from_millis(500);

/// A broker, a pool, and clients that are killed.
pub(crate) struct Cluster {
    random: u64,
    broker: Broker,
    pool: Process,
    journal: NamedTempFile,
    /// Queries the pool for its processes.
    client: Client,
    /// The stopped processes, and when each is continued.
    stopped: Vec<(Instant, u32)>,
    faults: BTreeMap<&'static str, usize>,
}

impl Cluster {
    pub(crate) fn new(seed: u64) -> Cluster {
        let (broker, journal) = (Broker::start(), NamedTempFile::new().unwrap());
        let pool = pool(&broker, &journal);
        assert_eq!(pool.line(), format!("ready {WORKERS} workers"));
        let client = Client::builder(&broker.frontend).timeout(QUERY_TIMEOUT).connect_lazily().unwrap();
        Cluster { random: seed, broker, pool, journal, client, stopped: Vec::new(), faults: BTreeMap::new() }
    }

    pub(crate) fn frontend(&self) -> &str {
        &self.broker.frontend
    }

    /// Returns the journal, in which the workers' functions record their runs.
    pub(crate) fn journal(&self) -> String {
        fs::read_to_string(self.journal.path()).unwrap()
    }

    pub(crate) fn faults(&self) -> BTreeMap<&'static str, usize> {
        self.faults.clone()
    }

    /// Waits for a random time, then injects a random fault.
    pub(crate) async fn inject_fault(&mut self) {
        let pause = Duration::from_millis(self.below(PAUSE_MAX));
        tokio::time::sleep(pause).await;
        self.resume_processes(Instant::now());
        self.restart_ended_pool();
        let worker = self.random_worker().await;
        let fault = match (self.below(10), worker) {
            (0..=2, Some(worker)) => {
                signal(worker, Signal::KILL);
                "workers killed"
            }
            (3 | 4, Some(worker)) => {
                self.stop(worker);
                "workers stopped"
            }
            (5, _) => {
                self.restart_broker(Signal::KILL);
                "brokers killed"
            }
            (6, _) => {
                self.restart_broker(Signal::TERM);
                "brokers terminated"
            }
            (7, _) => {
                self.stop(self.broker.process.pid());
                "brokers stopped"
            }
            (8, _) => {
                self.pool.kill();
                self.restart_ended_pool();
                "pools killed"
            }
            _ => {
                self.kill_client();
                "clients killed"
            }
        };
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Resumes all stopped processes and restarts the pool if it has ended.
    pub(crate) fn heal(&mut self) {
        self.resume_processes(Instant::now() + Duration::from_secs(3_600));
        self.restart_ended_pool();
    }

    fn stop(&mut self, process: u32) {
        signal(process, Signal::STOP);
        let outage = Duration::from_millis(self.below(OUTAGE_MAX));
        self.stopped.push((Instant::now() + outage, process));
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

    fn restart_broker(&mut self, how: Signal) {
        // A stopped process would not handle SIGTERM.
        signal(self.broker.process.pid(), Signal::CONT);
        self.broker.process.signal(how);
        self.broker.process.end();
        self.stopped.retain(|&(_, process)| process != self.broker.process.pid());
        thread::sleep(Duration::from_millis(self.below(OUTAGE_MAX / 4)));
        self.broker = Broker::start_at(&self.broker.frontend, &self.broker.backend);
    }

    /// Restarts the pool if it was killed, or gave up because its workers were killed.
    fn restart_ended_pool(&mut self) {
        if self.pool.has_ended() {
            self.pool = pool(&self.broker, &self.journal);
        }
    }

    /// Returns a worker process of the pool, if the query succeeds.
    async fn random_worker(&mut self) -> Option<u32> {
        #[derive(serde::Deserialize)]
        struct Status {
            workers: Vec<Worker>,
        }
        #[derive(serde::Deserialize)]
        struct Worker {
            pid: Option<u32>,
        }
        let status = self.client.call::<Status>("callboard.pool.jobs.status", ()).await.ok()?;
        let pids: Vec<u32> = status.workers.into_iter().filter_map(|worker| worker.pid).collect();
        let at = self.below(pids.len().max(1) as u64) as usize;
        pids.get(at).copied()
    }

    /// Kills a client process that has an open call.
    fn kill_client(&mut self) {
        let mut client = Process::start(self.broker.command_line(&["call", "jobs.pause", "300"]));
        thread::sleep(Duration::from_millis(self.below(200)));
        client.kill();
    }

    /// Returns the next random number below `bound` (splitmix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn pool(broker: &Broker, journal: &NamedTempFile) -> Process {
    let mut command = Pool::command(&broker.backend, "jobs", WORKERS);
    command.arg(example_path("pool-worker")).env("JOBS_JOURNAL", AsRef::<OsStr>::as_ref(journal.path()));
    Process::start(command)
}

/// Signals a process that may have ended.
fn signal(process: u32, which: Signal) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, which);
    }
}
