//! Numbers that are integers where possible: an operation with a fraction gives a float.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Unexpected, Visitor},
};

/// A 64-bit integer or a float.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

use Number::{Float, Integer};

impl Number {
    /// Returns the sum; `None` if it is an integer beyond 64 bits.
    pub(crate) fn add(self, other: Number) -> Option<Number> {
        match (self, other) {
            (Integer(x), Integer(y)) => x.checked_add(y).map(Integer),
            (x, y) => Some(Float(x.as_float() + y.as_float())),
        }
    }

    /// Returns the difference; `None` if it is an integer beyond 64 bits.
    pub(crate) fn sub(self, other: Number) -> Option<Number> {
        match (self, other) {
            (Integer(x), Integer(y)) => x.checked_sub(y).map(Integer),
            (x, y) => Some(Float(x.as_float() - y.as_float())),
        }
    }

    /// Returns the quotient, an integer if the division has no remainder; `None` if the divisor is zero.
    pub(crate) fn div(self, other: Number) -> Option<Number> {
        match (self, other) {
            (Integer(x), Integer(y)) if x.checked_rem(y) == Some(0) => Some(Integer(x / y)),
            (x, y) => (y.as_float() != 0.0).then(|| Float(x.as_float() / y.as_float())),
        }
    }

    fn as_float(self) -> f64 {
        match self {
            Integer(integer) => integer as f64,
            Float(float) => float,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Integer(integer) => integer.fmt(f),
            Float(float) => float.fmt(f),
        }
    }
}

/// Implemented by hand for the error text: a caller that sends a list gets "expected a number".
impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
        Ok(Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
        let integer = i64::try_from(value).map(Integer);
        integer.map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &"a number of 64 bits, with its sign"))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
        Ok(Float(value))
    }
}
