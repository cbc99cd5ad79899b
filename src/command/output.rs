//! What is printed: answers on stdout, complaints on stderr.

use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;
use comfy_table::{Table, presets};

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

/// A peer's text as one line that does nothing to a terminal. Peers choose names, messages and comments, and strangers may be among
/// them: what steers a terminal, or turns its text around, is written as JSON would escape it.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, steers)
}

/// The same of what may have several lines, and of JSON, which stays what it is.
pub(crate) fn printable_lines(text: &str) -> String {
    escaped(text, |letter| steers(letter) && !matches!(letter, '\n' | '\t'))
}

fn escaped(text: &str, is_bad: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' if is_bad(letter) => out.push_str("\\n"),
            '\t' if is_bad(letter) => out.push_str("\\t"),
            _ if is_bad(letter) => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            _ => out.push(letter),
        }
    }
    out
}

/// Control characters, and those that change the direction of what follows.
fn steers(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A table as text: no frame, columns aligned and two spaces apart, so that `grep` and `awk` can read it too. What stands in it is
/// made [`printable`].
pub(crate) fn table<const COLUMNS: usize>(
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
    fn what_steers_a_terminal_is_escaped() {
        assert_eq!(printable("Ann \u{e4}"), "Ann \u{e4}");
        assert_eq!(printable("a\x1b]0;title\x07b\nc\td"), "a\\u001b]0;title\\u0007b\\nc\\td");
        assert_eq!(printable("\u{9b}2J \u{7f} \u{202e}"), "\\u009b2J \\u007f \\u202e");
        assert_eq!(printable_lines("a\nb\tc\rd"), "a\nb\tc\\u000dd");
    }

    #[test]
    fn a_table_keeps_its_rows_whatever_stands_in_it() {
        let table = table(["NAME", "PID"], [["a\nb\x1b[1m".to_owned(), "1".to_owned()]]);
        assert_eq!(table.lines().collect::<Vec<_>>(), ["NAME           PID", "a\\nb\\u001b[1m  1"]);
    }
}
