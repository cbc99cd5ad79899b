//! Where a command's keys come from. The keys themselves are read by whoever needs them, and shown by nobody.

use callboard::{AuthKeySourceError, AuthKeys, authkeys_from_environment, read_authkeys};

use super::{
    error::SettingError,
    source::{Source, Sourced},
};

/// The variable that holds a key itself. There is no flag and no setting of the file for that: others can read those.
pub(crate) const VARIABLE: &str = "CALLBOARD_AUTHKEY";

/// Where one table's keys come from.
#[derive(Debug)]
pub(crate) struct Authkey {
    /// The key file, if one is named.
    pub(crate) file: Option<Sourced<String>>,
    /// Whether the variable is set.
    pub(crate) in_environment: bool,
}

impl Authkey {
    /// Reads the keys; `None` if nobody gave any.
    ///
    /// # Errors
    /// If there are two places, or the one has no keys that can be used.
    pub(crate) fn keys(&self) -> Result<Option<AuthKeys>, SettingError> {
        match &self.file {
            Some(file) if self.in_environment => Err(SettingError::TwoAuthkeys { file: file.source.clone() }),
            Some(file) => read_authkeys(&file.value).map(Some).map_err(|error| unusable(&file.source, error)),
            None => authkeys_from_environment().map_err(|error| unusable(&Source::Environment(VARIABLE), error)),
        }
    }
}

fn unusable(place: &Source, error: AuthKeySourceError) -> SettingError {
    match place {
        // The error names it already.
        Source::Environment(VARIABLE) => SettingError::Authkey(error),
        place => SettingError::AuthkeyFile { place: place.clone(), error },
    }
}
