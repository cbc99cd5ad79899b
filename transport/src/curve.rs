//! The CURVE keys of a client or worker, and where they come from.

use std::{
    env, fmt, fs, io,
    path::{Path, PathBuf},
};

use callboard_core::zmtp::curve::{
    CurveClient, Entropy, KeyError, KeyFileError, PublicKey, SecretKey, public_key_from_file, secret_key_from_file,
    server_keys_from_file,
};
use zeroize::Zeroizing;

use crate::secret_file::{SecretFileError, read_secret_file};

/// The environment variable that holds the broker's public key, or the path of its file. It encrypts the connections of clients and
/// workers.
pub const SERVER_KEY_VARIABLE: &str = "CALLBOARD_SERVER_KEY";
/// The environment variable that holds a peer's own secret key.
pub const CURVE_SECRET_VARIABLE: &str = "CALLBOARD_CURVE_SECRET";
/// The maximum bytes of a file with a CURVE key: the certificates of other libraries have comments and metadata.
const KEY_FILE_BYTES_MAX: usize = 16 * 1024;
/// The characters of a key.
const KEY_CHARACTERS: usize = 40;

/// The keys with which a client or worker encrypts its connection. A peer with these keys never connects without encryption.
#[derive(Clone, Debug)]
pub struct CurveKeys {
    server_key: PublicKey,
    /// `None`: each connection has a random key.
    secret_key: Option<SecretKey>,
}

impl CurveKeys {
    /// Creates the keys of a peer of the broker that has the secret key of `server_key`.
    ///
    /// The peer is anonymous: its own key is random. [`CurveKeys::with_secret_key`] gives it an identity.
    pub fn new(server_key: PublicKey) -> CurveKeys {
        CurveKeys { server_key, secret_key: None }
    }

    /// Sets the peer's own key, by which the broker knows it.
    #[must_use]
    pub fn with_secret_key(self, key: SecretKey) -> CurveKeys {
        CurveKeys { secret_key: Some(key), ..self }
    }

    /// Returns the broker's public key.
    pub fn server_key(&self) -> PublicKey {
        self.server_key
    }

    /// Returns the peer's own key, if it is not anonymous.
    pub fn secret_key(&self) -> Option<&SecretKey> {
        self.secret_key.as_ref()
    }

    /// Returns the client side of one connection.
    pub(crate) fn client(&self) -> CurveClient {
        let mut entropy = Zeroizing::new([0; Entropy::BYTES]);
        rand::fill(&mut entropy[..]);
        let secret_key = self.secret_key.clone().unwrap_or_else(|| SecretKey::from_bytes(rand::random()));
        CurveClient::new(self.server_key, secret_key, Entropy::new(*entropy))
    }
}

/// The error of reading CURVE keys. It never shows a secret. `Debug` prints the message too, for a `main` that returns the error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CurveKeysError {
    /// The file of a secret key cannot be read, or is open to other users.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The file of the server key cannot be read.
    #[error("cannot read the server key file {}: {error}: write the broker's public key, or the path of its file", path.display())]
    Unreadable {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file does not hold the required key.
    #[error("invalid key file {}: {error}", path.display())]
    InvalidFile {
        /// The file's path.
        path: PathBuf,
        /// What is wrong with its text.
        error: KeyFileError,
    },
    /// The text is not a key.
    #[error("invalid server key: {0}")]
    InvalidServerKey(KeyError),
    /// The variable does not hold a key.
    #[error("invalid {CURVE_SECRET_VARIABLE}: {0}")]
    InvalidSecret(KeyError),
    /// A peer has a secret key and no server key, so it would connect without encryption.
    #[error(
        "a secret key without a server key: set the broker's public key as well, with --server-key or {SERVER_KEY_VARIABLE}"
    )]
    SecretWithoutServerKey,
    /// A variable is not UTF-8 text.
    #[error("{0} is not UTF-8 text: set it again or unset it")]
    NotText(&'static str),
}

impl fmt::Debug for CurveKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads the keys in the environment variables `CALLBOARD_SERVER_KEY` and `CALLBOARD_CURVE_SECRET`. Returns `None` if both are unset
/// or empty.
///
/// # Errors
/// [`CurveKeysError`] if a variable holds no valid key, or only the secret key is set.
pub fn curve_keys_from_environment() -> Result<Option<CurveKeys>, CurveKeysError> {
    let server_key = variable(SERVER_KEY_VARIABLE)?.map(|text| parse_server_key(&text)).transpose()?;
    curve_keys(server_key, curve_secret_from_environment()?)
}

/// Reads the secret key in the environment variable `CALLBOARD_CURVE_SECRET`. Returns `None` if it is unset or empty.
///
/// # Errors
/// [`CurveKeysError`] if the variable holds no valid key.
pub fn curve_secret_from_environment() -> Result<Option<SecretKey>, CurveKeysError> {
    variable(CURVE_SECRET_VARIABLE)?.map(|text| text.parse().map_err(CurveKeysError::InvalidSecret)).transpose()
}

/// Returns the keys of a peer, if it has any.
///
/// # Errors
/// [`CurveKeysError::SecretWithoutServerKey`].
pub fn curve_keys(
    server_key: Option<PublicKey>,
    secret_key: Option<SecretKey>,
) -> Result<Option<CurveKeys>, CurveKeysError> {
    match (server_key.map(CurveKeys::new), secret_key) {
        (None, Some(_)) => Err(CurveKeysError::SecretWithoutServerKey),
        (Some(keys), Some(secret)) => Ok(Some(keys.with_secret_key(secret))),
        (keys, None) => Ok(keys),
    }
}

/// Reads the broker's public key from a text: the key itself, or the path of its file.
///
/// # Errors
/// [`CurveKeysError`] if it is neither.
pub fn parse_server_key(text: &str) -> Result<PublicKey, CurveKeysError> {
    let key = text.parse();
    let path = Path::new(text);
    match key {
        Ok(key) => Ok(key),
        Err(error) if text.len() == KEY_CHARACTERS && !path.exists() => Err(CurveKeysError::InvalidServerKey(error)),
        Err(_) => {
            let content = fs::read_to_string(path);
            let content = content.map_err(|error| CurveKeysError::Unreadable { path: path.to_owned(), error })?;
            public_key_from_file(&content).map_err(|error| CurveKeysError::InvalidFile { path: path.to_owned(), error })
        }
    }
}

/// Reads a peer's secret key from a file. Only its owner may have permission to read or write it.
///
/// # Errors
/// [`CurveKeysError`] if the file cannot be read, is open to other users, or does not hold a secret key.
pub fn read_curve_secret(path: impl AsRef<Path>) -> Result<SecretKey, CurveKeysError> {
    let path = path.as_ref();
    let text = read_secret_file(path, KEY_FILE_BYTES_MAX)?;
    secret_key_from_file(&text).map_err(|error| CurveKeysError::InvalidFile { path: path.to_owned(), error })
}

/// Reads a broker's secret key from a file, and the previous one if the file has it below. Only its owner may have permission to read
/// or write it.
///
/// # Errors
/// As for [`read_curve_secret`]. More than two keys are an error.
pub fn read_broker_curve_secrets(path: impl AsRef<Path>) -> Result<(SecretKey, Option<SecretKey>), CurveKeysError> {
    let path = path.as_ref();
    let text = read_secret_file(path, KEY_FILE_BYTES_MAX)?;
    server_keys_from_file(&text).map_err(|error| CurveKeysError::InvalidFile { path: path.to_owned(), error })
}

/// Returns the value of an environment variable. An empty variable counts as unset.
fn variable(name: &'static str) -> Result<Option<Zeroizing<String>>, CurveKeysError> {
    let Some(text) = env::var_os(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    text.into_string().map(|text| Some(Zeroizing::new(text))).map_err(|_| CurveKeysError::NotText(name))
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn pair() -> SecretKey {
        SecretKey::from_bytes([7; 32])
    }

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_server_key_is_a_key_or_the_path_of_its_file() {
        let key = pair().public_key();
        assert_eq!(parse_server_key(&key.to_string()).unwrap(), key);
        let (_folder, path) = file(&format!("{key}\n"), 0o644);
        assert_eq!(parse_server_key(path.to_str().unwrap()).unwrap(), key);
        let error = parse_server_key("broker.public").unwrap_err().to_string();
        assert!(error.contains("broker.public") && error.contains("or the path of its file"), "{error}");
        let error = parse_server_key(&"\"".repeat(KEY_CHARACTERS)).unwrap_err().to_string();
        assert!(error.starts_with("invalid server key: character 1"), "{error}");
    }

    #[test]
    fn the_secret_file_of_a_server_is_not_accepted_as_its_public_key() {
        let text = format!("public-key = \"{}\"\nsecret-key = \"{}\"\n", pair().public_key(), *pair().to_z85());
        let (_folder, path) = file(&text, 0o600);
        let error = parse_server_key(path.to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains("it contains a secret key"), "{error}");
        assert_eq!(read_curve_secret(&path).unwrap().public_key(), pair().public_key());
    }

    #[test]
    fn a_secret_key_that_others_can_read_is_an_error_that_advises_chmod() {
        let (_folder, path) = file(&pair().to_z85(), 0o644);
        let error = read_curve_secret(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600") && !error.contains(&**pair().to_z85()), "{error}");
    }

    #[test]
    fn a_secret_key_alone_is_an_error() {
        let error = curve_keys(None, Some(pair())).unwrap_err().to_string();
        assert!(error.contains("without a server key"), "{error}");
        assert!(curve_keys(None, None).unwrap().is_none());
        assert!(curve_keys(Some(pair().public_key()), None).unwrap().is_some());
    }
}
