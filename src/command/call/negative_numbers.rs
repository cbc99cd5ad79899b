//! Negative numbers on the command line.

use std::ffi::OsString;

/// Spells out the numbers of `call` that have an exponent with a sign.
///
/// clap tells `-3` and `-1.5e3` from flags, but takes `-1e-5` for one. So that becomes `-0.00001`, which is the same number, and
/// `-1e3` becomes `-1000.0`: JSON's exponents make floats.
/// Words of other commands stay as they are: a pool's program may mean anything by them.
pub(crate) fn spell_out(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
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

/// Where `call` stands, if that is the command: only `--config` may stand before a command.
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

/// A negative number with an exponent, written without it.
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

    fn spelled(words: &[&str]) -> Vec<OsString> {
        spell_out(words.iter().map(OsString::from))
    }

    #[test]
    fn a_signed_exponent_is_spelled_out() {
        assert_eq!(spelled(&["callboard", "call", "a.b", "-1e-5"])[3], "-0.00001");
        assert_eq!(spelled(&["callboard", "--config", "f", "call", "a.b", "-2.5E+2"])[5], "-250.0");
        assert_eq!(spelled(&["callboard", "--config=f", "call", "a.b", "-1e-5"])[4], "-0.00001");
    }

    #[test]
    fn everything_else_stays() {
        for words in [
            ["callboard", "call", "a.b", "-e"],
            ["callboard", "call", "a.b", "-1e999"],
            ["callboard", "call", "a.b", "1e-5"],
            ["callboard", "pool", "call", "-1e-5"],
        ] {
            assert_eq!(spelled(&words), words);
        }
    }
}
