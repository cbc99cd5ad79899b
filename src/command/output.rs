//! What is printed: answers on stdout, complaints on stderr.

use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;
use comfy_table::{Table, presets};

/// Prints `text` and a newline on stdout, at once. A reader that has gone (`callboard config | head -1`) is no error.
///
/// # Errors
/// If stdout cannot be written, such as for a full disk.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(()),
    }
}

/// Prints a remark on stderr: what was asked for is on stdout all the same.
pub(crate) fn warn(text: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "warning: {text}");
}

/// Prints a line for people on stderr, beside what goes to stdout.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints `error` with its causes on stderr, in one line where it is a sentence.
pub(crate) fn complain(error: &anyhow::Error) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "error: {error:#}");
}

/// A table as text: no frame, columns aligned and two spaces apart, so that `grep` and `awk` can read it too.
pub(crate) fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}
