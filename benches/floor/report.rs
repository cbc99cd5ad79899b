//! The report of all rounds, as text and as JSON.

use std::fmt;

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};

use crate::measure::Cost;

#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) rounds: Vec<Round>,
}

/// Both measurements of a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) floor: Cost,
    /// Absent with `--floor-only`.
    pub(crate) real: Option<Cost>,
}

impl Round {
    /// Returns the real system's CPU time per call as a multiple of the floor's.
    fn ratio(&self) -> Option<f64> {
        Some(self.real?.cpu_per_100k / self.floor.cpu_per_100k)
    }
}

impl Report {
    /// One object with every round and the medians.
    pub(crate) fn json(&self) -> Value {
        let rounds: Vec<Value> = self.rounds.iter().map(round).collect();
        json!({
            "rounds": rounds,
            "median_floor_cpu_s_per_100k": self.median(|round| Some(round.floor.cpu_per_100k)),
            "median_cpu_s_per_100k": self.median(|round| Some(round.real?.cpu_per_100k)),
            "median_ratio": self.median(Round::ratio),
        })
    }

    /// Returns the median of the values that `of` returns for the rounds; of an even number, the higher middle value. `None` if `of`
    /// returns no value.
    fn median(&self, of: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        let mut values: Vec<f64> = self.rounds.iter().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["round", "floor calls/s", "calls/s", "floor CPU s/100k", "CPU s/100k", "ratio"]);
        for (index, round) in self.rounds.iter().enumerate() {
            table.add_row([
                (index + 1).to_string(),
                text(Some(round.floor.calls_per_second), 0),
                text(round.real.map(|real| real.calls_per_second), 0),
                text(Some(round.floor.cpu_per_100k), 3),
                text(round.real.map(|real| real.cpu_per_100k), 3),
                text(round.ratio(), 2),
            ]);
        }
        table.add_row([
            "median".to_owned(),
            text(self.median(|round| Some(round.floor.calls_per_second)), 0),
            text(self.median(|round| Some(round.real?.calls_per_second)), 0),
            text(self.median(|round| Some(round.floor.cpu_per_100k)), 3),
            text(self.median(|round| Some(round.real?.cpu_per_100k)), 3),
            text(self.median(Round::ratio), 2),
        ]);
        write!(f, "{table}")
    }
}

fn round(round: &Round) -> Value {
    json!({ "floor": cost(&round.floor), "real": round.real.as_ref().map(cost), "ratio": round.ratio() })
}

fn cost(cost: &Cost) -> Value {
    json!({ "calls_per_s": cost.calls_per_second, "cpu_s_per_100k": cost.cpu_per_100k })
}

/// A number for the table, or a dash.
fn text(number: Option<f64>, decimals: usize) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.decimals$}"))
}
