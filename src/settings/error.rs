//! What can be wrong with settings, in sentences that say where and what to do.

use std::{io, path::PathBuf};

use callboard::AuthKeySourceError;

use super::{authkey::VARIABLE, source::Source};

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingError {
    /// The settings file cannot be read.
    #[error("cannot read the settings file {} ({named_by}): {error}", path.display())]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// The flag or variable that names it.
        named_by: Source,
        /// Why not.
        error: io::Error,
    },
    /// The settings file is no TOML.
    #[error("{}: {message}", at(place))]
    FileSyntax {
        /// The file and line.
        place: Source,
        /// What the parser says.
        message: String,
    },
    /// A table or key that is none of ours.
    #[error("{}: {what}; {hint}", at(place))]
    Unknown {
        /// The file and line.
        place: Source,
        /// What is unknown.
        what: String,
        /// The nearest name, or the names there are.
        hint: String,
    },
    /// A key file is named, and there is a key in the environment as well.
    #[error("{} and {VARIABLE} are both set: unset one of them", at(file))]
    TwoAuthkeys {
        /// Where the file is named.
        file: Source,
    },
    /// A key file that cannot be used.
    #[error("{}: {error}", at(place))]
    AuthkeyFile {
        /// Where the file is named.
        place: Source,
        /// Why not.
        error: AuthKeySourceError,
    },
    /// A key in the environment that cannot be used.
    #[error(transparent)]
    Authkey(AuthKeySourceError),
    /// An environment variable that is not text.
    #[error("{0} is not UTF-8 text: set it again or unset it")]
    NotText(&'static str),
    /// A value that does not mean anything for its setting.
    #[error("{}: {wrong}", at(place))]
    Value {
        /// Where it was written.
        place: Source,
        /// What is wrong with it and what to write.
        wrong: String,
    },
}

/// How a sentence about a place begins: as people would point at it.
fn at(place: &Source) -> String {
    match place {
        Source::Flag(flag) => (*flag).to_owned(),
        Source::Environment(variable) => (*variable).to_owned(),
        Source::File(path, line) => format!("{} line {line}", path.display()),
        Source::Default => "default".to_owned(),
    }
}
