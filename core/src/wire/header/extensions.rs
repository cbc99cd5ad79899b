//! Extensions: header keys from 64 on, which are validated and counted, and otherwise not interpreted.

use std::ops::Range;

use super::{
    super::limits::{EXTENSION_BYTES_MAX, EXTENSION_KEYS_MAX},
    cursor::{Cursor, EncodingError},
    keys::CRITICAL_MAX,
};

const TOO_MANY: EncodingError = EncodingError("a header must not have more than 32 extension keys");
const TOO_LONG: EncodingError = EncodingError("the extensions of a header must not exceed 1024 bytes");

/// Skips `count` pairs, and returns their range.
///
/// # Errors
/// [`EncodingError`] if the pairs are not deterministic, not plain, too many or too long.
pub(super) fn scan(cursor: &mut Cursor<'_>, count: u64) -> Result<Range<usize>, EncodingError> {
    let start = cursor.at();
    let mut previous = CRITICAL_MAX;
    for _ in 0..count {
        previous = cursor.key(Some(previous))?;
        cursor.plain_item()?;
    }
    check_limits(count, cursor.at() - start)?;
    Ok(start..cursor.at())
}

/// Returns the number of pairs in `extensions`.
///
/// # Errors
/// As [`scan`].
pub(super) fn count(extensions: &[u8]) -> Result<u64, EncodingError> {
    let mut cursor = Cursor::new(extensions, 0);
    let mut previous = CRITICAL_MAX;
    let mut count = 0;
    while !cursor.is_at_end() {
        previous = cursor.key(Some(previous))?;
        cursor.plain_item()?;
        count += 1;
    }
    check_limits(count, extensions.len())?;
    Ok(count)
}

fn check_limits(count: u64, bytes: usize) -> Result<(), EncodingError> {
    match (count <= EXTENSION_KEYS_MAX as u64, bytes <= EXTENSION_BYTES_MAX) {
        (false, _) => Err(TOO_MANY),
        (_, false) => Err(TOO_LONG),
        _ => Ok(()),
    }
}
