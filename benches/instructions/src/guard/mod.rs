//! The guard: measures all paths, and compares them with the baseline.

mod baseline;
mod cost;
mod environment;
mod valgrind;

use std::collections::BTreeMap;

use callboard_instructions::PATHS;

use self::{baseline::Baseline, cost::Cost, environment::Environment};

/// The runs of a path before the counted ones: they fill tables and buffers.
pub(crate) const WARM_UP_RUNS: usize = 200;
/// The runs of a path that are counted.
pub(crate) const COUNTED_RUNS: usize = 100;

/// The result of a comparison.
pub(crate) enum Verdict {
    /// No path costs too much.
    Passed,
    /// Nothing was compared, for this reason.
    Skipped(String),
    /// Some paths cost too much.
    Failed(String),
}

/// Performs the counted runs. Callgrind finds this function by its name, and counts only the instructions that run in it.
#[inline(never)]
pub(crate) fn run_measured(run: &mut dyn FnMut(), runs: usize) {
    (0..runs).for_each(|_| run());
}

/// Measures all paths, prints a table, and fails if one of them costs more than the baseline allows.
pub(crate) fn compare() -> Result<Verdict, String> {
    let Some(environment) = Environment::detect() else {
        return Ok(Verdict::Skipped("valgrind is not installed: apt-get install valgrind".to_owned()));
    };
    let baseline = Baseline::read()?;
    if let Some(difference) = baseline.environment.difference(&environment) {
        return Ok(Verdict::Skipped(format!("{difference}: counts differ for that reason alone")));
    }
    let costs = measure_all()?;
    print_table(&costs, &baseline.costs);
    let failed: Vec<_> = costs.iter().filter(|(name, cost)| exceeds(cost, baseline.costs.get(**name))).collect();
    if failed.is_empty() {
        return Ok(Verdict::Passed);
    }
    let names: Vec<_> = failed.into_iter().map(|(name, _)| *name).collect();
    Ok(Verdict::Failed(format!(
        "these paths cost over 5 % more than in baseline.txt: {}; reduce the cost, or run it with --update and state the reason in the commit",
        names.join(", ")
    )))
}

/// Measures all paths, prints a table, and writes the baseline.
pub(crate) fn update() -> Result<Verdict, String> {
    let environment = Environment::detect().ok_or("valgrind is not installed: apt-get install valgrind")?;
    let before = Baseline::read().map(|baseline| baseline.costs).unwrap_or_default();
    let costs = measure_all()?;
    print_table(&costs, &before);
    let costs = costs.into_iter().map(|(name, cost)| (name.to_owned(), cost)).collect();
    Baseline { environment, costs }.write()?;
    Ok(Verdict::Passed)
}

fn measure_all() -> Result<BTreeMap<&'static str, Cost>, String> {
    let measure = |path: &callboard_instructions::Path| {
        let cost = valgrind::measure(path.name)?;
        Ok((path.name, cost.per_call(COUNTED_RUNS * path.calls as usize)))
    };
    PATHS.iter().map(measure).collect()
}

fn exceeds(cost: &Cost, before: Option<&Cost>) -> bool {
    before.is_none_or(|before| cost.exceeds(before))
}

fn print_table(costs: &BTreeMap<&'static str, Cost>, baseline: &BTreeMap<String, Cost>) {
    println!("{:<24}{:>14}{:>10}{:>14}", "path, per call", "instructions", "change", "allocations");
    for path in &PATHS {
        let cost = &costs[path.name];
        let change = baseline.get(path.name).map_or_else(|| "new".to_owned(), |before| cost.change(before));
        println!("{:<24}{:>14.0}{change:>10}{:>14.2}", path.name, cost.instructions, cost.allocations);
    }
}
