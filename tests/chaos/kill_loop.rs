//! The kill loop: rounds of kill -9 on a worker, the broker or a client, with a pool that survives.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use callboard::pool::{CRASH_LOOP_EXITS, CRASH_LOOP_WINDOW};

use crate::{
    CLIENTS, caller,
    cluster::Cluster,
    harness::{Process, until_async},
    tally::Calls,
    workers::WorkerProcess,
};

/// Worker processes. With this many, some serve while the restarts of others are delayed.
pub(crate) const WORKERS: u32 = 10;
/// The longest pause between two kills, in milliseconds.
const PAUSE_MAX: u64 = 800;
/// Kills of one replica within [`CRASH_LOOP_WINDOW`], at most: one less than a crash loop, at which a pool may give up.
const KILLS_MAX: usize = CRASH_LOOP_EXITS - 1;

/// A cluster, and a client process that is killed and replaced.
pub(crate) struct KillLoop<'a> {
    cluster: &'a mut Cluster,
    calls: &'a Calls,
    /// The number of the client process. Each has calls of its own.
    caller: u64,
    client: Process,
    /// When processes of each replica were killed.
    killed: BTreeMap<String, Vec<Instant>>,
}

impl<'a> KillLoop<'a> {
    pub(crate) fn new(cluster: &'a mut Cluster, calls: &'a Calls) -> KillLoop<'a> {
        let caller = CLIENTS;
        let client = caller::start_process(caller, cluster.frontend(), cluster.server_key());
        KillLoop { cluster, calls, caller, client, killed: BTreeMap::new() }
    }

    /// Kills processes, then waits until the pool has all of its workers again.
    pub(crate) async fn run(mut self, rounds: u64) {
        for _ in 0..rounds {
            let pause = self.cluster.random.millis_below(PAUSE_MAX);
            tokio::time::sleep(pause).await;
            self.kill();
            self.cluster.assert_pool_runs();
        }
        until_async("all workers are registered", async || {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.cluster.registered_workers().await == Some(WORKERS as usize)
        })
        .await;
        self.cluster.assert_pool_runs();
        self.end_client();
    }

    /// Kills a random process. If no worker may be killed now, a client is.
    fn kill(&mut self) {
        match (self.cluster.random.below(3), self.random_worker()) {
            (0, Some(worker)) => {
                self.killed.entry(worker.replica).or_default().push(Instant::now());
                self.cluster.kill_worker(worker.pid);
            }
            (1, _) => self.cluster.kill_broker(),
            _ => self.replace_client(),
        }
    }

    /// Returns a worker whose replica stays below the crash limit if it is killed.
    fn random_worker(&mut self) -> Option<WorkerProcess> {
        let mut workers = self.cluster.workers();
        workers.retain(|worker| {
            let times = self.killed.get(&worker.replica).into_iter().flatten();
            times.filter(|time| time.elapsed() <= CRASH_LOOP_WINDOW).count() < KILLS_MAX
        });
        self.cluster.random.pick(workers)
    }

    fn replace_client(&mut self) {
        self.end_client();
        self.cluster.count("clients killed");
        self.caller += 1;
        self.client = caller::start_process(self.caller, self.cluster.frontend(), self.cluster.server_key());
    }

    /// Kills the client process and records what it printed.
    fn end_client(&mut self) {
        assert!(!self.client.has_ended(), "the client process has ended: {}", self.client.stderr.all());
        self.client.kill();
        for line in self.client.stdout.all().lines() {
            self.calls.record(line.parse().unwrap());
        }
        self.calls.abandon(self.caller);
    }
}
