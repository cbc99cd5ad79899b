//! Stuck is not slow: calls that run past the limits of their method, and workers that do not stop them.

use bytes::Bytes;

use super::{
    Action, Broker, Diagnostic,
    call::{CallKey, State},
    worker::WorkerKey,
};
use crate::{
    time::Time,
    wire::{limits::STUCK_AFTER, status::Code},
};

impl Broker {
    /// A limit of a running call's method is over: the soft one is for the log; at the hard one the call ends, and its worker is to
    /// stop the handler; a worker that has not done so after the grace is stuck.
    pub(super) fn limit_is_over(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let limits = &mut self.calls[key.0].limits;
        let due = |at: &mut Option<Time>| at.take_if(|at| *at <= now).is_some();
        let (slow, over, stuck) = (due(&mut limits.soft), due(&mut limits.hard), due(&mut limits.grace));
        if over {
            return self.stop_overdue(now, key, out);
        }
        if stuck {
            self.worker_is_stuck(key, out);
        } else if slow {
            let call = &self.calls[key.0];
            let (worker, method) = (call.worker.clone(), call.method.to_string());
            out.push(Action::Log(Diagnostic::Slow { call: call.id, method, worker }));
        }
        self.watch_call(key);
    }

    fn stop_overdue(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &mut self.calls[key.0];
        call.limits.grace = Some(now + STUCK_AFTER);
        let State::Running { worker, dispatch, .. } = call.state else { return };
        let failure = call.failure(Code::DeadlineExceeded, "it ran longer than its method's hard limit allows");
        self.settle(now, key, Err(Box::new(failure)), Bytes::new(), out);
        self.stop_running(now, key, worker, dispatch, out);
    }

    /// A worker was to stop a handler and did not: a blocking loop, or a stopped process. It is given no calls, and its pool, which
    /// reads so in the broker's status, replaces it.
    fn worker_is_stuck(&mut self, key: CallKey, out: &mut Vec<Action>) {
        let State::Running { worker, .. } = self.calls[key.0].state else { return };
        self.calls[key.0].limits.stuck = true;
        self.change_worker(worker, |worker| worker.stuck += 1);
        self.unbind(worker);
        let (call, method) = (self.calls[key.0].id, self.calls[key.0].method.to_string());
        out.push(Action::Log(Diagnostic::WorkerStuck { name: self.workers[&worker].name.clone(), call, method }));
    }

    /// A worker has said its last word on a call: it is not stuck with that one any more.
    pub(super) fn unstick(&mut self, now: Time, key: WorkerKey, call: CallKey, out: &mut Vec<Action>) {
        if std::mem::take(&mut self.calls[call.0].limits.stuck) {
            self.change_worker(key, |worker| worker.stuck -= 1);
            self.fill_all(now, key, out);
        }
    }

    /// Changes whether a worker takes calls, and with it the places of its offers among the candidates.
    pub(super) fn change_worker(&mut self, key: WorkerKey, change: impl FnOnce(&mut super::Worker)) {
        let worker = self.workers.get_mut(&key).expect("the caller looked the worker up");
        change(worker);
        (0..worker.offers.len()).for_each(|at| self.change_offer(key, at, |_| {}));
    }
}
