//! The error of decoding arguments, with a message for the caller.

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

/// Arguments that do not match the parameters of a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentError {
    /// What is wrong.
    pub problem: ArgumentProblem,
    /// The parameter's name, with the path in its value (`sizes[3]`). If the parameter is unknown, the name that the caller sent.
    /// Empty if the problem is about the arguments as a whole.
    pub argument: String,
    /// What was expected, such as `a number`.
    pub expected: String,
    /// What was received, such as `an array`.
    pub got: String,
}

/// What is wrong with the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgumentProblem {
    /// A value has another type, or is out of range.
    Mismatch,
    /// The parameter's own type rejected the value; its message is in `expected`.
    Rejected,
    /// The argument of a parameter that is not optional was omitted.
    Missing,
    /// The method has no parameter of this name.
    Unknown,
    /// There are more arguments than parameters.
    TooMany,
    /// A parameter has two values.
    Duplicate,
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
            DecodeErrorKind::Custom(why) => ArgumentError {
                problem: ArgumentProblem::Rejected,
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
            got: format!("a body that {how}"),
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

    pub(super) fn duplicate(name: &str) -> ArgumentError {
        ArgumentError {
            problem: ArgumentProblem::Duplicate,
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
            ArgumentProblem::Rejected => write!(f, "{expected}; got {got}"),
            ArgumentProblem::Missing => f.write_str("missing"),
            ArgumentProblem::Unknown => write!(f, "unknown; the method takes {expected}"),
            ArgumentProblem::TooMany => write!(f, "{got} given, which is too many; the method takes {expected}"),
            ArgumentProblem::Duplicate => f.write_str("given twice"),
        }
    }
}

impl std::error::Error for ArgumentError {}

impl From<ArgumentError> for Failure {
    /// Returns INVALID_ARGUMENT with the fields as details. `executed` is no: the worker detects this before the handler starts.
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
            details: body::encode(&details).expect("a flat map of texts can always be encoded"),
            ..Failure::new(Code::InvalidArgument, Executed::No, message)
        }
    }
}

/// Truncates a text to at most `bytes_max` bytes, between two characters.
fn cut(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}
