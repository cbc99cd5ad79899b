//! Bars of the rates at one point, as SVG for light and dark pages.

use super::number::grouped;
use crate::{point::Point, results::Row, rivals::Rival};

const WIDTH: f64 = 720.0;
const LEFT: f64 = 150.0;
const BAR: f64 = 22.0;
const GAP: f64 = 10.0;
const TOP: f64 = 44.0;

/// The colours of both themes. A browser selects one by the reader's preference.
const STYLE: &str = "svg{background:#fff;font:13px system-ui,sans-serif}text{fill:#222}.bar{fill:#9aa3ad}.own{fill:#0b62c4}\
@media(prefers-color-scheme:dark){svg{background:#16181d}text{fill:#ddd}.bar{fill:#5a626c}.own{fill:#6cb0ff}}";

/// Returns the file name of the plot of a point.
pub(crate) fn file_name(point: usize) -> String {
    format!("compare-{}.svg", point + 1)
}

/// Returns an image with a bar for each peer. Its end is the median; the text beside it has the CPU time, too.
pub(crate) fn rates(point: &Point, rows: &[Row]) -> String {
    let height = TOP + (BAR + GAP) * rows.len() as f64 + GAP;
    let longest = rows.iter().map(|row| row.median.per_s).fold(1.0, f64::max);
    let bars = rows.iter().enumerate().map(|(at, row)| bar(TOP + (BAR + GAP) * at as f64, row, longest));
    let title = format!("{} per second: {}", point.operations(), point.title());
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\n\
         <style>{STYLE}</style>\n<text x=\"10\" y=\"24\">{title}</text>\n{}</svg>\n",
        bars.collect::<String>()
    )
}

fn bar(y: f64, row: &Row, longest: f64) -> String {
    let class = if row.rival.name() == Rival::Callboard.name() { "bar own" } else { "bar" };
    // The text needs the rest of the width.
    let width = (WIDTH - LEFT - 220.0) * row.median.per_s / longest;
    let text = format!("{} ({:.2} CPU s per 100k)", grouped(row.median.per_s), row.median.cpu_s_per_100k);
    let (base, right, name) = (y + BAR * 0.7, LEFT + width + 8.0, row.rival.name());
    format!(
        "<text x=\"{}\" y=\"{base:.1}\" text-anchor=\"end\">{name}</text>\n\
         <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\"/>\n\
         <text x=\"{right:.1}\" y=\"{base:.1}\">{text}</text>\n",
        LEFT - 8.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{point::POINTS, results::tests::results};

    #[test]
    fn a_plot_has_a_bar_for_each_peer_and_colours_for_dark_pages() {
        let rows = results(&[(Rival::Callboard, 2_000.0), (Rival::Nats, 1_000.0)]).best(0);
        let plot = rates(&POINTS[0], &rows);
        assert_eq!((plot.matches("<rect").count(), plot.matches("bar own").count()), (2, 1), "{plot}");
        assert!(plot.contains("width=\"350.0\"") && plot.contains("width=\"175.0\""), "{plot}");
        assert!(plot.contains("prefers-color-scheme:dark"), "{plot}");
    }
}
