//! What a pool does with what it learns at the broker: which workers have registered, how a trial goes, how many are needed, and
//! who is too old. Decided in `callboard_workers::pool`; here it is asked and told.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use callboard::{
    core::{
        broker::{Load, WorkerLoad},
        time::Time,
    },
    pool::{
        Autoscaler, CallCounts, PoolControl, PoolLoad, PoolStatus, ProcessUsage, RecyclePolicy, ReplicaState,
        RolloutId, canary_failure, resident_bytes,
    },
};

use super::{load_client::Lookout, missing_workers::Absence};

/// How often it looks at its workers while some are to register or are on trial.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often it looks how busy and how old they are, and whether one is stuck.
const REVIEW_EVERY: Duration = Duration::from_secs(1);
/// How long after one that did not come to be it tries to recycle again.
const RECYCLE_PAUSE: Duration = Duration::from_secs(30);

/// Looks after a pool.
pub(crate) struct Steward {
    lookout: Arc<Lookout>,
    control: PoolControl,
    autoscale: Option<Autoscaler>,
    recycle: RecyclePolicy,
    began: Instant,
    reviewed: Instant,
    recycled: Option<Instant>,
    absence: Absence,
    /// What each worker had answered when the trial began.
    trial: Option<(RolloutId, BTreeMap<String, CallCounts>)>,
}

impl Steward {
    pub(crate) fn new(lookout: Arc<Lookout>, control: PoolControl, autoscale: bool, recycle: RecyclePolicy) -> Steward {
        let autoscale = autoscale.then(|| Autoscaler::new(control.status().bounds));
        let began = Instant::now();
        Steward {
            lookout,
            control,
            autoscale,
            recycle,
            began,
            reviewed: began,
            recycled: None,
            absence: Absence::default(),
            trial: None,
        }
    }

    /// Looks after the pool for as long as it is polled.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let status = self.control.status();
            let on_trial = status.rollout.filter(|rollout| rollout.canary).map(|rollout| rollout.id);
            let review = self.wants_review();
            if !awaits_registration(&status) && on_trial.is_none() && !review {
                continue;
            }
            // A broker that does not answer is asked again a moment later. Meanwhile the pool knows nothing of its workers.
            let Some(load) = self.lookout.load().await else {
                self.absence.forget();
                continue;
            };
            for worker in &load.workers {
                self.control.registered(worker.name.as_str()).await;
            }
            match on_trial {
                Some(number) => self.judge(number, &status, &load).await,
                None => self.trial = None,
            }
            if review {
                self.reviewed = Instant::now();
                self.end_stuck(&status, &load).await;
                self.resize(&status, &load).await;
                self.renew(&status, &load).await;
            }
        }
    }

    fn wants_review(&self) -> bool {
        self.reviewed.elapsed() >= REVIEW_EVERY
    }

    /// Ends the processes that are stuck by the broker's word, and those that it has missed for too long.
    async fn end_stuck(&mut self, status: &PoolStatus, load: &Load) {
        for worker in load.workers.iter().filter(|worker| worker.stuck) {
            tracing::warn!(instance = worker.name, "worker process is stuck: it is replaced");
            self.control.terminate_stuck(&*worker.name).await;
        }
        let registered =
            status.replicas.iter().filter(|replica| matches!(replica.state, ReplicaState::Registered { .. }));
        let registered: Vec<_> = registered.map(|replica| replica.instance.as_str()).collect();
        for instance in self.absence.look(Instant::now(), &registered, load) {
            tracing::warn!(instance, "worker process does not come back to the broker: it is replaced");
            self.control.terminate_stuck(instance).await;
        }
    }

    /// Compares the new workers of a reload with the old ones.
    async fn judge(&mut self, number: RolloutId, status: &PoolStatus, load: &Load) {
        let tallies = || load.workers.iter().map(|worker| (worker.name.clone(), tally(worker)));
        if self.trial.as_ref().is_none_or(|(judged, _)| *judged != number) {
            self.trial = Some((number, tallies().collect()));
        }
        let Some((_, before)) = &self.trial else { return };
        let (mut old, mut new) = (CallCounts::default(), CallCounts::default());
        for (name, now) in tallies() {
            let Some(replica) = status.replicas.iter().find(|replica| replica.instance == name) else { continue };
            let side = if replica.generation > status.generation { &mut new } else { &mut old };
            let begin = before.get(&name).copied().unwrap_or_default();
            side.succeeded += now.succeeded.saturating_sub(begin.succeeded);
            side.failed += now.failed.saturating_sub(begin.failed);
        }
        if let Some(why) = canary_failure(old, new) {
            self.control.roll_back(number, why).await;
        }
    }

    /// Lets the load say how many workers there are.
    async fn resize(&mut self, status: &PoolStatus, load: &Load) {
        let Some(autoscale) = &mut self.autoscale else { return };
        // What is being changed is looked at when it is done.
        let serving =
            status.replicas.iter().filter(|replica| matches!(replica.state, ReplicaState::Registered { .. })).count();
        if status.rollout.is_some() || serving != status.size as usize {
            return;
        }
        let now = Time::ZERO + self.began.elapsed();
        let demand = demand(load);
        let Some(size) = autoscale.decide(now, status.size, demand) else { return };
        let running = load.workers.iter().map(|worker| (worker.name.clone(), worker.running)).collect();
        let PoolLoad { calls, slots, oldest_wait } = demand;
        match self.control.scale(size, running).await {
            Ok(()) => tracing::info!(from = status.size, to = size, calls, slots, ?oldest_wait, "another size"),
            Err(why) => tracing::debug!(%why, "not another size now"),
        }
    }

    /// Exchanges a worker that is too old.
    async fn renew(&mut self, status: &PoolStatus, load: &Load) {
        let failed = status.last_rollout.as_ref().is_some_and(|ended| ended.rolled_back.is_some());
        let paused = failed && self.recycled.is_some_and(|at| at.elapsed() < RECYCLE_PAUSE);
        if !self.recycle.is_enabled() || status.rollout.is_some() || paused {
            return;
        }
        let pid = |name: &str| status.replicas.iter().find(|replica| replica.instance == name)?.state.pid();
        let serving = load.workers.iter().filter(|worker| !worker.draining);
        let age = |worker: &WorkerLoad| {
            let calls = worker.answered + worker.failed;
            let rss = self.recycle.rss.and_then(|_| resident_bytes(pid(&worker.name)?));
            ProcessUsage { instance: worker.name.clone(), calls, rss }
        };
        let ages: Vec<_> = serving.map(age).collect();
        let Some((instance, why)) = self.recycle.next(&ages) else { return };
        if self.control.replace(instance).await.is_ok() {
            tracing::info!(instance, "recycled: {why}");
            self.recycled = Some(Instant::now());
        }
    }
}

fn awaits_registration(status: &PoolStatus) -> bool {
    status.replicas.iter().any(|replica| matches!(replica.state, ReplicaState::Running { .. }))
}

fn tally(worker: &WorkerLoad) -> CallCounts {
    CallCounts { succeeded: worker.answered, failed: worker.failed }
}

/// Of what a pool offers, the busiest (calls that wait for one method are not helped by another's free slots), and the longest wait.
fn demand(load: &Load) -> PoolLoad {
    let demands = load.offers.iter().map(|offer| PoolLoad {
        calls: offer.running + offer.waiting,
        slots: offer.slots,
        oldest_wait: Duration::from_millis(offer.oldest_wait_ms),
    });
    let oldest_wait = demands.clone().map(|demand| demand.oldest_wait).max().unwrap_or_default();
    let busiest = demands.max_by_key(|demand| demand.calls.saturating_mul(1_000) / demand.slots.max(1));
    PoolLoad { oldest_wait, ..busiest.unwrap_or_default() }
}
