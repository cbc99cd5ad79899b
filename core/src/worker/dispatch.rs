//! What becomes of a dispatch: it runs, is held, or goes back.

use std::time::Duration;

use super::{
    Action, Diagnostic, Worker,
    job::{Flows, Job, JobId},
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
    /// The broker sends a call.
    pub(super) fn dispatch(&mut self, now: Time, dispatch: Dispatch, out: &mut Vec<Action>) {
        let id = self.job_id(dispatch.number);
        if self.jobs.has(id) {
            // A broker numbers each dispatch anew; one number that came twice is answered once.
            return self.on_unexpected_message(Kind::Request, out);
        }
        self.counters.dispatches += 1;
        if self.phase.is_draining() {
            return self.hand_back(now, id, out);
        }
        let Some((offer, method)) = self.jobs.find(&dispatch.method) else {
            return self.unknown_method(now, &dispatch, out);
        };
        if dispatch.streams.style() != self.register.offers[offer].methods[method].style {
            return self.wrong_style(now, &dispatch, self.register.offers[offer].methods[method].style, out);
        }
        let job = Job {
            id,
            offer,
            method,
            call: dispatch.call,
            attempt: dispatch.attempt,
            deadline: dispatch.timeout.map(|left| now + left),
            affinity: dispatch.affinity,
            streams: dispatch.streams,
            extensions: dispatch.extensions,
            body: dispatch.body,
        };
        if dispatch.timeout == Some(Duration::ZERO) {
            return self.too_late(now, &job, out);
        }
        match self.jobs.placement(offer) {
            Placement::Slot => self.run(now, job, Flows::of(dispatch.streams), out),
            Placement::Held => self.jobs.hold(job, Flows::of(dispatch.streams)),
            Placement::Full => {
                out.push(Action::Log(Diagnostic::Overrun(job.call)));
                self.hand_back(now, id, out);
            }
        }
    }

    /// A handler starts.
    pub(super) fn run(&mut self, now: Time, job: Job, flows: Option<Box<Flows>>, out: &mut Vec<Action>) {
        self.counters.run += 1;
        self.jobs.begin(now, &job, flows);
        let (id, streams) = (job.id, job.streams);
        out.push(Action::Run(job));
        if !streams.style().is_unary() {
            self.open_streams(now, id, out);
        }
    }

    /// A call is given back unstarted.
    pub(super) fn hand_back(&mut self, now: Time, id: JobId, out: &mut Vec<Action>) {
        self.counters.handed_back += 1;
        self.send(now, Envelope::Handback(id.dispatch), out);
    }

    /// A call's time is up before a handler could start.
    pub(super) fn too_late(&mut self, now: Time, job: &Job, out: &mut Vec<Action>) {
        self.counters.expired += 1;
        let text = "the call's time was up before a handler could start";
        let failure = Failure { attempt: job.attempt, ..Failure::new(Code::DeadlineExceeded, Executed::No, text) };
        self.reply(now, job.id.dispatch, Err(Box::new(failure)), out);
    }

    fn unknown_method(&mut self, now: Time, dispatch: &Dispatch, out: &mut Vec<Action>) {
        let text = format!("this worker has no method {}", dispatch.method);
        let failure = Failure { attempt: dispatch.attempt, ..Failure::new(Code::Unimplemented, Executed::No, text) };
        self.reply(now, dispatch.number, Err(Box::new(failure)), out);
        out.push(Action::Log(Diagnostic::UnknownMethod(dispatch.method.clone())));
    }

    /// A method is called as if it were of another style: its handler would wait for items that nobody sends, or send what nobody
    /// reads.
    fn wrong_style(&mut self, now: Time, dispatch: &Dispatch, style: Style, out: &mut Vec<Action>) {
        let text = format!("{} is {style}, and was called as {}", dispatch.method, dispatch.streams.style());
        let failure = Failure { attempt: dispatch.attempt, ..Failure::new(Code::InvalidArgument, Executed::No, text) };
        self.reply(now, dispatch.number, Err(Box::new(failure)), out);
    }

    /// An envelope could not be read. If it was a dispatch, or may have been one of a later version, its call ends
    /// here.
    pub(super) fn on_invalid_envelope(&mut self, now: Time, error: EnvelopeError, out: &mut Vec<Action>) {
        self.counters.invalid_envelopes += 1;
        let is_dispatch = error.kind == Some(u64::from(Kind::Request.number()))
            || matches!(error.reason, EnvelopeErrorReason::UnknownKind(_));
        let number = error.number.filter(|_| is_dispatch && self.peer.is_connected()).map(DispatchNumber);
        self.on_invalid_item(now, &error, out);
        // What is said about a call that is here leaves it as it is: it gets its one reply when it ends.
        if let Some(number) = number.filter(|&number| !self.jobs.has(self.job_id(number))) {
            let failure = Failure::new(error.code(), Executed::No, error.to_string());
            self.reply(now, number, Err(Box::new(failure)), out);
        }
        out.push(Action::Log(Diagnostic::InvalidEnvelope(error)));
    }

    /// An envelope that a broker has no business to send to a worker, or not now.
    pub(super) fn on_unexpected_message(&mut self, kind: Kind, out: &mut Vec<Action>) {
        self.counters.invalid_envelopes += 1;
        out.push(Action::Log(Diagnostic::UnexpectedMessage(kind)));
    }

    /// The name of a dispatch of this connection.
    pub(super) fn job_id(&self, dispatch: DispatchNumber) -> JobId {
        JobId { connection: self.peer.connection(), dispatch }
    }
}
