//! Negative numbers on the command line.

use std::ffi::OsString;

/// Rewrites negative numbers with an exponent among the arguments of `call`.
///
/// clap parses `-3` and `-1.5e3` as numbers, but `-1e-5` as a flag. So `-1e-5` becomes `-0.00001`, which is the same number, and
/// `-1e3` becomes `-1000.0`: a JSON number with an exponent is a float. Words of other commands stay as they are: they may be
/// arguments of a pool's program.
pub(crate) fn rewrite(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<_> = words.into_iter().collect();
    if let Some(at) = position_of_call(&words) {
        for word in &mut words[at..] {
            if let Some(number) = without_exponent(word) {
                *word = number;
            }
        }
    }
    words
}

/// Returns the position of `call`, if that is the command. Only `--config` may precede a command.
fn position_of_call(words: &[OsString]) -> Option<usize> {
    let first = words.get(1)?.to_string_lossy();
    let at = if first == "--config" {
        3
    } else if first.starts_with("--config=") {
        2
    } else {
        1
    };
    words.get(at).is_some_and(|word| word == "call").then_some(at)
}

/// Returns a negative number with an exponent, written without the exponent.
fn without_exponent(word: &OsString) -> Option<OsString> {
    let text = word.to_str().filter(|text| text.starts_with('-') && text.contains(['e', 'E']))?;
    let number: f64 = text.parse().ok()?;
    let digits = format!("{number}");
    let fraction = if digits.contains('.') { "" } else { ".0" };
    number.is_finite().then(|| format!("{digits}{fraction}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(words: &[&str]) -> Vec<OsString> {
        rewrite(words.iter().map(OsString::from))
    }

    #[test]
    fn a_negative_number_with_an_exponent_is_rewritten() {
        assert_eq!(rewritten(&["callboard", "call", "a.b", "-1e-5"])[3], "-0.00001");
        assert_eq!(rewritten(&["callboard", "--config", "f", "call", "a.b", "-2.5E+2"])[5], "-250.0");
        assert_eq!(rewritten(&["callboard", "--config=f", "call", "a.b", "-1e-5"])[4], "-0.00001");
    }

    #[test]
    fn other_words_stay() {
        for words in [
            ["callboard", "call", "a.b", "-e"],
            ["callboard", "call", "a.b", "-1e999"],
            ["callboard", "call", "a.b", "1e-5"],
            ["callboard", "pool", "call", "-1e-5"],
        ] {
            assert_eq!(rewritten(&words), words);
        }
    }
}
