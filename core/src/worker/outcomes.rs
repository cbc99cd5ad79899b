//! How calls end at their worker: outcomes of handlers, cancels, time-outs.

use bytes::Bytes;

use super::{
    Action, Diagnostic, Worker,
    job::{Held, JobId, Running, Stopped},
};
use crate::{
    time::Time,
    wire::{
        envelope::{Cancel, Credit, Envelope, KeyFreed, Reply},
        ids::DispatchNumber,
        limits::{HEADER_BYTES_MAX, MESSAGE_BYTES_MAX},
        status::{Code, Executed, Failure},
    },
};

impl Worker {
    /// A handler ended: with an outcome, or stopped before it had one, and then it had begun or not. Its slot is free for the
    /// next.
    pub(super) fn finished(
        &mut self,
        now: Time,
        id: JobId,
        end: Result<Result<Bytes, Box<Failure>>, bool>,
        out: &mut Vec<Action>,
    ) {
        let Some(mut running) = self.jobs.end(id) else { return };
        if let Some(flows) = &mut running.flows {
            self.last_progress(now, id, flows.progress.take(), out);
        }
        let outcome = end.unwrap_or_else(|begun| Err(Box::new(stopped_failure(running.stopped, begun))));
        let outcome = self.sendable(outcome);
        let counter = if outcome.is_ok() { &mut self.counters.answered } else { &mut self.counters.failed };
        *counter += 1;
        if self.is_current(id) {
            let attempt = running.attempt;
            self.reply(now, id.dispatch, outcome.map_err(|failure| Box::new(Failure { attempt, ..*failure })), out);
        } else {
            self.outcome_dropped(now, &running, out);
        }
        self.run_held(now, running.offer, out);
    }

    /// Fills the free slots of an offer with held calls. Where the worker was not run for a while, the time of some may be up
    /// before their timers have fired.
    fn run_held(&mut self, now: Time, offer: usize, out: &mut Vec<Action>) {
        while let Some(next) = self.jobs.next_held(offer) {
            if next.job.deadline.is_some_and(|deadline| deadline <= now) {
                self.too_late(now, &next.job, out);
            } else {
                self.run(now, next.job, next.flows, out);
            }
        }
    }

    /// Nobody waits for this outcome. If the worker has registered again since, its slot was not among the free ones:
    /// it is given back now, and its key with it.
    fn outcome_dropped(&mut self, now: Time, running: &Running, out: &mut Vec<Action>) {
        self.counters.outcomes_dropped += 1;
        out.push(Action::Log(Diagnostic::OutcomeDropped(running.call)));
        if self.peer.is_connected() {
            let offer = u32::try_from(running.offer).expect("an offer's place fits: their number is bounded");
            let freed = match &running.key {
                None => Envelope::Credit(Credit { calls: 1, bytes: 0, offer }),
                Some(key) => Envelope::KeyFreed(KeyFreed { offer, key: key.clone() }),
            };
            self.send(now, freed, out);
        }
    }

    /// Answers a dispatch of this connection.
    pub(super) fn reply(
        &mut self,
        now: Time,
        number: DispatchNumber,
        outcome: Result<Bytes, Box<Failure>>,
        out: &mut Vec<Action>,
    ) {
        let outcome = outcome.map_err(|mut failure| {
            failure.worker = self.name.clone();
            failure
        });
        self.send(
            now,
            Envelope::Reply(Reply { number: number.0, outcome, credit: None, extensions: Bytes::new() }),
            out,
        );
    }

    /// An outcome that the broker takes. One too large would cost the connection, and with it all that runs here.
    fn sendable(&self, outcome: Result<Bytes, Box<Failure>>) -> Result<Bytes, Box<Failure>> {
        let limit = self.peer.welcome().map_or(MESSAGE_BYTES_MAX as u64, |welcome| welcome.message_bytes_max);
        let most = limit.saturating_sub(HEADER_BYTES_MAX as u64);
        match outcome {
            Ok(body) if body.len() as u64 > most => {
                let text = format!("the result has {} bytes, and the broker takes at most {most}", body.len());
                Err(Box::new(Failure::new(Code::ResourceExhausted, Executed::Yes, text)))
            }
            Err(failure) if failure.details.len() as u64 > most => {
                Err(Box::new(Failure { details: Bytes::new(), ..*failure }))
            }
            fitting => fitting,
        }
    }

    /// The caller of a dispatch of this connection is no longer interested. A cancel that crosses the reply finds
    /// nothing.
    pub(super) fn cancel(&mut self, now: Time, cancel: Cancel, out: &mut Vec<Action>) {
        let id = self.job_id(DispatchNumber(cancel.number));
        if let Some(Held { job, .. }) = self.jobs.unhold(id) {
            let text = "the caller gave up before a handler could start";
            let failure = Failure { attempt: job.attempt, ..Failure::new(Code::Cancelled, Executed::No, text) };
            return self.reply(now, id.dispatch, Err(Box::new(failure)), out);
        }
        self.stop(id, Stopped::Cancelled, out);
    }

    /// Tells a handler to stop, unless it was told before.
    pub(super) fn stop(&mut self, id: JobId, why: Stopped, out: &mut Vec<Action>) {
        let told = self.jobs.change(id, |running| {
            let first = running.stopped.is_none();
            running.stopped.get_or_insert(why);
            first
        });
        if told == Some(true) {
            self.counters.stopped += 1;
            out.push(Action::Stop(id));
        }
    }

    /// Handles the timers that are due: held calls expire, running ones are told to stop, or the broker is told that
    /// they run.
    pub(super) fn expire(&mut self, now: Time, out: &mut Vec<Action>) {
        while let Some((at, id)) = self.jobs.first_timer()
            && at <= now
        {
            if let Some(held) = self.jobs.unhold(id) {
                self.too_late(now, &held.job, out);
                continue;
            }
            let due = self.jobs.change(id, |running| {
                let progress = running.flows.as_mut().and_then(|flows| flows.take_progress(now));
                (running.starts_to_count(now), running.expires(now), progress)
            });
            let (started, expired, progress) = due.expect("a timer belongs to a call that is held or runs");
            if let Some(word) = progress.filter(|_| self.is_current(id)) {
                self.send(now, Envelope::Progress(id.dispatch.0, word), out);
            }
            if expired {
                self.stop(id, Stopped::Expired, out);
            } else if started && self.is_current(id) {
                out.push(Action::QueryStarted(id));
            }
        }
    }

    /// A handler that runs for a while has begun: the broker is told, once.
    pub(super) fn on_started(&mut self, now: Time, id: JobId, out: &mut Vec<Action>) {
        let first = self.jobs.change(id, Running::has_begun);
        if first == Some(true) && self.is_current(id) {
            self.send(now, Envelope::Started(id.dispatch), out);
        }
    }

    /// Whether what is said about the call still interests the broker.
    pub(super) fn is_current(&self, id: JobId) -> bool {
        self.peer.is_connected() && id.connection == self.peer.connection()
    }
}

/// What a handler that was stopped came to. One that had not begun did nothing: its call may safely be made again.
fn stopped_failure(why: Option<Stopped>, begun: bool) -> Failure {
    let (code, reason) = match why {
        Some(Stopped::Expired) => (Code::DeadlineExceeded, "the call's time was up"),
        Some(Stopped::Drained) => (Code::Unavailable, "the worker ends"),
        Some(Stopped::Broken) => (Code::Internal, "its stream was broken by the broker"),
        Some(Stopped::Cancelled) | None => (Code::Cancelled, "the caller gave up"),
    };
    match begun {
        true => Failure::new(code, Executed::Yes, format!("the handler was stopped: {reason}")),
        false => Failure::new(code, Executed::No, format!("{reason} before the handler began")),
    }
}
