//! Integers of any width: CBOR's 65 bits, and the bignums of tags 2 and 3 that fit into a Rust type.

use serde::de::Visitor;

use super::{
    error::DecodeError,
    reader::{Head, Malformed, Reader},
};

/// The tag of a byte string that is the magnitude of an unsigned integer.
pub(super) const TAG_BIGNUM: u64 = 2;
/// The tag of a byte string that is the magnitude n of the integer -1 - n.
pub(super) const TAG_BIGNUM_NEGATIVE: u64 = 3;

/// Every integer up to this converts to an f32 without loss, so it needs no further check.
const EXACT_IN_SINGLE: u128 = 1 << f32::MANTISSA_DIGITS;

/// An integer: `magnitude`, or -1 - `magnitude` if `negative`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Integer {
    negative: bool,
    magnitude: u128,
}

impl Integer {
    /// Returns the integer of an unsigned head.
    pub(super) fn unsigned(value: u64) -> Integer {
        Integer { negative: false, magnitude: value.into() }
    }

    /// Returns the integer of a negative head: -1 - `magnitude`.
    pub(super) fn negative(magnitude: u64) -> Integer {
        Integer { negative: true, magnitude: magnitude.into() }
    }

    /// Reads the byte string behind a bignum's tag. `None` if it is not a byte string, or no Rust type can hold the integer.
    pub(super) fn bignum(tag: u64, reader: &mut Reader<'_>) -> Result<Option<Integer>, Malformed> {
        let Head::Bytes(length) = reader.head()? else { return Ok(None) };
        let bytes = reader.bytes(length)?;
        let leading_zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let digits = &bytes[leading_zeros..];
        if digits.len() > size_of::<u128>() {
            return Ok(None);
        }
        let magnitude = digits.iter().fold(0, |magnitude, digit| magnitude << 8 | u128::from(*digit));
        let integer = Integer { negative: tag == TAG_BIGNUM_NEGATIVE, magnitude };
        Ok((!integer.negative || integer.to_i128().is_some()).then_some(integer))
    }

    fn to_i128(self) -> Option<i128> {
        let magnitude = i128::try_from(self.magnitude).ok()?;
        Some(if self.negative { -1 - magnitude } else { magnitude })
    }

    /// Returns the float that equals this integer exactly. If `single`, it must also be exact as an f32.
    pub(super) fn to_float(self, single: bool) -> Option<f64> {
        if self.magnitude < EXACT_IN_SINGLE {
            let magnitude = self.magnitude as u32;
            return Some(if self.negative { -1.0 - f64::from(magnitude) } else { f64::from(magnitude) });
        }
        let value = self.to_i128()?;
        let float = if single { f64::from(value as f32) } else { value as f64 };
        // As a float, i128::MAX rounds up to 2^127, which saturates back to i128::MAX: equal, but not exact.
        (float as i128 == value && value != i128::MAX).then_some(float)
    }

    /// Passes the integer to the visitor in the narrowest type that holds it.
    pub(super) fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if !self.negative {
            return match u64::try_from(self.magnitude) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_u128(self.magnitude),
            };
        }
        let Some(value) = self.to_i128() else {
            return Err(DecodeError::mismatch(&visitor, "an integer that is too small for any type"));
        };
        match i64::try_from(value) {
            Ok(value) => visitor.visit_i64(value),
            Err(_) => visitor.visit_i128(value),
        }
    }
}
