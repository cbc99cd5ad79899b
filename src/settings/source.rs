//! The origin of a setting's value.

use std::{fmt, path::PathBuf};

/// The place where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A flag of the command line, as in `--frontend`.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// A line of the settings file, counted from 1.
    File(PathBuf, usize),
    /// No place: the value is the default.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag(flag) => write!(f, "flag {flag}"),
            Source::Environment(variable) => write!(f, "environment {variable}"),
            Source::File(path, line) => write!(f, "file {} line {line}", path.display()),
            Source::Default => f.write_str("default"),
        }
    }
}

/// A parsed value and its source. A later error, such as a port in use, can still name the place to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    /// The value.
    pub(crate) value: T,
    /// The place where it was written.
    pub(crate) source: Source,
}

/// A value as it was written, not yet parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawValue {
    /// The text. A TOML number or boolean is kept as its text.
    pub(crate) text: String,
    /// The place where it was written.
    pub(crate) source: Source,
}
