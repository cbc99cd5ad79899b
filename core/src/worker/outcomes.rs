//! The end of calls at their worker: outcomes of handlers, cancels, timeouts.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Action, Diagnostic, Worker,
    job::{JobId, Prefetched, Running, StopReason},
};
use crate::{
    time::Time,
    wire::{
        envelope::{Cancel, Credit, Envelope, KeyFreed, Reply},
        extensions::Extensions,
        ids::DispatchNumber,
        limits::{HEADER_BYTES_MAX, MESSAGE_BYTES_MAX},
        status::{Code, Executed, Failure},
    },
};

impl Worker {
    /// Handles the end of a handler, and runs the next prefetched call in its slot. `end` is its outcome; or if it was stopped
    /// before it had one, whether it had started.
    pub(super) fn on_finished(
        &mut self,
        now: Time,
        id: JobId,
        end: Result<Result<Bytes, Box<Failure>>, bool>,
        handler_time: Option<Duration>,
        out: &mut Vec<Action>,
    ) {
        let Some(mut running) = self.jobs.finish(id) else { return };
        if let Some(streams) = &mut running.streams {
            self.send_last_progress(now, id, streams.progress.take(), out);
        }
        let outcome = end.unwrap_or_else(|started| Err(Box::new(stopped_failure(running.stopped, started))));
        let outcome = self.limit_size(outcome);
        let counter = if outcome.is_ok() { &mut self.counters.answered } else { &mut self.counters.failed };
        *counter += 1;
        if self.is_current(id) {
            let attempt = running.attempt;
            let outcome = outcome.map_err(|failure| Box::new(Failure { attempt, ..*failure }));
            self.reply_after(now, id.dispatch, outcome, handler_time, out);
        } else {
            self.drop_outcome(now, &running, out);
        }
        self.run_prefetched(now, running.offer, out);
    }

    /// Runs prefetched calls in the free slots, after a call of the offer `ended` has ended. After a stall of the process, some of them
    /// may have expired before their timers have fired.
    fn run_prefetched(&mut self, now: Time, ended: usize, out: &mut Vec<Action>) {
        while let Some(next) = self.jobs.next_prefetched(ended) {
            if next.job.deadline.is_some_and(|deadline| deadline <= now) {
                self.expire_unstarted(now, &next.job, out);
            } else {
                self.run(now, next.job, next.streams, out);
            }
        }
    }

    /// Drops an outcome whose connection has ended. If the worker has registered again since, the slot was not among the free
    /// ones: it is returned now, with its key.
    fn drop_outcome(&mut self, now: Time, running: &Running, out: &mut Vec<Action>) {
        self.counters.outcomes_dropped += 1;
        out.push(Action::Log(Diagnostic::OutcomeDropped(running.call)));
        if self.peer.is_connected() {
            let offer = u32::try_from(running.offer).expect("the number of offers is bounded");
            let freed = match &running.key {
                None => Envelope::Credit(Credit { calls: 1, bytes: 0, offer }),
                Some(key) => Envelope::KeyFreed(KeyFreed { offer, key: key.clone() }),
            };
            self.send(now, freed, out);
        }
    }

    /// Sends the reply to a dispatch of this connection.
    pub(super) fn reply(
        &mut self,
        now: Time,
        number: DispatchNumber,
        outcome: Result<Bytes, Box<Failure>>,
        out: &mut Vec<Action>,
    ) {
        self.reply_after(now, number, outcome, None, out);
    }

    /// Sends the reply to a dispatch of this connection, with the time that its handler ran.
    fn reply_after(
        &mut self,
        now: Time,
        number: DispatchNumber,
        outcome: Result<Bytes, Box<Failure>>,
        handler_time: Option<Duration>,
        out: &mut Vec<Action>,
    ) {
        let outcome = outcome.map_err(|mut failure| {
            failure.worker = self.name.clone();
            failure
        });
        self.send(
            now,
            Envelope::Reply(Reply {
                number: number.0,
                outcome,
                credit: None,
                handler_time,
                extensions: Extensions::NONE,
            }),
            out,
        );
    }

    /// Replaces an outcome that exceeds the broker's size limit: it would close the connection, and lose all calls that run here.
    fn limit_size(&self, outcome: Result<Bytes, Box<Failure>>) -> Result<Bytes, Box<Failure>> {
        let limit = self.peer.welcome().map_or(MESSAGE_BYTES_MAX as u64, |welcome| welcome.message_bytes_max);
        let max = limit.saturating_sub(HEADER_BYTES_MAX as u64);
        match outcome {
            Ok(body) if body.len() as u64 > max => {
                let text = format!("the result has {} bytes, and the broker accepts at most {max}", body.len());
                Err(Box::new(Failure::new(Code::ResourceExhausted, Executed::Yes, text)))
            }
            Err(failure) if failure.details.len() as u64 > max => {
                Err(Box::new(Failure { details: Bytes::new(), ..*failure }))
            }
            fitting => fitting,
        }
    }

    /// Handles the cancel of a dispatch of this connection. It has no effect if the reply was already sent.
    pub(super) fn on_cancel(&mut self, now: Time, cancel: Cancel, out: &mut Vec<Action>) {
        let id = self.job_id(DispatchNumber(cancel.number));
        if let Some(Prefetched { job, .. }) = self.jobs.take_prefetched(id) {
            let text = "the caller cancelled before a handler could start";
            let failure = Failure { attempt: job.attempt, ..Failure::new(Code::Cancelled, Executed::No, text) };
            return self.reply(now, id.dispatch, Err(Box::new(failure)), out);
        }
        self.stop(id, StopReason::Cancelled, out);
    }

    /// Asks a handler to stop, unless it was asked before.
    pub(super) fn stop(&mut self, id: JobId, reason: StopReason, out: &mut Vec<Action>) {
        let is_first = self.jobs.update(id, |running| {
            let first = running.stopped.is_none();
            running.stopped.get_or_insert(reason);
            first
        });
        if is_first == Some(true) {
            self.counters.stopped += 1;
            out.push(Action::Stop(id));
        }
    }

    /// Handles the timers that are due: expires prefetched calls, stops expired running calls, sends progress, and queries
    /// whether a handler has started.
    pub(super) fn expire(&mut self, now: Time, out: &mut Vec<Action>) {
        while let Some((at, id)) = self.jobs.first_timer()
            && at <= now
        {
            if let Some(prefetched) = self.jobs.take_prefetched(id) {
                self.expire_unstarted(now, &prefetched.job, out);
                continue;
            }
            let due = self.jobs.update(id, |running| {
                let progress = running.streams.as_mut().and_then(|streams| streams.take_progress(now));
                (running.take_started_query(now), running.is_expired(now), progress)
            });
            let (query, expired, progress) = due.expect("a timer belongs to a call that runs or is prefetched");
            if let Some(progress) = progress.filter(|_| self.is_current(id)) {
                self.send(now, Envelope::Progress(id.dispatch.0, progress), out);
            }
            if expired {
                self.stop(id, StopReason::Expired, out);
            } else if query && self.is_current(id) {
                out.push(Action::QueryStarted(id));
            }
        }
    }

    /// Reports to the broker, once, that a handler has started. It counts as long from now on.
    pub(super) fn on_started(&mut self, now: Time, id: JobId, out: &mut Vec<Action>) {
        let is_first = self.jobs.update(id, Running::record_started);
        if is_first == Some(true) && self.is_current(id) {
            self.send(now, Envelope::Started(id.dispatch), out);
            self.jobs.mark_long(id);
            self.hand_back_blocked(now, out);
        }
    }

    /// Hands back the prefetched calls that would wait for long calls, the oldest first. Another worker may be free for them.
    fn hand_back_blocked(&mut self, now: Time, out: &mut Vec<Action>) {
        while let Some(blocked) = self.jobs.next_blocked() {
            self.hand_back(now, blocked.job.id, out);
        }
    }

    /// Returns whether the call belongs to the current connection. The broker ignores messages about other calls.
    pub(super) fn is_current(&self, id: JobId) -> bool {
        self.peer.is_connected() && id.connection == self.peer.connection()
    }
}

/// Returns the failure of a handler that was stopped. If it had not started, the call can safely be made again.
fn stopped_failure(reason: Option<StopReason>, started: bool) -> Failure {
    let (code, reason) = match reason {
        Some(StopReason::Expired) => (Code::DeadlineExceeded, "the call expired"),
        Some(StopReason::Drained) => (Code::Unavailable, "the worker shut down"),
        Some(StopReason::StreamViolation) => (Code::Internal, "the broker violated the rules of its stream"),
        Some(StopReason::Cancelled) | None => (Code::Cancelled, "the caller cancelled"),
    };
    match started {
        true => Failure::new(code, Executed::Yes, format!("the handler was stopped: {reason}")),
        false => Failure::new(code, Executed::No, format!("{reason} before the handler started")),
    }
}
