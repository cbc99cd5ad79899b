//! The pool controller: polls the broker for the load of the pool's workers, and acts on it.
//!
//! It reports registered workers, compares the workers of a canary period, scales the pool, and replaces stuck and old workers.
//! The decisions are in `callboard_workers::pool`; this file collects their inputs and carries them out.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use callboard::{
    core::{
        broker::{Load, WorkerLoad},
        text::HumanDuration,
        time::Time,
    },
    pool::{
        Autoscaler, CallCounts, PoolControl, PoolLoad, PoolStatus, ProcessUsage, RecyclePolicy, ReplicaState,
        RolloutId, canary_failure, resident_bytes,
    },
};

use super::{load_client::LoadClient, missing_workers::MissingWorkerDetector};
use crate::command::logging;

/// The poll interval while workers have to register, or during a canary period.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The interval at which it checks for load, age and stuck workers.
const REVIEW_INTERVAL: Duration = Duration::from_secs(1);
/// The pause after a recycling that was rolled back.
const RECYCLE_PAUSE: Duration = Duration::from_secs(30);

/// The controller of one pool.
pub(crate) struct PoolController {
    load: Arc<LoadClient>,
    control: PoolControl,
    autoscale: Option<Autoscaler>,
    recycle: RecyclePolicy,
    began: Instant,
    reviewed: Instant,
    recycled: Option<Instant>,
    missing: MissingWorkerDetector,
    /// The call counts of each worker at the start of the canary period.
    canary: Option<(RolloutId, BTreeMap<String, CallCounts>)>,
}

impl PoolController {
    pub(crate) fn new(
        load: Arc<LoadClient>,
        control: PoolControl,
        autoscale: bool,
        recycle: RecyclePolicy,
    ) -> PoolController {
        let autoscale = autoscale.then(|| Autoscaler::new(control.status().bounds));
        let began = Instant::now();
        PoolController {
            load,
            control,
            autoscale,
            recycle,
            began,
            reviewed: began,
            recycled: None,
            missing: MissingWorkerDetector::default(),
            canary: None,
        }
    }

    /// Runs the controller. Never returns.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let status = self.control.status();
            let canary = status.rollout.filter(|rollout| rollout.canary).map(|rollout| rollout.id);
            let review = self.is_review_due();
            if !awaits_registration(&status) && canary.is_none() && !review {
                continue;
            }
            // A broker that does not answer is polled again. Until then no worker counts as missing.
            let Some(load) = self.load.load().await else {
                self.missing.reset();
                continue;
            };
            for worker in &load.workers {
                self.control.registered(worker.name.as_str()).await;
            }
            match canary {
                Some(id) => self.compare(id, &status, &load).await,
                None => self.canary = None,
            }
            if review {
                self.reviewed = Instant::now();
                self.replace_stuck(&status, &load).await;
                self.resize(&status, &load).await;
                self.recycle_old(&status, &load).await;
            }
        }
    }

    fn is_review_due(&self) -> bool {
        self.reviewed.elapsed() >= REVIEW_INTERVAL
    }

    /// Terminates the processes that the broker reports as stuck, and those that it has missed for too long.
    async fn replace_stuck(&mut self, status: &PoolStatus, load: &Load) {
        for worker in load.workers.iter().filter(|worker| worker.stuck) {
            tracing::warn!(target: logging::POOL, instance = worker.name, "replacing a stuck worker process");
            self.control.terminate_stuck(&*worker.name).await;
        }
        let registered =
            status.replicas.iter().filter(|replica| matches!(replica.state, ReplicaState::Registered { .. }));
        let registered: Vec<_> = registered.map(|replica| replica.instance.as_str()).collect();
        for instance in self.missing.check(Instant::now(), &registered, load) {
            tracing::warn!(target: logging::POOL, instance, "replacing a worker process that does not reconnect to the broker");
            self.control.terminate_stuck(instance).await;
        }
    }

    /// Compares the failed calls of a reload's new workers with those of the old ones, and rolls back if there are too many.
    async fn compare(&mut self, id: RolloutId, status: &PoolStatus, load: &Load) {
        let counts = || load.workers.iter().map(|worker| (worker.name.clone(), call_counts(worker)));
        if self.canary.as_ref().is_none_or(|(rollout, _)| *rollout != id) {
            self.canary = Some((id, counts().collect()));
        }
        let Some((_, before)) = &self.canary else { return };
        let (mut old, mut new) = (CallCounts::default(), CallCounts::default());
        for (name, now) in counts() {
            let Some(replica) = status.replicas.iter().find(|replica| replica.instance == name) else { continue };
            let side = if replica.generation > status.generation { &mut new } else { &mut old };
            let begin = before.get(&name).copied().unwrap_or_default();
            side.succeeded += now.succeeded.saturating_sub(begin.succeeded);
            side.failed += now.failed.saturating_sub(begin.failed);
        }
        if let Some(why) = canary_failure(old, new) {
            self.control.roll_back(id, why).await;
        }
    }

    /// Scales the pool with its load, if it autoscales.
    async fn resize(&mut self, status: &PoolStatus, load: &Load) {
        let Some(autoscale) = &mut self.autoscale else { return };
        // A change in progress must finish first.
        let serving =
            status.replicas.iter().filter(|replica| matches!(replica.state, ReplicaState::Registered { .. })).count();
        if status.rollout.is_some() || serving != status.size as usize {
            return;
        }
        let now = Time::ZERO + self.began.elapsed();
        let busiest = busiest(load);
        let Some(size) = autoscale.decide(now, status.size, busiest) else { return };
        let running = load.workers.iter().map(|worker| (worker.name.clone(), worker.running)).collect();
        let PoolLoad { calls, slots, oldest_wait } = busiest;
        match self.control.scale(size, running).await {
            Ok(()) => {
                tracing::info!(target: logging::POOL, from = status.size, to = size, calls, slots, oldest_wait = %HumanDuration(oldest_wait), "scaling")
            }
            Err(why) => tracing::debug!(target: logging::POOL, %why, "cannot scale now"),
        }
    }

    /// Replaces a worker that has reached a recycling limit.
    async fn recycle_old(&mut self, status: &PoolStatus, load: &Load) {
        let failed = status.last_rollout.as_ref().is_some_and(|ended| ended.rolled_back.is_some());
        let paused = failed && self.recycled.is_some_and(|at| at.elapsed() < RECYCLE_PAUSE);
        if !self.recycle.is_enabled() || status.rollout.is_some() || paused {
            return;
        }
        let pid = |name: &str| status.replicas.iter().find(|replica| replica.instance == name)?.state.pid();
        let serving = load.workers.iter().filter(|worker| !worker.draining);
        let usage = |worker: &WorkerLoad| {
            let calls = worker.answered + worker.failed;
            let rss = self.recycle.rss.and_then(|_| resident_bytes(pid(&worker.name)?));
            ProcessUsage { instance: worker.name.clone(), calls, rss }
        };
        let usage: Vec<_> = serving.map(usage).collect();
        let Some((instance, why)) = self.recycle.next(&usage) else { return };
        if self.control.replace(instance).await.is_ok() {
            tracing::info!(target: logging::POOL, instance, "recycling: {why}");
            self.recycled = Some(Instant::now());
        }
    }
}

fn awaits_registration(status: &PoolStatus) -> bool {
    status.replicas.iter().any(|replica| matches!(replica.state, ReplicaState::Running { .. }))
}

fn call_counts(worker: &WorkerLoad) -> CallCounts {
    CallCounts { succeeded: worker.answered, failed: worker.failed }
}

/// Returns the load of the busiest method and the longest wait of all. Free slots of one method do not help calls that wait for
/// another.
fn busiest(load: &Load) -> PoolLoad {
    let loads = load.offers.iter().map(|offer| PoolLoad {
        calls: offer.running + offer.waiting,
        slots: offer.slots,
        oldest_wait: Duration::from_millis(offer.oldest_wait_ms),
    });
    let oldest_wait = loads.clone().map(|load| load.oldest_wait).max().unwrap_or_default();
    let busiest = loads.max_by_key(|load| load.calls.saturating_mul(1_000) / load.slots.max(1));
    PoolLoad { oldest_wait, ..busiest.unwrap_or_default() }
}
