//! What a command shows to a broker: the source of its authkey and of its CURVE keys.

use callboard::{
    AuthKey, ClientBuilder, CurveKeys, CurveKeysError, PublicKey, SecretKey, Worker, curve_keys,
    curve_secret_from_environment, parse_server_key, read_curve_secret,
};

use super::{
    authkey::Authkey,
    environment::CURVE_SECRET_VARIABLE,
    error::SettingError,
    source::{Source, Sourced},
};

/// What a client, worker or pool shows to a broker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    pub(crate) authkey: Option<AuthKey>,
    pub(crate) curve: Option<CurveKeys>,
}

impl Credentials {
    /// Adds them to the settings of a client.
    pub(crate) fn add_to_client(&self, client: ClientBuilder) -> ClientBuilder {
        let client = self.authkey.iter().cloned().fold(client, ClientBuilder::authkey);
        self.curve.iter().cloned().fold(client, ClientBuilder::curve)
    }

    /// Adds them to the settings of a worker.
    pub(crate) fn add_to_worker(&self, worker: Worker) -> Worker {
        let worker = self.authkey.iter().cloned().fold(worker, Worker::authkey);
        self.curve.iter().cloned().fold(worker, Worker::curve)
    }
}

/// The sources of the credentials of one table.
#[derive(Debug)]
pub(crate) struct CredentialSources {
    pub(crate) authkey: Authkey,
    /// The broker's public key, or the path of its file.
    pub(crate) server_key: Option<Sourced<String>>,
    /// The file with the secret key.
    pub(crate) curve_secret_file: Option<Sourced<String>>,
    /// Whether the variable with the secret key is set.
    pub(crate) curve_secret_in_environment: bool,
}

impl CredentialSources {
    /// Reads the keys.
    ///
    /// # Errors
    /// If a source has no usable key, two sources of one key are set, or there is a secret key without a server key.
    pub(crate) fn read(&self) -> Result<Credentials, SettingError> {
        let authkey = self.authkey.keys()?.map(|keys| keys.first().clone());
        let curve = curve_keys(self.server_key()?, self.secret_key()?);
        let curve = curve.map_err(|error| self.unusable_secret(error))?;
        Ok(Credentials { authkey, curve })
    }

    fn server_key(&self) -> Result<Option<PublicKey>, SettingError> {
        let Some(given) = &self.server_key else { return Ok(None) };
        parse_server_key(&given.value).map(Some).map_err(|error| unusable(&given.source, error))
    }

    fn secret_key(&self) -> Result<Option<SecretKey>, SettingError> {
        match &self.curve_secret_file {
            Some(file) if self.curve_secret_in_environment => {
                Err(SettingError::TwoCurveSecrets { file: file.source.clone() })
            }
            Some(file) => read_curve_secret(&file.value).map(Some).map_err(|error| unusable(&file.source, error)),
            None => curve_secret_from_environment().map_err(SettingError::Curve),
        }
    }

    fn unusable_secret(&self, error: CurveKeysError) -> SettingError {
        let source = self.curve_secret_file.as_ref().map(|file| &file.source);
        unusable(source.unwrap_or(&Source::Environment(CURVE_SECRET_VARIABLE)), error)
    }
}

fn unusable(place: &Source, error: CurveKeysError) -> SettingError {
    SettingError::CurveKeys { place: place.clone(), error }
}
