//! A call to every worker that serves a method: one part a worker, and all their answers as one result.
//!
//! A part is a call without a client, at a worker or promised the next slot there. It goes to no other worker, whatever becomes
//! of its own: its failure is that worker's answer. The whole ends when all have answered, or at its deadline with what there is.

use std::mem;

use bytestring::ByteString;

use super::{
    Action, Broker,
    call::{CallKey, State},
    client::Outcome,
    worker::WorkerKey,
};
use crate::{
    body,
    time::Time,
    wire::{
        broadcast::Answer,
        limits::{BROADCAST_BYTES_MAX, HEADER_BYTES_MAX, PARTS_PROMISED_MAX},
        status::{Code, Executed, Failure},
    },
};

/// What an answer takes of a message beside its worker's name and its own bytes: keys, lengths and numbers.
const ANSWER_BYTES: usize = 96;

/// How many workers a report names one by one.
const NAMED_MAX: usize = 8;

/// The answers of a broadcast, as they come.
#[derive(Debug)]
pub(super) struct Gathering {
    answers: Vec<Gathered>,
    /// Those that are yet to come.
    missing: usize,
    /// What those that have come take of a message.
    pub(super) bytes: usize,
}

/// One worker's answer.
#[derive(Debug)]
struct Gathered {
    worker: ByteString,
    /// The part, until it is answered.
    part: Option<CallKey>,
    outcome: Option<Outcome>,
}

/// Of which broadcast a call is a part, and which of its answers is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartOf {
    whole: CallKey,
    at: usize,
}

impl Gathering {
    /// Some of the workers that have not answered.
    pub(super) fn waits_for(&self) -> Vec<&str> {
        let missing = self.answers.iter().filter(|answer| answer.part.is_some());
        missing.map(|answer| &*answer.worker).take(NAMED_MAX).collect()
    }

    /// Whether `part` is that answer's.
    pub(super) fn awaits(&self, of: PartOf, part: CallKey) -> bool {
        self.answers[of.at].part == Some(part)
    }

    /// Asserts that it is neither over nor miscounted.
    pub(super) fn check(&self) {
        let missing = self.answers.iter().filter(|answer| answer.outcome.is_none()).count();
        assert!(missing == self.missing && missing > 0, "a broadcast that has all answers has ended");
        assert!(
            self.answers.iter().all(|answer| answer.part.is_some() != answer.outcome.is_some()),
            "answered or open"
        );
    }
}

impl PartOf {
    pub(super) fn whole(self) -> CallKey {
        self.whole
    }
}

impl Broker {
    /// Sends a call to each worker that serves its method and does not drain. Without any it waits as others do.
    pub(super) fn broadcast(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) -> bool {
        let (service, method) = (self.calls[key.0].service, self.calls[key.0].method_number);
        let serving = self.workers.iter().filter(|(_, worker)| !worker.draining).filter_map(|(&at, worker)| {
            let serves =
                |offer: &super::worker::Offer| offer.service == service && method.is_some_and(|m| offer.serves(m));
            Some((at, worker.offers.iter().position(serves)?))
        });
        let serving: Vec<(WorkerKey, usize)> = serving.collect();
        if serving.is_empty() {
            return false;
        }
        self.calls[key.0].detach();
        let answers = serving.iter().enumerate().map(|(at, (worker, _))| {
            let part = self.calls[key.0].part(PartOf { whole: key, at });
            let part = CallKey(self.calls.insert(part));
            Gathered { worker: self.workers[worker].name.clone(), part: Some(part), outcome: None }
        });
        let answers: Vec<_> = answers.collect();
        self.services.get_mut(&service).expect("it has this call").calls += answers.len();
        let parts: Vec<_> = answers.iter().filter_map(|answer| answer.part).collect();
        let whole = &mut self.calls[key.0];
        whole.state = State::Gathering;
        whole.gathering = Some(Box::new(Gathering { missing: answers.len(), answers, bytes: 0 }));
        self.watch_call(key);
        for (part, (worker, offer)) in parts.into_iter().zip(serving) {
            self.start_part(now, part, worker, offer, out);
        }
        true
    }

    /// Starts a part, or promises it the next slot.
    fn start_part(&mut self, now: Time, part: CallKey, worker: WorkerKey, offer: usize, out: &mut Vec<Action>) {
        let at = self.workers.get_mut(&worker).expect("the caller found it");
        let (name, takes_calls) = (at.name.clone(), at.takes_calls());
        let promised = &mut at.offers[offer];
        if promised.has_room() && takes_calls {
            return self.start(now, part, worker, offer, out);
        }
        if promised.promised.len() < PARTS_PROMISED_MAX {
            promised.promised.push_back(part);
            self.calls[part.0].state = State::Promised { worker, offer };
            return;
        }
        let text = format!("{PARTS_PROMISED_MAX} broadcasts wait for {name} already");
        self.fail(now, part, Code::ResourceExhausted, text, out);
    }

    /// Gives an offer's free slots to parts that were promised them.
    pub(super) fn keep_promises(&mut self, now: Time, key: WorkerKey, at: usize, out: &mut Vec<Action>) {
        loop {
            let Some(worker) = self.workers.get_mut(&key).filter(|worker| worker.takes_calls()) else { return };
            let Some(offer) = worker.offers.get_mut(at).filter(|offer| offer.has_room()) else { return };
            let Some(part) = offer.promised.pop_front() else { return };
            self.start(now, part, key, at, out);
        }
    }

    /// Parts that a worker will not come to run any more.
    pub(super) fn break_promises(&mut self, now: Time, parts: Vec<CallKey>, out: &mut Vec<Action>) {
        for part in parts {
            self.calls[part.0].state = State::New;
            self.fail(now, part, Code::Unavailable, "its worker left before it had a free slot", out);
        }
    }

    /// What became of a part is its worker's answer.
    pub(super) fn gathered(&mut self, now: Time, of: PartOf, outcome: Outcome, out: &mut Vec<Action>) {
        let max = self.settings.message_bytes_max.saturating_sub(HEADER_BYTES_MAX);
        let whole = &mut self.calls[of.whole.0];
        let gathering = whole.gathering.as_mut().expect("a broadcast lives as long as its parts");
        let answer = &mut gathering.answers[of.at];
        let (mut outcome, mut bytes) = (outcome, ANSWER_BYTES + answer.worker.len());
        let own = size_of(&outcome);
        if gathering.bytes + bytes + own > max || self.gathered_bytes + bytes + own > BROADCAST_BYTES_MAX {
            let executed = outcome.as_ref().map_or_else(|failure| failure.executed, |_| Executed::Yes);
            let text = "there is no room for its answer beside the others";
            outcome = Err(Box::new(Failure::new(Code::ResourceExhausted, executed, text)));
        }
        bytes += size_of(&outcome);
        (answer.part, answer.outcome) = (None, Some(outcome));
        gathering.bytes += bytes;
        gathering.missing -= 1;
        self.gathered_bytes += bytes;
        if self.calls[of.whole.0].gathering.as_ref().is_some_and(|gathering| gathering.missing == 0) {
            self.end_broadcast(now, of.whole, out);
        }
    }

    /// Ends a broadcast with the answers that there are; who has not answered yet is told of in its place, and need not go on.
    pub(super) fn end_broadcast(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let answers = self.stop_parts(now, key, out).into_iter().map(|(worker, outcome)| Answer::new(&worker, outcome));
        let encoded = body::encode(&answers.collect::<Vec<_>>());
        let max = self.settings.message_bytes_max.saturating_sub(HEADER_BYTES_MAX);
        let outcome = match encoded {
            Ok(body) if body.len() <= max => Ok(body),
            Ok(body) => {
                let text = format!("the answers have {} bytes, and a message of this broker {max}", body.len());
                Err(Box::new(Failure::new(Code::ResourceExhausted, Executed::Yes, text)))
            }
            Err(error) => Err(Box::new(Failure::new(Code::Internal, Executed::Yes, error.to_string()))),
        };
        self.end(now, key, outcome, out);
    }

    /// Asks the workers that have not answered to stop, and takes the answers out of a broadcast, with what there is to say of theirs.
    pub(super) fn stop_parts(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) -> Vec<(ByteString, Outcome)> {
        let whole = &mut self.calls[key.0];
        whole.state = State::New;
        let Some(gathering) = whole.gathering.take() else { return Vec::new() };
        self.gathered_bytes -= gathering.bytes;
        let answer = |Gathered { worker, part, outcome }: Gathered| {
            let missing = part.map(|part| self.stop_part(now, part, out));
            let outcome = outcome.or(missing.map(|failure| Err(Box::new(failure))));
            (worker, outcome.expect("an answer is there, or its part is open"))
        };
        gathering.answers.into_iter().map(answer).collect()
    }

    fn stop_part(&mut self, now: Time, part: CallKey, out: &mut Vec<Action>) -> Failure {
        let call = &mut self.calls[part.0];
        call.part_of = None;
        match call.state {
            State::Running { worker, dispatch, .. } => {
                let failure = call.failure(Code::DeadlineExceeded, "the time was up while it ran");
                self.stop_running(now, part, worker, dispatch, out);
                failure
            }
            State::Promised { worker, offer } => {
                let failure = call.failure(Code::DeadlineExceeded, "the time was up before it had a free slot");
                let offer = self.workers.get_mut(&worker).and_then(|worker| worker.offers.get_mut(offer));
                offer.into_iter().for_each(|offer| offer.promised.retain(|promised| *promised != part));
                self.take(part);
                failure
            }
            State::New | State::Waiting { .. } | State::Gathering => {
                unreachable!("a part is at its worker, or on its way there")
            }
        }
    }

    /// The parts that an offer has promised slots to, which it now will not have.
    pub(super) fn promised(&mut self, key: WorkerKey) -> Vec<CallKey> {
        let offers = self.workers.get_mut(&key).map(|worker| worker.offers.iter_mut()).into_iter().flatten();
        offers.flat_map(|offer| mem::take(&mut offer.promised)).collect()
    }
}

/// What an outcome takes of a message.
fn size_of(outcome: &Outcome) -> usize {
    match outcome {
        Ok(body) => body.len(),
        Err(failure) => failure.type_name.len() + failure.message.len() + failure.details.len(),
    }
}
