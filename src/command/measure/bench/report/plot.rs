//! The plot of the latency distribution, with both axes logarithmic.

use super::{
    Report,
    baseline::Baseline,
    json::curve,
    svg::{Anchor, Svg},
};

const WIDTH: u32 = 720;
const HEIGHT: u32 = 420;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 370.0;

/// Points of a curve: the share of calls that took longer, and microseconds.
type Points = Vec<(f64, u64)>;

/// The ranges of both axes, as powers of ten.
struct Axes {
    /// The first digit of percentiles, 1 for 90 %, to the last.
    nines: f64,
    low: i32,
    high: i32,
}

/// Returns an SVG image with the latencies of the report, and those of the baseline.
pub(crate) fn latencies(report: &Report, baseline: Option<&Baseline>) -> String {
    let curves = [("now", curve(&report.latencies())), ("baseline", baseline.map(Baseline::curve).unwrap_or_default())];
    let axes = Axes::of(curves.iter().flat_map(|(_, points)| points));
    let mut svg = Svg::new(WIDTH, HEIGHT);
    svg.text((LEFT, 24.0), Anchor::Start, &title(report));
    axes.draw(&mut svg);
    for (number, (name, points)) in curves.iter().enumerate().filter(|(_, (_, points))| !points.is_empty()) {
        svg.path(number, points.iter().map(|(share, micros)| (axes.x(*share), axes.y(*micros as f64))));
        label(&mut svg, &axes, name, points);
    }
    svg.finish()
}

fn title(report: &Report) -> String {
    let parameters = &report.parameters;
    let load = match (parameters.rate, parameters.fill) {
        (Some(rate), _) => format!("{rate} calls/s"),
        (None, Some(calls)) => format!("{calls} waiting calls"),
        (None, None) => format!("{} outstanding", parameters.window),
    };
    let count = |number: u32, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    let (clients, workers) = (count(parameters.clients, "client"), count(parameters.workers, "worker"));
    let (style, size) = (parameters.style.word(), parameters.size);
    format!("Latency by percentile: {style}, {clients}, {workers}, {load}, {size} bytes")
}

/// Writes the name of a curve above its last point.
fn label(svg: &mut Svg, axes: &Axes, name: &str, points: &Points) {
    if let Some((share, micros)) = points.last() {
        svg.text((axes.x(*share).min(RIGHT), axes.y(*micros as f64) - 8.0), Anchor::End, name);
    }
}

impl Axes {
    fn of<'a>(points: impl Iterator<Item = &'a (f64, u64)>) -> Axes {
        let (mut share_min, mut low, mut high) = (0.1_f64, u64::MAX, 1);
        for (share, micros) in points {
            share_min = share_min.min(*share);
            (low, high) = (low.min((*micros).max(1)), high.max(*micros));
        }
        let low = (low as f64).log10().floor() as i32;
        Axes { nines: -share_min.log10(), low, high: ((high as f64).log10().ceil() as i32).max(low + 1) }
    }

    fn x(&self, share: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (-share.log10() / self.nines).clamp(0.0, 1.0)
    }

    fn y(&self, micros: f64) -> f64 {
        let part = (micros.max(1.0).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        BOTTOM - (BOTTOM - TOP) * part.clamp(0.0, 1.0)
    }

    fn draw(&self, svg: &mut Svg) {
        for power in self.low..=self.high {
            let y = self.y(10_f64.powi(power));
            svg.grid((LEFT, y), (RIGHT, y));
            svg.text((LEFT - 8.0, y + 4.0), Anchor::End, &duration(power));
        }
        for nines in 0..=self.nines.floor() as usize {
            let x = self.x(10_f64.powi(-i32::try_from(nines).unwrap_or(i32::MAX)));
            svg.grid((x, TOP), (x, BOTTOM));
            svg.text((x, BOTTOM + 20.0), Anchor::Middle, &percentile(nines));
        }
        svg.text(((LEFT + RIGHT) / 2.0, BOTTOM + 42.0), Anchor::Middle, "percentile");
    }
}

/// Returns a power of ten of microseconds as text.
fn duration(power: i32) -> String {
    match power {
        ..3 => format!("{} us", 10_u64.pow(power.unsigned_abs())),
        3..6 => format!("{} ms", 10_u64.pow(power.unsigned_abs() - 3)),
        6.. => format!("{} s", 10_u64.pow(power.unsigned_abs() - 6)),
    }
}

/// Returns a percentile with this number of nines.
fn percentile(nines: usize) -> String {
    match nines {
        0 => "0 %".to_owned(),
        1 | 2 => format!("{} %", "9".repeat(nines) + if nines == 1 { "0" } else { "" }),
        _ => format!("99.{} %", "9".repeat(nines - 2)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{super::tests::report, *};

    #[test]
    fn the_plot_has_a_line_an_axis_and_colours_for_dark_pages() {
        let plot = latencies(&report(&[(10_000, 420)]), None);
        assert_eq!(plot.matches("<polyline").count(), 1, "{plot}");
        for part in
            ["99.9 %", "100 us", "1 ms", "prefers-color-scheme:dark", "await, 1 client, 1 worker, 64 outstanding"]
        {
            assert!(plot.contains(part), "{part} in {plot}");
        }
    }

    #[test]
    fn axes_name_percentiles_and_times() {
        assert_eq!([0, 1, 2, 3, 5].map(percentile), ["0 %", "90 %", "99 %", "99.9 %", "99.999 %"]);
        assert_eq!([0, 2, 3, 5, 7].map(duration), ["1 us", "100 us", "1 ms", "100 ms", "10 s"]);
    }

    #[test]
    fn a_curve_stays_inside_of_the_axes() {
        let axes = Axes::of([(1.0, 3), (0.001, 90)].iter());
        assert_eq!((axes.x(1.0), axes.x(0.001)), (LEFT, RIGHT));
        assert!((TOP..=BOTTOM).contains(&axes.y(90.0)) && axes.y(90.0) < axes.y(3.0));
    }
}
