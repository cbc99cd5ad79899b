//! Files that hold secrets: only their owner may have access.

use std::{
    env,
    ffi::OsStr,
    fmt,
    fs::File,
    io,
    io::Read as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// The mode bits that a key file must not have: any access for group and others.
#[cfg(unix)]
const FORBIDDEN_MODE: u32 = 0o077;
/// The same for a systemd credential. Only the service can enter its folder; the file may belong to root, and the service reads it
/// by the group's permission.
#[cfg(unix)]
const FORBIDDEN_MODE_OF_CREDENTIAL: u32 = 0o037;
/// The variable that names the folder of a service's credentials, if systemd started it with `LoadCredential=`.
#[cfg(unix)]
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// The error of reading a file with keys. It never shows a key. `Debug` prints the message too, for a `main` that returns the error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// The file cannot be read.
    #[error("cannot read the key file {}: {error}", path.display())]
    Unreadable {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The path is a folder or a device. Its mode is not the mistake, so the message does not advise `chmod`.
    #[error("the key file {} is not a regular file: write the path of a file that holds a key", path.display())]
    NotAFile {
        /// The file's path.
        path: PathBuf,
    },
    /// Users other than the owner can read or write the file.
    #[error("the key file {} is open to other users (mode {mode:03o}): chmod 600 {}", path.display(), path.display())]
    Open {
        /// The file's path.
        path: PathBuf,
        /// The file's mode.
        mode: u32,
    },
}

impl fmt::Debug for SecretFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads a file with secrets, which has at most `bytes_max` bytes of UTF-8 text. Only its owner may have permission to read or write
/// it. The text is wiped from memory when it is dropped.
///
/// # Errors
/// [`SecretFileError`] if the file cannot be read, is not a regular file, is open to other users, or is too large.
pub fn read_secret_file(path: impl AsRef<Path>, bytes_max: usize) -> Result<Zeroizing<String>, SecretFileError> {
    let path = path.as_ref();
    let unreadable = |error| SecretFileError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    check_mode(path, &file)?;
    let mut text = Zeroizing::new(String::new());
    let bytes = file.take(bytes_max as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    if bytes > bytes_max {
        return Err(unreadable(io::Error::other(format!("it is larger than {bytes_max} bytes"))));
    }
    Ok(text)
}

/// Rejects a file that other users can access. Checks the open file, because its path may name another file by now.
#[cfg(unix)]
fn check_mode(path: &Path, file: &File) -> Result<(), SecretFileError> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

    let metadata = file.metadata().map_err(|error| SecretFileError::Unreadable { path: path.to_owned(), error })?;
    // A shell passes <(pass show callboard) as a pipe, which no other user can open.
    if !metadata.is_file() && !metadata.file_type().is_fifo() {
        return Err(SecretFileError::NotAFile { path: path.to_owned() });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & forbidden_mode(path, env::var_os(CREDENTIALS_VARIABLE).as_deref()) == 0 {
        Ok(())
    } else {
        Err(SecretFileError::Open { path: path.to_owned(), mode })
    }
}

/// Returns the bits that the mode of the key file at `path` must not have.
#[cfg(unix)]
fn forbidden_mode(path: &Path, credentials: Option<&OsStr>) -> u32 {
    let is_credential =
        credentials.is_some_and(|folder| !folder.is_empty() && path.parent() == Some(Path::new(folder)));
    if is_credential { FORBIDDEN_MODE_OF_CREDENTIAL } else { FORBIDDEN_MODE }
}

/// Accepts any file on systems where files have no mode.
#[cfg(not(unix))]
fn check_mode(_path: &Path, _file: &File) -> Result<(), SecretFileError> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_a_systemd_credential_may_be_readable_by_its_group() {
        let folder = Some(OsStr::new("/run/credentials/callboard.service"));
        assert_eq!(forbidden_mode(Path::new("/run/credentials/callboard.service/authkey"), folder) & 0o440, 0);
        for (path, folder) in [
            ("/run/credentials/callboard.service/../authkey", folder),
            ("/run/credentials/callboard.service/authkey", None),
            ("authkey", Some(OsStr::new(""))),
        ] {
            assert_eq!(forbidden_mode(Path::new(path), folder), 0o077, "{path}");
        }
    }
}
