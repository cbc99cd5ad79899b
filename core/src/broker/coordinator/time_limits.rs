//! Timeouts and time limits of calls: deadlines, the end of a wait for a worker, and the soft and hard limits of methods.

use bytes::Bytes;

use super::{
    super::{
        calls::{CallState, LimitReached},
        interface::{Action, Diagnostic},
        keys::{CallKey, WorkerKey},
    },
    state::Broker,
};
use crate::{
    time::Time,
    wire::{
        envelope::{Cancel, Envelope},
        ids::DispatchNumber,
        status::Code,
    },
};

impl Broker {
    /// Handles the timeout of a call: its deadline, the end of its wait for a worker, or a limit of its method.
    pub(super) fn on_call_timeout(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &mut self.calls[key];
        let expired = call.deadline.is_some_and(|deadline| deadline <= now);
        match call.state {
            CallState::Aggregating => self.end_broadcast(now, key, out),
            CallState::Running { .. } if !expired || call.client.is_none() => self.on_limit(now, key, out),
            CallState::Running { .. } => {
                let failure = call.failure(Code::DeadlineExceeded, "its deadline passed while it ran");
                self.end_anywhere(now, key, Err(Box::new(failure)), out);
            }
            CallState::WaitingForKey => {
                let text = "its deadline passed while it waited for other calls of its key";
                self.fail(now, key, Code::DeadlineExceeded, text, out);
            }
            _ if expired => {
                let rule = self.registry.service(call.service).rule();
                let text = match rule.explain_operator(call.method_index()) {
                    Some(text) => format!("its deadline passed while it waited: {text}"),
                    None => "its deadline passed while it waited for a worker".to_owned(),
                };
                self.fail(now, key, Code::DeadlineExceeded, text, out);
            }
            _ => {
                let (code, message) = self.registry.explain_unserved(call.service, call.method.method());
                self.fail(now, key, code, message, out);
            }
        }
    }

    /// Handles a limit that a running call has reached. At the soft limit the call is logged. At the hard limit the
    /// call ends, and its worker is asked to stop the handler. A worker that has not stopped it after a grace period is
    /// unresponsive.
    fn on_limit(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &mut self.calls[key];
        match call.limits.as_mut().and_then(|limits| limits.take_reached(now)) {
            Some(LimitReached::Hard) => {
                let failure = call.failure(Code::DeadlineExceeded, "it exceeded the hard limit of its method");
                return self.end_anywhere(now, key, Err(Box::new(failure)), out);
            }
            Some(LimitReached::Unresponsive) => self.on_unresponsive_worker(key, out),
            Some(LimitReached::Soft) => {
                let (worker, method) = (call.worker_name(), call.method.to_string());
                out.push(Action::Log(Diagnostic::SlowCall { call: call.id(), method, worker }));
            }
            None => {}
        }
        self.calls.schedule_timeout(key);
    }

    /// Marks a worker that did not stop a handler in time as unresponsive: the handler blocks, or the process is
    /// stopped. The worker is given no calls. Its pool reads that in the broker's status, and replaces the process.
    fn on_unresponsive_worker(&mut self, key: CallKey, out: &mut Vec<Action>) {
        let call = &self.calls[key];
        let CallState::Running { worker, .. } = call.state else { return };
        self.registry.update_worker(worker, |worker| worker.unresponsive_calls += 1);
        self.unbind(worker);
        let (call, method) = (self.calls[key].id(), self.calls[key].method.to_string());
        let name = self.registry.worker(worker).name();
        out.push(Action::Log(Diagnostic::WorkerUnresponsive { name, call, method }));
    }

    /// Ends the unresponsiveness that a call caused, after the worker's final message about the call.
    pub(super) fn end_unresponsiveness(&mut self, now: Time, key: WorkerKey, call: CallKey, out: &mut Vec<Action>) {
        let limits = self.calls[call].limits.as_mut();
        if limits.is_some_and(|limits| std::mem::take(&mut limits.is_unresponsive)) {
            self.registry.update_worker(key, |worker| worker.unresponsive_calls -= 1);
            self.fill_worker(now, key, out);
        }
    }

    /// Asks a worker to stop a call whose outcome is not wanted any more. Its slot is free after the worker's final message.
    pub(super) fn stop_running(
        &mut self,
        now: Time,
        key: CallKey,
        worker: WorkerKey,
        dispatch: DispatchNumber,
        out: &mut Vec<Action>,
    ) {
        self.calls.schedule_timeout(key);
        self.calls[key].body = Bytes::new();
        let cancel = Cancel { number: dispatch.0, done_below: None };
        self.registry.send(now, worker, Envelope::Cancel(cancel), out);
    }
}
