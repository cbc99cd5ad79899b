//! How a call may end.

use std::collections::BTreeSet;

use bytes::Bytes;
use callboard_core::{
    body,
    time::Time,
    wire::{
        broadcast::Answer,
        envelope::Effect,
        limits::ATTEMPTS_MAX,
        status::{Code, Executed, Failure},
    },
};

use super::{super::catalogue::MIX, Entry, Rules};

impl Entry {
    pub(super) fn check_answer(&self, number: u64, result: &Bytes) {
        if self.wish.method.is_brokers() {
            return;
        }
        let (answered, _, _): (u64, u32, u32) = body::decode(result).expect("handlers answer with three numbers");
        assert_eq!(answered, number, "call {number} gets the answer of another");
        assert!(self.finished > 0, "call {number} is answered though no handler finished it");
    }

    /// Each worker answers a broadcast once, and for itself.
    pub(super) fn check_answers(&self, number: u64, result: &Bytes) {
        let answers: Vec<Answer> = body::decode(result).expect("the answers of a broadcast are a list");
        assert!(!answers.is_empty(), "call {number} waits until there is a worker");
        let workers: BTreeSet<_> = answers.iter().map(|answer| answer.worker.clone()).collect();
        assert_eq!(workers.len(), answers.len(), "call {number}: a worker answers twice");
        let (mut well, mut badly) = (0, 0);
        for answer in answers {
            match answer.outcome() {
                Ok(result) => {
                    self.check_answer(number, &result);
                    well += 1;
                }
                Err(failure) => {
                    self.check_part(number, &failure);
                    badly += u32::from(failure.executed == Executed::Yes);
                }
            }
        }
        assert!(well <= self.finished && well + badly <= self.starts, "call {number}: who answers has run it");
    }

    /// How a part of a broadcast may fail.
    fn check_part(&self, number: u64, failure: &Failure) {
        let what = format!("a part of call {number} ends with {failure}");
        match failure.code {
            Code::Unknown => assert_eq!(body::decode::<u64>(&failure.details).ok(), Some(number), "{what}"),
            Code::DeadlineExceeded => {
                let limited = self.wish.timeout.is_some() || failure.message.contains("hard limit");
                assert!(limited, "{what}, and has no deadline");
            }
            Code::Internal | Code::Unavailable | Code::ResourceExhausted => {}
            _ => panic!("{what}, which nothing in this world can cause"),
        }
    }

    pub(super) fn check_failure(&self, number: u64, now: Time, failure: &Failure, rules: &Rules, closing: bool) {
        let what = format!("call {number} ends with {failure}");
        match failure.executed {
            Executed::No => assert_eq!(self.starts, 0, "{what}, and had started"),
            Executed::Yes => assert!(self.starts > 0, "{what}, and had not started"),
            Executed::Maybe => {}
        }
        assert!(failure.call.is_none_or(|call| Some(call) == self.id), "{what}, the failure of {:?}", failure.call);
        assert!(failure.executed == Executed::No || failure.call.is_some(), "{what}, and has no name");
        let spent = failure.spent.client + failure.spent.queued + failure.spent.running;
        assert!(!rules.punctual || spent <= now.since(self.wish.made), "{what}, after {}", failure.spent);
        match failure.code {
            Code::Unknown => {
                assert_eq!(body::decode::<u64>(&failure.details).ok(), Some(number), "{what}, the failure of another");
                assert!(self.failed > 0, "{what}, and no handler failed");
            }
            Code::Internal => assert!(self.failed > 0, "{what}, and no handler panicked"),
            Code::DeadlineExceeded => {
                let hard = rules.hard.filter(|_| self.wish.method.is_limited() && failure.executed != Executed::No);
                let limits = [self.wish.timeout, hard].into_iter().flatten();
                let limit = limits.min().unwrap_or_else(|| panic!("{what}, and has no deadline"));
                assert!(!rules.punctual || now >= self.wish.made + limit, "{what}, and had time left");
            }
            // Until a worker is there that has the method, others of its service may be that do not.
            Code::Unimplemented => assert_ne!(failure.executed, Executed::Yes, "{what}"),
            Code::Cancelled => assert!(closing, "{what}, and its client was not closed"),
            Code::Unavailable => self.check_unavailable(failure, &what, rules),
            Code::ResourceExhausted => {
                assert!(self.sent > 1 || failure.executed == Executed::No, "{what}");
            }
            Code::InvalidArgument => {
                assert_ne!(self.wish.streams.style(), self.wish.method.style, "{what}, and was called as it is");
            }
            _ => panic!("{what}, which nothing in this world can cause"),
        }
    }

    fn check_unavailable(&self, failure: &Failure, what: &str, rules: &Rules) {
        let served = self.wish.method.served;
        assert!(!(rules.calm && served), "{what}, and nothing went wrong");
        let unstarted = failure.executed == Executed::No;
        assert!(!self.wish.wait_for_ready || !unstarted || rules.stops, "{what}, and was to wait");
        let given_up = failure.message.contains("was lost while it had the call");
        let may_repeat = self.effect() < Effect::Once && self.wish.method != MIX;
        let attempts_left = failure.attempt < ATTEMPTS_MAX;
        assert!(!(given_up && may_repeat && attempts_left), "{what}, and may be repeated");
    }

    /// The strictest of what the worker declares and the caller wants, leaving aside that of `mix` workers differ.
    pub(super) fn effect(&self) -> Effect {
        let declared = self.wish.method.effect;
        self.wish.effect.map_or(declared, |own| own.max(declared))
    }
}
