//! The peer's side of the authentication: the proof of its key to the broker, and the check of the broker's proof.

use bytes::Bytes;

use super::{DisconnectReason, Peer, PeerEvent, State};
use crate::{
    auth::{HelloTranscript, MECHANISM, Prover, Transcript},
    body,
    time::Time,
    wire::{
        Envelope,
        handshake::{Challenge, ChallengeResponse, Mechanism},
        status::{Code, Executed, Failure},
    },
};

/// The message for a peer without a key at a broker that requires one.
pub(crate) const KEY_REQUIRED: &str = "the broker requires a key and this program has none: pass the broker's key with \
                                       --authkey-file FILE, or in CALLBOARD_AUTHKEY";
/// The same for a peer with an encrypted connection, which the broker may know by its public key.
const KEY_REQUIRED_OVER_CURVE: &str = "the broker does not know the public key of this program, or requires an authkey, too: add the key of \
     --curve-secret-file to the broker's peers file, or pass an authkey with --authkey-file FILE, or in CALLBOARD_AUTHKEY";
const BROKER_UNPROVEN: &str = "the broker did not prove that it has this program's key: check the broker's address, and \
                               that both have the same key";
const KEY_NOT_REQUIRED: &str = "the broker requires no key, so it did not prove that it has this program's key: start the \
                                broker with --authkey-file FILE, or this program without a key";

/// Why a challenge cannot be answered.
enum ChallengeError {
    /// The peer cannot authenticate with this broker, now or later.
    Rejected(String),
    /// The challenge could not be decoded.
    Malformed(String),
}

impl Peer {
    /// Handles the broker's challenge: answers it, or ends the connection.
    pub(super) fn on_challenge(
        &mut self,
        now: Time,
        until: Time,
        hello: HelloTranscript,
        challenge: &Bytes,
    ) -> PeerEvent {
        match self.answer(hello, challenge) {
            Ok((response, transcript)) => {
                self.state = State::AwaitingWelcome { until, transcript };
                PeerEvent::Reply(Envelope::Proof(response))
            }
            Err(ChallengeError::Rejected(why)) => self.reject(unauthenticated(why)),
            Err(ChallengeError::Malformed(why)) => {
                self.drop_socket(now);
                PeerEvent::Disconnected(DisconnectReason::InvalidHandshake(why))
            }
        }
    }

    fn answer(&self, hello: HelloTranscript, challenge: &Bytes) -> Result<(Bytes, Option<Transcript>), ChallengeError> {
        if challenge.is_empty() {
            return match self.settings.key {
                Some(_) => Err(ChallengeError::Rejected(KEY_NOT_REQUIRED.to_owned())),
                None => Ok((Bytes::new(), None)),
            };
        }
        let malformed = |error: body::DecodeError| ChallengeError::Malformed(error.to_string());
        let Mechanism { mechanism } = body::decode(challenge).map_err(malformed)?;
        if mechanism != MECHANISM {
            let why = format!("the broker requires a proof by {mechanism:.32}, which this version does not support");
            return Err(ChallengeError::Rejected(why));
        }
        let _: Challenge = body::decode(challenge).map_err(malformed)?;
        let Some(key) = &self.settings.key else {
            let why = if hello.is_encrypted() { KEY_REQUIRED_OVER_CURVE } else { KEY_REQUIRED };
            return Err(ChallengeError::Rejected(why.to_owned()));
        };
        let transcript = hello.with_challenge(challenge);
        let response = ChallengeResponse { proof: transcript.prove(Prover::Peer, key) };
        Ok((body::encode(&response).expect("a proof has a CBOR form"), Some(transcript)))
    }

    /// Checks the broker's proof in its welcome, if this peer has a key.
    pub(super) fn check_proof(&self, transcript: Option<Transcript>, welcome: &[u8]) -> Result<(), Box<Failure>> {
        let Some(key) = &self.settings.key else { return Ok(()) };
        let proved = transcript.is_some_and(|transcript| transcript.verify_welcome(key, welcome));
        if proved { Ok(()) } else { Err(unauthenticated(BROKER_UNPROVEN)) }
    }
}

fn unauthenticated(why: impl Into<bytestring::ByteString>) -> Box<Failure> {
    Box::new(Failure::new(Code::Unauthenticated, Executed::No, why))
}
