//! The allowed outcomes of a call.

use std::collections::BTreeSet;

use bytes::Bytes;
use callboard_core::{
    body,
    time::Time,
    wire::{
        broadcast::BroadcastReply,
        envelope::Effect,
        limits::ATTEMPTS_MAX,
        status::{Code, Executed, Failure},
    },
};

use super::{super::catalogue::MIX, Entry, Rules};

impl Entry {
    pub(super) fn check_answer(&self, number: u64, result: &Bytes) {
        if self.spec.method.is_admin() {
            return;
        }
        let (answered, _, _): (u64, u32, u32) = body::decode(result).expect("a result is three numbers");
        assert_eq!(answered, number, "call {number} receives the result of another call");
        assert!(self.finished > 0, "call {number} has a result, and no handler finished");
    }

    /// Checks the result of a broadcast: each worker has one entry of its own.
    pub(super) fn check_answers(&self, number: u64, result: &Bytes) {
        let answers: Vec<BroadcastReply> = body::decode(result).expect("the result of a broadcast is a list");
        assert!(!answers.is_empty(), "call {number}: a broadcast waits until there is a worker");
        let workers: BTreeSet<_> = answers.iter().map(|answer| answer.worker.clone()).collect();
        assert_eq!(workers.len(), answers.len(), "call {number}: a worker has two entries");
        let (mut succeeded, mut failed) = (0, 0);
        for answer in answers {
            match answer.outcome() {
                Ok(result) => {
                    self.check_answer(number, &result);
                    succeeded += 1;
                }
                Err(failure) => {
                    self.check_subcall(number, &failure);
                    failed += u32::from(failure.executed == Executed::Yes);
                }
            }
        }
        assert!(
            succeeded <= self.finished && succeeded + failed <= self.starts,
            "call {number} has entries of workers that did not run it"
        );
    }

    /// Checks the failure of a subcall.
    fn check_subcall(&self, number: u64, failure: &Failure) {
        let what = format!("a subcall of call {number} ends with {failure}");
        match failure.code {
            Code::Unknown => assert_eq!(body::decode::<u64>(&failure.details).ok(), Some(number), "{what}"),
            Code::DeadlineExceeded => {
                let limited = self.spec.timeout.is_some() || failure.message.contains("hard limit");
                assert!(limited, "{what}, and has no deadline");
            }
            Code::Internal | Code::Unavailable | Code::ResourceExhausted => {}
            Code::Cancelled => assert!(failure.message.contains("an operator"), "{what}"),
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
        assert!(failure.executed == Executed::No || failure.call.is_some(), "{what}, and has no id");
        let total = failure.timings.client + failure.timings.queued + failure.timings.running;
        assert!(!rules.clocks_agree || total <= now.since(self.spec.made), "{what}, after {}", failure.timings);
        match failure.code {
            Code::Unknown => {
                assert_eq!(
                    body::decode::<u64>(&failure.details).ok(),
                    Some(number),
                    "{what}, the failure of another call"
                );
                assert!(self.failed > 0, "{what}, and no handler failed");
            }
            Code::Internal => assert!(self.failed > 0, "{what}, and no handler panicked"),
            Code::DeadlineExceeded => {
                let hard = rules.hard.filter(|_| self.spec.method.is_limited() && failure.executed != Executed::No);
                let limits = [self.spec.timeout, hard].into_iter().flatten();
                let limit = limits.min().unwrap_or_else(|| panic!("{what}, and has no deadline"));
                assert!(!rules.clocks_agree || now >= self.spec.made + limit, "{what}, and had time left");
            }
            // Workers of the service may be registered before the first one that serves the method.
            Code::Unimplemented => assert_ne!(failure.executed, Executed::Yes, "{what}"),
            Code::Cancelled => {
                let by_operator = rules.operated && failure.message.contains("an operator");
                assert!(closing || by_operator, "{what}, and its client was not closed");
            }
            Code::Unavailable => self.check_unavailable(failure, &what, rules),
            // The rights of the client are checked beside the ledger.
            Code::PermissionDenied => assert_ne!(failure.executed, Executed::Yes, "{what}"),
            Code::ResourceExhausted => {
                assert!(self.sent > 1 || failure.executed == Executed::No, "{what}");
            }
            Code::InvalidArgument => {
                assert_ne!(
                    self.spec.streams.style, self.spec.method.style,
                    "{what}, and was called with its own style"
                );
            }
            _ => panic!("{what}, which nothing in this world can cause"),
        }
    }

    fn check_unavailable(&self, failure: &Failure, what: &str, rules: &Rules) {
        let served = self.spec.method.served;
        assert!(!(rules.fault_free && served), "{what}, and no fault was injected");
        let unstarted = failure.executed == Executed::No;
        assert!(!self.spec.wait_for_ready || !unstarted || rules.stops, "{what}, and has wait_for_ready");
        let worker_lost = failure.message.contains("was lost while it had the call");
        let may_retry = self.effect() < Effect::Once && self.spec.method != MIX;
        let attempts_left = failure.attempt < ATTEMPTS_MAX;
        assert!(!(worker_lost && may_retry && attempts_left), "{what}, and may be retried");
    }

    /// Returns the stricter of the declared and the requested effect. It ignores that workers differ in the effect of `mix`.
    pub(super) fn effect(&self) -> Effect {
        let declared = self.spec.method.effect;
        self.spec.effect.map_or(declared, |own| own.max(declared))
    }
}
