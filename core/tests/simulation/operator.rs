//! An operator that pauses, limits, drains, cancels and purges while calls run; and the check that nothing paused gets a call.

use std::{collections::BTreeSet, time::Duration};

use callboard_core::{
    broker::{Broker, LimitStatus, Operation, OperatorLimit},
    time::Time,
    wire::{envelope::Dispatch, ids::CallId},
};

use super::{catalogue::SERVICES, context::Context, rng::Rng};

/// The percentage of the broker's runs before which the operator changes something.
const PERCENT: u64 = 3;
/// How long a worker that was asked to drain lets its calls run.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(1);

/// What the operator has paused at one incarnation of the broker.
#[derive(Debug, Default)]
pub(crate) struct Operator {
    targets: BTreeSet<String>,
    workers: BTreeSet<String>,
    /// Whether everything was resumed after the faults.
    has_healed: bool,
}

impl Operator {
    /// Returns what the operator requests now.
    pub(crate) fn next(&mut self, now: Time, broker: &Broker, context: &mut Context) -> Vec<Operation> {
        if !context.config.operated {
            return Vec::new();
        }
        if context.healing {
            return if std::mem::replace(&mut self.has_healed, true) { Vec::new() } else { all_removed(broker) };
        }
        if !context.rng.percent(PERCENT) {
            return Vec::new();
        }
        draw(now, broker, &mut context.rng).into_iter().collect()
    }

    /// Records an operation that the broker has performed.
    pub(crate) fn performed(&mut self, operation: Operation) {
        match operation {
            Operation::Pause { target } => drop(self.targets.insert(target)),
            Operation::Resume { target } => drop(self.targets.remove(&target)),
            Operation::PauseWorker { worker } => drop(self.workers.insert(worker)),
            Operation::ResumeWorker { worker } => drop(self.workers.remove(&worker)),
            Operation::Limit { .. }
            | Operation::DrainWorker { .. }
            | Operation::Cancel { .. }
            | Operation::Purge { .. } => {}
        }
    }

    /// Checks that a call that is sent to a worker is not paused.
    pub(crate) fn check_dispatch(&self, worker: &str, dispatch: &Dispatch) {
        let (service, method) = (dispatch.method.service(), dispatch.method.as_str());
        for target in [service, method] {
            assert!(!self.targets.contains(target), "{method} is dispatched, and {target} is paused");
        }
        assert!(!self.workers.contains(worker), "{method} is dispatched to {worker}, which is paused");
    }
}

/// Returns the operations that remove all pauses and limits: of each target what it has, because a target without both may be forgotten.
fn all_removed(broker: &Broker) -> Vec<Operation> {
    let status = broker.operator_limits();
    let of_target = |LimitStatus { target, limit }: LimitStatus| {
        let is_limited = limit.concurrency.is_some() || limit.rate.is_some();
        let no_limit = Operation::Limit { target: target.clone(), limit: OperatorLimit::default() };
        let resume = Operation::Resume { target };
        [Some(no_limit).filter(|_| is_limited), Some(resume).filter(|_| limit.paused)].into_iter().flatten()
    };
    let resume_worker = |worker| Operation::ResumeWorker { worker };
    status.limits.into_iter().flat_map(of_target).chain(status.paused_workers.into_iter().map(resume_worker)).collect()
}

/// Draws an operation. `None` if there is nothing that it could change.
fn draw(now: Time, broker: &Broker, rng: &mut Rng) -> Option<Operation> {
    let service = rng.pick(&SERVICES).to_owned();
    let method = if rng.percent(50) { ".fetch" } else { ".look" };
    let target = if rng.percent(50) { service } else { service + method };
    Some(match rng.below(10) {
        0 | 1 => Operation::Pause { target },
        2 | 3 => Operation::Resume { target },
        4 | 5 => Operation::Limit { target, limit: limit(rng) },
        6 => {
            let calls = broker.open_calls(now);
            let call = calls.get(rng.index(calls.len().max(1)))?;
            Operation::Cancel { call: call.call.parse::<CallId>().expect("the broker writes ids that can be read") }
        }
        7 => Operation::Purge { target },
        kind => {
            let workers = broker.status(now).workers;
            let worker = workers.get(rng.index(workers.len().max(1)))?.name.clone();
            match (kind, rng.percent(50)) {
                (8, _) => Operation::DrainWorker { worker },
                (_, true) => Operation::PauseWorker { worker },
                (_, false) => Operation::ResumeWorker { worker },
            }
        }
    })
}

fn limit(rng: &mut Rng) -> OperatorLimit {
    let concurrency = rng.pick(&[None, Some(1), Some(2)]);
    let rate = rng.pick(&[None, Some(0.5), Some(20.0), Some(1_000.0)]);
    OperatorLimit { paused: false, concurrency, rate, burst: rate.and_then(|_| rng.pick(&[None, Some(1), Some(3)])) }
}
