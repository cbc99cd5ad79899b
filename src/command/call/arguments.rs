//! The parser of a call's arguments on the command line.

use std::{fs::File, io, io::Read as _};

use callboard_core::body::{ArgumentMap, Arguments as _, EncodeError, EncodedArguments};
use ciborium::Value;
use thiserror::Error;

use crate::command::output::escape::excerpt;

/// The largest file. It is larger than any message, so that the broker's limit decides, but /dev/zero has an end.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// An invalid argument. The exit code is 2.
#[derive(Debug, Error)]
pub(crate) enum WordError {
    /// An integer that would have to be rounded.
    #[error("integer {} does not fit in 64 bits: send it as a string ('\"...\"') or as a float (with .0)", excerpt(.0))]
    IntegerTooLarge(String),
    /// A word that begins like JSON and is not.
    #[error("cannot read {} as JSON: {why}; to send it as a string, write '\"...\"'", excerpt(word))]
    Json { word: String, why: String },
    /// A file that cannot be read.
    // The field is not called `source`: anyhow would print it a second time.
    #[error("cannot read the file {}: {error}; to send a string that starts with @, write '\"@...\"'", excerpt(path))]
    File { path: String, error: io::Error },
    /// Values that nest too deeply.
    #[error("cannot send the arguments: {0}")]
    Encode(#[from] EncodeError),
}

/// Parses the arguments.
///
/// A word is NAME=VALUE if it starts with an identifier and `=`, else a positional value. A value is the content of a file if it is
/// `@FILE`, else JSON, else a string. A value that begins like JSON, as [`begins_like_json`] defines, is never a string.
///
/// # Errors
///
/// If a value begins like JSON and is not, an integer does not fit in 64 bits, a file cannot be read, or a value nests too deeply.
pub(crate) fn arguments<W: AsRef<str>>(words: &[W]) -> Result<EncodedArguments, WordError> {
    let mut arguments = ArgumentMap::new();
    for word in words {
        arguments = match split_name(word.as_ref()) {
            Some((name, value)) => arguments.name(name, value_of(value)?),
            None => arguments.position(value_of(word.as_ref())?),
        };
    }
    Ok(EncodedArguments(arguments.encode()?))
}

/// Splits NAME=VALUE, where NAME is an identifier.
fn split_name(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let goes_on_well = name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_');
    (starts_well && goes_on_well).then_some((name, value))
}

fn value_of(text: &str) -> Result<Value, WordError> {
    match text.strip_prefix('@') {
        Some(path) => bytes_of(path).map(Value::Bytes),
        None => json_or_string(text),
    }
}

fn bytes_of(path: &str) -> Result<Vec<u8>, WordError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    let checked = match read {
        Ok(length) if length as u64 > FILE_BYTES_MAX => Err(io::Error::other("it has more than 1 GiB")),
        other => other,
    };
    checked.map_err(|error| WordError::File { path: path.to_owned(), error })?;
    Ok(bytes)
}

/// Parses a line as JSON. Here a string needs its quotes.
///
/// # Errors
/// If it is not JSON, or an integer does not fit in 64 bits.
pub(crate) fn json(text: &str) -> Result<Value, String> {
    let value = parse(text).map_err(|error| format!("invalid JSON: {error}"))?;
    match integer_too_large(text) {
        Some(integer) => Err(format!("integer {} does not fit in 64 bits", excerpt(integer))),
        None => Ok(value),
    }
}

fn json_or_string(text: &str) -> Result<Value, WordError> {
    match parse(text) {
        Ok(value) => match integer_too_large(text) {
            Some(integer) => Err(WordError::IntegerTooLarge(integer.to_owned())),
            None => Ok(value),
        },
        Err(error) if begins_like_json(text) || is_limit(&error) => {
            Err(WordError::Json { word: text.to_owned(), why: error.to_string() })
        }
        Err(_) => Ok(Value::Text(text.to_owned())),
    }
}

/// Parses JSON, with `-0` as the integer that it is: serde_json parses it as a float.
fn parse(text: &str) -> serde_json::Result<Value> {
    let value = serde_json::from_str(text)?;
    match without_negative_zeros(text) {
        Some(text) => serde_json::from_str(&text),
        None => Ok(value),
    }
}

/// Returns whether a text begins with `{`, `[` or `"`, or like a negative number (`-5`, `-.5`). Then it is JSON or a mistake, because
/// a string that is silently not what was meant is worse than an error.
fn begins_like_json(text: &str) -> bool {
    let mut letters = text.trim_start().chars();
    match letters.next() {
        Some('{' | '[' | '"') => true,
        Some('-') => letters.next().is_some_and(|next| next.is_ascii_digit() || next == '.'),
        _ => false,
    }
}

/// Returns whether the text is JSON beyond a limit of the parser: then it must not be sent as a string silently. Only
/// the text of the parser's error distinguishes this from invalid syntax; a test fails if it changes.
fn is_limit(error: &serde_json::Error) -> bool {
    let why = error.to_string();
    why.starts_with("number out of range") || why.starts_with("recursion limit exceeded")
}

/// Returns the first integer in valid JSON that does not fit in 64 bits: the parser would round it to a float.
fn integer_too_large(json: &str) -> Option<&str> {
    numbers(json)
        .filter(|number| !number.contains(['.', 'e', 'E']))
        .find(|integer| integer.parse::<i64>().is_err() && integer.parse::<u64>().is_err())
}

/// Returns valid JSON with 0 in place of each `-0`; `None` if there is none.
fn without_negative_zeros(json: &str) -> Option<String> {
    let starts: Vec<_> = numbers(json)
        .filter(|number| *number == "-0")
        .map(|zero| zero.as_ptr() as usize - json.as_ptr() as usize)
        .collect();
    let mut text = json.to_owned();
    // From the last to the first, so that the earlier positions stay valid.
    starts.iter().rev().for_each(|start| text.replace_range(start..&(start + 2), "0"));
    (!starts.is_empty()).then_some(text)
}

/// Returns the numbers of valid JSON, outside of its strings.
fn numbers(json: &str) -> impl Iterator<Item = &str> {
    outside_strings(json)
        .flat_map(|part| part.split(|next: char| !matches!(next, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')))
        .filter(|number| number.contains(|next: char| next.is_ascii_digit()))
}

/// Returns the parts of valid JSON between its strings.
fn outside_strings(json: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(json);
    std::iter::from_fn(move || {
        let (part, string) = match rest?.split_once('"') {
            Some((part, string)) => (part, Some(string)),
            None => (rest?, None),
        };
        rest = string.map(after_string);
        Some(part)
    })
}

/// Returns the text after a string, whose opening quote precedes `string`.
fn after_string(string: &str) -> &str {
    let mut escaped = false;
    let end = string.find(|next: char| {
        let ends = next == '"' && !escaped;
        escaped = next == '\\' && !escaped;
        ends
    });
    end.map_or("", |end| &string[end + 1..])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use ciborium::cbor;

    use super::*;

    fn parsed(words: &[&str]) -> Value {
        callboard_core::body::decode(&arguments(words).unwrap().0).unwrap()
    }

    fn error_of(word: &str) -> String {
        arguments(&[word]).unwrap_err().to_string()
    }

    #[test]
    fn a_word_is_json_or_else_a_string() {
        assert_eq!(parsed(&[]), cbor!([]).unwrap());
        assert_eq!(parsed(&["2", "-3", "2.5", "true", "null"]), cbor!([2, -3, 2.5, true, null]).unwrap());
        assert_eq!(parsed(&["hello", "007", "", "+1", "1 2", "-", "--x", "NaN", "2026-11-29"]), {
            cbor!(["hello", "007", "", "+1", "1 2", "-", "--x", "NaN", "2026-11-29"]).unwrap()
        });
        assert_eq!(parsed(&["\"5\"", "[1, 2]", " 7 "]), cbor!(["5", [1, 2], 7]).unwrap());
        assert_eq!(parsed(&["{\"a\": {\"b\": []}}"]), cbor!([{"a" => {"b" => []}}]).unwrap());
    }

    #[test]
    fn a_word_that_begins_like_json_and_is_not_is_an_error_with_its_place() {
        let words = [
            ("[1, 2", "EOF while parsing a list at line 1 column 5"),
            ("x={a: 1}", "line 1 column 2"),
            ("\"\\ud83d\"", "line 1 column 8"),
            ("{\"a\":\"\\ud83d\"}", "line 1 column 13"),
            (" \"open", "line 1 column 6"),
            ("-.5", "line 1 column 2"),
            ("y=-5s", "line 1 column 3"),
            ("[draft]", "line 1 column 2"),
        ];
        for (word, place) in words {
            let error = error_of(word);
            assert!(error.starts_with("cannot read ") && error.contains(place), "{word}: {error}");
        }
        assert_eq!(
            parsed(&["[1, 2]", "\"[draft]\"", "\"\\ud83d\\ude00\""]),
            cbor!([[1, 2], "[draft]", "\u{1f600}"]).unwrap()
        );
    }

    #[test]
    fn an_error_repeats_only_the_beginning_of_a_long_word() {
        for word in ["[".to_owned() + &"x".repeat(100_000), "9".repeat(100_000), "@".to_owned() + &"f".repeat(100_000)]
        {
            let error = error_of(&word);
            assert!(error.len() < 300 && error.contains("more characters)"), "{error}");
        }
    }

    #[test]
    fn a_negative_zero_is_an_integer_unless_it_has_a_fraction() {
        assert_eq!(parsed(&["-0", "x=-0"]), cbor!({0 => 0, "x" => 0}).unwrap());
        assert_eq!(parsed(&["[-0, 1, -0.0, \"-0\", -0]"]), cbor!([[0, 1, -0.0, "-0", 0]]).unwrap());
        assert_eq!(json("{\"a\": -0}"), Ok(cbor!({"a" => 0}).unwrap()));
    }

    #[test]
    fn a_word_that_starts_with_an_identifier_and_an_equals_sign_is_named() {
        assert_eq!(parsed(&["x=2", "_y1=three"]), cbor!({"x" => 2, "_y1" => "three"}).unwrap());
        assert_eq!(parsed(&["2", "y=3"]), cbor!({0 => 2, "y" => 3}).unwrap());
        assert_eq!(parsed(&["y=3", "2", "4"]), cbor!({0 => 2, 1 => 4, "y" => 3}).unwrap());
        assert_eq!(parsed(&["x=", "y==a", "z=a=b"]), cbor!({"x" => "", "y" => "=a", "z" => "a=b"}).unwrap());
        assert_eq!(parsed(&["\"a=b\"", "a-b=c", "1=2", "=5"]), cbor!(["a=b", "a-b=c", "1=2", "=5"]).unwrap());
        assert_eq!(parsed(&["{\"a\": \"b=c\"}"]), cbor!([{"a" => "b=c"}]).unwrap());
    }

    #[test]
    fn an_integer_is_never_rounded() {
        assert_eq!(parsed(&["18446744073709551615"]), cbor!([u64::MAX]).unwrap());
        assert_eq!(parsed(&["-9223372036854775808"]), cbor!([i64::MIN]).unwrap());
        for word in ["18446744073709551616", "x=18446744073709551616", "[{\"a\\\"\": [1, 18446744073709551616]}]"] {
            assert!(error_of(word).starts_with("integer 18446744073709551616 does not fit in 64 bits"), "{word}");
        }
        assert!(error_of("-9223372036854775809").starts_with("integer -9223372036854775809 does"));
        // Floats may be large, and a string may have any digits.
        assert_eq!(parsed(&["18446744073709551616.0"]), cbor!([18_446_744_073_709_551_616.0]).unwrap());
        assert_eq!(parsed(&["1e30"]), cbor!([1e30]).unwrap());
        assert_eq!(parsed(&["\"18446744073709551616\""]), cbor!(["18446744073709551616"]).unwrap());
        assert_eq!(parsed(&["[\"\\\\\", 1, \"\\\"99999999999999999999\"]"]), {
            cbor!([["\\", 1, "\"99999999999999999999"]]).unwrap()
        });
    }

    #[test]
    fn json_beyond_the_limits_of_the_parser_is_not_a_string() {
        assert!(error_of("1e400").starts_with("cannot read 1e400 as JSON: number out of range at line 1 column 5"));
        assert!(error_of(&"[".repeat(500)).contains("recursion limit exceeded"));
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(error_of(&deep).starts_with("cannot send the arguments: the value nests deeper"));
    }

    #[test]
    fn an_at_sign_stands_for_the_bytes_of_a_file() {
        let path = std::env::temp_dir().join(format!("callboard-arguments-{}", std::process::id()));
        std::fs::write(&path, b"\x00\xff").unwrap();
        let word = format!("@{}", path.display());
        let named = format!("data=@{}", path.display());
        let read = (arguments(&[&word]), arguments(&[&named]));
        std::fs::remove_file(&path).unwrap();
        let bytes = Value::Bytes(vec![0, 0xff]);
        let decoded = |body: EncodedArguments| callboard_core::body::decode::<Value>(&body.0).unwrap();
        assert_eq!(decoded(read.0.unwrap()), Value::Array(vec![bytes.clone()]));
        assert_eq!(decoded(read.1.unwrap()), Value::Map(vec![("data".into(), bytes)]));
        assert!(error_of(&word).starts_with(&format!("cannot read the file {}", path.display())));
        assert_eq!(parsed(&["\"@home\"", "ann@example.org"]), cbor!(["@home", "ann@example.org"]).unwrap());
    }
}
