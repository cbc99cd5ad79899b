//! The one result of a call, on standard output.

use anyhow::anyhow;
use ciborium::Value;

use crate::command::output::{self, exit::Exit, json};

/// Prints a result as JSON, or, if it is to be `raw`, writes the bytes that it is.
///
/// # Errors
/// It is to be raw, and is no byte string: exit code 1. Stdout cannot be written.
pub(super) fn print(result: &Value, raw: bool) -> anyhow::Result<()> {
    if raw {
        let bytes = bytes_of(result).ok_or_else(|| {
            Exit::Failed
                .because(anyhow!("--raw is for byte strings, and the result is none: {}", json::compact(result)))
        });
        return output::print_bytes(bytes?);
    }
    output::print(&json::compact(result))?;
    if json::has_no_number(result) {
        output::warn("a null of the result is NaN or infinite: JSON has no word for that");
    }
    Ok(())
}

/// The bytes of a byte string, whatever tags say of it.
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
