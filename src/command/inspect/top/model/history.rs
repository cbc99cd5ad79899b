//! Rates of the last two minutes, from successive snapshots.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use super::snapshot::Snapshot;

/// The samples of one rate that are kept.
const SAMPLES_MAX: usize = 120;

/// A rate that is recorded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Series {
    /// Calls that all workers answered.
    Broker,
    /// Calls of a service that ended.
    Service(String),
    /// Calls that a worker answered.
    Worker(String),
}

/// The recorded rates, in calls per second. The broker reports the rates of services. Those of workers are the differences of
/// counters, and that of the broker is their sum: its own counters include the calls with which it is queried.
#[derive(Debug, Default)]
pub(crate) struct History {
    samples: BTreeMap<Series, VecDeque<f64>>,
    /// The calls that each worker had answered at the last snapshot.
    answered: BTreeMap<String, u64>,
    /// The time of the last snapshot, and the start of the broker that it is from.
    last: Option<(Instant, String)>,
}

impl History {
    /// Adds a sample to each rate, and drops the rates of services and workers that are gone.
    pub(crate) fn record(&mut self, snapshot: &Snapshot) {
        let answered: BTreeMap<_, _> =
            snapshot.workers().map(|worker| (worker.name.clone(), worker.answered + worker.failed)).collect();
        let services = snapshot.status.broker.services.iter();
        let mut new: Vec<_> = services
            .map(|service| (Series::Service(service.name.clone()), service.rates.answered + service.rates.failed))
            .collect();
        let start = &snapshot.status.broker.start;
        if let Some((at, last_start)) = &self.last {
            let seconds = snapshot.taken.saturating_duration_since(*at).as_secs_f64();
            // The counters of another start do not continue the old ones.
            if last_start == start && seconds > 0.0 {
                let workers = self.worker_rates(&answered, seconds);
                new.push((Series::Broker, workers.iter().map(|(_, rate)| rate).sum()));
                new.extend(workers);
            }
        }
        let is_kept = |series: &Series| match series {
            Series::Broker => true,
            Series::Worker(name) => answered.contains_key(name),
            Series::Service(_) => new.iter().any(|(other, _)| other == series),
        };
        self.samples.retain(|series, _| is_kept(series));
        new.into_iter().for_each(|(series, rate)| self.add(series, rate));
        self.answered = answered;
        self.last = Some((snapshot.taken, start.clone()));
    }

    /// Returns the rate of each worker that was there at the last snapshot.
    fn worker_rates(&self, answered: &BTreeMap<String, u64>, seconds: f64) -> Vec<(Series, f64)> {
        let rate = |(name, count): (&String, &u64)| {
            let counted = count.checked_sub(*self.answered.get(name)?)?;
            Some((Series::Worker(name.clone()), per_second(counted, seconds)))
        };
        answered.iter().filter_map(rate).collect()
    }

    fn add(&mut self, series: Series, rate: f64) {
        let samples = self.samples.entry(series).or_default();
        samples.push_back(rate);
        samples.drain(..samples.len().saturating_sub(SAMPLES_MAX));
    }

    /// Returns the newest rate.
    pub(crate) fn rate(&self, series: &Series) -> Option<f64> {
        self.samples.get(series)?.back().copied()
    }

    /// Returns the rates, the oldest first.
    pub(crate) fn samples(&self, series: &Series) -> Vec<f64> {
        self.samples.get(series).into_iter().flatten().copied().collect()
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}
