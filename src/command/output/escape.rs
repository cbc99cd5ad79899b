//! Escaping of text from peers, so that it is safe on a terminal.

/// Escapes a peer's text to one line that does not control a terminal. Peers choose names, messages and comments, and a peer may be
/// malicious. Control characters, and those that change the text direction, are written as in JSON.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, is_control)
}

/// Escapes a peer's text as [`printable`], but keeps line breaks and tabs. JSON keeps its meaning.
pub(crate) fn printable_lines(text: &str) -> String {
    escaped(text, |letter| is_control(letter) && !matches!(letter, '\n' | '\t'))
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

/// Returns the beginning of a text that an error repeats, escaped as [`printable`].
pub(crate) fn excerpt(text: &str) -> String {
    callboard_core::text::excerpt(&printable(text))
}

/// Returns whether a character controls a terminal, or changes the direction of the text after it.
fn is_control(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("Ann \u{e4}"), "Ann \u{e4}");
        assert_eq!(printable("a\x1b]0;title\x07b\nc\td"), "a\\u001b]0;title\\u0007b\\nc\\td");
        assert_eq!(printable("\u{9b}2J \u{7f} \u{202e}"), "\\u009b2J \\u007f \\u202e");
        assert_eq!(printable_lines("a\nb\tc\rd"), "a\nb\tc\\u000dd");
    }
}
