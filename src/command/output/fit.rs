//! Texts that fit into the width of a terminal.

use ratatui::text::Span;

/// Returns the beginning of a text that is wider than `width` columns, with an ellipsis.
pub(crate) fn clipped(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |letter: &char| match left.checked_sub(width_of(letter.encode_utf8(&mut [0; 4]))) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let mut out: String = text.chars().take_while(fits).collect();
    if width > 0 {
        out.push('…');
    }
    out
}

/// Returns the number of columns that a text takes on a terminal.
pub(crate) fn width_of(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { Span::raw(text).width() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_wide_ends_with_an_ellipsis() {
        assert_eq!(clipped("calculator", 6), "calcu…");
        assert_eq!(clipped("calculator", 10), "calculator");
        assert_eq!(clipped("日本語", 4), "日…");
        assert_eq!(clipped("abc", 0), "");
    }
}
