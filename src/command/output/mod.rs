//! Output: results on stdout, warnings and errors on stderr.

pub(crate) mod escape;
pub(crate) mod exit;
pub(crate) mod json;
pub(crate) mod table;

use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;

use self::escape::printable_lines;

/// Clears a terminal and moves the cursor to its start.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Prints `text` and a newline on stdout, and flushes it. A reader that has closed (`callboard config | head -1`) is not an error.
///
/// # Errors
/// If stdout cannot be written, such as for a full disk.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    print_bytes(format!("{}\n", printable_lines(text)).as_bytes())
}

/// Clears the terminal, then prints `text` as [`print`].
///
/// # Errors
/// As [`print`].
pub(crate) fn print_cleared(text: &str) -> anyhow::Result<()> {
    print_bytes(format!("{CLEAR}{}\n", printable_lines(text)).as_bytes())
}

/// Writes bytes to stdout, and flushes them.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(()),
    }
}

/// Prints a warning on stderr. The command continues.
pub(crate) fn warn(text: &str) {
    note(&format!("warning: {text}"));
}

/// Prints a line on stderr, beside the result on stdout.
pub(crate) fn note(text: &str) {
    // A failure to print cannot be reported either.
    let _ = writeln!(io::stderr(), "{}", printable_lines(text));
}

/// Prints an error with its causes on stderr.
pub(crate) fn error(error: &anyhow::Error) {
    note(&format!("error: {error:#}"));
}
