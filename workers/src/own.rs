//! Errors of methods of a served trait: what they are called on the wire, and which code they have.

use std::fmt::Display;

use callboard_core::wire::status::Code;
use serde::Serialize;

use crate::answer::{Answer, Error, Outcome, Plain};

/// The status code of an error of your own: methods of a trait served by `callboard::service` answer with it in the place of
/// UNKNOWN. Callers with a stub do not need it, for they get the error itself; others go by the code.
///
/// ```
/// use callboard_workers::{Code, ErrorCode};
///
/// struct NoSuchUser { id: u32 }
///
/// impl ErrorCode for NoSuchUser {
///     fn code(&self) -> Code {
///         Code::NotFound
///     }
/// }
/// # assert_eq!(NoSuchUser { id: 7 }.code(), Code::NotFound);
/// ```
pub trait ErrorCode {
    /// The code.
    fn code(&self) -> Code;
}

/// What a method of a served trait came to, with what its error is called in the trait.
#[doc(hidden)]
#[derive(Debug)]
pub struct Own<T, E> {
    pub result: Result<T, E>,
    pub name: &'static str,
    pub code: fn(&E) -> Code,
}

impl<T: Serialize, E: Serialize + Display> Answer<Plain> for Own<T, E> {
    fn into_outcome(self) -> Outcome {
        let Own { result, name, code } = self;
        result.map_err(|error| Error::from_own(code(&error), &error).named(name)).into_outcome()
    }
}

/// Finds the code of an error: `(&CodeOf(&error)).code()`. The compiler takes [`WithCode`] where the error is an [`ErrorCode`]
/// and, one reference further, [`WithoutCode`] where it is not.
#[doc(hidden)]
#[derive(Debug)]
pub struct CodeOf<'a, E>(pub &'a E);

#[doc(hidden)]
pub trait WithCode {
    fn code(&self) -> Code;
}

#[doc(hidden)]
pub trait WithoutCode {
    fn code(&self) -> Code;
}

impl<E: ErrorCode> WithCode for CodeOf<'_, E> {
    fn code(&self) -> Code {
        self.0.code()
    }
}

impl<E> WithoutCode for &CodeOf<'_, E> {
    fn code(&self) -> Code {
        Code::Unknown
    }
}

#[cfg(test)]
mod tests {
    use callboard_core::body;

    use super::*;

    struct Missing;

    impl ErrorCode for Missing {
        fn code(&self) -> Code {
            Code::NotFound
        }
    }

    #[test]
    #[allow(clippy::needless_borrow)] // the second reference is what the compiler chooses by
    fn an_error_that_names_a_code_has_it_and_others_are_unknown() {
        assert_eq!((&CodeOf(&Missing)).code(), Code::NotFound);
        assert_eq!((&CodeOf(&7)).code(), Code::Unknown);
    }

    #[test]
    fn an_error_is_called_what_the_trait_calls_it() {
        let answer = Own { result: Err::<(), _>(7), name: "Seven", code: |_| Code::NotFound };
        let failure = answer.into_outcome().expect_err("it failed");
        assert_eq!((failure.code, &*failure.type_name, &*failure.message), (Code::NotFound, "Seven", "7"));
        assert_eq!(body::decode(&failure.details), Ok(7));
    }
}
