//! The result of a unary call, on standard output.

use anyhow::anyhow;
use ciborium::Value;

use crate::command::output::{self, exit::Exit, json};

/// Prints a result as JSON, or writes its bytes if `raw`.
///
/// # Errors
/// If it is `raw` and not a byte string: exit code 1. If stdout cannot be written.
pub(super) fn print(result: &Value, raw: bool) -> anyhow::Result<()> {
    if raw {
        let bytes = bytes_of(result).ok_or_else(|| {
            Exit::Failed.because(anyhow!("--raw needs a byte string, and the result is {}", json::compact(result)))
        });
        return output::print_bytes(bytes?);
    }
    output::print(&json::compact(result))?;
    if json::has_non_finite(result) {
        output::warn("a null in the result is NaN or infinite, which JSON cannot represent");
    }
    Ok(())
}

/// Returns the bytes of a byte string, with or without tags.
fn bytes_of(result: &Value) -> Option<&[u8]> {
    match result {
        Value::Bytes(bytes) => Some(bytes),
        Value::Tag(_, inner) => bytes_of(inner),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_behind_their_tags() {
        let bytes = Value::Bytes(vec![0, 0xff]);
        assert_eq!(bytes_of(&bytes), Some(&[0, 0xff][..]));
        assert_eq!(bytes_of(&Value::Tag(24, Box::new(bytes))), Some(&[0, 0xff][..]));
        assert_eq!(bytes_of(&Value::from("text")), None);
    }
}
