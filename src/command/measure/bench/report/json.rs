//! The report as JSON: parameters, medians, and the figures of each round.

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::{FIGURES, Report, baseline::Baseline};

/// Returns the report. Its keys are as stable as the command's flags.
///
/// # Errors
/// None in practice: the parameters have text keys only.
pub(crate) fn of(report: &Report, baseline: Option<&Baseline>) -> anyhow::Result<Value> {
    let mut object = figures(|of| report.median(of));
    object.extend([
        ("errors".to_owned(), json!(report.errors())),
        ("operation".to_owned(), json!(report.parameters.style.operations())),
        (
            "cpu_s_per_100k_by_process".to_owned(),
            by_process(report.by_process(|round, usage| round.per_100k(usage.cpu_s))),
        ),
        ("rss_mib_by_process".to_owned(), by_process(report.by_process(|_, usage| usage.rss_mib))),
        (
            "latency_curve".to_owned(),
            curve(&report.latencies()).into_iter().map(|(share, micros)| json!([share, micros])).collect(),
        ),
        ("rounds".to_owned(), report.rounds.iter().map(|round| figures(|of| of(round))).collect()),
        ("parameters".to_owned(), serde_json::to_value(&report.parameters)?),
        ("processors".to_owned(), json!(report.processors)),
        ("version".to_owned(), json!(env!("CARGO_PKG_VERSION"))),
    ]);
    if let Some(baseline) = baseline {
        object.insert("baseline".to_owned(), baseline.json(report));
    }
    Ok(Value::Object(object))
}

/// Returns points of the latency distribution: the share of calls that took longer, and microseconds. Each step halves the share.
pub(super) fn curve(latencies: &Histogram<u64>) -> Vec<(f64, u64)> {
    let shares = (0..).map(|step: i32| 0.5_f64.powf(f64::from(step) / 2.0));
    let enough = |share: &f64| share * latencies.len() as f64 >= 1.0;
    shares.take_while(enough).map(|share| (rounded(share, 8), latencies.value_at_quantile(1.0 - share))).collect()
}

fn figures(value: impl Fn(fn(&super::Round) -> f64) -> f64) -> Map<String, Value> {
    FIGURES.iter().map(|figure| (figure.key.to_owned(), number(value(figure.of), figure.decimals))).collect()
}

fn by_process(values: Vec<(String, f64)>) -> Value {
    values.into_iter().map(|(name, value)| (name, number(value, 4))).collect()
}

/// Returns a number with at most `decimals` decimals: more digits would be noise. Without decimals it is an integer.
fn number(value: f64, decimals: usize) -> Value {
    if decimals == 0 { json!(value.round() as u64) } else { json!(rounded(value, decimals)) }
}

fn rounded(value: f64, decimals: usize) -> f64 {
    let factor = 10_f64.powi(i32::try_from(decimals).unwrap_or(i32::MAX));
    (value * factor).round() / factor
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{super::tests::report, *};

    #[test]
    fn the_json_has_medians_rounds_parameters_and_the_version() {
        let json = of(&report(&[(100, 10), (300, 30), (200, 90)]), None).unwrap();
        assert_eq!((&json["calls_per_s"], &json["p50_us"], &json["errors"]), (&json!(200), &json!(30), &json!(0)));
        assert_eq!(json["cpu_s_per_100k_by_process"]["client0"], json!(750.0));
        assert_eq!(json["rounds"][2]["p50_us"], 90);
        assert_eq!((&json["parameters"]["style"], &json["parameters"]["work"]), (&json!("await"), &json!("none")));
        assert!(json["version"].is_string());
    }

    #[test]
    fn a_curve_ends_where_a_single_call_is_left() {
        let mut latencies = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        (1..=1024).for_each(|micros| latencies.record(micros).unwrap());
        let curve = curve(&latencies);
        assert_eq!((curve.len(), curve[0].1, curve[2].1), (21, 1, 512));
        assert!(curve[20].1 >= 1022);
    }
}
