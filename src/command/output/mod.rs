//! Output: results on stdout, warnings and errors on stderr.

pub(crate) mod escape;
pub(crate) mod exit;
pub(crate) mod fit;
pub(crate) mod json;
pub(crate) mod screen;
pub(crate) mod table;

use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;
use callboard_core::text::{clipped, excerpt};

use self::escape::printable_lines;

/// Prints `text` and a newline on stdout, and flushes it. A reader that has closed (`callboard config | head -1`) is not an error.
///
/// # Errors
/// If stdout cannot be written, such as for a full disk.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    print_bytes(format!("{}\n", printable_lines(text)).as_bytes())
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

/// The longest first line of an error, in characters. It keeps a terminal readable if an error repeats what a user or a peer wrote.
const ERROR_CHARS_MAX: usize = 1_000;
/// The longest word of the first line that is printed whole.
const WORD_CHARS_MAX: usize = 200;
/// The longest other line of an error, such as its details.
const DETAIL_CHARS_MAX: usize = 32_000;

/// Prints an error with its causes on stderr.
pub(crate) fn error(error: &anyhow::Error) {
    note(&format!("error: {}", message(error)));
}

/// Returns the text of an error with its causes. A cause that is part of the text already is not repeated.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    let mut lines = text.lines();
    let first = lines.next().map(|line| clipped(&with_short_words(line), ERROR_CHARS_MAX));
    first.into_iter().chain(lines.map(|line| clipped(line, DETAIL_CHARS_MAX))).collect::<Vec<_>>().join("\n")
}

/// Returns a line with an excerpt of each long word, such as a path or a name, so that the text after it remains.
fn with_short_words(line: &str) -> String {
    let short = |word: &str| if word.chars().count() > WORD_CHARS_MAX { excerpt(word) } else { word.to_owned() };
    line.split(' ').map(short).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_printed_once() {
        let outer = anyhow!("no such file").context("cannot read a.toml: no such file").context("cannot start");
        assert_eq!(message(&outer), "cannot start: cannot read a.toml: no such file");
    }

    #[test]
    fn a_long_error_is_clipped_line_by_line() {
        let text = message(&anyhow!("no file {}: gone\n  details: {}", "x".repeat(2_000), "y".repeat(2_000)));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], format!("no file {}... (1921 more characters) gone", "x".repeat(80)));
        assert_eq!(lines[1].len(), "  details: ".len() + 2_000);
    }
}
