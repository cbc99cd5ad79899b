//! A small writer of SVG: lines, texts and paths, in colours for light and dark pages.

use std::fmt::Write as _;

/// The colours of both themes. A browser selects one by the reader's preference.
const STYLE: &str = "\
svg{background:#fff;font:13px system-ui,sans-serif}text{fill:#222}.grid{stroke:#ddd}.line0{stroke:#0b62c4}.line1{stroke:#c25e00}\
.line{fill:none;stroke-width:2}@media(prefers-color-scheme:dark){svg{background:#16181d}text{fill:#ddd}.grid{stroke:#3a3d45}\
.line0{stroke:#6cb0ff}.line1{stroke:#ffab5e}}";

/// The position of a text relative to its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// An image under construction.
pub(super) struct Svg(String);

impl Svg {
    /// Creates an empty image.
    pub(super) fn new(width: u32, height: u32) -> Svg {
        let size = format!("width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\"");
        Svg(format!("<svg xmlns=\"http://www.w3.org/2000/svg\" {size}>\n<style>{STYLE}</style>\n"))
    }

    /// Adds a text.
    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(&format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(text)));
    }

    /// Adds a line of the grid.
    pub(super) fn grid(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.add(&format!("<line class=\"grid\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"));
    }

    /// Adds a line through the points, in the colour with this number.
    pub(super) fn path(&mut self, colour: usize, points: impl Iterator<Item = (f64, f64)>) {
        let points: Vec<_> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.add(&format!("<polyline class=\"line line{colour}\" points=\"{}\"/>", points.join(" ")));
    }

    /// Returns the complete image.
    pub(super) fn finish(self) -> String {
        self.0 + "</svg>\n"
    }

    fn add(&mut self, element: &str) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "{element}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_end_its_element() {
        let mut svg = Svg::new(10, 10);
        svg.text((1.0, 2.0), Anchor::End, "a<b&c");
        let image = svg.finish();
        assert!(image.contains("text-anchor=\"end\">a&lt;b&amp;c</text>") && image.ends_with("</svg>\n"), "{image}");
    }
}
