//! The comparison with an earlier measurement.

use std::{fs, path::Path};

use anyhow::{Context as _, anyhow};
use serde_json::{Map, Value, json};

use super::{Better, FIGURES, Figure, Report};
use crate::command::output::{exit::Exit, table};

/// The JSON report of an earlier measurement.
pub(crate) struct Baseline(Map<String, Value>);

impl Baseline {
    /// Reads the output of an earlier `callboard bench --json`; its last line counts.
    ///
    /// # Errors
    /// If the file cannot be read, or is not such an output. The exit code is 2.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Baseline> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read the baseline {shown}"));
        let text = text.map_err(|error| Exit::Usage.because(error))?;
        let object = serde_json::from_str(text.trim().lines().last().unwrap_or_default());
        object.ok().and_then(Baseline::of).ok_or_else(|| {
            let why = anyhow!("{shown} has no measurement: write one with callboard bench --json > {shown}");
            Exit::Usage.because(why)
        })
    }

    fn of(object: Map<String, Value>) -> Option<Baseline> {
        let is_report =
            ["calls_per_s", "cpu_s_per_100k"].iter().all(|key| object.get(*key).is_some_and(Value::is_number));
        is_report.then_some(Baseline(object))
    }

    /// Returns the changes as a table, with the parameters that differ.
    pub(crate) fn table(&self, report: &Report) -> String {
        let rows = self.changes(report).into_iter().map(|(figure, before, now)| {
            let change = format!("{:+.1} %{}", percent(before, now), verdict(figure, before, now));
            [figure.key.to_owned(), figure.text(before), figure.text(now), change]
        });
        let table = table::render(["FIGURE", "BASELINE", "NOW", "CHANGE"], rows);
        match self.different_parameters(report).join(", ") {
            names if names.is_empty() => table,
            names => format!("{table}\n\nParameters that differ from the baseline: {names}"),
        }
    }

    /// Returns the changes in percent, and the parameters that differ.
    pub(crate) fn json(&self, report: &Report) -> Value {
        let changes = self.changes(report).into_iter();
        let changes: Map<_, _> =
            changes.map(|(figure, before, now)| (figure.key.to_owned(), json!(percent(before, now)))).collect();
        json!({ "changes_percent": changes, "different_parameters": self.different_parameters(report) })
    }

    /// Returns the latencies for a plot: the share of calls that took longer, and microseconds.
    pub(super) fn curve(&self) -> Vec<(f64, u64)> {
        let points = self.0.get("latency_curve").and_then(Value::as_array).into_iter().flatten();
        points.filter_map(|point| Some((point.get(0)?.as_f64()?, point.get(1)?.as_u64()?))).collect()
    }

    /// Returns the figures with a better direction, with both values.
    fn changes(&self, report: &Report) -> Vec<(&'static Figure, f64, f64)> {
        let compared = FIGURES.iter().filter(|figure| figure.better.is_some());
        let both =
            compared.filter_map(|figure| Some((figure, self.0.get(figure.key)?.as_f64()?, report.median(figure.of))));
        both.collect()
    }

    fn different_parameters(&self, report: &Report) -> Vec<String> {
        let now = serde_json::to_value(&report.parameters).unwrap_or_default();
        let (Value::Object(now), before) = (now, self.0.get("parameters")) else { return Vec::new() };
        // The number of measurements changes no result.
        let compared = now.into_iter().filter(|(key, _)| key != "repeat");
        compared
            .filter(|(key, value)| before.and_then(|before| before.get(key)) != Some(value))
            .map(|(key, _)| key)
            .collect()
    }
}

fn percent(before: f64, now: f64) -> f64 {
    if before == 0.0 { 0.0 } else { ((now / before - 1.0) * 1_000.0).round() / 10.0 }
}

/// Returns what a change means. Less than 5 % is noise on most machines.
fn verdict(figure: &Figure, before: f64, now: f64) -> &'static str {
    let change = percent(before, now);
    match figure.better {
        Some(Better::Higher) if change >= 5.0 => " better",
        Some(Better::Higher) if change <= -5.0 => " worse",
        Some(Better::Lower) if change <= -5.0 => " better",
        Some(Better::Lower) if change >= 5.0 => " worse",
        _ => "",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{
        super::{json, tests::report},
        *,
    };

    fn baseline(calls: u64, micros: u64) -> Baseline {
        let Value::Object(object) = json::of(&report(&[(calls, micros)]), None).unwrap() else { panic!("no object") };
        Baseline::of(object).unwrap()
    }

    #[test]
    fn a_change_has_a_percentage_and_a_verdict() {
        let table = baseline(100, 10).table(&report(&[(150, 12)]));
        let row = |key: &str| table.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
        assert!(row("calls_per_s").ends_with("+50.0 % better"), "{table}");
        assert!(row("p50_us").ends_with("+20.0 % worse"), "{table}");
        assert!(!table.contains("Parameters that differ"), "{table}");
    }

    #[test]
    fn parameters_that_differ_are_named() {
        let mut now = report(&[(100, 10)]);
        (now.parameters.window, now.parameters.repeat) = (512, 3);
        let baseline = baseline(100, 10);
        assert!(baseline.table(&now).ends_with("differ from the baseline: window"));
        assert_eq!(baseline.json(&now)["different_parameters"], json!(["window"]));
    }

    #[test]
    fn a_file_without_a_measurement_is_rejected() {
        for object in [json!({}), json!({"calls_per_s": "many", "cpu_s_per_100k": 1})] {
            let Value::Object(object) = object else { panic!("no object") };
            assert!(Baseline::of(object).is_none());
        }
    }
}
