//! The TOML tables of a file of peers.

use callboard::{
    AuthKey,
    core::{
        auth::{PeerEntry, Rights, Roles},
        zmtp::curve::PublicKey,
    },
};
use serde::Deserialize;
use toml::Spanned;
use zeroize::Zeroizing;

use super::error::EntryError;

/// Bytes of the longest excerpt of an invalid text in an error.
const EXCERPT_CHARS_MAX: usize = 80;
/// How the fields of a line of a key file begin.
const LINE_FIELDS: [&str; 3] = ["id=", "roles=", "key="];

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    #[serde(default)]
    pub(super) peer: Vec<Spanned<RawPeer>>,
}

/// One `[[peer]]` table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPeer {
    name: String,
    authkey: Option<SecretText>,
    #[serde(default)]
    authkeys: Vec<SecretText>,
    public_key: Option<String>,
    #[serde(default)]
    public_keys: Vec<String>,
    roles: Option<Vec<String>>,
    call: Option<Vec<String>>,
    serve: Option<Vec<String>>,
    operate: Option<bool>,
}

/// A text whose memory is wiped when it is dropped.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct SecretText(pub(super) Zeroizing<String>);

impl From<String> for SecretText {
    fn from(text: String) -> SecretText {
        SecretText(Zeroizing::new(text))
    }
}

impl RawPeer {
    /// Returns the peer that the table describes.
    ///
    /// # Errors
    /// [`EntryError`] if a value is not valid.
    pub(super) fn entry(&self) -> Result<PeerEntry, EntryError> {
        let mut entry = PeerEntry::new(&self.name).map_err(EntryError::Peer)?;
        for text in self.authkey.iter().chain(&self.authkeys) {
            entry = entry.with_authkey(self.authkey_of(&text.0)?);
        }
        for text in self.public_key.iter().chain(&self.public_keys) {
            entry = entry.with_public_key(*self.public_key_of(text)?.as_bytes());
        }
        if let Some(roles) = &self.roles {
            entry = entry.with_roles(self.roles_of(roles)?);
        }
        match self.rights()? {
            Some(rights) => Ok(entry.with_rights(rights)),
            None => Ok(entry),
        }
    }

    fn authkey_of(&self, text: &str) -> Result<AuthKey, EntryError> {
        if LINE_FIELDS.iter().any(|field| text.starts_with(field)) {
            return Err(EntryError::AuthkeyLine(self.name.clone()));
        }
        AuthKey::new(text).map_err(|error| EntryError::Authkey { name: self.name.clone(), error })
    }

    fn public_key_of(&self, text: &str) -> Result<PublicKey, EntryError> {
        // 32 bytes in base64, as `openssl rand -base64 32` writes an authkey.
        let is_base64 = text.len() == 44 && text.ends_with('=');
        if is_base64 || LINE_FIELDS.iter().any(|field| text.starts_with(field)) {
            return Err(EntryError::AuthkeyAsPublicKey(self.name.clone()));
        }
        text.parse().map_err(|error| EntryError::PublicKey { name: self.name.clone(), error })
    }

    fn roles_of(&self, roles: &[String]) -> Result<Roles, EntryError> {
        let unknown = roles.iter().find(|role| role.parse::<Roles>().is_err() || role.contains(','));
        let invalid = |role: &str| EntryError::Role {
            name: self.name.clone(),
            role: role.chars().take(EXCERPT_CHARS_MAX).collect(),
        };
        match unknown {
            Some(role) => Err(invalid(role)),
            None => roles.join(",").parse().map_err(|_| invalid("")),
        }
    }

    /// Returns the rights, if the peer has any rule.
    fn rights(&self) -> Result<Option<Rights>, EntryError> {
        if self.call.is_none() && self.serve.is_none() && self.operate.is_none() {
            return Ok(None);
        }
        let texts = |rules: &'_ Option<Vec<String>>| -> Vec<String> { rules.clone().unwrap_or_default() };
        let (call, serve) = (texts(&self.call), texts(&self.serve));
        let [call, serve] = [&call, &serve].map(|rules| rules.iter().map(String::as_str).collect::<Vec<_>>());
        let rights = Rights::new(&call, &serve, self.operate.unwrap_or(false));
        rights.map(Some).map_err(|error| EntryError::Rule { name: self.name.clone(), error })
    }
}
