//! Dead letters: calls whose workers were lost until no further attempt is allowed. They are kept, with the reason, until an operator
//! inspects them, sends them again, or drops them.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    super::{outcome::Outcome, reserved},
    call::Call,
};
use crate::{
    body::{self, ArgumentReader},
    time::Time,
    wire::{
        affinity::AffinityKey,
        envelope::{Effect, Request},
        extensions::Extensions,
        ids::CallId,
        limits::{DEAD_LETTER_BYTES_MAX, DEAD_LETTERS_MAX},
        method::MethodName,
        status::{Code, Executed, Failure},
        streams::Streams,
    },
};

/// A dead letter in the result of `callboard.dead`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its number, which the commands that show, resend and drop it take.
    pub id: u64,
    /// The correlation id of the call.
    pub call: String,
    /// The called method, `SERVICE.METHOD`.
    pub method: String,
    /// The effect of the method. A `once` call may have run.
    pub effect: Effect,
    /// Workers that were lost with it.
    pub lost: u32,
    /// The last of them.
    pub worker: String,
    /// The reason why the call is a dead letter, in a sentence.
    pub reason: String,
    /// Milliseconds since it became one.
    pub age_ms: u64,
    /// Bytes of its arguments.
    pub bytes: usize,
}

/// A dead letter with its arguments: the result of `callboard.dead_show`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterDetail {
    /// The letter.
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// Its arguments: one encoded CBOR item.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// The parts of a call that a dead letter keeps.
#[derive(Debug)]
struct Letter {
    call: CallId,
    method: MethodName,
    effect: Effect,
    lost: u32,
    worker: String,
    at: Time,
    key: Option<AffinityKey>,
    streams: Streams,
    extensions: Extensions,
    body: Bytes,
}

/// All dead letters of this start of the broker.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    letters: BTreeMap<u64, Letter>,
    bytes: usize,
    last_id: u64,
}

impl DeadLetters {
    /// Returns the number of dead letters, and the bytes of their bodies.
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.letters.len(), self.bytes)
    }

    /// Adds a call, with its body copied out of the read buffer. The oldest letters are dropped if there are too many or too large ones.
    /// Returns false if the call alone is too large.
    #[must_use]
    pub(crate) fn add(&mut self, now: Time, call: &Call) -> bool {
        if call.body.len() > DEAD_LETTER_BYTES_MAX {
            return false;
        }
        self.insert(Letter {
            call: call.id(),
            method: call.method.clone(),
            effect: call.effect.unwrap_or(Effect::Once),
            lost: call.lost.into(),
            worker: call.worker_name().to_string(),
            at: now,
            key: call.affinity.as_ref().map(|affinity| affinity.key.clone()),
            streams: call.requested_streams,
            extensions: call.extensions.detached(),
            body: Bytes::copy_from_slice(&call.body),
        });
        true
    }

    fn insert(&mut self, letter: Letter) {
        self.last_id += 1;
        self.bytes += letter.body.len();
        self.letters.insert(self.last_id, letter);
        while self.letters.len() > DEAD_LETTERS_MAX || self.bytes > DEAD_LETTER_BYTES_MAX {
            let oldest = *self.letters.first_key_value().expect("a letter was just added").0;
            self.remove(oldest);
        }
    }

    fn remove(&mut self, id: u64) -> Option<Letter> {
        let letter = self.letters.remove(&id)?;
        self.bytes -= letter.body.len();
        Some(letter)
    }

    /// Answers a call of one of the methods `callboard.dead*`.
    pub(crate) fn handle_admin_call(&mut self, now: Time, request: &Request) -> Outcome {
        let encoded = match request.method.method() {
            "dead" => {
                let letters: Vec<_> = self.letters.iter().map(|(&id, letter)| letter.status(now, id)).collect();
                body::encode(&letters)
            }
            "dead_show" => {
                let id = letter_id(request)?;
                let letter = self.letters.get(&id).ok_or_else(|| unknown_letter(id))?;
                body::encode(&DeadLetterDetail { letter: letter.status(now, id), body: letter.body.to_vec() })
            }
            "dead_drop" => {
                let id = letter_id(request)?;
                self.remove(id).ok_or_else(|| unknown_letter(id))?;
                body::encode(&())
            }
            // A request that can be resent was replaced before it comes here.
            _ => {
                let id = letter_id(request)?;
                let letter = self.letters.get(&id);
                return Err(letter.map_or_else(|| unknown_letter(id), |letter| wrong_style(id, letter)));
            }
        };
        encoded.map_err(|error| Box::new(Failure::new(Code::Internal, Executed::Yes, error.to_string())))
    }

    /// Turns an operator's request of `callboard.dead_resend` into the call that it sends again, whose outcome is the
    /// request's. The letter stays until it is dropped, because that call may fail as well. The effect of the call is
    /// at least that of the letter, because the present workers may declare a less strict one.
    ///
    /// The request is left as it is, and answered with an error, if there is no such letter, or the letter has streams that the request
    /// has not.
    pub(crate) fn resend(&self, request: &mut Request) {
        let letter = letter_id(request).ok().and_then(|id| self.letters.get(&id));
        let Some(letter) = letter.filter(|letter| letter.streams.style == request.streams.style) else { return };
        (request.method, request.body) = (letter.method.clone(), letter.body.clone());
        request.effect = request.effect.max(Some(letter.effect));
        (request.key, request.extensions) = (letter.key.clone().map(Box::new), letter.extensions.clone());
    }

    /// Asserts that letters are counted and bounded.
    pub(crate) fn assert_invariants(&self) {
        let bytes: usize = self.letters.values().map(|letter| letter.body.len()).sum();
        assert_eq!(self.bytes, bytes, "bytes of dead letters are counted");
        assert!(self.letters.len() <= DEAD_LETTERS_MAX && bytes <= DEAD_LETTER_BYTES_MAX, "dead letters are bounded");
    }
}

impl Letter {
    fn status(&self, now: Time, id: u64) -> DeadLetter {
        let ran = match self.effect {
            Effect::Once => "it may have run, and is not run twice automatically",
            Effect::Read | Effect::Idempotent => "no further attempt is allowed",
        };
        let workers = if self.lost == 1 { "a worker was" } else { "each of its workers was" };
        DeadLetter {
            id,
            call: self.call.to_string(),
            method: self.method.to_string(),
            effect: self.effect,
            lost: self.lost,
            worker: self.worker.clone(),
            reason: format!("{workers} lost while it had the call, the last one {}: {ran}", self.worker),
            age_ms: u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX),
            bytes: self.body.len(),
        }
    }
}

fn letter_id(request: &Request) -> Result<u64, Box<Failure>> {
    let read = || ArgumentReader::new(&["id"], &request.body)?.next::<u64>();
    read().map_err(|error| Box::new(error.into()))
}

fn unknown_letter(id: u64) -> Box<Failure> {
    let text = format!("unknown dead letter {id}: it was dropped, or evicted by later ones");
    Box::new(Failure::new(Code::FailedPrecondition, Executed::No, text))
}

fn wrong_style(id: u64, letter: &Letter) -> Box<Failure> {
    let text = format!(
        "dead letter {id} is of {}, {}, and items have no way here: take its arguments from {}.dead_show, call the method \
         with them as what it is, and drop the letter",
        letter.method,
        letter.streams.style,
        reserved::SERVICE
    );
    Box::new(Failure::new(Code::FailedPrecondition, Executed::No, text))
}
