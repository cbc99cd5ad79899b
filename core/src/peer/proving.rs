//! The peer's part of the proofs: it says that it knows the key, and lets nobody be its broker that does not.

use bytes::Bytes;

use super::{Heard, Loss, Peer, State};
use crate::{
    auth::{MECHANISM, Nonce, Prover, Transcript},
    body,
    time::Time,
    wire::{
        Envelope,
        handshake::{Answer, Challenge, Mechanism, Welcome},
        status::{Code, Executed, Failure},
    },
};

/// What a peer without a key is told that needs one.
pub(crate) const KEYLESS: &str = "the broker asks for a key and this program gives none: give it the broker's with \
                                  --authkey-file FILE, or in CALLBOARD_AUTHKEY";
const UNPROVEN: &str = "the broker did not prove that it knows the key: check that it is the right broker, and that it has \
                        the same key";
const UNASKED: &str = "the broker asks for no key, so it did not prove that it knows ours: start it with --authkey-file \
                       FILE, or this program without a key";

/// Why there is no answer to a challenge.
enum Unanswered {
    Refused(String),
    Unreadable(String),
}

impl Peer {
    /// The broker's challenge: answers it, or gives up.
    pub(super) fn challenged(&mut self, now: Time, until: Time, nonce: Nonce, challenge: &Bytes) -> Heard {
        match self.answer(nonce, challenge) {
            Ok((answer, transcript)) => {
                self.state = State::Proving { until, transcript };
                Heard::Answer(Envelope::Proof(answer))
            }
            Err(Unanswered::Refused(why)) => self.refused(unauthenticated(why)),
            Err(Unanswered::Unreadable(why)) => {
                self.drop_socket(now);
                Heard::Lost(Loss::Unreadable(why))
            }
        }
    }

    fn answer(&self, nonce: Nonce, challenge: &Bytes) -> Result<(Bytes, Option<Transcript>), Unanswered> {
        if challenge.is_empty() {
            return match self.settings.key {
                Some(_) => Err(Unanswered::Refused(UNASKED.to_owned())),
                None => Ok((Bytes::new(), None)),
            };
        }
        let unreadable = |error: body::DecodeError| Unanswered::Unreadable(error.to_string());
        let Mechanism { mechanism } = body::decode(challenge).map_err(unreadable)?;
        if mechanism != MECHANISM {
            let why = format!("the broker asks for a proof by {mechanism:.32}, which this version does not know");
            return Err(Unanswered::Refused(why));
        }
        let challenge: Challenge = body::decode(challenge).map_err(unreadable)?;
        let hello = self.settings.hello(self.role, self.connection, nonce);
        let (Some(key), Some(transcript)) = (&self.settings.key, Transcript::of(&hello, &challenge)) else {
            return Err(Unanswered::Refused(KEYLESS.to_owned()));
        };
        let answer = Answer { proof: transcript.prove(Prover::Peer, key) };
        Ok((body::encode(&answer).expect("a proof has a CBOR form"), Some(transcript)))
    }

    /// Checks that the welcome comes from a broker that knows our key, where we have one.
    pub(super) fn check_proof(&self, transcript: Option<Transcript>, welcome: &Welcome) -> Result<(), Box<Failure>> {
        let Some(key) = &self.settings.key else { return Ok(()) };
        let proved = transcript.zip(welcome.proof).is_some_and(|(transcript, proof)| {
            let welcomed = Transcript { broker: welcome.broker, start: welcome.start, ..transcript };
            welcomed.is_proved(Prover::Broker, key, &proof)
        });
        if proved { Ok(()) } else { Err(unauthenticated(UNPROVEN)) }
    }
}

fn unauthenticated(why: impl Into<bytestring::ByteString>) -> Box<Failure> {
    Box::new(Failure::new(Code::Unauthenticated, Executed::No, why))
}
