//! The parser of a call's arguments on the command line.

use std::{fs::File, io, io::Read as _};

use callboard_core::body::{ArgumentMap, Arguments as _, EncodeError, EncodedArguments};
use ciborium::Value;
use thiserror::Error;

/// The largest file. It is larger than any message, so that the broker's limit decides, but /dev/zero has an end.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// An invalid argument. The exit code is 2.
#[derive(Debug, Error)]
pub(crate) enum WordError {
    /// An integer that would have to be rounded.
    #[error("integer {0} does not fit in 64 bits: send it as a string ('\"{0}\"') or as a float ({0}.0)")]
    IntegerTooLarge(String),
    /// JSON beyond a limit of the parser.
    #[error("cannot parse {word} as JSON: {why}; to send a string, write '\"...\"'")]
    Json { word: String, why: String },
    /// A file that cannot be read.
    // The field is not called `source`: anyhow would print it a second time.
    #[error("cannot read the file {path}: {error}; to send a string that starts with @, write '\"@...\"'")]
    File { path: String, error: io::Error },
    /// Values that nest too deeply.
    #[error("cannot send the arguments: {0}")]
    Encode(#[from] EncodeError),
}

/// Parses the arguments.
///
/// A word is NAME=VALUE if it starts with an identifier and `=`, else a positional value. A value is the content of a file if it is
/// `@FILE`, else JSON, else a string.
///
/// # Errors
///
/// If an integer does not fit in 64 bits, a file cannot be read, or a value nests too deeply.
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

/// Returns a warning for each word that begins like JSON but is not: it is sent as a string, probably by mistake.
pub(crate) fn warnings<W: AsRef<str>>(words: &[W]) -> Vec<String> {
    words
        .iter()
        .filter_map(|word| warning(split_name(word.as_ref()).map_or(word.as_ref(), |(_, value)| value)))
        .collect()
}

fn warning(value: &str) -> Option<String> {
    let error = serde_json::from_str::<Value>(value).err().filter(|_| value.starts_with(['{', '[']))?;
    Some(format!(
        "{value} is not JSON ({error}) and is sent as a string; to send it as a string without this warning, write '\"...\"'"
    ))
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
    let value = serde_json::from_str(text).map_err(|error| format!("invalid JSON: {error}"))?;
    match integer_too_large(text) {
        Some(integer) => Err(format!("integer {integer} does not fit in 64 bits")),
        None => Ok(value),
    }
}

fn json_or_string(text: &str) -> Result<Value, WordError> {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => match integer_too_large(text) {
            Some(integer) => Err(WordError::IntegerTooLarge(integer.to_owned())),
            None => Ok(value),
        },
        Err(error) if is_limit(&error) => Err(WordError::Json { word: text.to_owned(), why: error.to_string() }),
        Err(_) => Ok(Value::Text(text.to_owned())),
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
    outside_strings(json)
        .flat_map(|part| part.split(|next: char| !matches!(next, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')))
        .filter(|number| number.contains(|next: char| next.is_ascii_digit()) && !number.contains(['.', 'e', 'E']))
        .find(|integer| integer.parse::<i64>().is_err() && integer.parse::<u64>().is_err())
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
        assert_eq!(parsed(&["hello", "007", "", "+1", "1 2", "[1,", "NaN"]), {
            cbor!(["hello", "007", "", "+1", "1 2", "[1,", "NaN"]).unwrap()
        });
        assert_eq!(parsed(&["\"5\"", "[1, 2]", " 7 "]), cbor!(["5", [1, 2], 7]).unwrap());
        assert_eq!(parsed(&["{\"a\": {\"b\": []}}"]), cbor!([{"a" => {"b" => []}}]).unwrap());
    }

    #[test]
    fn a_word_that_begins_like_json_and_is_not_gets_a_warning() {
        let warnings = warnings(&["[1, 2", "x={a: 1}", "[1, 2]", "y={}", "\"[draft]\"", "hello"]);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].starts_with("[1, 2 is not JSON (EOF while parsing a list"), "{warnings:?}");
        assert!(warnings[1].starts_with("{a: 1} is not JSON"), "{warnings:?}");
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
        assert!(error_of("1e400").starts_with("cannot parse 1e400 as JSON: number out of range"));
        assert!(error_of(&"[".repeat(500)).contains("as JSON: recursion limit exceeded"));
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
