//! The results of a measurement: medians of its rounds.

pub(super) mod baseline;
pub(super) mod csv;
pub(super) mod json;
pub(super) mod plot;
mod svg;
pub(super) mod text;

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{parameters::Parameters, round::Round};
use crate::command::process::usage::Usage;

/// Processors that other programs may keep busy without a warning.
const OTHERS_MAX: f64 = 0.1;

/// All rounds of a measurement.
pub(crate) struct Report {
    pub(crate) parameters: Parameters,
    pub(crate) processors: usize,
    /// At least one.
    pub(crate) rounds: Vec<Round>,
}

/// A figure of each round, with its key in JSON and CSV.
pub(crate) struct Figure {
    pub(crate) key: &'static str,
    pub(crate) of: fn(&Round) -> f64,
    /// The number of decimals.
    pub(crate) decimals: usize,
    /// Which change is an improvement; `None`: neither.
    pub(crate) better: Option<Better>,
}

/// The direction of an improvement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// The figures in the order in which they are printed.
pub(crate) const FIGURES: [Figure; 13] = [
    figure("calls_per_s", |round| round.calls as f64 / round.elapsed_s, 0, Some(Better::Higher)),
    figure("operations_per_s", |round| round.operations as f64 / round.elapsed_s, 0, Some(Better::Higher)),
    figure("p50_us", |round| quantile(round, 0.5), 0, Some(Better::Lower)),
    figure("p90_us", |round| quantile(round, 0.9), 0, Some(Better::Lower)),
    figure("p99_us", |round| quantile(round, 0.99), 0, Some(Better::Lower)),
    figure("p99_9_us", |round| quantile(round, 0.999), 0, Some(Better::Lower)),
    figure("max_us", |round| round.latencies.max() as f64, 0, Some(Better::Lower)),
    figure("cpu_s_per_100k", Round::cpu_s_per_100k, 4, Some(Better::Lower)),
    figure("rss_mib", |round| round.processes.iter().map(|(_, usage)| usage.rss_mib).sum(), 1, Some(Better::Lower)),
    figure("others_processors", |round| round.others, 2, None),
    figure("elapsed_s", |round| round.elapsed_s, 3, None),
    figure("calls", |round| round.calls as f64, 0, None),
    figure("operations", |round| round.operations as f64, 0, None),
];

const fn figure(key: &'static str, of: fn(&Round) -> f64, decimals: usize, better: Option<Better>) -> Figure {
    Figure { key, of, decimals, better }
}

fn quantile(round: &Round, quantile: f64) -> f64 {
    round.latencies.value_at_quantile(quantile) as f64
}

impl Figure {
    /// Returns the figure of a round with its decimals.
    pub(crate) fn text(&self, value: f64) -> String {
        format!("{value:.0$}", self.decimals)
    }
}

impl Report {
    /// Returns the median of a figure over all rounds.
    pub(crate) fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(of).collect())
    }

    /// Returns the median of the figure with this key; 0 if there is none.
    pub(crate) fn figure(&self, key: &str) -> f64 {
        FIGURES.iter().find(|figure| figure.key == key).map_or(0.0, |figure| self.median(figure.of))
    }

    /// Returns the errors of all rounds together.
    pub(crate) fn errors(&self) -> u64 {
        self.rounds.iter().map(|round| round.errors).sum()
    }

    /// Returns the latencies of all rounds together.
    pub(crate) fn latencies(&self) -> Histogram<u64> {
        self.rounds.iter().skip(1).fold(self.rounds[0].latencies.clone(), |mut all, round| {
            all += &round.latencies;
            all
        })
    }

    /// Returns the median of a figure for each process, in the order of the first round.
    pub(crate) fn by_process(&self, of: impl Fn(&Round, &Usage) -> f64) -> Vec<(String, f64)> {
        let mut values = BTreeMap::<&str, Vec<f64>>::new();
        for round in &self.rounds {
            for (name, usage) in &round.processes {
                values.entry(name).or_default().push(of(round, usage));
            }
        }
        let names = self.rounds[0].processes.iter().map(|(name, _)| name);
        names.map(|name| (name.clone(), median(values.remove(name.as_str()).unwrap_or_default()))).collect()
    }

    /// Returns what makes the results doubtful.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let others = self.rounds.iter().map(|round| round.others).fold(0.0, f64::max);
        let busy = (others > OTHERS_MAX).then(|| {
            let hint = "repeat on a quiet machine, or compare ratios of one run";
            format!("other programs used up to {others:.1} of {} processors: {hint}", self.processors)
        });
        let failed = self.rounds.iter().find_map(|round| round.first_error.as_ref());
        let failed = failed.map(|error| format!("{} errors; the first: {error}", self.errors()));
        busy.into_iter().chain(failed).collect()
    }
}

/// Returns the median; of an even number of values, the mean of both middle values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len() / 2, values.len() % 2) {
        (_, _) if values.is_empty() => 0.0,
        (middle, 0) => f64::midpoint(values[middle - 1], values[middle]),
        (middle, _) => values[middle],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::{
        super::parameters::{Style, Transport, Work},
        *,
    };

    /// Returns a report of rounds with these rates and one latency each.
    pub(in super::super) fn report(rounds: &[(u64, u64)]) -> Report {
        Report { parameters: parameters(), processors: 2, rounds: rounds.iter().map(round).collect() }
    }

    fn round(&(calls, micros): &(u64, u64)) -> Round {
        let mut latencies = Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        latencies.record_n(micros, calls).unwrap();
        let usage = |cpu_s| Usage { cpu_s, rss_mib: 8.0 };
        let processes = vec![("broker".to_owned(), usage(0.5)), ("client0".to_owned(), usage(1.5))];
        Round {
            calls,
            operations: calls,
            errors: 0,
            first_error: None,
            elapsed_s: 1.0,
            latencies,
            processes,
            others: 0.0,
        }
    }

    fn parameters() -> Parameters {
        Parameters {
            clients: 1,
            workers: 1,
            pools: 0,
            threads: false,
            window: 64,
            size: 64,
            style: Style::Await,
            items: 1_000,
            keys: 0,
            work: Work::None,
            slots: 8_192,
            rate: None,
            fill: None,
            transport: Transport::Tcp,
            curve: false,
            inline: false,
            running_broker: false,
            method: None,
            args: Vec::new(),
            seconds: 1,
            warm_up_ms: 200,
            repeat: 1,
        }
    }

    #[test]
    fn results_are_medians_of_the_rounds() {
        let report = report(&[(100, 10), (300, 30), (200, 90)]);
        assert_eq!((report.figure("calls_per_s"), report.figure("p50_us")), (200.0, 30.0));
        assert_eq!(report.latencies().len(), 600);
        assert_eq!(report.by_process(|_, usage| usage.cpu_s)[1], ("client0".to_owned(), 1.5));
        assert_eq!((median(vec![1.0, 4.0]), median(Vec::new())), (2.5, 0.0));
    }

    #[test]
    fn a_busy_machine_and_errors_are_warnings() {
        let mut report = report(&[(100, 10)]);
        assert!(report.warnings().is_empty());
        report.rounds[0].others = 0.8;
        report.rounds[0].errors = 3;
        report.rounds[0].first_error = Some("UNAVAILABLE".to_owned());
        let warnings = report.warnings();
        assert!(warnings[0].contains("0.8 of 2 processors"), "{warnings:?}");
        assert_eq!(warnings[1], "3 errors; the first: UNAVAILABLE");
    }
}
