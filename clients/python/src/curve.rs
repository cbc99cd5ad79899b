//! CURVE keys, from Python.

use std::path::PathBuf;

use callboard_clients::{
    CurveKeys, CurveKeysError, curve_keys, curve_secret_from_environment, parse_server_key, read_curve_secret,
};
use pyo3::{exceptions::PyValueError, prelude::*};

/// Returns the keys of a peer: the broker's public key, or the path of its file, and the peer's own key. Without a file of that key it is
/// the one in `CALLBOARD_CURVE_SECRET`, if any.
///
/// # Errors
/// `ValueError` if a key is invalid.
pub(crate) fn keys(server_key: Option<&str>, secret_file: Option<PathBuf>) -> PyResult<Option<CurveKeys>> {
    read(server_key, secret_file).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn read(server_key: Option<&str>, secret_file: Option<PathBuf>) -> Result<Option<CurveKeys>, CurveKeysError> {
    let secret = secret_file.map_or_else(curve_secret_from_environment, |path| read_curve_secret(path).map(Some))?;
    curve_keys(server_key.map(parse_server_key).transpose()?, secret)
}
