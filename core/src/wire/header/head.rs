//! The head of a CBOR item: its major type and its argument.

/// Major types: the upper three bits of an item's first byte.
pub(in super::super) mod major {
    /// Unsigned integer.
    pub(crate) const UNSIGNED: u8 = 0;
    /// Negative integer.
    pub(crate) const NEGATIVE: u8 = 1;
    /// Byte string.
    pub(crate) const BYTES: u8 = 2;
    /// Text string.
    pub(crate) const TEXT: u8 = 3;
    /// Array.
    pub(crate) const ARRAY: u8 = 4;
    /// Map.
    pub(crate) const MAP: u8 = 5;
    /// A tag of the item that follows.
    pub(crate) const TAG: u8 = 6;
    /// Booleans, null, floating-point numbers.
    pub(crate) const SIMPLE: u8 = 7;
}

/// Writes the head of an item: its major type and its argument, in the shortest form.
#[inline]
pub(in super::super) fn write_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    let [.., b3, b2, b1, b0] = argument.to_be_bytes();
    match argument {
        0..=23 => out.push(major | b0),
        24..=0xff => out.extend_from_slice(&[major | 24, b0]),
        0x100..=0xffff => out.extend_from_slice(&[major | 25, b1, b0]),
        0x1_0000..=0xffff_ffff => out.extend_from_slice(&[major | 26, b3, b2, b1, b0]),
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&argument.to_be_bytes());
        }
    }
}
