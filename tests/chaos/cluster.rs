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
/// The longest pause between two deeds.
const PAUSE_MAX: u64 = 700;
/// The longest that a process is stopped, or a broker away.
const OUTAGE_MAX: u64 = 4_000;
/// How long a pool is asked for its processes.
const ASK_MAX: Duration = Duration::from_millis(500);

/// A broker, a pool, and a client that may die.
pub(crate) struct House {
    chance: u64,
    broker: Broker,
    pool: Process,
    journal: NamedTempFile,
    /// Asks the pool for its processes.
    client: Client,
    /// Processes that are stopped, and when they go on.
    stopped: Vec<(Instant, u32)>,
    deeds: BTreeMap<&'static str, usize>,
}

impl House {
    pub(crate) fn new(seed: u64) -> House {
        let (broker, journal) = (Broker::start(), NamedTempFile::new().unwrap());
        let pool = pool(&broker, &journal);
        assert_eq!(pool.line(), format!("ready {WORKERS} workers"));
        let client = Client::builder(&broker.frontend).timeout(ASK_MAX).connect_lazily().unwrap();
        House { chance: seed, broker, pool, journal, client, stopped: Vec::new(), deeds: BTreeMap::new() }
    }

    pub(crate) fn frontend(&self) -> &str {
        &self.broker.frontend
    }

    /// What the functions wrote down of their runs.
    pub(crate) fn journal(&self) -> String {
        fs::read_to_string(self.journal.path()).unwrap()
    }

    pub(crate) fn deeds(&self) -> BTreeMap<&'static str, usize> {
        self.deeds.clone()
    }

    /// Waits a moment, and does something bad.
    pub(crate) async fn trouble(&mut self) {
        let pause = Duration::from_millis(self.below(PAUSE_MAX));
        tokio::time::sleep(pause).await;
        self.go_on(Instant::now());
        self.keep_pool();
        let worker = self.a_worker().await;
        let deed = match (self.below(10), worker) {
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
                "brokers told to end"
            }
            (7, _) => {
                self.stop(self.broker.process.pid());
                "brokers stopped"
            }
            (8, _) => {
                self.pool.kill();
                self.keep_pool();
                "pools killed"
            }
            _ => {
                self.kill_a_client();
                "clients killed"
            }
        };
        *self.deeds.entry(deed).or_default() += 1;
    }

    /// Everything runs again.
    pub(crate) fn heal(&mut self) {
        self.go_on(Instant::now() + Duration::from_secs(3_600));
        self.keep_pool();
    }

    fn stop(&mut self, process: u32) {
        signal(process, Signal::STOP);
        let outage = Duration::from_millis(self.below(OUTAGE_MAX));
        self.stopped.push((Instant::now() + outage, process));
    }

    /// What was stopped for long enough goes on.
    fn go_on(&mut self, now: Instant) {
        self.stopped.retain(|&(until, process)| {
            if until <= now {
                signal(process, Signal::CONT);
            }
            until > now
        });
    }

    fn restart_broker(&mut self, how: Signal) {
        // One that is stopped would not hear SIGTERM.
        signal(self.broker.process.pid(), Signal::CONT);
        self.broker.process.signal(how);
        self.broker.process.end();
        self.stopped.retain(|&(_, process)| process != self.broker.process.pid());
        thread::sleep(Duration::from_millis(self.below(OUTAGE_MAX / 4)));
        self.broker = Broker::start_at(&self.broker.frontend, &self.broker.backend);
    }

    /// A pool that was killed, or gave up because its workers were, is started again.
    fn keep_pool(&mut self) {
        if self.pool.has_ended() {
            self.pool = pool(&self.broker, &self.journal);
        }
    }

    /// A process of the pool, by its own word, if the broker lets it say so.
    async fn a_worker(&mut self) -> Option<u32> {
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

    /// A client process that has a call open dies.
    fn kill_a_client(&mut self) {
        let mut client = Process::start(self.broker.command_line(&["call", "jobs.pause", "300"]));
        thread::sleep(Duration::from_millis(self.below(200)));
        client.kill();
    }

    /// The next number below `bound` (splitmix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
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

/// Signals a process of ours that may just have ended.
fn signal(process: u32, which: Signal) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, which);
    }
}
