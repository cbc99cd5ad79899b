//! Files of CURVE keys, as `callboard keygen` and the certificates of ZeroMQ's libraries write them.

use zeroize::Zeroizing;

use super::{KeyError, PublicKey, SecretKey, z85::KEY_CHARACTERS};

/// Reads the secret key of a file.
///
/// A file has the key alone on a line, or `public-key = "..."` and `secret-key = "..."` on lines of their own. Empty lines, lines
/// that begin with `#`, and the section names of ZeroMQ's certificates are ignored.
///
/// # Errors
/// [`KeyFileError`], which never contains a key.
pub fn secret_key_from_file(text: &str) -> Result<SecretKey, KeyFileError> {
    match &secret_keys(text)?[..] {
        [secret] => Ok(secret.clone()),
        _ => Err(KeyFileError::Twice),
    }
}

/// Reads the secret key of a server, and the previous one if the file has it below: see [`secret_key_from_file`].
///
/// # Errors
/// [`KeyFileError`], which never contains a key.
pub fn server_keys_from_file(text: &str) -> Result<(SecretKey, Option<SecretKey>), KeyFileError> {
    match &secret_keys(text)?[..] {
        [secret] => Ok((secret.clone(), None)),
        [secret, previous] if secret.public_key() != previous.public_key() => {
            Ok((secret.clone(), Some(previous.clone())))
        }
        [_, _] => Err(KeyFileError::Twice),
        _ => Err(KeyFileError::TooMany),
    }
}

/// Returns all secret keys of a file in order, at least one. A public key must belong to one of them.
fn secret_keys(text: &str) -> Result<Vec<SecretKey>, KeyFileError> {
    let lines = Lines::read(text)?;
    let mut entries = [lines.secrets, lines.bare].concat();
    if entries.is_empty() {
        return Err(if lines.publics.is_empty() { KeyFileError::Empty } else { KeyFileError::SecretMissing });
    }
    entries.sort_by_key(|entry| entry.line);
    let secrets: Vec<SecretKey> = entries.iter().map(Entry::parse).collect::<Result<_, _>>()?;
    for entry in lines.publics {
        let public: PublicKey = entry.parse()?;
        if !secrets.iter().any(|secret| secret.public_key() == public) {
            return Err(KeyFileError::Mismatch);
        }
    }
    Ok(secrets)
}

/// Reads the public key of a file: see [`secret_key_from_file`].
///
/// # Errors
/// [`KeyFileError`], which never contains a key. A file with a secret key is an error, since it should not be where a public key is
/// enough.
pub fn public_key_from_file(text: &str) -> Result<PublicKey, KeyFileError> {
    let lines = Lines::read(text)?;
    if !lines.secrets.is_empty() {
        return Err(KeyFileError::PublicExpected);
    }
    match &[lines.publics, lines.bare].concat()[..] {
        [] => Err(KeyFileError::Empty),
        [entry] => entry.parse(),
        _ => Err(KeyFileError::Twice),
    }
}

/// Why a file of keys is not accepted. It never contains a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// A line has a key that is not valid.
    #[error("line {line}: {error}")]
    Key {
        /// The number of the line, from 1.
        line: usize,
        /// Why the key is not valid.
        error: KeyError,
    },
    /// A line belongs to a file of authkeys.
    #[error("line {line} is an authkey, and a CURVE key is required: create a pair with `callboard keygen`")]
    AuthKey {
        /// The number of the line, from 1.
        line: usize,
    },
    /// There is no key.
    #[error("it contains no CURVE key: create a pair with `callboard keygen`")]
    Empty,
    /// A key is there twice.
    #[error("it contains more than one key of a kind: keep each pair in files of its own")]
    Twice,
    /// There are more keys than a server may have.
    #[error("it contains more than two secret keys: keep the new one, and below it the one that it replaces")]
    TooMany,
    /// The file has a public key where a secret key is required.
    #[error("it contains a public key only, and the secret key is required: use the file that ends in .secret")]
    SecretMissing,
    /// The file has a secret key where a public key is required.
    #[error("it contains a secret key, and the public key is required: use the file that ends in .public")]
    PublicExpected,
    /// The public key does not belong to the secret key.
    #[error("its public key does not belong to its secret key: create a new pair with `callboard keygen`")]
    Mismatch,
}

/// A key with the number of its line.
#[derive(Clone, Copy)]
struct Entry<'a> {
    line: usize,
    text: &'a str,
}

impl Entry<'_> {
    fn parse<K: std::str::FromStr<Err = KeyError>>(&self) -> Result<K, KeyFileError> {
        self.text.parse().map_err(|error| KeyFileError::Key { line: self.line, error })
    }
}

/// The keys of a file, not parsed.
#[derive(Default)]
struct Lines<'a> {
    secrets: Vec<Entry<'a>>,
    publics: Vec<Entry<'a>>,
    /// Keys without a name.
    bare: Vec<Entry<'a>>,
}

impl<'a> Lines<'a> {
    fn read(text: &'a str) -> Result<Lines<'a>, KeyFileError> {
        let mut lines = Lines::default();
        for (at, line) in text.lines().enumerate() {
            lines.add(at + 1, line.trim())?;
        }
        Ok(lines)
    }

    fn add(&mut self, line: usize, text: &'a str) -> Result<(), KeyFileError> {
        if text.is_empty() || text.starts_with('#') || matches!(text, "metadata" | "curve" | "[curve]") {
            return Ok(());
        }
        // A key of the right length may begin with these characters by chance.
        if text.len() != KEY_CHARACTERS && ["key=", "id=", "roles="].iter().any(|field| text.starts_with(field)) {
            return Err(KeyFileError::AuthKey { line });
        }
        let (place, value) = if let Some(value) = value_of(text, "secret-key") {
            (&mut self.secrets, value)
        } else if let Some(value) = value_of(text, "public-key") {
            (&mut self.publics, value)
        } else {
            (&mut self.bare, text)
        };
        place.push(Entry { line, text: value });
        Ok(())
    }
}

/// Returns the value of a line `name = "value"`. The quotes may be missing.
fn value_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let value = line.strip_prefix(name)?.trim_start().strip_prefix('=')?.trim();
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

impl SecretKey {
    /// Returns the text of a file with both keys, which [`secret_key_from_file`] reads.
    pub fn to_file(&self) -> Zeroizing<String> {
        let secret = self.to_z85();
        Zeroizing::new(format!("public-key = \"{}\"\nsecret-key = \"{}\"\n", self.public_key(), *secret))
    }
}

impl PublicKey {
    /// Returns the text of a file with the key, which [`public_key_from_file`] reads.
    pub fn to_file(&self) -> String {
        format!("public-key = \"{self}\"\n")
    }
}
