//! Permanent keys, and the random bytes of one connection.

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

use super::{
    secret_box::{self, SharedKey},
    z85::{self, KeyError},
};

/// The public key of a peer. Its text form is Z85.
///
/// ```
/// use callboard_core::zmtp::curve::PublicKey;
///
/// let text = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
/// let key: PublicKey = text.parse()?;
/// assert_eq!(key.to_string(), text);
/// # Ok::<(), callboard_core::zmtp::curve::KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Creates a key of its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> PublicKey {
        PublicKey(bytes)
    }

    /// Returns the bytes of the key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<PublicKey, KeyError> {
        z85::decode(text).map(PublicKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&z85::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The secret key of a peer, with the public key that belongs to it.
///
/// Its `Debug` output shows the public key only, and its memory is wiped when it is dropped. Its text form is Z85.
#[derive(Clone)]
pub struct SecretKey {
    secret: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

impl SecretKey {
    /// Creates a key of 32 random bytes, which must come from a cryptographic source.
    pub fn from_bytes(bytes: [u8; 32]) -> SecretKey {
        let secret = Zeroizing::new(bytes);
        let public = PublicKey(secret_box::public_key(&secret));
        SecretKey { secret, public }
    }

    /// Returns the public key of the pair.
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Returns the secret in Z85, for a key file.
    pub fn to_z85(&self) -> Zeroizing<String> {
        Zeroizing::new(z85::encode(&self.secret))
    }

    /// Returns the pair of an impostor, which claims the public key of another peer.
    #[cfg(test)]
    pub(super) fn claiming(self, public: PublicKey) -> SecretKey {
        SecretKey { public, ..self }
    }

    /// Computes the key that this pair has in common with another one. `None` for a public key that no honest peer has.
    pub(super) fn shared_with(&self, public: &PublicKey) -> Option<SharedKey> {
        SharedKey::new(public.as_bytes(), &self.secret)
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<SecretKey, KeyError> {
        z85::decode(text).map(SecretKey::from_bytes)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Random bytes for one connection only, from a cryptographic source. They are wiped when they are dropped.
#[derive(Clone)]
pub struct Entropy(Zeroizing<[u8; Entropy::BYTES]>);

impl Entropy {
    /// The bytes that a connection needs.
    pub const BYTES: usize = 80;

    /// Takes the random bytes.
    pub fn new(bytes: [u8; Entropy::BYTES]) -> Entropy {
        Entropy(Zeroizing::new(bytes))
    }

    /// Returns the transient key pair.
    pub(super) fn transient(&self) -> SecretKey {
        SecretKey::from_bytes(self.part(0))
    }

    /// Returns the random part of the one long nonce that the side needs.
    pub(super) fn nonce(&self) -> [u8; 16] {
        self.part(32)
    }

    /// Returns the random part of the cookie.
    pub(super) fn cookie(&self) -> [u8; 32] {
        self.part(48)
    }

    fn part<const N: usize>(&self, at: usize) -> [u8; N] {
        *self.0[at..].first_chunk().expect("the parts are those of BYTES")
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}
