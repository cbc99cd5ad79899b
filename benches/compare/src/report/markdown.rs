//! Tables in Markdown, and their place in a document.

use std::{fs, path::Path};

use anyhow::Context as _;

use super::{number::grouped, plot};
use crate::{
    point::Point,
    results::{Results, Row},
};

/// The document has the tables between these lines.
const BEGIN: &str = "<!-- compare: begin. Written by callboard-compare. -->";
const END: &str = "<!-- compare: end -->";

/// Returns the tables of all points, and a list of what could not run. `plots`: a table has the plot of this folder.
pub(crate) fn tables(results: &Results, plots: Option<&Path>) -> String {
    let mut parts = Vec::new();
    for (at, point) in results.points() {
        let image = plots.map(|folder| format!("![{}]({})", point.title(), folder.join(plot::file_name(at)).display()));
        parts.extend([format!("### {}", point.title()), table(point, &results.best(at))].into_iter().chain(image));
    }
    if !results.missing().is_empty() {
        let lines = results.missing().iter().map(|(name, why)| format!("- {name}: {why}"));
        parts.push(format!("Could not run:\n\n{}", lines.collect::<Vec<_>>().join("\n")));
    }
    parts.join("\n\n")
}

fn table(point: &Point, rows: &[Row]) -> String {
    let operations = point.operations();
    let columns = format!("peer | {operations}/s (lowest to highest) | p50 us | p99 us | CPU s per 100k | memory MiB");
    let header = format!(
        "| {columns} |
|---|---|---|---|---|---|"
    );
    rows.iter().fold(header, |table, row| format!("{table}\n{}", line(row)))
}

fn line(row: &Row) -> String {
    let figures = &row.median;
    let errors = if figures.errors > 0.0 { format!(", {} errors", figures.errors) } else { String::new() };
    format!(
        "| {}{}{errors} | {} ({} to {}) | {} | {} | {:.2} | {:.0} |",
        row.rival.name(),
        row.rival.variant(),
        grouped(figures.per_s),
        grouped(row.lowest),
        grouped(row.highest),
        grouped(figures.p50_us),
        grouped(figures.p99_us),
        figures.cpu_s_per_100k,
        figures.rss_mib,
    )
}

/// Replaces the tables of a document. A document without them gets them at its end.
pub(crate) fn write(document: &Path, tables: &str) -> anyhow::Result<()> {
    let shown = document.display();
    let text = fs::read_to_string(document).with_context(|| format!("cannot read {shown}"))?;
    fs::write(document, with_tables(&text, tables)).with_context(|| format!("cannot write {shown}"))
}

fn with_tables(text: &str, tables: &str) -> String {
    let (before, after) = text.split_once(BEGIN).unwrap_or((text, END));
    let after = after.split_once(END).map_or("\n", |(_, after)| after);
    format!("{}\n\n{BEGIN}\n\n{tables}\n\n{END}{after}", before.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{results::tests::results, rivals::Rival};

    #[test]
    fn a_table_has_a_row_for_each_peer_and_names_what_is_missing() {
        let mut results = results(&[(Rival::Callboard, 123_456.0), (Rival::Nats, 1_000.0)]);
        results.miss("redis".to_owned(), "redis-server is not installed".to_owned());
        let tables = tables(&results, Some(Path::new("plots")));
        assert!(
            tables.contains("| Callboard, I/O threads | 123,456 (123,456 to 123,456) | 10 | 20 | 0.50 | 30 |"),
            "{tables}"
        );
        assert!(tables.contains("1 outstanding](plots/compare-1.svg)"), "{tables}");
        assert!(tables.ends_with("- redis: redis-server is not installed"), "{tables}");
    }

    #[test]
    fn tables_replace_those_of_the_document() {
        let first = with_tables("# A\n", "one");
        let second = with_tables(&format!("{first}# B\n"), "two");
        assert!(!second.contains("one") && second.contains("two") && second.ends_with("# B\n"), "{second}");
        assert_eq!(second.matches(BEGIN).count(), 1);
    }
}
