//! The authentication of a connecting peer, and the broker's own proof.

use std::fmt;

use bytes::Bytes;

use super::super::interface::Identity;
use crate::{
    auth::{AuthKey, Channel, MECHANISM, Nonce, PeerDirectory, PeerEntry, Principal, Roles, Transcript},
    body,
    peer::KEY_REQUIRED,
    wire::{
        handshake::{Challenge, ChallengeResponse, Welcome},
        status::{Code, Executed, Failure},
    },
};

/// Why a peer could not be authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthenticationFailure {
    /// It has no key, or gave no proof.
    NoProof,
    /// The public key of its encrypted connection is unknown, and it gave no proof of an authkey.
    UnknownPublicKeyNoProof,
    /// Its proof fits none of the broker's keys.
    WrongProof,
    /// The same on an encrypted connection, whose keys a proof must cover.
    WrongProofOverCurve,
    /// Its connection is not encrypted, and the broker knows its peers by public keys alone.
    NotEncrypted,
    /// The public key of its encrypted connection is unknown, and the broker knows its peers by public keys alone.
    UnknownPublicKey,
    /// Its authkey is valid only together with a public key that its connection does not have.
    OtherPublicKey,
}

/// What a peer must do to be authenticated.
#[derive(Debug)]
pub(super) enum Requirement {
    /// Nothing: the broker requires no authentication, or the encrypted connection has proved the peer's public key.
    Nothing(Option<Principal>),
    /// A proof of an authkey.
    Proof,
    /// Nothing it could do would suffice.
    Unmet(AuthenticationFailure),
}

/// A peer that was authenticated.
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) principal: Principal,
    pub(crate) roles: Roles,
    /// The key that the peer proved, with which the broker proves itself in the welcome.
    pub(crate) key: Option<ProvedKey>,
}

/// The key that a peer proved, and the handshake in which it did.
#[derive(Debug)]
pub(crate) struct ProvedKey {
    transcript: Transcript,
    key: AuthKey,
}

impl ProvedKey {
    /// Returns the body of the welcome with the broker's own proof.
    pub(super) fn seal_welcome(&self, welcome: Welcome) -> Bytes {
        self.transcript.seal_welcome(&self.key, welcome)
    }
}

/// Returns what a peer must do whose connection has this channel.
///
/// | public key of the channel | the peers that the broker knows | requirement |
/// |---|---|---|
/// | any or none | no directory | nothing |
/// | known | the peer has no authkey | nothing |
/// | known | the peer has an authkey | its proof |
/// | unknown or none | some have no public key | a proof |
/// | unknown or none | all have public keys | unmet |
pub(super) fn requirement(directory: Option<&PeerDirectory>, channel: Option<Channel>) -> Requirement {
    let Some(directory) = directory else { return Requirement::Nothing(None) };
    let known = known_public_key(directory, channel).and_then(|key| directory.with_public_key(&key));
    match known {
        Some(entry) if entry.authkeys().is_empty() => {
            Requirement::Nothing(Some(Principal::new(entry, channel.map(|channel| channel.public_key), None)))
        }
        Some(_) => Requirement::Proof,
        None if directory.has_plain_peers() => Requirement::Proof,
        None if channel.is_some() => Requirement::Unmet(AuthenticationFailure::UnknownPublicKey),
        None => Requirement::Unmet(AuthenticationFailure::NotEncrypted),
    }
}

/// Returns the body of the challenge: empty where no proof is required.
pub(super) fn challenge(requirement: &Requirement, identity: &Identity, nonce: Nonce) -> Bytes {
    match requirement {
        Requirement::Proof => {
            let (broker, start) = (identity.broker, identity.start);
            let challenge = Challenge { mechanism: MECHANISM.to_owned(), nonce, broker, start };
            body::encode(&challenge).expect("a challenge has a CBOR form")
        }
        Requirement::Nothing(_) | Requirement::Unmet(_) => Bytes::new(),
    }
}

/// Authenticates a peer by its answer to the challenge. There is no transcript if the challenge was empty.
pub(super) fn authenticate(
    directory: Option<&PeerDirectory>,
    channel: Option<Channel>,
    transcript: Option<Transcript>,
    answer: &Bytes,
) -> Result<Authenticated, AuthenticationFailure> {
    let directory = match (requirement(directory, channel), directory) {
        (Requirement::Nothing(principal), _) => return Ok(without_proof(principal.unwrap_or_default())),
        (Requirement::Unmet(failure), _) => return Err(failure),
        (Requirement::Proof, directory) => directory.ok_or(AuthenticationFailure::NoProof)?,
    };
    let transcript = transcript.filter(|_| !answer.is_empty()).ok_or_else(|| no_proof(Some(directory), channel))?;
    let ChallengeResponse { proof } = body::decode(answer).map_err(|_| wrong_proof(channel))?;
    let (entry, key) = directory.that_proved(&transcript, &proof).ok_or_else(|| wrong_proof(channel))?;
    let public_key = known_public_key(directory, channel);
    if !entry.is_authenticated_by(public_key.as_ref(), Some(key)) {
        return Err(AuthenticationFailure::OtherPublicKey);
    }
    let principal = Principal::new(entry, public_key, Some(key.clone()));
    // Only an authenticated peer gets the broker's proof: with it, another peer could guess a weak key offline.
    let key = Some(ProvedKey { transcript, key: key.clone() });
    Ok(Authenticated { principal, roles: entry.roles(), key })
}

/// Returns the failure of a peer that must prove an authkey, and gave no proof.
pub(super) fn no_proof(directory: Option<&PeerDirectory>, channel: Option<Channel>) -> AuthenticationFailure {
    let is_known = directory.is_some_and(|directory| known_public_key(directory, channel).is_some());
    if channel.is_none() || is_known {
        AuthenticationFailure::NoProof
    } else {
        AuthenticationFailure::UnknownPublicKeyNoProof
    }
}

/// Returns the failure of a peer whose proof fits no key.
fn wrong_proof(channel: Option<Channel>) -> AuthenticationFailure {
    if channel.is_some() { AuthenticationFailure::WrongProofOverCurve } else { AuthenticationFailure::WrongProof }
}

fn without_proof(principal: Principal) -> Authenticated {
    let roles = principal.entry().map_or(Roles::ALL, PeerEntry::roles);
    Authenticated { principal, roles, key: None }
}

/// Returns the public key of a connection, if it is that of a peer.
fn known_public_key(directory: &PeerDirectory, channel: Option<Channel>) -> Option<[u8; 32]> {
    channel.map(|channel| channel.public_key).filter(|key| directory.with_public_key(key).is_some())
}

impl AuthenticationFailure {
    /// Returns the failure that ends the connection.
    pub(super) fn failure(self) -> Failure {
        let message = match self {
            AuthenticationFailure::NoProof => KEY_REQUIRED,
            AuthenticationFailure::WrongProof => {
                "unknown key: check --authkey-file and CALLBOARD_AUTHKEY on both sides"
            }
            AuthenticationFailure::UnknownPublicKeyNoProof => {
                "unknown public key, and no authkey: add the key of this program's --curve-secret-file to the broker's peers \
                 file, or pass an authkey with --authkey-file FILE, or in CALLBOARD_AUTHKEY"
            }
            AuthenticationFailure::WrongProofOverCurve => {
                "unknown key, or a proof that does not cover the keys of this encrypted connection: check --authkey-file and \
                 CALLBOARD_AUTHKEY on both sides; for a program on libzmq, add its public key to the broker's peers file"
            }
            AuthenticationFailure::NotEncrypted => {
                "the broker knows its peers by public keys, and this connection is not encrypted: pass the broker's key with \
                 --server-key and this program's own with --curve-secret-file"
            }
            AuthenticationFailure::UnknownPublicKey => {
                "unknown public key: add the key of this program's --curve-secret-file to the broker's peers file"
            }
            AuthenticationFailure::OtherPublicKey => {
                "the authkey belongs to another public key: use the authkey and the --curve-secret-file of one peer"
            }
        };
        Failure::new(Code::Unauthenticated, Executed::No, message)
    }
}

impl fmt::Display for AuthenticationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuthenticationFailure::NoProof => "it gave no proof of a key",
            AuthenticationFailure::UnknownPublicKeyNoProof => {
                "its public key is unknown, and it gave no proof of a key"
            }
            AuthenticationFailure::WrongProof => "its key is unknown",
            AuthenticationFailure::WrongProofOverCurve => {
                "its key is unknown, or its proof does not cover the keys of its encrypted connection"
            }
            AuthenticationFailure::NotEncrypted => "its connection is not encrypted",
            AuthenticationFailure::UnknownPublicKey => "its public key is unknown",
            AuthenticationFailure::OtherPublicKey => "its authkey belongs to another public key",
        })
    }
}
