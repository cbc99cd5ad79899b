//! The report as CSV: a header, a line for each round, and the medians.

use super::{FIGURES, Report};

/// Returns the lines. No value needs quotes.
pub(crate) fn of(report: &Report) -> String {
    let header = ["round", "errors"].into_iter().chain(FIGURES.iter().map(|figure| figure.key));
    let mut lines = vec![header.collect::<Vec<_>>().join(",")];
    for (number, round) in (1..).zip(&report.rounds) {
        let values = FIGURES.iter().map(|figure| figure.text((figure.of)(round)));
        lines.push(line([format!("{number}"), round.errors.to_string()], values));
    }
    let medians = FIGURES.iter().map(|figure| figure.text(report.median(figure.of)));
    lines.push(line(["median".to_owned(), report.errors().to_string()], medians));
    lines.join("\n")
}

fn line(first: [String; 2], values: impl Iterator<Item = String>) -> String {
    first.into_iter().chain(values).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::{super::tests::report, *};

    #[test]
    fn each_line_has_a_value_for_each_column() {
        let csv = of(&report(&[(100, 10), (300, 30), (200, 90)]));
        let rows: Vec<Vec<_>> = csv.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), 5);
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{csv}");
        assert_eq!((rows[0][2], rows[1][2], rows[4][0], rows[4][2]), ("calls_per_s", "100", "median", "200"));
    }
}
