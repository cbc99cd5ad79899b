//! A call to every worker that serves a method: one part a worker, and all their answers as one result.
//!
//! A part is a call without a client, for one worker. It waits in the queue of its service as any other call of its caller, counts
//! there as one, and has its caller's turn; but no other worker may have it, whatever becomes of its own: its failure is that worker's
//! answer. The whole ends when all have answered, or at its deadline with what there is.

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Action, Broker, Diagnostic,
    call::{Call, CallKey, State},
    client::{ClientKey, Outcome, detached},
    worker::{Offer, WorkerKey},
};
use crate::{
    body,
    time::Time,
    wire::{
        broadcast::Answer,
        limits::{ANSWER_BYTES, BROADCAST_BYTES_MAX, HEADER_BYTES_MAX},
        status::{Code, Executed, Failure},
    },
};

/// How many workers a report names one by one.
const NAMED_MAX: usize = 8;

/// The answers of a broadcast, as they come.
#[derive(Debug)]
pub(super) struct Gathering {
    answers: Vec<Gathered>,
    /// Those that are yet to come.
    missing: usize,
    /// What they take of a message, with room for a short failure of each that has not come.
    pub(super) bytes: usize,
}

/// One worker's answer.
#[derive(Debug)]
struct Gathered {
    worker: ByteString,
    said: Said,
}

#[derive(Debug)]
enum Said {
    /// Nothing yet: its part is open.
    Nothing(CallKey),
    Outcome(Outcome),
}

/// Of which broadcast a call is a part, which of its answers is its own, and who is to give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartOf {
    pub(super) whole: CallKey,
    at: usize,
    pub(super) worker: WorkerKey,
}

impl Gathering {
    fn new(answers: Vec<Gathered>) -> Gathering {
        Gathering { missing: answers.len(), bytes: answers.len() * ANSWER_BYTES, answers }
    }

    /// Whether `part` is that answer's.
    pub(super) fn awaits(&self, of: PartOf, part: CallKey) -> bool {
        matches!(self.answers[of.at].said, Said::Nothing(open) if open == part)
    }

    /// Asserts that it is neither over nor miscounted.
    pub(super) fn check(&self) {
        assert!(self.missing > 0, "a broadcast that has all answers has ended");
        assert_eq!(self.open().count(), self.missing, "missing answers are counted");
        let said = |answer: &Gathered| match &answer.said {
            Said::Nothing(_) => 0,
            Said::Outcome(outcome) => size_of(outcome),
        };
        let bytes: usize = self.answers.iter().map(|answer| ANSWER_BYTES + said(answer)).sum();
        assert!(self.bytes <= bytes, "what answers take is counted");
    }

    /// The workers that have not answered, each with its part.
    fn open(&self) -> impl Iterator<Item = (&ByteString, CallKey)> {
        self.answers.iter().filter_map(|answer| match answer.said {
            Said::Nothing(part) => Some((&answer.worker, part)),
            Said::Outcome(_) => None,
        })
    }
}

impl Call {
    /// What cannot be said of a broadcast, and was said of this one.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        match self {
            Call { broadcast: true, flows: Some(_), .. } => Some("a broadcast has no streams and no progress"),
            Call { broadcast: true, turn: Some(_), .. } => {
                Some("a broadcast goes to every worker, and calls of one key to one: take either, not both")
            }
            _ => None,
        }
    }
}

impl Broker {
    /// Who waits for a call: of a part, who made the broadcast.
    pub(super) fn caller_of(&self, call: &Call) -> Option<ClientKey> {
        call.client.or_else(|| self.calls[call.part_of?.whole.0].client)
    }

    /// Sends a call to each worker that serves its method and does not drain. Without any it waits as others do.
    pub(super) fn broadcast(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let serving = self.serving(&self.calls[key.0]);
        if serving.is_empty() {
            return self.wait(now, key, None, out);
        }
        if self.gathered_bytes + serving.len() * ANSWER_BYTES > BROADCAST_BYTES_MAX {
            let text = "the answers to other broadcasts fill this broker: try again when some of them have ended";
            return self.fail(now, key, Code::ResourceExhausted, text, out);
        }
        let parts = self.divide(key, serving);
        self.watch_call(key);
        for part in parts {
            self.place(now, part, out);
        }
    }

    fn serving(&self, call: &Call) -> Vec<WorkerKey> {
        let Some(method) = call.method_number else { return Vec::new() };
        let serves = |offer: &Offer| offer.service == call.service && offer.serves(method);
        let staying = self.workers.iter().filter(|(_, worker)| !worker.draining);
        staying.filter(|(_, worker)| worker.offers.iter().any(serves)).map(|(&key, _)| key).collect()
    }

    /// Makes a part of a broadcast for each worker.
    fn divide(&mut self, whole: CallKey, workers: Vec<WorkerKey>) -> Vec<CallKey> {
        self.calls[whole.0].detach();
        let (mut parts, mut answers) = (Vec::new(), Vec::new());
        for (at, worker) in workers.into_iter().enumerate() {
            let part = self.calls[whole.0].part(PartOf { whole, at, worker });
            let part = CallKey(self.calls.insert(part));
            let serving = self.workers.get_mut(&worker).expect("the caller found it");
            serving.parts.insert(part);
            parts.push(part);
            answers.push(Gathered { worker: serving.name.clone(), said: Said::Nothing(part) });
        }
        let gathering = Gathering::new(answers);
        self.gathered_bytes += gathering.bytes;
        let call = &mut self.calls[whole.0];
        let service = self.services.get_mut(&call.service).expect("a call's service lives as long as it has calls");
        service.calls += parts.len();
        call.method_number.iter().for_each(|&method| service.methods[method].calls += parts.len());
        call.state = State::Gathering;
        call.gathering = Some(Box::new(gathering));
        // The parts have it.
        call.body = Bytes::new();
        parts
    }

    /// A worker will take no calls any more: the parts that wait for it have waited in vain.
    pub(super) fn end_waiting_parts(&mut self, now: Time, worker: WorkerKey, out: &mut Vec<Action>) {
        let parts = self.workers.get(&worker).into_iter().flat_map(|worker| &worker.parts).copied();
        let waits = |part: &CallKey| matches!(self.calls[part.0].state, State::Waiting { .. });
        let waiting: Vec<_> = parts.filter(waits).collect();
        for part in waiting {
            self.fail(now, part, Code::Unavailable, "its worker left or was lost before it could start there", out);
        }
    }

    /// What became of a part is its worker's answer.
    pub(super) fn gathered(&mut self, now: Time, of: PartOf, outcome: Outcome, out: &mut Vec<Action>) {
        let max = self.answers_bytes_max();
        let whole = self.calls[of.whole.0].gathering.as_mut().expect("a broadcast lives as long as its parts");
        let room = max.saturating_sub(whole.bytes).min(BROADCAST_BYTES_MAX.saturating_sub(self.gathered_bytes));
        let bytes = size_of(&outcome);
        let (outcome, bytes) = if bytes <= room { (detached(&outcome), bytes) } else { (no_room_for(&outcome), 0) };
        whole.bytes += bytes;
        whole.missing -= 1;
        let ended = whole.missing == 0;
        self.gathered_bytes += bytes;
        let said = std::mem::replace(&mut whole.answers[of.at].said, Said::Outcome(outcome));
        if let Said::Nothing(part) = said {
            self.leave_worker_of(of, part);
        }
        if ended {
            self.end_broadcast(now, of.whole, out);
        }
    }

    fn leave_worker_of(&mut self, of: PartOf, part: CallKey) {
        if let Some(worker) = self.workers.get_mut(&of.worker) {
            worker.parts.remove(&part);
        }
    }

    /// What the answers to a broadcast may take of a message.
    fn answers_bytes_max(&self) -> usize {
        self.settings.message_bytes_max.saturating_sub(HEADER_BYTES_MAX)
    }

    /// Ends a broadcast with the answers that there are; who has not answered yet is told of in its place, and need not go on.
    pub(super) fn end_broadcast(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let answers = self.stop_parts(now, key, out);
        self.note_failures(key, &answers, out);
        let answers: Vec<_> = answers.into_iter().map(|(worker, outcome)| Answer::new(&worker, outcome)).collect();
        let max = self.answers_bytes_max();
        let outcome = match body::encode(&answers) {
            Ok(body) if body.len() <= max => Ok(body),
            Ok(body) => {
                let text = format!("the answers have {} bytes, and a message of this broker {max}", body.len());
                Err(Box::new(Failure::new(Code::ResourceExhausted, Executed::Maybe, text)))
            }
            Err(error) => Err(Box::new(Failure::new(Code::Internal, Executed::Maybe, error.to_string()))),
        };
        self.end(now, key, outcome, out);
    }

    /// Nobody is told the answers to a cast: its failures are for the log.
    fn note_failures(&mut self, key: CallKey, answers: &[(ByteString, Outcome)], out: &mut Vec<Action>) {
        let call = &self.calls[key.0];
        for (worker, outcome) in answers.iter().filter(|_| call.cast) {
            let Err(failure) = outcome else { continue };
            let failure = Box::new(Failure { worker: worker.clone(), ..(**failure).clone() });
            self.counters.casts_failed += 1;
            out.push(Action::Log(Diagnostic::CastFailed { call: call.id, method: call.method.to_string(), failure }));
        }
    }

    /// Takes the answers out of a broadcast. The workers that have not answered are asked to stop, and their answer is that they have not.
    pub(super) fn stop_parts(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) -> Vec<(ByteString, Outcome)> {
        let whole = &mut self.calls[key.0];
        whole.state = State::New;
        let Some(gathering) = whole.gathering.take() else { return Vec::new() };
        self.gathered_bytes -= gathering.bytes;
        let mut answers = Vec::with_capacity(gathering.answers.len());
        for Gathered { worker, said } in gathering.answers {
            let outcome = match said {
                Said::Outcome(outcome) => outcome,
                Said::Nothing(part) => Err(Box::new(self.stop_part(now, part, out))),
            };
            answers.push((worker, outcome));
        }
        answers
    }

    fn stop_part(&mut self, now: Time, part: CallKey, out: &mut Vec<Action>) -> Failure {
        let call = &mut self.calls[part.0];
        let of = call.part_of.take().expect("an open part is of its broadcast");
        let state = call.state;
        let text = match state {
            State::Running { .. } => "the time was up while it ran",
            _ => "the time was up before it could start there",
        };
        let failure = call.failure(Code::DeadlineExceeded, text);
        self.leave_worker_of(of, part);
        match state {
            State::Running { worker, dispatch, .. } => self.stop_running(now, part, worker, dispatch, out),
            _ => self.take(part),
        }
        failure
    }

    /// Whom a broadcast waits for.
    pub(super) fn why_gathering(&self, call: &Call) -> String {
        let Some(gathering) = &call.gathering else { return String::new() };
        let waits = |part: CallKey| matches!(self.calls[part.0].state, State::Waiting { .. });
        let mut named: Vec<_> = gathering
            .open()
            .take(NAMED_MAX)
            .map(|(worker, part)| {
                let slot = if waits(part) { " (not begun)" } else { "" };
                format!("{worker}{slot}")
            })
            .collect();
        if gathering.missing > named.len() {
            named.push(format!("{} more", gathering.missing - named.len()));
        }
        let (all, named) = (gathering.answers.len(), named.join(", "));
        format!("{} of {all} workers have answered; it waits for {named}", all - gathering.missing)
    }

    /// Who is to have a part.
    pub(super) fn worker_of_part(&self, call: &Call) -> Option<&ByteString> {
        Some(&self.workers.get(&call.part_of?.worker)?.name)
    }

    /// What a part in the queue waits for: its worker.
    pub(super) fn why_part(&self, call: &Call) -> Option<String> {
        let name = self.worker_of_part(call)?;
        Some(format!("it is the part of a broadcast that worker {name} is to have, and that has no free slot for it"))
    }

    /// Asserts that parts are of broadcasts that wait for them, and that their workers know them.
    pub(super) fn check_broadcasts(&self) {
        let mut parts = BTreeMap::<WorkerKey, usize>::new();
        let mut bytes = 0;
        for (key, call) in &self.calls {
            assert_eq!(call.gathering.is_some(), call.state == State::Gathering, "answers are of a broadcast");
            if let Some(gathering) = &call.gathering {
                gathering.check();
                bytes += gathering.bytes;
            }
            let Some(of) = call.part_of else { continue };
            let whole = self.calls[of.whole.0].gathering.as_ref();
            assert!(whole.is_some_and(|whole| whole.awaits(of, CallKey(key))), "somebody waits for a part");
            assert!(self.workers[&of.worker].parts.contains(&CallKey(key)), "a worker knows its parts");
            match call.state {
                State::Running { worker, .. } => assert_eq!(worker, of.worker, "a part runs at its worker"),
                state => {
                    assert!(matches!(state, State::Waiting { .. }), "a part waits in the queue, or runs");
                    assert!(!self.workers[&of.worker].draining, "no part waits for a worker that drains");
                }
            }
            *parts.entry(of.worker).or_default() += 1;
        }
        assert_eq!(self.gathered_bytes, bytes, "what broadcasts hold is counted");
        for (key, worker) in &self.workers {
            assert_eq!(worker.parts.len(), parts.remove(key).unwrap_or(0), "parts of a worker are counted");
        }
    }
}

/// What an outcome takes of a message, beyond [`ANSWER_BYTES`].
fn size_of(outcome: &Outcome) -> usize {
    match outcome {
        Ok(body) => body.len(),
        Err(failure) => failure.type_name.len() + failure.message.len() + failure.details.len(),
    }
}

/// What is said in the place of an answer for which there is no room; so short that it needs none.
fn no_room_for(outcome: &Outcome) -> Outcome {
    let executed = outcome.as_ref().map_or_else(|failure| failure.executed, |_| Executed::Yes);
    let text = "there is no room for its answer beside the others";
    Err(Box::new(Failure::new(Code::ResourceExhausted, executed, text)))
}
