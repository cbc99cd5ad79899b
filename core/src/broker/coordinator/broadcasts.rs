//! The course of a broadcast: its subcalls begin, their outcomes are collected, and it ends once.

use bytestring::ByteString;

use super::{
    super::{
        calls::CallState,
        flow::{SubcallId, broadcast_result},
        interface::{Action, Diagnostic},
        keys::{CallKey, WorkerKey},
        outcome::Outcome,
    },
    state::Broker,
};
use crate::{
    time::Time,
    wire::{
        limits::HEADER_BYTES_MAX,
        status::{Code, Failure},
    },
};

impl Broker {
    /// Sends a call to each worker that serves its method and does not drain. If there is none, the call waits as other
    /// calls do.
    pub(super) fn begin_broadcast(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &self.calls[key];
        let method = call.method_index();
        let workers = method.map_or(Vec::new(), |method| self.registry.workers_serving(call.service, method));
        if workers.is_empty() {
            return self.enqueue_or_reject(now, key, None, out);
        }
        if !self.broadcasts.has_room(workers.len()) {
            let text = "the replies to other broadcasts fill this broker's buffer; try again later";
            return self.fail(now, key, Code::ResourceExhausted, text, out);
        }
        self.calls[key].count_time(now, false);
        let subcalls = self.broadcasts.begin(key, workers, &mut self.calls, &mut self.registry);
        self.calls.schedule_timeout(key);
        for subcall in subcalls {
            self.schedule(now, subcall, out);
        }
    }

    /// Fails the subcalls that wait for a worker which takes no more calls.
    pub(super) fn end_waiting_subcalls(&mut self, now: Time, worker: WorkerKey, out: &mut Vec<Action>) {
        let Some(worker) = self.registry.find_worker(worker) else { return };
        let waits = |subcall: &CallKey| matches!(self.calls[*subcall].state, CallState::Queued { .. });
        let waiting: Vec<_> = worker.subcalls.iter().copied().filter(waits).collect();
        for subcall in waiting {
            let text = "its worker left or was lost before it could start there";
            self.fail(now, subcall, Code::Unavailable, text, out);
        }
    }

    /// Stores the outcome of a subcall as the reply of its worker. Ends the broadcast if it was the last reply.
    pub(super) fn complete_subcall(&mut self, now: Time, of: SubcallId, outcome: &Outcome, out: &mut Vec<Action>) {
        let max = self.broadcast_bytes_max();
        if self.broadcasts.store(of, outcome, max, &mut self.calls, &mut self.registry) {
            self.end_broadcast(now, of.broadcast, out);
        }
    }

    /// Ends a broadcast with the replies that it has. A worker that has not replied has a failure as its reply.
    pub(super) fn end_broadcast(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let replies = self.stop_subcalls(now, key, out);
        self.log_cast_failures(key, &replies, out);
        let outcome = broadcast_result(replies, self.broadcast_bytes_max());
        self.end(now, key, outcome, out);
    }

    /// Takes the replies out of a broadcast, and stops the subcalls that are still open.
    pub(super) fn stop_subcalls(
        &mut self,
        now: Time,
        key: CallKey,
        out: &mut Vec<Action>,
    ) -> Vec<(ByteString, Outcome)> {
        self.calls[key].count_time(now, true);
        let replies = self.broadcasts.finish(key, &mut self.calls);
        let stop = |(worker, reply): (ByteString, Result<Outcome, CallKey>)| {
            let outcome = reply.unwrap_or_else(|subcall| Err(Box::new(self.stop_subcall(now, subcall, out))));
            (worker, outcome)
        };
        replies.into_iter().map(stop).collect()
    }

    fn stop_subcall(&mut self, now: Time, subcall: CallKey, out: &mut Vec<Action>) -> Failure {
        let failure = self.broadcasts.abandon_subcall(subcall, &mut self.calls, &mut self.registry);
        match self.calls[subcall].state {
            CallState::Running { worker, dispatch, .. } => self.stop_running(now, subcall, worker, dispatch, out),
            _ => self.remove_call(subcall),
        }
        failure
    }

    /// Logs the failures of a broadcast that is a cast, because its client receives no replies.
    fn log_cast_failures(&mut self, key: CallKey, replies: &[(ByteString, Outcome)], out: &mut Vec<Action>) {
        let call = &self.calls[key];
        for (worker, outcome) in replies.iter().filter(|_| call.cast) {
            let Err(failure) = outcome else { continue };
            let failure = Box::new(Failure { worker: worker.clone(), ..(**failure).clone() });
            self.counters.casts_failed += 1;
            let (call, method) = (call.id(), call.method.to_string());
            out.push(Action::Log(Diagnostic::CastFailed { call, method, failure }));
        }
    }

    /// Returns how many bytes of a message the replies of one broadcast may take.
    fn broadcast_bytes_max(&self) -> usize {
        self.settings.message_bytes_max.saturating_sub(HEADER_BYTES_MAX)
    }
}
