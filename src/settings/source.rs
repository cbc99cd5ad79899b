//! Where a setting's value comes from.

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
    /// Nobody wrote it.
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

/// A value and where it comes from, so that an error met later (a port in use) can still name the place to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    /// What the setting means.
    pub(crate) value: T,
    /// Where it was written.
    pub(crate) source: Source,
}
