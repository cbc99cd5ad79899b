//! Extension key 66, `spent`: how the time of a failed call was spent.

use std::time::Duration;

use super::{
    cursor::Cursor,
    head::{major, write_head},
};
use crate::wire::status::Timings;

/// The key of the extension.
const KEY: u8 = 66;

/// Returns the encoded pair of a failure, or nothing if both durations are zero.
pub(super) fn pair(timings: &Timings) -> Vec<u8> {
    let mut out = Vec::new();
    if timings.queued.is_zero() && timings.running.is_zero() {
        return out;
    }
    write_head(&mut out, major::UNSIGNED, KEY.into());
    write_head(&mut out, major::ARRAY, 2);
    for span in [timings.queued, timings.running] {
        write_head(&mut out, major::UNSIGNED, u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    }
    out
}

/// Reads the timings, if `extensions` consist of this pair only, in the form that [`pair`] writes.
pub(super) fn read(extensions: &[u8]) -> Option<Timings> {
    let mut cursor = Cursor::new(extensions, 0);
    let mut number = |of| cursor.head().ok().and_then(|(major, value)| (major == of).then_some(value));
    let key = number(major::UNSIGNED)?;
    if key != u64::from(KEY) || number(major::ARRAY)? != 2 {
        return None;
    }
    let (queued, running) = (number(major::UNSIGNED)?, number(major::UNSIGNED)?);
    let timings = Timings {
        client: Duration::ZERO,
        queued: Duration::from_millis(queued),
        running: Duration::from_millis(running),
    };
    cursor.is_at_end().then_some(timings)
}
