//! Errors in settings: each names the place and the remedy.

use std::{io, path::PathBuf};

use callboard::{AuthKeySourceError, CurveKeysError, core::auth::PeerError};

use super::{
    environment::{AUTHKEY_VARIABLE, CURVE_SECRET_VARIABLE},
    source::Source,
};
use crate::peers_file::PeersFileError;

/// An invalid setting.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingError {
    /// The settings file cannot be read.
    #[error("cannot read the settings file {} ({named_by}): {error}", path.display())]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// The flag or variable that names it.
        named_by: Source,
        /// The cause.
        error: io::Error,
    },
    /// The settings file is not valid TOML.
    #[error("{}: {message}", at(place))]
    FileSyntax {
        /// The file and line.
        place: Source,
        /// The parser's message.
        message: String,
    },
    /// An unknown table or key.
    #[error("{}: {what}; {hint}", at(place))]
    Unknown {
        /// The file and line.
        place: Source,
        /// What is unknown.
        what: String,
        /// The nearest name, or all valid names.
        hint: String,
    },
    /// A key file and a key in the environment are both set.
    #[error("{} and {AUTHKEY_VARIABLE} are both set: unset one of them", at(file))]
    TwoAuthkeys {
        /// The place that names the file.
        file: Source,
    },
    /// An unusable key file.
    #[error("{}: {error}", at(place))]
    AuthkeyFile {
        /// The place that names the file.
        place: Source,
        /// The cause.
        error: AuthKeySourceError,
    },
    /// An unusable file of peers.
    #[error("{}: {error}", at(place))]
    PeersFile {
        /// The place that names the file.
        place: Source,
        /// The cause.
        error: PeersFileError,
    },
    /// The keys and the peers contradict each other.
    #[error("{}: with the keys of the broker, {error}", at(place))]
    Peers {
        /// The place that names the file of peers.
        place: Source,
        /// The cause.
        error: PeerError,
    },
    /// An unusable key in the environment.
    #[error(transparent)]
    Authkey(AuthKeySourceError),
    /// A file with a CURVE key and such a key in the environment are both set.
    #[error("{} and {CURVE_SECRET_VARIABLE} are both set: unset one of them", at(file))]
    TwoCurveSecrets {
        /// The place that names the file.
        file: Source,
    },
    /// An unusable CURVE key.
    #[error("{}: {error}", at(place))]
    CurveKeys {
        /// The place that names the key or its file.
        place: Source,
        /// The cause.
        error: CurveKeysError,
    },
    /// An unusable CURVE key in the environment, which the error names.
    #[error(transparent)]
    Curve(CurveKeysError),
    /// An environment variable that is not text.
    #[error("{0} is not UTF-8 text: set it again or unset it")]
    NotText(&'static str),
    /// An invalid value.
    #[error("{}: {wrong}", at(place))]
    Value {
        /// The place where it was written.
        place: Source,
        /// What is wrong with it and what to write.
        wrong: String,
    },
}

/// Returns a place as the start of an error message.
fn at(place: &Source) -> String {
    match place {
        Source::Flag(flag) => (*flag).to_owned(),
        Source::Environment(variable) => (*variable).to_owned(),
        Source::File(path, line) => format!("{} line {line}", path.display()),
        Source::Default => "default".to_owned(),
    }
}
