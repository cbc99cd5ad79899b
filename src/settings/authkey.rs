//! The source of a command's keys. A command reads the keys when it needs them; no command prints them.

use callboard::{AuthKeySourceError, AuthKeys, authkeys_from_environment, read_authkeys};

use super::{
    environment::AUTHKEY_VARIABLE,
    error::SettingError,
    source::{Source, Sourced},
};

/// The source of the keys of one table.
#[derive(Debug)]
pub(crate) struct Authkey {
    /// The key file, if one is set.
    pub(crate) file: Option<Sourced<String>>,
    /// Whether the environment variable is set.
    pub(crate) in_environment: bool,
}

impl Authkey {
    /// Reads the keys; `None` if no source is set.
    ///
    /// # Errors
    /// If both sources are set, or the one that is set has no usable keys.
    pub(crate) fn keys(&self) -> Result<Option<AuthKeys>, SettingError> {
        match &self.file {
            Some(file) if self.in_environment => Err(SettingError::TwoAuthkeys { file: file.source.clone() }),
            Some(file) => read_authkeys(&file.value).map(Some).map_err(|error| unusable(&file.source, error)),
            None => {
                authkeys_from_environment().map_err(|error| unusable(&Source::Environment(AUTHKEY_VARIABLE), error))
            }
        }
    }
}

fn unusable(place: &Source, error: AuthKeySourceError) -> SettingError {
    match place {
        // The error already names the variable.
        Source::Environment(AUTHKEY_VARIABLE) => SettingError::Authkey(error),
        place => SettingError::AuthkeyFile { place: place.clone(), error },
    }
}
