//! The settings of a client: those that were given, else those of the environment.

use std::{env, fmt::Display, path::PathBuf};

use callboard_clients::{AuthKey, Client as NativeClient, CurveKeys, authkeys_from_environment, read_authkeys};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyString},
};

use super::options::Timeout;
use crate::{curve, error};

/// The address of the broker by default.
const FRONTEND_DEFAULT: &str = "tcp://127.0.0.1:5559";
/// The variables with the broker's address, the first that is set counts.
const FRONTEND_VARIABLES: [&str; 2] = ["CALLBOARD_CLIENT_FRONTEND", "CALLBOARD_FRONTEND"];
/// The variables with the path of a key file.
const AUTHKEY_FILE_VARIABLES: [&str; 2] = ["CALLBOARD_CLIENT_AUTHKEY_FILE", "CALLBOARD_AUTHKEY_FILE"];
/// The variables with the broker's public key, or the path of its file.
const SERVER_KEY_VARIABLES: [&str; 2] = ["CALLBOARD_CLIENT_SERVER_KEY", "CALLBOARD_SERVER_KEY"];
/// The variables with the path of a file with a secret CURVE key.
const CURVE_SECRET_FILE_VARIABLES: [&str; 2] = ["CALLBOARD_CLIENT_CURVE_SECRET_FILE", "CALLBOARD_CURVE_SECRET_FILE"];

/// The settings of a client.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) address: String,
    authkey: Option<AuthKey>,
    curve: Option<CurveKeys>,
    name: String,
    timeout: Timeout,
}

impl Settings {
    /// Returns the settings, completed from the environment.
    ///
    /// # Errors
    /// `ValueError` if a key is invalid.
    pub(super) fn new(
        address: Option<String>,
        authkey: Option<&Bound<'_, PyAny>>,
        authkey_file: Option<PathBuf>,
        server_key: Option<String>,
        curve_secret_file: Option<PathBuf>,
        name: &str,
        timeout: Timeout,
    ) -> PyResult<Settings> {
        let variable = |name: &&str| env::var(name).ok().filter(|value| !value.is_empty());
        let address = address.or_else(|| FRONTEND_VARIABLES.iter().find_map(variable));
        Ok(Settings {
            address: address.unwrap_or_else(|| FRONTEND_DEFAULT.to_owned()),
            authkey: find_authkey(authkey, authkey_file)?,
            curve: find_curve_keys(server_key, curve_secret_file)?,
            name: name.to_owned(),
            timeout,
        })
    }

    /// Starts a client, which connects in the background.
    pub(super) fn start(&self, py: Python<'_>) -> PyResult<NativeClient> {
        let builder = NativeClient::builder(&self.address).name(&self.name);
        let builder = match self.timeout {
            Timeout::Default => builder,
            Timeout::None => builder.no_timeout(),
            Timeout::After(span) => builder.timeout(span),
        };
        let builder = self.authkey.iter().cloned().fold(builder, |builder, key| builder.authkey(key));
        let builder = self.curve.iter().cloned().fold(builder, |builder, keys| builder.curve(keys));
        builder.connect_lazily().map_err(|error| error::connect_error(py, &error))
    }
}

/// Returns the key that was given, or that of the file or the environment.
fn find_authkey(given: Option<&Bound<'_, PyAny>>, file: Option<PathBuf>) -> PyResult<Option<AuthKey>> {
    let invalid = |error: &dyn Display| PyValueError::new_err(error.to_string());
    if let Some(given) = given {
        let secret = match given.cast::<PyBytes>() {
            Ok(bytes) => bytes.as_bytes().to_vec(),
            Err(_) => given
                .cast::<PyString>()
                .map_err(|_| PyTypeError::new_err("authkey must be str or bytes"))?
                .to_str()?
                .into(),
        };
        return AuthKey::new(secret).map(Some).map_err(|error| invalid(&error));
    }
    let variable = |name: &&str| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = file.or_else(|| AUTHKEY_FILE_VARIABLES.iter().find_map(variable).map(Into::into)) {
        return read_authkeys(path).map(|keys| Some(keys.first().clone())).map_err(|error| invalid(&error));
    }
    let keys = authkeys_from_environment().map_err(|error| invalid(&error))?;
    Ok(keys.map(|keys| keys.first().clone()))
}

/// Returns the CURVE keys that were given, or those of the environment.
fn find_curve_keys(server_key: Option<String>, secret_file: Option<PathBuf>) -> PyResult<Option<CurveKeys>> {
    let variable = |name: &&str| env::var(name).ok().filter(|value| !value.is_empty());
    let server_key = server_key.or_else(|| SERVER_KEY_VARIABLES.iter().find_map(variable));
    let secret_file = secret_file.or_else(|| CURVE_SECRET_FILE_VARIABLES.iter().find_map(variable).map(Into::into));
    curve::keys(server_key.as_deref(), secret_file)
}
