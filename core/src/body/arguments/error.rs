//! Arguments that do not fit, in words for who made the call.

use std::fmt;

use bytestring::ByteString;
use serde::Serialize;

use crate::{
    body::{self, DecodeError, DecodeErrorKind, error::shortened},
    wire::{
        limits::FAILURE_MESSAGE_BYTES_MAX,
        status::{Code, Executed, Failure},
    },
};

/// Arguments that do not fit the method that was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentError {
    /// What is wrong.
    pub problem: ArgumentProblem,
    /// The parameter's name, with the place in its value where that is deeper (`sizes[3]`); as the caller wrote it where there is no
    /// such parameter; empty where it is about the arguments as a whole.
    pub argument: String,
    /// What would have fitted, such as `a number`.
    pub expected: String,
    /// What was given, such as `an array`.
    pub got: String,
}

/// What is wrong with arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgumentProblem {
    /// It is of another type, or out of range.
    Mismatch,
    /// The parameter's own type refused it; what it said is in `expected`.
    Refused,
    /// A parameter that cannot be left out was.
    Missing,
    /// There is no parameter of this name.
    Unknown,
    /// There are more arguments than parameters.
    TooMany,
    /// One parameter was given two values.
    Twice,
    /// The body is not well-formed CBOR.
    Malformed,
}

impl ArgumentError {
    pub(super) fn undecodable(name: &str, got: &str, error: &DecodeError) -> ArgumentError {
        let argument = format!("{name}{}", error.path_within());
        match error.kind() {
            DecodeErrorKind::Mismatch { expected, got } => ArgumentError {
                problem: ArgumentProblem::Mismatch,
                argument,
                expected: expected.clone(),
                got: got.clone(),
            },
            DecodeErrorKind::Refused(why) => ArgumentError {
                problem: ArgumentProblem::Refused,
                argument,
                expected: why.clone(),
                got: got.to_owned(),
            },
            DecodeErrorKind::Malformed(how) => ArgumentError { argument, ..ArgumentError::malformed(how) },
        }
    }

    pub(super) fn malformed(how: impl fmt::Display) -> ArgumentError {
        ArgumentError {
            problem: ArgumentProblem::Malformed,
            argument: String::new(),
            expected: "well-formed CBOR".to_owned(),
            got: format!("what {how}"),
        }
    }

    pub(super) fn no_arguments(got: &str) -> ArgumentError {
        ArgumentError {
            problem: ArgumentProblem::Mismatch,
            argument: String::new(),
            expected: "an array of positions, or a map of names and positions".to_owned(),
            got: got.to_owned(),
        }
    }

    pub(super) fn missing(name: &str) -> ArgumentError {
        ArgumentError {
            problem: ArgumentProblem::Missing,
            argument: name.to_owned(),
            expected: "a value".to_owned(),
            got: "nothing".to_owned(),
        }
    }

    pub(super) fn twice(name: &str) -> ArgumentError {
        ArgumentError {
            problem: ArgumentProblem::Twice,
            argument: name.to_owned(),
            expected: "one value".to_owned(),
            got: "two".to_owned(),
        }
    }

    pub(super) fn unknown<N: AsRef<str>>(name: &str, names: &[N]) -> ArgumentError {
        ArgumentError {
            problem: ArgumentProblem::Unknown,
            argument: shortened(name),
            expected: listed(names),
            got: shortened(name),
        }
    }

    pub(super) fn too_many<N: AsRef<str>>(given: u64, names: &[N]) -> ArgumentError {
        ArgumentError {
            problem: ArgumentProblem::TooMany,
            argument: String::new(),
            expected: listed(names),
            got: given.to_string(),
        }
    }
}

fn listed<N: AsRef<str>>(names: &[N]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { "no arguments".to_owned() } else { names.join(", ") }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ArgumentError { problem, argument, expected, got } = self;
        match argument.is_empty() {
            true => f.write_str("arguments: ")?,
            false => write!(f, "argument {argument}: ")?,
        }
        match problem {
            ArgumentProblem::Mismatch | ArgumentProblem::Malformed => write!(f, "expected {expected}, got {got}"),
            ArgumentProblem::Refused => write!(f, "{expected}; got {got}"),
            ArgumentProblem::Missing => f.write_str("missing"),
            ArgumentProblem::Unknown => write!(f, "unknown; the method takes {expected}"),
            ArgumentProblem::TooMany => write!(f, "too many, {got} were given; the method takes {expected}"),
            ArgumentProblem::Twice => f.write_str("given twice"),
        }
    }
}

impl std::error::Error for ArgumentError {}

impl From<ArgumentError> for Failure {
    /// INVALID_ARGUMENT, with the fields as details. `executed` is no: the worker says so before the handler begins.
    fn from(error: ArgumentError) -> Failure {
        #[derive(Serialize)]
        struct Details<'a> {
            argument: &'a str,
            expected: &'a str,
            got: &'a str,
        }

        let message = cut(error.to_string(), FAILURE_MESSAGE_BYTES_MAX);
        let details = Details { argument: &error.argument, expected: &error.expected, got: &error.got };
        Failure {
            type_name: ByteString::from_static("ArgumentError"),
            details: body::encode(&details).expect("a flat map of texts can be encoded"),
            ..Failure::new(Code::InvalidArgument, Executed::No, message)
        }
    }
}

/// `text`, cut at a character so that it has at most `bytes_max` bytes.
fn cut(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}
