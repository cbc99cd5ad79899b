//! The application errors of a served trait: their names on the wire, and their status codes.

use std::fmt::Display;

use callboard_core::wire::status::Code;
use serde::Serialize;

use super::{
    Error,
    into_outcome::{IntoOutcome, Outcome, Plain},
};

/// The status code of an application error. The methods of a trait with `#[callboard::service]` send it instead of UNKNOWN. Callers
/// with a stub get the error value itself; other callers see the code.
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
    /// Returns the status code.
    fn code(&self) -> Code;
}

/// The result of a method of a served trait, with the error's name in the trait.
#[doc(hidden)]
#[derive(Debug)]
pub struct ApplicationResult<T, E> {
    pub result: Result<T, E>,
    pub name: &'static str,
    pub code: fn(&E) -> Code,
}

impl<T: Serialize, E: Serialize + Display> IntoOutcome<Plain> for ApplicationResult<T, E> {
    fn into_outcome(self) -> Outcome {
        let ApplicationResult { result, name, code } = self;
        result.map_err(|error| Error::from_error(code(&error), &error).with_type_name(name)).into_outcome()
    }
}

/// Finds the code of an error: `(&CodeOf(&error)).code()`. If the error implements [`ErrorCode`], method resolution selects
/// [`DeclaredCode`]; otherwise it takes one more reference and selects [`DefaultCode`].
#[doc(hidden)]
#[derive(Debug)]
pub struct CodeOf<'a, E>(pub &'a E);

#[doc(hidden)]
pub trait DeclaredCode {
    fn code(&self) -> Code;
}

#[doc(hidden)]
pub trait DefaultCode {
    fn code(&self) -> Code;
}

impl<E: ErrorCode> DeclaredCode for CodeOf<'_, E> {
    fn code(&self) -> Code {
        self.0.code()
    }
}

impl<E> DefaultCode for &CodeOf<'_, E> {
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
    #[allow(clippy::needless_borrow)] // method resolution depends on the second reference
    fn an_error_without_a_declared_code_is_unknown() {
        assert_eq!((&CodeOf(&Missing)).code(), Code::NotFound);
        assert_eq!((&CodeOf(&7)).code(), Code::Unknown);
    }

    #[test]
    fn an_error_has_the_name_that_the_trait_uses() {
        let result = ApplicationResult { result: Err::<(), _>(7), name: "Seven", code: |_| Code::NotFound };
        let failure = result.into_outcome().expect_err("it failed");
        assert_eq!((failure.code, &*failure.type_name, &*failure.message), (Code::NotFound, "Seven", "7"));
        assert_eq!(body::decode(&failure.details), Ok(7));
    }
}
