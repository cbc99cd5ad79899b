//! Where keys come from: a file, or the environment.

use std::{env, ffi::OsStr, fmt, fs::File, io, io::Read as _, path::Path, path::PathBuf};

use callboard_core::{
    auth::{AuthKeys, AuthKeysError},
    wire::limits::AUTHKEY_FILE_BYTES_MAX,
};
use zeroize::Zeroizing;

/// The variable that holds a key, or several, one a line: as in a key file.
pub const AUTHKEY_VARIABLE: &str = "CALLBOARD_AUTHKEY";
/// What others than its owner may not do with a key file: anything.
#[cfg(unix)]
const OTHERS: u32 = 0o077;
/// The same of a credential of systemd's. Its folder is the service's alone, and the file may be root's, with the service's right to
/// read it among the group's.
#[cfg(unix)]
const OTHERS_OF_CREDENTIAL: u32 = 0o037;
/// The folder of a service's credentials, where systemd started it with `LoadCredential=`.
#[cfg(unix)]
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Why there are no keys. Says nothing of the keys themselves. `Debug` is the sentence, too, for a `main` that returns it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AuthKeySourceError {
    /// The file cannot be read.
    #[error("cannot read the key file {}: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is a folder or a device: then its mode is nobody's mistake, and `chmod` would be bad advice.
    #[error("the key file {} is no regular file: write the path of a file with a key in it", path.display())]
    NoFile {
        /// Which file.
        path: PathBuf,
    },
    /// Others than its owner can read or write it.
    #[error("the key file {} is open to other users (mode {mode:03o}): chmod 600 {}", path.display(), path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There are no keys in it.
    #[error("the key file {}: {error}", path.display())]
    NoKeys {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: AuthKeysError,
    },
    /// There are none in the variable.
    #[error("{AUTHKEY_VARIABLE}: {error}")]
    Variable {
        /// What is wrong.
        error: AuthKeysError,
    },
    /// The variable is no text.
    #[error("{AUTHKEY_VARIABLE} is not UTF-8 text: set it again or unset it")]
    NotText,
}

impl fmt::Debug for AuthKeySourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads a key file: one key a line, see [`AuthKeys`]. Nobody but its owner may be able to read or write it.
///
/// # Errors
/// [`AuthKeySourceError`] if it cannot be read, is no regular file, is open to others, or has no keys in it.
pub fn read_authkeys(path: impl AsRef<Path>) -> Result<AuthKeys, AuthKeySourceError> {
    let path = path.as_ref();
    let unreadable = |error| AuthKeySourceError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    refuse_open(path, &file)?;
    let mut text = Zeroizing::new(String::new());
    let limit = AUTHKEY_FILE_BYTES_MAX as u64;
    let bytes = file.take(limit + 1).read_to_string(&mut text).map_err(unreadable)?;
    if bytes as u64 > limit {
        return Err(unreadable(io::Error::other("it is too large for a key file")));
    }
    text.parse().map_err(|error| AuthKeySourceError::NoKeys { path: path.to_owned(), error })
}

/// The keys in the variable `CALLBOARD_AUTHKEY`; none if it is not set, or empty.
///
/// # Errors
/// [`AuthKeySourceError`] if it is no text, or no key.
pub fn authkeys_from_environment() -> Result<Option<AuthKeys>, AuthKeySourceError> {
    let Some(text) = env::var_os(AUTHKEY_VARIABLE).filter(|text| !text.is_empty()) else { return Ok(None) };
    let text = Zeroizing::new(text.into_string().map_err(|_| AuthKeySourceError::NotText)?);
    text.parse().map(Some).map_err(|error| AuthKeySourceError::Variable { error })
}

/// Looks at the file that was opened, and not at its name again, which may be another's by now.
#[cfg(unix)]
fn refuse_open(path: &Path, file: &File) -> Result<(), AuthKeySourceError> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

    let metadata = file.metadata().map_err(|error| AuthKeySourceError::Unreadable { path: path.to_owned(), error })?;
    // A pipe is what a shell makes of <(pass show callboard), and nobody else's.
    if !metadata.is_file() && !metadata.file_type().is_fifo() {
        return Err(AuthKeySourceError::NoFile { path: path.to_owned() });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & forbidden(path, env::var_os(CREDENTIALS).as_deref()) == 0 {
        Ok(())
    } else {
        Err(AuthKeySourceError::Open { path: path.to_owned(), mode })
    }
}

/// The bits that a key file's mode must not have.
#[cfg(unix)]
fn forbidden(path: &Path, credentials: Option<&OsStr>) -> u32 {
    let is_credential =
        credentials.is_some_and(|folder| !folder.is_empty() && path.parent() == Some(Path::new(folder)));
    if is_credential { OTHERS_OF_CREDENTIAL } else { OTHERS }
}

/// Where files have no modes there is nothing to look at.
#[cfg(not(unix))]
fn refuse_open(_path: &Path, _file: &File) -> Result<(), AuthKeySourceError> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    /// A file of that text and mode, and what it is read as.
    fn read(text: &[u8], mode: u32) -> Result<AuthKeys, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authkey");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        read_authkeys(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_of_its_owners_alone_is_read() {
        for mode in [0o600, 0o400, 0o700] {
            assert_eq!(read(b"id=a key=0123456789abcdef\n", mode).unwrap().first().id(), Some("a"));
        }
    }

    #[test]
    fn a_file_that_others_can_read_or_write_is_refused_and_says_what_to_do() {
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o610, 0o777] {
            let error = read(b"0123456789abcdef", mode).unwrap_err();
            assert!(error.contains("chmod 600 /") && error.contains(&format!("mode {mode:03o}")), "{error}");
        }
    }

    #[test]
    fn only_a_credential_of_systemd_may_be_readable_by_its_group() {
        let folder = Some(OsStr::new("/run/credentials/callboard.service"));
        assert_eq!(forbidden(Path::new("/run/credentials/callboard.service/authkey"), folder) & 0o440, 0);
        for (path, folder) in [
            ("/run/credentials/callboard.service/../authkey", folder),
            ("/run/credentials/callboard.service/authkey", None),
            ("authkey", Some(OsStr::new(""))),
        ] {
            assert_eq!(forbidden(Path::new(path), folder), 0o077, "{path}");
        }
    }

    #[test]
    fn a_folder_is_no_key_file_whatever_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/dev/zero")] {
            let error = read_authkeys(path).unwrap_err().to_string();
            assert!(error.contains("is no regular file") && !error.contains("chmod"), "{error}");
        }
    }

    #[test]
    fn a_file_without_keys_says_where_and_shows_nothing_of_it() {
        let error = read(b"# mine\nhush-hush\n", 0o600).unwrap_err();
        assert!(error.contains("line 2: an authkey has 16 to 512 bytes") && !error.contains("hush"), "{error}");
        assert!(read(b"", 0o600).unwrap_err().contains("no key in it"));
        assert!(read(&[0xff; 20], 0o600).unwrap_err().starts_with("cannot read the key file"));
        assert!(read(&[b'a'; AUTHKEY_FILE_BYTES_MAX + 1], 0o600).unwrap_err().contains("too large"));
        assert!(read_authkeys("/no/such/file").unwrap_err().to_string().contains("/no/such/file"));
    }
}
