//! What a function may return, and what becomes of it.

use std::{
    any::type_name,
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

/// What a call came to: one CBOR item, or a failure.
pub type Outcome = Result<Bytes, Box<Failure>>;

/// What a served function may return.
///
/// - A plain value: numbers, text, `()`, and options, lists, sets, maps and tuples of serde types.
/// - `Result<T, E>` of any serde type `T`, where `E` is the function's own error: it reaches the caller as UNKNOWN with its
///   type's name, its `Display` text as the message, and itself as the details. An [`Error`] says more.
/// - [`Reply`] around any other serde type that cannot fail.
///
/// `M` tells the compiler which of these it is; it is never written.
#[diagnostic::on_unimplemented(
    message = "a served function cannot return `{Self}`",
    note = "return `Result<T, E>` with `T: Serialize` and `E: Serialize + Display`, or wrap a serde type: `Reply(value)`"
)]
pub trait Answer<M> {
    /// The outcome that travels.
    fn into_outcome(self) -> Outcome;
}

/// A value of a type of your own, returned by a function that cannot fail.
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

/// A failure with a status code of the author's choice.
///
/// ```
/// use callboard_workers::{Code, Error};
///
/// fn user(id: u32) -> Result<String, Error> {
///     Err(Error::new(Code::NotFound, format!("there is no user {id}")))
/// }
/// # assert!(user(7).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Error {
    code: Code,
    type_name: String,
    message: String,
    details: Bytes,
}

impl Error {
    /// A failure with a code and a sentence for the caller.
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error { code, type_name: String::new(), message: message.into(), details: Bytes::new() }
    }

    /// A failure with a code, made of an error of your own: its type's name, its text, and itself as the details.
    pub fn from_own<E: Serialize + Display>(code: Code, error: &E) -> Error {
        Error {
            code,
            type_name: short_name::<E>(),
            message: error.to_string(),
            details: body::encode(error).unwrap_or_default(),
        }
    }

    /// The same, called something else.
    pub(crate) fn named(self, type_name: &str) -> Error {
        Error { type_name: type_name.to_owned(), ..self }
    }

    pub(crate) fn into_failure(self) -> Failure {
        Failure {
            type_name: self.type_name.into(),
            details: self.details,
            ..Failure::new(self.code, Executed::Yes, self.message)
        }
    }
}

/// `M` of a plain value.
#[derive(Debug)]
pub struct Plain(());

/// `M` of a `Result` with an error of the function's own.
#[derive(Debug)]
pub struct Fallible(());

impl<T: Serialize, E: Serialize + Display> Answer<Fallible> for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => encoded(&value),
            Err(error) => Err(Box::new(Error::from_own(Code::Unknown, &error).into_failure())),
        }
    }
}

impl<T: Serialize> Answer<Plain> for Result<T, Error> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => encoded(&value),
            Err(error) => Err(Box::new(error.into_failure())),
        }
    }
}

impl<T: Serialize> Answer<Plain> for Reply<T> {
    fn into_outcome(self) -> Outcome {
        encoded(&self.0)
    }
}

macro_rules! plain {
    ($($answer:ty $(where [$($generic:ident $(: $bound:path)?),+])?;)+) => {
        $(impl$(<$($generic: Serialize $(+ $bound)?),+>)? Answer<Plain> for $answer {
            fn into_outcome(self) -> Outcome {
                encoded(&self)
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

impl<T: Serialize, const N: usize> Answer<Plain> for [T; N]
where
    [T; N]: Serialize,
{
    fn into_outcome(self) -> Outcome {
        encoded(&self)
    }
}

pub(crate) fn encoded<T: Serialize + ?Sized>(value: &T) -> Outcome {
    body::encode(value).map_err(|error| {
        let message = format!("the result has no CBOR form: {error}");
        Box::new(Failure::new(Code::Internal, Executed::Yes, message))
    })
}

/// A type's name without its path and parameters: what an error is called on the wire.
fn short_name<T>() -> String {
    let full = type_name::<T>().trim_start_matches('&');
    let base = full.split('<').next().unwrap_or(full);
    base.rsplit("::").next().unwrap_or(base).to_owned()
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
    fn an_error_of_ones_own_travels_by_name_text_and_content() {
        let outcome: Result<i64, DivisionByZero> = Err(DivisionByZero { dividend: 7 });
        let failure = outcome.into_outcome().unwrap_err();
        assert_eq!((failure.code, failure.executed), (Code::Unknown, Executed::Yes));
        assert_eq!((&*failure.type_name, &*failure.message), ("DivisionByZero", "7 cannot be divided by zero"));
        let details: BTreeMap<String, i64> = body::decode(&failure.details).unwrap();
        assert_eq!(details["dividend"], 7);
    }

    #[test]
    fn an_error_may_name_its_code() {
        let outcome: Result<(), Error> = Err(Error::new(Code::NotFound, "not here"));
        assert_eq!(outcome.into_outcome().unwrap_err().code, Code::NotFound);
        let own = Error::from_own(Code::OutOfRange, &DivisionByZero { dividend: 1 });
        assert_eq!((own.code, own.type_name.as_str()), (Code::OutOfRange, "DivisionByZero"));
    }

    #[test]
    fn text_is_an_error_too() {
        let outcome: Result<(), String> = Err("no".to_owned());
        let failure = outcome.into_outcome().unwrap_err();
        assert_eq!((&*failure.type_name, &*failure.message), ("String", "no"));
    }
}
