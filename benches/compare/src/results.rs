//! All measurements: their medians, and the best variant of each peer.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    measure::Figures,
    point::{POINTS, Point},
    rivals::Rival,
};

/// The measurements of all points and peers, and what could not run.
#[derive(Default)]
pub(crate) struct Results {
    /// By the position of the point and by the peer.
    rounds: BTreeMap<(usize, Rival), Vec<Figures>>,
    missing: BTreeMap<String, String>,
}

/// The medians of one peer at one point.
pub(crate) struct Row {
    pub(crate) rival: Rival,
    pub(crate) median: Figures,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Results {
    pub(crate) fn add(&mut self, point: usize, rival: Rival, measured: anyhow::Result<Figures>) {
        match measured {
            Ok(figures) => self.rounds.entry((point, rival)).or_default().push(figures),
            Err(error) => self.miss(format!("{} ({})", rival.word(), POINTS[point].title()), format!("{error:#}")),
        }
    }

    /// Notes what could not run, and why.
    pub(crate) fn miss(&mut self, name: String, why: String) {
        self.missing.entry(name).or_insert(why);
    }

    pub(crate) fn missing(&self) -> &BTreeMap<String, String> {
        &self.missing
    }

    /// Returns the points that were measured.
    pub(crate) fn points(&self) -> impl Iterator<Item = (usize, &'static Point)> {
        POINTS.iter().enumerate().filter(|(at, _)| self.rounds.keys().any(|(point, _)| point == at))
    }

    /// Returns the best variant of each peer at a point, the fastest first.
    pub(crate) fn best(&self, point: usize) -> Vec<Row> {
        let mut best = BTreeMap::<&str, Row>::new();
        for ((at, rival), rounds) in &self.rounds {
            let row = Row::of(*rival, rounds);
            let known = best.get(rival.name()).map_or(0.0, |row| row.median.per_s);
            if *at == point && row.median.per_s > known {
                best.insert(rival.name(), row);
            }
        }
        let mut rows: Vec<_> = best.into_values().collect();
        rows.sort_by(|a, b| b.median.per_s.total_cmp(&a.median.per_s));
        rows
    }

    /// Returns every measurement.
    pub(crate) fn json(&self) -> Value {
        let rounds = self
            .rounds
            .iter()
            .map(|((point, rival), rounds)| json!({ "peer": rival.word(), "point": POINTS[*point], "rounds": rounds }));
        json!({ "version": env!("CARGO_PKG_VERSION"), "measurements": rounds.collect::<Vec<_>>(), "missing": self.missing })
    }
}

impl Row {
    fn of(rival: Rival, rounds: &[Figures]) -> Row {
        let all = |figure: fn(&Figures) -> f64| median(rounds.iter().map(figure).collect());
        let rates = rounds.iter().map(|round| round.per_s);
        Row {
            rival,
            median: Figures {
                per_s: all(|round| round.per_s),
                p50_us: all(|round| round.p50_us),
                p99_us: all(|round| round.p99_us),
                cpu_s_per_100k: all(|round| round.cpu_s_per_100k),
                rss_mib: all(|round| round.rss_mib),
                errors: rounds.iter().map(|round| round.errors).sum(),
            },
            lowest: rates.clone().fold(f64::INFINITY, f64::min),
            highest: rates.fold(0.0, f64::max),
        }
    }
}

/// Returns the median of at least one value; of an even number of values, the mean of both middle values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns results of the first point.
    pub(crate) fn results(rounds: &[(Rival, f64)]) -> Results {
        let mut results = Results::default();
        for (rival, per_s) in rounds {
            let figures =
                Figures { per_s: *per_s, p50_us: 10.0, p99_us: 20.0, cpu_s_per_100k: 0.5, rss_mib: 30.0, errors: 0.0 };
            results.add(0, *rival, Ok(figures));
        }
        results
    }

    #[test]
    fn a_row_is_the_best_variant_of_a_peer_with_its_median() {
        let tarpc = [(Rival::Tarpc, 100.0), (Rival::Tarpc, 300.0), (Rival::Tarpc, 200.0), (Rival::TarpcNagle, 250.0)];
        let rows = results(&[&tarpc[..], &[(Rival::Callboard, 240.0)]].concat()).best(0);
        let rows: Vec<_> = rows.iter().map(|row| (row.rival, row.median.per_s)).collect();
        assert_eq!(rows, [(Rival::TarpcNagle, 250.0), (Rival::Callboard, 240.0)]);
        assert_eq!(median(vec![1.0, 4.0]), 2.5);
    }
}
