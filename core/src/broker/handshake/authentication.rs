//! The authentication of a connecting peer, and the broker's own proof.

use std::fmt;

use bytes::Bytes;

use super::super::interface::Identity;
use crate::{
    auth::{AuthKey, AuthKeys, MECHANISM, Nonce, Principal, Prover, Roles, Transcript},
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
    /// Its proof fits none of the broker's keys.
    WrongProof,
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

/// Returns the body of the challenge: empty where the broker has no keys.
pub(super) fn challenge(keys: Option<&AuthKeys>, identity: &Identity, nonce: Nonce) -> Bytes {
    match keys {
        Some(_) => {
            let (broker, start) = (identity.broker, identity.start);
            let challenge = Challenge { mechanism: MECHANISM.to_owned(), nonce, broker, start };
            body::encode(&challenge).expect("a challenge has a CBOR form")
        }
        None => Bytes::new(),
    }
}

/// Authenticates a peer by its answer to the challenge. There is no transcript if the challenge was empty.
pub(super) fn authenticate(
    keys: Option<&AuthKeys>,
    transcript: Option<Transcript>,
    answer: &Bytes,
) -> Result<Authenticated, AuthenticationFailure> {
    let Some(keys) = keys else {
        return Ok(Authenticated { principal: Principal::anonymous(), roles: Roles::ALL, key: None });
    };
    let transcript = transcript.filter(|_| !answer.is_empty()).ok_or(AuthenticationFailure::NoProof)?;
    let ChallengeResponse { proof } = body::decode(answer).map_err(|_| AuthenticationFailure::WrongProof)?;
    let known = |key: &&AuthKey| transcript.verify(Prover::Peer, key, &proof);
    let key = keys.iter().find(known).ok_or(AuthenticationFailure::WrongProof)?;
    // Only an authenticated peer gets the broker's proof: with it, another peer could guess a weak key offline.
    let proved = ProvedKey { transcript, key: key.clone() };
    Ok(Authenticated { principal: Principal::of_key(key), roles: key.roles(), key: Some(proved) })
}

impl AuthenticationFailure {
    /// Returns the failure that ends the connection.
    pub(super) fn failure(self) -> Failure {
        let message = match self {
            AuthenticationFailure::NoProof => KEY_REQUIRED,
            AuthenticationFailure::WrongProof => {
                "unknown key: check --authkey-file and CALLBOARD_AUTHKEY on both sides"
            }
        };
        Failure::new(Code::Unauthenticated, Executed::No, message)
    }
}

impl fmt::Display for AuthenticationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuthenticationFailure::NoProof => "it gave no proof of a key",
            AuthenticationFailure::WrongProof => "its key is unknown",
        })
    }
}
