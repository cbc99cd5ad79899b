//! Reads authkeys from a file or from the environment.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use callboard_core::{
    auth::{AuthKeys, AuthKeysError},
    wire::limits::AUTHKEY_FILE_BYTES_MAX,
};
use zeroize::Zeroizing;

use crate::secret_file::{SecretFileError, read_secret_file};

/// The environment variable that holds authkeys, one per line as in a key file.
pub const AUTHKEY_VARIABLE: &str = "CALLBOARD_AUTHKEY";
/// The error of reading authkeys. It never shows a key. `Debug` prints the message too, for a `main` that returns the error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AuthKeySourceError {
    /// The file cannot be read, or is open to other users.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The file does not hold valid keys.
    #[error("invalid key file {}: {error}", path.display())]
    InvalidFile {
        /// The file's path.
        path: PathBuf,
        /// What is wrong with its text.
        error: AuthKeysError,
    },
    /// The variable does not hold valid keys.
    #[error("invalid {AUTHKEY_VARIABLE}: {error}")]
    InvalidVariable {
        /// What is wrong with its text.
        error: AuthKeysError,
    },
    /// The variable is not UTF-8 text.
    #[error("{AUTHKEY_VARIABLE} is not UTF-8 text: set it again or unset it")]
    NotText,
}

impl fmt::Debug for AuthKeySourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads a key file with one key per line, see [`AuthKeys`]. Only its owner may have permission to read or write it.
///
/// # Errors
/// [`AuthKeySourceError`] if the file cannot be read, is not a regular file, is open to other users, or holds no valid keys.
pub fn read_authkeys(path: impl AsRef<Path>) -> Result<AuthKeys, AuthKeySourceError> {
    let path = path.as_ref();
    let text = read_secret_file(path, AUTHKEY_FILE_BYTES_MAX)?;
    text.parse().map_err(|error| AuthKeySourceError::InvalidFile { path: path.to_owned(), error })
}

/// Reads the keys in the environment variable `CALLBOARD_AUTHKEY`. Returns `None` if it is unset or empty.
///
/// # Errors
/// [`AuthKeySourceError`] if the variable is not UTF-8 text, or holds no valid keys.
pub fn authkeys_from_environment() -> Result<Option<AuthKeys>, AuthKeySourceError> {
    let Some(text) = env::var_os(AUTHKEY_VARIABLE).filter(|text| !text.is_empty()) else { return Ok(None) };
    let text = Zeroizing::new(text.into_string().map_err(|_| AuthKeySourceError::NotText)?);
    text.parse().map(Some).map_err(|error| AuthKeySourceError::InvalidVariable { error })
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    /// Writes a file with this text and mode, and reads it as a key file.
    fn read(text: &[u8], mode: u32) -> Result<AuthKeys, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authkey");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        read_authkeys(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_that_only_its_owner_can_access_is_read() {
        for mode in [0o600, 0o400, 0o700] {
            assert_eq!(read(b"id=a key=0123456789abcdef\n", mode).unwrap().first().id(), Some("a"));
        }
    }

    #[test]
    fn a_file_that_others_can_access_is_an_error_that_advises_chmod() {
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o610, 0o777] {
            let error = read(b"0123456789abcdef", mode).unwrap_err();
            assert!(error.contains("chmod 600 /") && error.contains(&format!("mode {mode:03o}")), "{error}");
        }
    }

    #[test]
    fn a_directory_is_not_a_key_file_with_any_mode() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/dev/zero")] {
            let error = read_authkeys(path).unwrap_err().to_string();
            assert!(error.contains("is not a regular file") && !error.contains("chmod"), "{error}");
        }
    }

    #[test]
    fn the_error_of_a_file_without_keys_names_the_line_and_shows_no_text() {
        let error = read(b"# mine\nhush-hush\n", 0o600).unwrap_err();
        assert!(error.contains("line 2: an authkey must have 16 to 512 bytes") && !error.contains("hush"), "{error}");
        assert!(read(b"", 0o600).unwrap_err().contains("contains no key"));
        assert!(read(&[0xff; 20], 0o600).unwrap_err().starts_with("cannot read the key file"));
        assert!(read(&[b'a'; AUTHKEY_FILE_BYTES_MAX + 1], 0o600).unwrap_err().contains("larger than"));
        assert!(read_authkeys("/no/such/file").unwrap_err().to_string().contains("/no/such/file"));
    }
}
