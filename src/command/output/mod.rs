//! What is printed: answers on stdout, complaints on stderr.

pub(crate) mod escape;
pub(crate) mod exit;
pub(crate) mod json;
pub(crate) mod table;

use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;

use self::escape::printable_lines;

/// What clears a terminal and goes to its first place.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Prints `text` and a newline on stdout, at once. A reader that has gone (`callboard config | head -1`) is no error.
///
/// # Errors
/// If stdout cannot be written, such as for a full disk.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    print_bytes(format!("{}\n", printable_lines(text)).as_bytes())
}

/// The same, where a terminal shows nothing else then.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_alone(text: &str) -> anyhow::Result<()> {
    print_bytes(format!("{CLEAR}{}\n", printable_lines(text)).as_bytes())
}

/// Writes bytes to stdout as they are, at once.
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

/// Prints a remark on stderr: what was asked for is on stdout all the same.
pub(crate) fn warn(text: &str) {
    note(&format!("warning: {text}"));
}

/// Prints a line for people on stderr, beside what goes to stdout.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "{}", printable_lines(text));
}

/// Prints `error` with its causes on stderr, in one line where it is a sentence.
pub(crate) fn complain(error: &anyhow::Error) {
    note(&format!("error: {error:#}"));
}
