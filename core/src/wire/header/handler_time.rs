//! Extension key 67, `handler_us`: how long the handler of a call ran, as its worker measured it.

use std::time::Duration;

use super::{cursor::Cursor, head::major};

/// The key of the extension.
pub(super) const KEY: u8 = 67;

/// Returns whole microseconds.
pub(super) fn to_micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Reads the time, if `extensions` consist of this pair only.
pub(super) fn read(extensions: &[u8]) -> Option<Duration> {
    if extensions.is_empty() {
        return None;
    }
    let mut cursor = Cursor::new(extensions, 0);
    let mut number = || cursor.head().ok().and_then(|(major, value)| (major == major::UNSIGNED).then_some(value));
    let (key, micros) = (number()?, number()?);
    (key == u64::from(KEY) && cursor.is_at_end()).then(|| Duration::from_micros(micros))
}
