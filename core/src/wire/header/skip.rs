//! Skips a header that was not accepted, so that the envelopes after it can still be read.

use super::{super::limits::DEPTH_MAX, head::major};

/// The byte that ends an item of indefinite length.
const BREAK: u8 = 0xff;

/// Returns the end of the item that begins at `at`. `None` if the item is not well-formed CBOR (RFC 8949 appendix C), does not end
/// within `bytes`, or exceeds the depth `DEPTH_MAX`. The encoding need not be deterministic.
///
/// The time is linear in `bytes`, whatever lengths are announced: each step of each loop advances by a byte, or ends the loop.
pub(super) fn end_of_item(bytes: &[u8], at: usize) -> Option<usize> {
    item(bytes, at, DEPTH_MAX)
}

fn item(bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    let first = *bytes.get(at)?;
    let (kind, low) = (first >> 5, first & 0x1f);
    if low == 31 {
        return indefinite(bytes, at + 1, kind, depth);
    }
    let (argument, at) = argument(bytes, at + 1, low)?;
    match kind {
        major::UNSIGNED | major::NEGATIVE => Some(at),
        major::BYTES | major::TEXT => {
            let end = at.checked_add(usize::try_from(argument).ok()?)?;
            (end <= bytes.len()).then_some(end)
        }
        major::ARRAY => items(bytes, at, argument, depth),
        major::MAP => items(bytes, at, argument.checked_mul(2)?, depth),
        major::TAG => item(bytes, at, depth),
        // Simple values below 32 have a one-byte form only.
        _ => (low != 24 || argument >= 32).then_some(at),
    }
}

fn items(bytes: &[u8], at: usize, count: u64, depth: usize) -> Option<usize> {
    (0..count).try_fold(at, |at, _| item(bytes, at, depth))
}

/// Reads an argument, and returns it with its end.
fn argument(bytes: &[u8], at: usize, low: u8) -> Option<(u64, usize)> {
    let width = match low {
        0..=23 => return Some((u64::from(low), at)),
        24..=27 => 1 << (low - 24),
        _ => return None,
    };
    let argument = bytes.get(at..at + width)?;
    Some((argument.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)), at + width))
}

fn indefinite(bytes: &[u8], mut at: usize, kind: u8, depth: usize) -> Option<usize> {
    while *bytes.get(at)? != BREAK {
        at = match kind {
            // The chunks of a string are strings of the same kind with definite lengths.
            major::BYTES | major::TEXT if bytes[at] >> 5 == kind && bytes[at] & 0x1f != 31 => item(bytes, at, depth)?,
            major::ARRAY => item(bytes, at, depth)?,
            major::MAP => items(bytes, at, 2, depth)?,
            _ => return None,
        };
    }
    matches!(kind, major::BYTES | major::TEXT | major::ARRAY | major::MAP).then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_8949_appendix_f_are_not_well_formed() {
        let ill: &[&[u8]] = &[
            &[0x18],
            &[0x19, 0x01],
            &[0x41],
            &[0x5a, 0xff, 0xff, 0xff, 0xff, 0],
            &[0x9a, 0xff, 0xff, 0xff, 0xff, 0],
            &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
            &[0x5f, 0x41, 0],
            &[0x9f, 1],
            &[0xbf, 1, 2, 1],
            &[0xa1, 1],
            &[0x1c],
            &[0xf8, 0x18],
            &[0xfd],
            &[0x5f, 0, 0xff],
            &[0x5f, 0x5f, 0x41, 0, 0xff, 0xff],
            &[0x7f, 0x41, 0, 0xff],
            &[0xff],
            &[0x81, 0xff],
            &[0xbf, 0, 0xff],
            &[0x1f],
            &[0x3f],
            &[0xdf],
            &[0xc0],
            &[],
        ];
        for bytes in ill {
            assert_eq!(end_of_item(bytes, 0), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn well_formed_items_are_skipped() {
        let well: &[&[u8]] = &[
            &[0],
            &[0x18, 0],
            &[0x1b, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0x40],
            &[0x5f, 0x41, 0, 0x40, 0xff],
            &[0x7f, 0xff],
            &[0x9f, 1, 0x81, 2, 0xff],
            &[0xbf, 1, 2, 0xff],
            &[0xc1, 0xf9, 0, 0],
            &[0xf8, 0x20],
            &[0xf6],
            &[0xa1, 0xf4, 0xf5],
        ];
        for bytes in well {
            assert_eq!(end_of_item(bytes, 0), Some(bytes.len()), "{bytes:02x?}");
        }
    }

    #[test]
    fn the_nesting_depth_is_limited() {
        let nested = |levels: usize| [vec![0x81; levels - 1], vec![0]].concat();
        assert_eq!(end_of_item(&nested(DEPTH_MAX), 0), Some(DEPTH_MAX));
        assert_eq!(end_of_item(&nested(DEPTH_MAX + 1), 0), None);
        assert_eq!(end_of_item(&vec![0x9f; 1 << 20], 0), None);
    }
}
