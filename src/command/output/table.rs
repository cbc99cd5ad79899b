//! Tables as text.

use comfy_table::{Table, presets};

use super::escape::printable;

/// Renders a table as text: no frame, columns aligned and two spaces apart, so that `grep` and `awk` can read it too. Cells are
/// made [`printable`].
pub(crate) fn render<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| printable(&cell))));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_break_its_row() {
        let table = render(["NAME", "PID"], [["a\nb\x1b[1m".to_owned(), "1".to_owned()]]);
        assert_eq!(table.lines().collect::<Vec<_>>(), ["NAME           PID", "a\\nb\\u001b[1m  1"]);
    }
}
