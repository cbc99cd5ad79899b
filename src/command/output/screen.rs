//! The alternate screen of a terminal, for a text that is printed again and again.

use std::io::{self, IsTerminal as _};

use ratatui::crossterm::terminal;

use super::{escape::printable_lines, fit::clipped, print_bytes};

/// Shows the alternate screen, and hides the cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
/// Shows the cursor and the screen before.
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// Moves the cursor to the first character of the screen.
const HOME: &str = "\x1b[H";
/// Clears the rest of the line, and moves the cursor to the next one.
const NEXT_LINE: &str = "\x1b[K\r\n";
/// Clears the screen behind the cursor.
const CLEAR_REST: &str = "\x1b[J";
/// The size of a terminal that does not report one.
const SIZE_DEFAULT: (u16, u16) = (80, 24);

/// The alternate screen of the terminal. Its drop shows the screen before.
#[derive(Debug)]
pub(crate) struct AlternateScreen(());

impl AlternateScreen {
    /// Shows the alternate screen; `None` if standard output is not a terminal.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub(crate) fn enter() -> anyhow::Result<Option<AlternateScreen>> {
        if !io::stdout().is_terminal() {
            return Ok(None);
        }
        print_bytes(ENTER.as_bytes())?;
        Ok(Some(AlternateScreen(())))
    }

    /// Shows a text in place of the one before. What does not fit into the screen is clipped.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub(crate) fn show(&self, text: &str) -> anyhow::Result<()> {
        let (width, height) = terminal::size().unwrap_or(SIZE_DEFAULT);
        let lines = fitted(&printable_lines(text), usize::from(width), usize::from(height));
        print_bytes(format!("{HOME}{}{CLEAR_REST}", lines.join(NEXT_LINE)).as_bytes())
    }
}

impl Drop for AlternateScreen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = print_bytes(LEAVE.as_bytes());
    }
}

/// Returns the lines that a screen of this size shows. The last one counts the lines that it does not show.
fn fitted(text: &str, width: usize, height: usize) -> Vec<String> {
    let all: Vec<_> = text.lines().collect();
    let shown = if all.len() > height { height.saturating_sub(1) } else { all.len() };
    let mut lines: Vec<_> = all[..shown].iter().map(|line| clipped(line, width)).collect();
    if shown < all.len() {
        lines.push(clipped(&format!("and {} more lines", all.len() - shown), width));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_clipped_and_counted() {
        assert_eq!(fitted("one\ntwo\nthree", 80, 3), ["one", "two", "three"]);
        assert_eq!(fitted("one\ntwo\nthree\nfour", 80, 3), ["one", "two", "and 2 more lines"]);
        assert_eq!(fitted("a long line\nb", 5, 24), ["a lo…", "b"]);
    }
}
