//! Functions that write the heads and strings of CBOR items, for encoding and for the arguments of calls.

use super::reader::Head;

/// The major types of RFC 8949 section 3.1, as the upper bits of an item's first byte.
pub(super) const UNSIGNED: u8 = 0 << 5;
pub(super) const NEGATIVE: u8 = 1 << 5;
pub(super) const BYTES: u8 = 2 << 5;
pub(super) const TEXT: u8 = 3 << 5;
pub(super) const ARRAY: u8 = 4 << 5;
pub(super) const MAP: u8 = 5 << 5;
pub(super) const TAG: u8 = 6 << 5;
const SIMPLE: u8 = 7 << 5;

/// The lower bits of the first byte of an item of indefinite length.
pub(super) const INDEFINITE: u8 = 31;

pub(super) const FALSE: u8 = SIMPLE | 20;
pub(super) const TRUE: u8 = SIMPLE | 21;
pub(super) const NULL: u8 = SIMPLE | 22;
const UNDEFINED: u8 = SIMPLE | 23;
const FLOAT_16: u8 = SIMPLE | 25;
const FLOAT_32: u8 = SIMPLE | 26;
const FLOAT_64: u8 = SIMPLE | 27;

/// The byte that ends an item of indefinite length.
pub(super) const BREAK: u8 = SIMPLE | INDEFINITE;

impl Head {
    /// Appends the head to `out` in its shortest form. The content of a string, and the items of an array, a map or a tag, come next.
    ///
    /// ```
    /// use callboard_core::body::Head;
    ///
    /// let mut out = Vec::new();
    /// Head::Bytes(Some(2)).write(&mut out);
    /// out.extend_from_slice(&[8, 9]);
    /// assert_eq!(out, [0x42, 8, 9]);
    /// ```
    #[inline]
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Head::Unsigned(value) => write_head(out, UNSIGNED, value),
            Head::Negative(magnitude) => write_head(out, NEGATIVE, magnitude),
            Head::Bytes(length) => write_length(out, BYTES, length),
            Head::Text(length) => write_length(out, TEXT, length),
            Head::Array(length) => write_length(out, ARRAY, length),
            Head::Map(length) => write_length(out, MAP, length),
            Head::Tag(tag) => write_head(out, TAG, tag),
            Head::Bool(value) => out.push(if value { TRUE } else { FALSE }),
            Head::Null => out.push(NULL),
            Head::Undefined => out.push(UNDEFINED),
            Head::Simple(value) => write_head(out, SIMPLE, value.into()),
            Head::Float(value) => write_float(out, value),
            Head::Break => out.push(BREAK),
        }
    }
}

#[inline]
fn write_length(out: &mut Vec<u8>, major: u8, length: Option<u64>) {
    match length {
        Some(length) => write_head(out, major, length),
        None => out.push(major | INDEFINITE),
    }
}

/// Writes the shortest float that is bit for bit the same.
#[inline]
pub(super) fn write_float(out: &mut Vec<u8>, value: f64) {
    let single = value as f32;
    if f64::from(single).to_bits() != value.to_bits() {
        return write_bits(out, FLOAT_64, value.to_be_bytes());
    }
    let half = half::f16::from_f64(value);
    match half.to_f64().to_bits() == value.to_bits() {
        true => write_bits(out, FLOAT_16, half.to_be_bytes()),
        false => write_bits(out, FLOAT_32, single.to_be_bytes()),
    }
}

/// Writes a head with the shortest argument.
#[inline]
pub(super) fn write_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    match argument {
        0..=23 => out.push(major | argument as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, argument as u8]),
        0x100..=0xffff => write_bits(out, major | 25, (argument as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => write_bits(out, major | 26, (argument as u32).to_be_bytes()),
        _ => write_bits(out, major | 27, argument.to_be_bytes()),
    }
}

/// Writes a first byte and the `N` bytes of its argument, or of its float.
#[inline]
pub(super) fn write_bits<const N: usize>(out: &mut Vec<u8>, first: u8, argument: [u8; N]) {
    out.push(first);
    out.extend_from_slice(&argument);
}

/// Writes a byte string or a text, by its major type.
#[inline]
pub(super) fn write_string(out: &mut Vec<u8>, major: u8, content: &[u8]) {
    write_head(out, major, content.len() as u64);
    out.extend_from_slice(content);
}
