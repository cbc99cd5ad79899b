//! The environment of the measured processes: quiet logs, and the keys of encrypted or authenticated connections.

use std::io::Write as _;

use anyhow::Context as _;
use callboard::{CurveKeys, SERVER_KEY_VARIABLE, SecretKey};
use rand::random;
use tempfile::NamedTempFile;

use crate::{
    command::process::child::QUIET,
    settings::{AUTHKEY_VARIABLE, CURVE_SECRET_VARIABLE, Credentials},
};

/// The variable of the file with the broker's secret key.
const BROKER_SECRET_FILE_VARIABLE: &str = "CALLBOARD_BROKER_CURVE_SECRET_FILE";

/// Variables of a process, in addition to those that all processes inherit.
pub(crate) type Variables = Vec<(&'static str, String)>;

/// The broker's key pair of an encrypted measurement.
pub(crate) struct BrokerKey {
    /// The file with the secret key, which only this user can read. It is removed with this value.
    secret: NamedTempFile,
    keys: CurveKeys,
}

impl BrokerKey {
    /// Creates a random key.
    ///
    /// # Errors
    /// If its file cannot be written.
    pub(crate) fn new() -> anyhow::Result<BrokerKey> {
        let key = SecretKey::from_bytes(random());
        let mut secret = NamedTempFile::new().context("cannot create a file for the secret key")?;
        secret.write_all(key.to_file().as_bytes())?;
        Ok(BrokerKey { secret, keys: CurveKeys::new(key.public_key()) })
    }

    /// Returns what clients and workers need.
    pub(crate) fn credentials(&self) -> Credentials {
        Credentials { authkey: None, curve: Some(self.keys.clone()) }
    }
}

/// Returns the variables of a private broker.
///
/// # Errors
/// If the path of its key file is not text.
pub(crate) fn of_broker(key: Option<&BrokerKey>) -> anyhow::Result<Variables> {
    let path = key.map(|key| key.secret.path().to_str().context("the path of the temporary folder is not text"));
    let secret = path.transpose()?.map(|path| (BROKER_SECRET_FILE_VARIABLE, path.to_owned()));
    Ok(quiet().chain(secret).collect())
}

/// Returns the variables of clients and workers.
pub(crate) fn of_peer(credentials: &Credentials) -> Variables {
    let authkey = credentials.authkey.as_ref().and_then(|key| key.to_line());
    let curve = credentials.curve.as_ref();
    let secret = curve.and_then(CurveKeys::secret_key).map(|key| key.to_z85().as_str().to_owned());
    let keys = [
        (AUTHKEY_VARIABLE, authkey.map(|line| line.as_str().to_owned())),
        (SERVER_KEY_VARIABLE, curve.map(|keys| keys.server_key().to_string())),
        (CURVE_SECRET_VARIABLE, secret),
    ];
    quiet().chain(keys.into_iter().filter_map(|(name, value)| Some((name, value?)))).collect()
}

fn quiet() -> impl Iterator<Item = (&'static str, String)> {
    QUIET.iter().map(|(name, value)| (*name, (*value).to_owned()))
}
