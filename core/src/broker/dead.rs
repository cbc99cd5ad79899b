//! Dead letters: calls that their workers were lost with until nobody may try again. They are kept, with the reason, for an operator
//! to look at, to send again, or to drop.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Broker, Diagnostic,
    call::CallKey,
    client::{ClientKey, Outcome},
    own,
};
use crate::{
    body::{self, ArgumentReader},
    time::Time,
    wire::{
        affinity::AffinityKey,
        envelope::{Effect, Request},
        ids::CallId,
        limits::{DEAD_BYTES_MAX, DEAD_CALLS_MAX},
        method::MethodName,
        status::{Code, Executed, Failure},
        streams::Streams,
    },
};

/// A dead letter as `callboard.dead` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its number, by which it is shown, sent again or dropped.
    pub id: u64,
    /// The call that it was.
    pub call: String,
    /// What was called.
    pub method: String,
    /// What the method may do to the world. A `once` call may have run.
    pub effect: Effect,
    /// Workers that were lost with it.
    pub lost: u32,
    /// The last of them.
    pub worker: String,
    /// Why it is here, in a sentence.
    pub reason: String,
    /// Milliseconds since it was put here.
    pub age_ms: u64,
    /// Bytes of its arguments.
    pub bytes: usize,
}

/// A dead letter with its arguments, as `callboard.dead_show` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedLetter {
    /// What `callboard.dead` tells of it.
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// Its arguments: one encoded CBOR item.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// What is kept of a call.
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
    extensions: Bytes,
    body: Bytes,
}

/// All dead letters of this start of the broker.
#[derive(Debug, Default)]
pub(super) struct DeadLetters {
    letters: BTreeMap<u64, Letter>,
    bytes: usize,
    next: u64,
}

impl DeadLetters {
    /// Keeps a letter; the oldest go if there are too many, or they are too large together.
    fn keep(&mut self, letter: Letter) -> u64 {
        self.next += 1;
        self.bytes += letter.body.len();
        self.letters.insert(self.next, letter);
        while self.letters.len() > DEAD_CALLS_MAX || self.bytes > DEAD_BYTES_MAX {
            let oldest = *self.letters.first_key_value().expect("one was just put in").0;
            self.take(oldest);
        }
        self.next
    }

    fn take(&mut self, id: u64) -> Option<Letter> {
        let letter = self.letters.remove(&id)?;
        self.bytes -= letter.body.len();
        Some(letter)
    }

    pub(super) fn check(&self) {
        let bytes: usize = self.letters.values().map(|letter| letter.body.len()).sum();
        assert_eq!(self.bytes, bytes, "bytes of dead letters are counted");
        assert!(self.letters.len() <= DEAD_CALLS_MAX && bytes <= DEAD_BYTES_MAX, "dead letters are bounded");
    }
}

impl Letter {
    fn told(&self, now: Time, id: u64) -> DeadLetter {
        let ran = match self.effect {
            Effect::Once => "it may have run, and is never run twice by itself",
            Effect::Read | Effect::Idempotent => "nobody may try it again",
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

impl Broker {
    /// Keeps a call that its workers were lost with. Its body is copied: a read buffer shall not live as long as a letter.
    pub(super) fn bury(&mut self, now: Time, key: CallKey, out: &mut Vec<super::Action>) {
        let call = &self.calls[key.0];
        let letter = Letter {
            call: call.id,
            method: call.method.clone(),
            effect: call.effect.unwrap_or(Effect::Once),
            lost: call.lost,
            worker: call.worker.to_string(),
            at: now,
            key: call.turn.as_ref().map(|turn| turn.key.clone()),
            streams: call.streams,
            extensions: Bytes::copy_from_slice(&call.extensions),
            body: Bytes::copy_from_slice(&call.body),
        };
        let note = Diagnostic::Buried { call: call.id, method: call.method.to_string(), lost: call.lost };
        if letter.body.len() <= DEAD_BYTES_MAX {
            self.dead.keep(letter);
            self.counters.buried += 1;
            out.push(super::Action::Log(note));
        }
    }

    /// Answers a call of the broker's own service about dead letters.
    pub(super) fn dead_call(&mut self, now: Time, request: &Request) -> Outcome {
        let encoded = match request.method.method() {
            "dead" => {
                let letters: Vec<_> = self.dead.letters.iter().map(|(&id, letter)| letter.told(now, id)).collect();
                body::encode(&letters)
            }
            "dead_show" => {
                let id = letter_id(request)?;
                let letter = self.dead.letters.get(&id).ok_or_else(|| no_letter(id))?;
                body::encode(&OpenedLetter { letter: letter.told(now, id), body: letter.body.to_vec() })
            }
            "dead_drop" => {
                let id = letter_id(request)?;
                self.dead.take(id).ok_or_else(|| no_letter(id))?;
                body::encode(&())
            }
            // One that can be sent again never comes here.
            _ => {
                let id = letter_id(request)?;
                return Err(self.dead.letters.get(&id).map_or_else(|| no_letter(id), |letter| is_stream(id, letter)));
            }
        };
        encoded.map_err(|error| Box::new(Failure::new(Code::Internal, Executed::Yes, error.to_string())))
    }

    /// A request of `callboard.dead_resend` becomes the call that it sends again: its outcome is that call's. The letter stays until
    /// it is dropped, for that call may fail as well, and no effect of it is forgotten: workers of today may declare less. If there is
    /// no such letter, or it had streams, which the request has not, or the client is no operator, the request stays what it is,
    /// and is answered so.
    pub(super) fn resend_dead(&self, client: ClientKey, request: &mut Request) {
        let asked = (request.method.service(), request.method.method()) == (own::SERVICE, "dead_resend");
        if !asked || !self.clients[&client].principal.operator {
            return;
        }
        let letter = letter_id(request).ok().and_then(|id| self.dead.letters.get(&id));
        let Some(letter) = letter.filter(|letter| letter.streams.style() == request.streams.style()) else { return };
        (request.method, request.body) = (letter.method.clone(), letter.body.clone());
        request.effect = request.effect.max(Some(letter.effect));
        (request.key, request.extensions) = (letter.key.clone(), letter.extensions.clone());
    }
}

fn letter_id(request: &Request) -> Result<u64, Box<Failure>> {
    let read = || ArgumentReader::new(&["id"], &request.body)?.next::<u64>();
    read().map_err(|error| Box::new(error.into()))
}

fn no_letter(id: u64) -> Box<Failure> {
    let text = format!("there is no dead letter {id}: it was dropped, or pushed out by later ones");
    Box::new(Failure::new(Code::FailedPrecondition, Executed::No, text))
}

fn is_stream(id: u64, letter: &Letter) -> Box<Failure> {
    let text = format!(
        "dead letter {id} is of {}, {}, and items have no way here: take its arguments from {}.dead_show, call the method \
         with them as what it is, and drop the letter",
        letter.method,
        letter.streams.style(),
        own::SERVICE
    );
    Box::new(Failure::new(Code::FailedPrecondition, Executed::No, text))
}
