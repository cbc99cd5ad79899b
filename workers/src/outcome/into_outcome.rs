//! The conversion of a function's return value to the outcome of its call.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt::Display,
    hash::Hash,
};

use bytes::Bytes;
use callboard_core::{
    body,
    wire::status::{Code, Executed, Failure},
};
use serde::Serialize;

use super::Error;

/// The outcome of a call: one CBOR item, or a failure.
pub type Outcome = Result<Bytes, Box<Failure>>;

/// A return type of a served function.
///
/// - A plain value: numbers, text, `()`, and options, lists, sets, maps and tuples of serde types.
/// - `Result<T, E>` with any serde type `T` and an application error `E`. The caller gets the status code UNKNOWN, the error's type
///   name, its `Display` text as the message, and its serialized form as the details. An [`Error`] sets another code.
/// - [`Reply`] around any other serde type.
///
/// The compiler infers `M`, which selects one of these cases. Programs do not name it.
#[diagnostic::on_unimplemented(
    message = "a served function cannot return `{Self}`",
    note = "return `Result<T, E>` with `T: Serialize` and `E: Serialize + Display`, or wrap a serde type: `Reply(value)`"
)]
pub trait IntoOutcome<M> {
    /// Returns the outcome of the call.
    fn into_outcome(self) -> Outcome;
}

/// A wrapper that makes any serde type a return value.
///
/// ```
/// use callboard_workers::Reply;
///
/// #[derive(serde::Serialize)]
/// struct Position { x: f64, y: f64 }
///
/// fn position() -> Reply<Position> {
///     Reply(Position { x: 1.0, y: 0.0 })
/// }
/// # position();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply<T>(pub T);

/// The `M` of plain values.
#[derive(Debug)]
pub struct Plain(());

/// The `M` of a `Result` with an application error.
#[derive(Debug)]
pub struct Fallible(());

impl<T: Serialize, E: Serialize + Display> IntoOutcome<Fallible> for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => encode(&value),
            Err(error) => Err(Box::new(Error::from_error(Code::Unknown, &error).into_failure())),
        }
    }
}

impl<T: Serialize> IntoOutcome<Plain> for Result<T, Error> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => encode(&value),
            Err(error) => Err(Box::new(error.into_failure())),
        }
    }
}

impl<T: Serialize> IntoOutcome<Plain> for Reply<T> {
    fn into_outcome(self) -> Outcome {
        encode(&self.0)
    }
}

macro_rules! plain {
    ($($type:ty $(where [$($generic:ident $(: $bound:path)?),+])?;)+) => {
        $(impl$(<$($generic: Serialize $(+ $bound)?),+>)? IntoOutcome<Plain> for $type {
            fn into_outcome(self) -> Outcome {
                encode(&self)
            }
        })+
    };
}

plain! {
    ();
    bool; char; String; &'static str; Cow<'static, str>; Bytes;
    u8; u16; u32; u64; u128; usize;
    i8; i16; i32; i64; i128; isize;
    f32; f64;
    std::time::Duration;
    Option<T> where [T];
    Vec<T> where [T];
    Box<T> where [T];
    BTreeSet<T> where [T: Ord];
    HashSet<T> where [T: Hash];
    BTreeMap<K, V> where [K: Ord, V];
    HashMap<K, V> where [K: Hash, V];
    (A,) where [A];
    (A, B) where [A, B];
    (A, B, C) where [A, B, C];
    (A, B, C, D) where [A, B, C, D];
}

impl<T: Serialize, const N: usize> IntoOutcome<Plain> for [T; N]
where
    [T; N]: Serialize,
{
    fn into_outcome(self) -> Outcome {
        encode(&self)
    }
}

/// Encodes a value as the result of a call. A value that CBOR cannot represent is an INTERNAL failure.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Outcome {
    body::encode(value).map_err(|error| {
        let message = format!("the result cannot be encoded as CBOR: {error}");
        Box::new(Failure::new(Code::Internal, Executed::Yes, message))
    })
}

/// Returns the failure of a handler that panicked.
pub(crate) fn panic_failure(message: &str) -> Box<Failure> {
    let message = format!("the handler panicked: {message}");
    Box::new(Failure { type_name: "Panic".into(), ..Failure::new(Code::Internal, Executed::Yes, message) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize)]
    struct DivisionByZero {
        dividend: i64,
    }

    impl Display for DivisionByZero {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{} cannot be divided by zero", self.dividend)
        }
    }

    #[test]
    fn an_application_error_is_sent_with_its_name_text_and_content() {
        let outcome: Result<i64, DivisionByZero> = Err(DivisionByZero { dividend: 7 });
        let failure = outcome.into_outcome().unwrap_err();
        assert_eq!((failure.code, failure.executed), (Code::Unknown, Executed::Yes));
        assert_eq!((&*failure.type_name, &*failure.message), ("DivisionByZero", "7 cannot be divided by zero"));
        let details: BTreeMap<String, i64> = body::decode(&failure.details).unwrap();
        assert_eq!(details["dividend"], 7);
    }

    #[test]
    fn an_error_can_set_its_code() {
        let outcome: Result<(), Error> = Err(Error::new(Code::NotFound, "not here"));
        assert_eq!(outcome.into_outcome().unwrap_err().code, Code::NotFound);
        let error = Error::from_error(Code::OutOfRange, &DivisionByZero { dividend: 1 });
        let failure = error.into_failure();
        assert_eq!((failure.code, &*failure.type_name), (Code::OutOfRange, "DivisionByZero"));
    }

    #[test]
    fn a_string_is_an_application_error() {
        let outcome: Result<(), String> = Err("no".to_owned());
        let failure = outcome.into_outcome().unwrap_err();
        assert_eq!((&*failure.type_name, &*failure.message), ("String", "no"));
    }
}
