//! The report as tables.

use super::{Report, baseline::Baseline};
use crate::command::output::table;

/// Processes of one role that have a row each. If there are more, their row is their sum.
const ROWS_MAX: usize = 8;

/// Returns the report: a line with the most important figures, then tables.
pub(crate) fn of(report: &Report, baseline: Option<&Baseline>) -> String {
    let parts = [Some(summary(report)), Some(latencies(report)), Some(processes(report)), rounds(report)];
    let compared = baseline.map(|baseline| baseline.table(report));
    parts.into_iter().chain([compared]).flatten().collect::<Vec<_>>().join("\n\n")
}

fn summary(report: &Report) -> String {
    let figure = |key| report.figure(key);
    let calls = format!("{:.0} calls/s", figure("calls_per_s"));
    let unit = report.parameters.style.operations();
    let items = format!(", {:.0} items/s", figure("operations_per_s"));
    let items = if unit == "items" { items } else { String::new() };
    let (p50, p99, errors) = (figure("p50_us"), figure("p99_us"), report.errors());
    format!("{calls}{items}, p50 {p50:.0} us, p99 {p99:.0} us, {errors} errors")
}

fn latencies(report: &Report) -> String {
    let keys = ["p50_us", "p90_us", "p99_us", "p99_9_us", "max_us"];
    let row = keys.map(|key| format!("{:.0} us", report.figure(key)));
    table::render(["p50", "p90", "p99", "p99.9", "max"], [row])
}

/// The figures of one process, or of all processes of a role.
#[derive(Debug, PartialEq)]
struct Row {
    name: String,
    cpu: f64,
    memory: f64,
}

fn processes(report: &Report) -> String {
    let unit = format!("CPU s/100k {}", report.parameters.style.operations());
    let cpu = report.by_process(|round, usage| round.per_100k(usage.cpu_s));
    let memory = report.by_process(|_, usage| usage.rss_mib);
    let rows = cpu.into_iter().zip(memory).map(|((name, cpu), (_, memory))| Row { name, cpu, memory }).collect();
    let all = Row { name: "all".to_owned(), cpu: report.figure("cpu_s_per_100k"), memory: report.figure("rss_mib") };
    let rows = grouped(rows).into_iter().chain([all]);
    let cells = rows.map(|row| [row.name, format!("{:.3}", row.cpu), format!("{:.1}", row.memory)]);
    table::render(["PROCESS", unit.as_str(), "MEMORY MiB"], cells)
}

/// Adds up the processes of a role if there are many of them.
fn grouped(processes: Vec<Row>) -> Vec<Row> {
    let mut roles: Vec<(String, Vec<Row>)> = Vec::new();
    for process in processes {
        let role = role(&process.name);
        match roles.iter_mut().find(|(known, _)| *known == role) {
            Some((_, members)) => members.push(process),
            None => roles.push((role, vec![process])),
        }
    }
    roles
        .into_iter()
        .flat_map(|(role, members)| if members.len() > ROWS_MAX { vec![sum(&role, &members)] } else { members })
        .collect()
}

fn sum(role: &str, members: &[Row]) -> Row {
    let of = |figure: fn(&Row) -> f64| members.iter().map(figure).sum();
    Row { name: format!("{} {role}s", members.len()), cpu: of(|row| row.cpu), memory: of(|row| row.memory) }
}

/// Returns the name of a process without its number: that of `pool0.worker3` is `worker`.
fn role(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.trim_end_matches(|letter: char| letter.is_ascii_digit()).to_owned()
}

/// Returns a table of the rounds, if there are several.
fn rounds(report: &Report) -> Option<String> {
    let rows = (1..).zip(&report.rounds).map(|(number, round)| {
        [
            format!("{number}"),
            format!("{:.0}", round.operations as f64 / round.elapsed_s),
            format!("{}", round.latencies.value_at_quantile(0.5)),
            format!("{:.3}", round.cpu_s_per_100k()),
            format!("{:.2}", round.others),
        ]
    });
    let unit = format!("{}/s", report.parameters.style.operations());
    let header = ["ROUND", unit.as_str(), "p50 us", "CPU s/100k", "PROCESSORS OF OTHERS"];
    (report.rounds.len() > 1).then(|| table::render(header, rows))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::report, *};

    #[test]
    fn the_text_begins_with_the_most_important_figures() {
        let text = of(&report(&[(100, 10), (300, 30), (200, 90)]), None);
        assert!(text.starts_with("200 calls/s, p50 30 us, p99 30 us, 0 errors\n"), "{text}");
        assert!(text.contains("CPU s/100k calls") && text.contains("ROUND"), "{text}");
    }

    #[test]
    fn many_processes_of_a_role_have_one_row() {
        let row = |name: String, cpu, memory| Row { name, cpu, memory };
        let workers = (0..9).map(|number| row(format!("pool0.worker{number}"), 0.5, 2.0));
        let rows = grouped([row("broker".to_owned(), 1.0, 3.0)].into_iter().chain(workers).collect());
        assert_eq!(rows, [row("broker".to_owned(), 1.0, 3.0), row("9 workers".to_owned(), 4.5, 18.0)]);
    }
}
