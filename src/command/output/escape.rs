//! Text of peers, made safe for a terminal.

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
}
