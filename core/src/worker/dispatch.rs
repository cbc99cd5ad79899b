//! Dispatches: each call runs, is prefetched, or is handed back.

use std::time::Duration;

use super::{
    Action, Diagnostic, Worker,
    job::{CallStreams, Job, JobId},
    jobs::Placement,
};
use crate::{
    time::Time,
    wire::{
        bundle::{EnvelopeError, EnvelopeErrorReason},
        envelope::{Dispatch, Envelope},
        ids::DispatchNumber,
        kind::Kind,
        status::{Code, Executed, Failure},
        streams::Style,
    },
};

impl Worker {
    /// Handles a dispatch.
    pub(super) fn on_dispatch(&mut self, now: Time, dispatch: Dispatch, out: &mut Vec<Action>) {
        let id = self.job_id(dispatch.number);
        if self.jobs.contains(id) {
            // A broker gives each dispatch a new number. A number that arrives twice is answered once.
            return self.on_unexpected_message(Kind::Request, out);
        }
        self.counters.dispatches += 1;
        if self.phase.is_draining() {
            return self.hand_back(now, id, out);
        }
        let Some((offer, method)) = self.jobs.find_method(&dispatch.method) else {
            return self.unknown_method(now, &dispatch, out);
        };
        if dispatch.streams.style != self.register.offers[offer].methods[method].style {
            return self.wrong_style(now, &dispatch, self.register.offers[offer].methods[method].style, out);
        }
        let job = Job {
            id,
            offer,
            method,
            call: dispatch.call,
            caller_name: dispatch.caller_name.as_deref().cloned(),
            attempt: dispatch.attempt,
            deadline: dispatch.timeout.map(|left| now + left),
            affinity: dispatch.affinity.map(|affinity| *affinity),
            streams: dispatch.streams,
            extensions: dispatch.extensions,
            body: dispatch.body,
        };
        if dispatch.timeout == Some(Duration::ZERO) {
            return self.expire_unstarted(now, &job, out);
        }
        match self.jobs.placement(offer) {
            Placement::Run => self.run(now, job, CallStreams::of(dispatch.streams), out),
            Placement::Prefetch => self.jobs.prefetch(job, CallStreams::of(dispatch.streams)),
            Placement::Blocked => self.hand_back(now, id, out),
            Placement::Full => {
                out.push(Action::Log(Diagnostic::Overrun(job.call)));
                self.hand_back(now, id, out);
            }
        }
    }

    /// Starts a handler.
    pub(super) fn run(&mut self, now: Time, job: Job, streams: Option<Box<CallStreams>>, out: &mut Vec<Action>) {
        self.counters.started += 1;
        self.jobs.start(now, &job, streams);
        let (id, style) = (job.id, job.streams.style);
        out.push(Action::Run(job));
        if !style.is_unary() {
            self.open_streams(now, id, out);
        }
    }

    /// Hands a call back that was not started.
    pub(super) fn hand_back(&mut self, now: Time, id: JobId, out: &mut Vec<Action>) {
        self.counters.handed_back += 1;
        self.send(now, Envelope::Handback(id.dispatch), out);
    }

    /// Fails a call that expired before a handler could start.
    pub(super) fn expire_unstarted(&mut self, now: Time, job: &Job, out: &mut Vec<Action>) {
        self.counters.expired += 1;
        let text = "the call expired before a handler could start";
        let failure = Failure { attempt: job.attempt, ..Failure::new(Code::DeadlineExceeded, Executed::No, text) };
        self.reply(now, job.id.dispatch, Err(Box::new(failure)), out);
    }

    fn unknown_method(&mut self, now: Time, dispatch: &Dispatch, out: &mut Vec<Action>) {
        let text = format!("this worker has no method {}", dispatch.method);
        let failure = Failure { attempt: dispatch.attempt, ..Failure::new(Code::Unimplemented, Executed::No, text) };
        self.reply(now, dispatch.number, Err(Box::new(failure)), out);
        out.push(Action::Log(Diagnostic::UnknownMethod(dispatch.method.clone())));
    }

    /// Rejects a call with another style than its method's. The handler would wait for items that the caller does not send, or
    /// send items that it does not read.
    fn wrong_style(&mut self, now: Time, dispatch: &Dispatch, style: Style, out: &mut Vec<Action>) {
        let text = format!("{} is {style}, but was called as {}", dispatch.method, dispatch.streams.style);
        let failure = Failure { attempt: dispatch.attempt, ..Failure::new(Code::InvalidArgument, Executed::No, text) };
        self.reply(now, dispatch.number, Err(Box::new(failure)), out);
    }

    /// Handles an envelope that could not be decoded. If it was a dispatch, or may be one of a later version, its call ends here.
    pub(super) fn on_invalid_envelope(&mut self, now: Time, error: EnvelopeError, out: &mut Vec<Action>) {
        self.counters.invalid_envelopes += 1;
        let is_dispatch = error.kind == Some(u64::from(Kind::Request.number()))
            || matches!(error.reason, EnvelopeErrorReason::UnknownKind(_));
        let number = error.number.filter(|_| is_dispatch && self.peer.is_connected()).map(DispatchNumber);
        self.on_invalid_item(now, &error, out);
        // An invalid envelope with the number of a present call does not end it: the call gets its one reply when it ends.
        if let Some(number) = number.filter(|&number| !self.jobs.contains(self.job_id(number))) {
            let failure = Failure::new(error.code(), Executed::No, error.to_string());
            self.reply(now, number, Err(Box::new(failure)), out);
        }
        out.push(Action::Log(Diagnostic::InvalidEnvelope(error)));
    }

    /// Handles an envelope that is not allowed from a broker to a worker, or not in this state.
    pub(super) fn on_unexpected_message(&mut self, kind: Kind, out: &mut Vec<Action>) {
        self.counters.invalid_envelopes += 1;
        out.push(Action::Log(Diagnostic::UnexpectedMessage(kind)));
    }

    /// Returns the id of a dispatch of this connection.
    pub(super) fn job_id(&self, dispatch: DispatchNumber) -> JobId {
        JobId { connection: self.peer.connection(), dispatch }
    }
}
