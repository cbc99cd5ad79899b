//! The errors of both directions, with the path of the value or the position in the bytes.

use callboard_core::body::Malformed;
use pyo3::{
    exceptions::{PyArithmeticError, PyTypeError, PyValueError},
    prelude::*,
};

/// Characters of a key that a path repeats.
const KEY_CHARS_MAX: usize = 40;

/// Why a value cannot be encoded or decoded, and where in the value.
///
/// Boxed, because results are returned for every item and errors are rare.
#[derive(Debug)]
pub(super) struct Problem(Box<(Kind, Path)>);

/// The path from the innermost part to the outermost.
type Path = Vec<String>;

#[derive(Debug)]
enum Kind {
    /// A `TypeError`: a value of this type cannot be sent.
    Type(String),
    /// A `ValueError`: the type is right, the value is not.
    Value(String),
    /// An exception of Python code that ran meanwhile, such as `KeyboardInterrupt` or an error in a property.
    Raised(PyErr),
}

impl Problem {
    /// A value whose type cannot be sent.
    #[cold]
    pub(super) fn unsupported(message: impl Into<String>) -> Problem {
        Problem(Box::new((Kind::Type(message.into()), Path::new())))
    }

    /// A value that is out of range or malformed.
    #[cold]
    pub(super) fn invalid(message: impl Into<String>) -> Problem {
        Problem(Box::new((Kind::Value(message.into()), Path::new())))
    }

    /// An exception of a constructor that rejected decoded content, as an error of that content.
    #[cold]
    pub(super) fn rejected(py: Python<'_>, what: &str, error: PyErr) -> Problem {
        let of_content = error.is_instance_of::<PyValueError>(py)
            || error.is_instance_of::<PyTypeError>(py)
            || error.is_instance_of::<PyArithmeticError>(py);
        if of_content { Problem::invalid(format!("invalid {what}: {}", error.value(py))) } else { error.into() }
    }

    /// Adds the part of the path that leads to the value: `[1]`, `["when"]` or `.name`.
    #[cold]
    pub(super) fn within(mut self, segment: impl Into<String>) -> Problem {
        self.0.1.push(segment.into());
        self
    }

    /// Adds a key of a dict to the path.
    #[cold]
    pub(super) fn within_key(self, key: &Bound<'_, PyAny>) -> Problem {
        self.within(key_segment(key))
    }

    /// Returns the exception for a value that `name` stands for: `args[1]["when"]: cannot send ...`.
    pub(super) fn of_value(self, name: &str) -> PyErr {
        let (kind, path) = *self.0;
        let path: String = path.into_iter().rev().collect();
        match kind {
            Kind::Type(message) => PyTypeError::new_err(format!("{name}{path}: {message}")),
            Kind::Value(message) => PyValueError::new_err(format!("{name}{path}: {message}")),
            Kind::Raised(error) => error,
        }
    }

    /// Returns the exception for a body that was read up to `position`.
    pub(super) fn of_body(self, position: usize) -> PyErr {
        match self.0.0 {
            Kind::Type(message) | Kind::Value(message) => {
                PyValueError::new_err(format!("{message} (before byte {position})"))
            }
            Kind::Raised(error) => error,
        }
    }
}

impl From<PyErr> for Problem {
    #[cold]
    fn from(error: PyErr) -> Problem {
        Problem(Box::new((Kind::Raised(error), Path::new())))
    }
}

impl From<Malformed> for Problem {
    #[cold]
    fn from(how: Malformed) -> Problem {
        Problem::invalid(format!("not one well-formed CBOR item: it {how}"))
    }
}

/// Returns `["when"]` for text, and `[3]` for any other key as Python prints it.
fn key_segment(key: &Bound<'_, PyAny>) -> String {
    let shown = match key.extract::<&str>() {
        Ok(text) => format!("{text:?}"),
        Err(_) => key.repr().map_or_else(|_| "...".to_owned(), |repr| repr.to_string_lossy().into_owned()),
    };
    match shown.char_indices().nth(KEY_CHARS_MAX) {
        Some((end, _)) => format!("[{}...]", &shown[..end]),
        None => format!("[{shown}]"),
    }
}
