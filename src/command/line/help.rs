//! The help of all commands: paragraphs that fit the terminal.

use clap::Command;

/// The widest help. Wider lines are hard to read.
const WIDTH_MAX: usize = 110;

/// Returns a command, and its subcommands, whose text below the flags fits the terminal.
pub(super) fn fitted(command: Command) -> Command {
    let text = command.get_after_help().map(|text| with_whole_paragraphs(&text.to_string()));
    let command = match text {
        Some(text) => command.after_help(text),
        None => command,
    };
    command.max_term_width(WIDTH_MAX).mut_subcommands(fitted)
}

/// Joins the lines of each paragraph, so that clap breaks them where the terminal ends. An indented line and a line that ends with a
/// colon stay lines of their own.
fn with_whole_paragraphs(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut joins = false;
    for line in text.lines() {
        let is_prose = !line.is_empty() && !line.starts_with(' ');
        if joins && is_prose {
            whole.push(' ');
        } else if !whole.is_empty() {
            whole.push('\n');
        }
        whole.push_str(line);
        joins = is_prose && !line.ends_with(':');
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_paragraph_are_joined_and_examples_stay_lines() {
        let text = "One sentence\nof two lines.\n\nExamples:\n  callboard up\n  callboard ping\nMore\ntext.";
        let whole = "One sentence of two lines.\n\nExamples:\n  callboard up\n  callboard ping\nMore text.";
        assert_eq!(with_whole_paragraphs(text), whole);
    }
}
