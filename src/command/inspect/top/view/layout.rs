//! The widths of columns, and texts that fit into them.

use super::super::model::rows::{Cell, Column, Kind, Row};
use crate::command::output::fit::{clipped, width_of};

/// The space between two columns.
pub(super) const GAP: &str = " ";
/// The width below which the text of the first column, such as a name, is not shortened.
const NAME_WIDTH_MIN: usize = 16;
/// The width below which another text is not shortened. A narrower screen omits columns instead.
const TEXT_WIDTH_MIN: usize = 10;
/// The width below which a sparkline is omitted.
const SAMPLES_WIDTH_MIN: usize = 8;
/// The width of a sparkline where there is room.
const SAMPLES_WIDTH_MAX: usize = 30;

/// Returns the widths of the columns that fit into a line. The sparkline is shortened first, then the longest
/// texts. Then the last columns are omitted.
pub(super) fn widths(columns: &[Column], titles: &[String], rows: &[Row], available: usize) -> Vec<usize> {
    let natural: Vec<_> = (0..columns.len()).map(|at| natural_width(&titles[at], rows, at)).collect();
    for shown in (1..=columns.len()).rev() {
        let mut widths = natural[..shown].to_vec();
        shrink(&columns[..shown], titles, &mut widths, available);
        if total(&widths) <= available {
            return widths;
        }
    }
    vec![available]
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

fn natural_width(title: &str, rows: &[Row], at: usize) -> usize {
    let cells = rows.iter().filter_map(|row| row.cells.get(at)).map(|cell| match cell {
        Cell::Text(text) | Cell::Number(_, text) => width_of(text),
        Cell::Samples(_) => SAMPLES_WIDTH_MAX,
    });
    cells.max().unwrap_or(0).max(width_of(title))
}

/// Takes the excess width from the sparkline, then from the widest text, one character at a time.
fn shrink(columns: &[Column], titles: &[String], widths: &mut [usize], available: usize) {
    let min = |at: usize| match columns[at].kind {
        Kind::Text if at == 0 => NAME_WIDTH_MIN,
        Kind::Text => TEXT_WIDTH_MIN.max(width_of(&titles[at])),
        Kind::Samples => SAMPLES_WIDTH_MIN,
        Kind::Number => usize::MAX,
    };
    for _ in available..total(widths) {
        let widest_of = |kind: Kind| {
            let narrowable = (0..widths.len()).filter(|&at| columns[at].kind == kind && widths[at] > min(at));
            narrowable.max_by_key(|&at| widths[at])
        };
        let widest = widest_of(Kind::Samples).or_else(|| widest_of(Kind::Text));
        let Some(widest) = widest else { return };
        widths[widest] -= 1;
    }
}

/// Returns a text with exactly this width: numbers at the right, other texts at the left, the excess replaced by an ellipsis.
pub(super) fn fitted(text: &str, width: usize, kind: Kind) -> String {
    let text = clipped(text, width);
    let space = " ".repeat(width.saturating_sub(width_of(&text)));
    if kind == Kind::Number { format!("{space}{text}") } else { format!("{text}{space}") }
}

/// Breaks a line at its spaces, and in words that are wider than a line. A line that continues keeps the indentation.
pub(super) fn wrapped(line: &str, width: usize) -> Vec<String> {
    let indentation: String = line.chars().take_while(|letter| *letter == ' ').collect();
    let (mut lines, mut current) = (Vec::new(), String::new());
    for word in line.split_inclusive(' ') {
        if !current.trim().is_empty() && width_of(&current) + width_of(word.trim_end()) > width {
            lines.push(std::mem::replace(&mut current, indentation.clone()));
        }
        for letter in word.chars() {
            if width_of(&current) >= width && letter != ' ' {
                lines.push(std::mem::take(&mut current));
            }
            current.push(letter);
        }
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_wide_ends_with_an_ellipsis() {
        assert_eq!(fitted("calculator", 6, Kind::Text), "calcu…");
        assert_eq!(fitted("日本語", 5, Kind::Text), "日本…");
        assert_eq!(fitted("日本語", 4, Kind::Text), "日… ");
        assert_eq!((fitted("7", 3, Kind::Number), fitted("7", 3, Kind::Text)), ("  7".to_owned(), "7  ".to_owned()));
    }

    #[test]
    fn a_line_is_broken_at_spaces_and_keeps_its_indentation() {
        assert_eq!(wrapped("  one two three", 9), ["  one two ", "  three"]);
        assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrapped("", 3), [""]);
    }

    #[test]
    fn the_last_columns_are_omitted_when_texts_cannot_be_shortened() {
        let column = |title, kind| Column { title, kind };
        let columns = [column("NAME", Kind::Text), column("COUNT", Kind::Number), column("REASON", Kind::Text)];
        let titles = columns.iter().map(|column| column.title.to_owned()).collect::<Vec<_>>();
        let cells = ["a name of thirty characters ...", "1", "a reason of thirty characters .."];
        let cells = cells.map(|text| Cell::Text(text.to_owned())).into_iter().collect();
        let rows = [Row { key: String::new(), cells, is_alert: false }];
        assert_eq!(widths(&columns, &titles, &rows, 80), [31, 5, 32]);
        assert_eq!(widths(&columns, &titles, &rows, 40), [17, 5, 16]);
        assert_eq!(widths(&columns, &titles, &rows, 27), [21, 5]);
        assert_eq!(widths(&columns, &titles, &rows, 12), [12]);
    }
}
