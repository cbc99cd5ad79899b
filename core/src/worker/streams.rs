//! Items, their credit, and progress.
//!
//! | event | what the worker does |
//! |---|---|
//! | the handler starts | grants a window to the caller; gives the handler the credit that the caller granted meanwhile |
//! | the handler sends items | sends them: the handler had credit for them |
//! | the handler reads | grants credit again, at half the window |
//! | the handler reports progress | sends it when the last one is old enough; a newer one replaces an unsent one |
//! | items, the end, or credit arrive | delivers them to the handler, if it runs |

use bytes::Bytes;

use super::{
    Action, Diagnostic, Worker,
    job::{JobId, StopReason},
};
use crate::{
    stream::StreamError,
    time::Time,
    wire::{
        bundle::EnvelopeError,
        envelope::{End, Envelope, Items, StreamCredit},
        ids::DispatchNumber,
        item_batch::ItemBatch,
        kind::Kind,
        limits::PROGRESS_BYTES_MAX,
        status::{Code, Executed, Failure},
        streams::ItemCredit,
    },
};

impl Worker {
    /// Opens the streams of a handler that starts.
    pub(super) fn open_streams(&mut self, now: Time, job: JobId, out: &mut Vec<Action>) {
        let Some(Some(streams)) = self.jobs.streams(job) else { return };
        let credit = streams.writer.left();
        let ended = streams.reader.is_ended();
        let granted = streams.declared.from_caller().then(|| streams.reader.open());
        if credit != ItemCredit::NONE {
            out.push(Action::StreamCredit { job, credit });
        }
        if ended {
            out.push(Action::End { job });
        } else if let Some(credit) = granted {
            self.grant(now, job, credit, out);
        }
    }

    fn grant(&mut self, now: Time, job: JobId, credit: ItemCredit, out: &mut Vec<Action>) {
        self.send(now, Envelope::StreamCredit(StreamCredit { number: job.dispatch.0, credit }), out);
    }

    /// Handles items for a handler. They are dropped if the handler has ended.
    pub(super) fn on_items(&mut self, now: Time, items: Items, out: &mut Vec<Action>) {
        let job = self.job_id(DispatchNumber(items.number));
        let taken = match self.jobs.streams(job) {
            None => return self.counters.late_items += 1,
            Some(Some(streams)) if streams.declared.from_caller() => {
                streams.reader.take(items.sequence, items.batch.credit())
            }
            Some(_) => Err(StreamError::NoSuchStream),
        };
        match taken {
            Ok(()) => {
                self.counters.items_in += u64::from(items.batch.items());
                out.push(Action::Items { job, batch: items.batch });
            }
            Err(broken) => self.fail_stream(now, job, broken, out),
        }
    }

    /// Handles the end of the caller's stream.
    pub(super) fn on_end(&mut self, now: Time, end: End, out: &mut Vec<Action>) {
        let job = self.job_id(DispatchNumber(end.number));
        let is_running = self.jobs.is_running(job);
        let ended = match self.jobs.streams(job) {
            None => return self.counters.late_items += 1,
            Some(Some(streams)) if streams.declared.from_caller() => streams.reader.end(end.items),
            Some(_) => Err(StreamError::NoSuchStream),
        };
        match ended {
            Ok(()) if is_running => out.push(Action::End { job }),
            // The end is delivered when the handler starts.
            Ok(()) => {}
            Err(broken) => self.fail_stream(now, job, broken, out),
        }
    }

    /// Handles credit that the caller grants for items to it.
    pub(super) fn on_stream_credit(&mut self, now: Time, credit: StreamCredit, out: &mut Vec<Action>) {
        let job = self.job_id(DispatchNumber(credit.number));
        let is_running = self.jobs.is_running(job);
        let granted = match self.jobs.streams(job) {
            None => return self.counters.late_items += 1,
            Some(Some(streams)) if streams.declared.to_caller() => streams.writer.grant(credit.credit),
            Some(_) => Err(StreamError::NoSuchStream),
        };
        match granted {
            Ok(()) if is_running => out.push(Action::StreamCredit { job, credit: credit.credit }),
            Ok(()) => {}
            Err(broken) => self.fail_stream(now, job, broken, out),
        }
    }

    /// Sends items of a handler.
    pub(super) fn send_items(
        &mut self,
        now: Time,
        job: JobId,
        latest: Option<u64>,
        batch: ItemBatch,
        out: &mut Vec<Action>,
    ) {
        if !self.is_current(job) {
            return;
        }
        let Some(Some(streams)) = self.jobs.streams(job) else { return };
        let sequence =
            streams.writer.send(batch.credit()).expect("a driver sends items only when it has credit for them");
        self.counters.items_out += u64::from(batch.items());
        self.send(now, Envelope::Items(Items { number: job.dispatch.0, sequence, latest, batch }), out);
    }

    /// Counts what a handler has read, and grants credit again.
    pub(super) fn on_read(&mut self, now: Time, job: JobId, credit: ItemCredit, out: &mut Vec<Action>) {
        if !self.is_current(job) {
            return;
        }
        let Some(Some(streams)) = self.jobs.streams(job) else { return };
        if let Some(credit) = streams.reader.read(credit) {
            self.grant(now, job, credit, out);
        }
    }

    /// Sends the progress of a handler, or keeps it until it may be sent.
    pub(super) fn send_progress(&mut self, now: Time, job: JobId, body: Bytes, out: &mut Vec<Action>) {
        if !self.is_current(job) || body.len() > PROGRESS_BYTES_MAX {
            return;
        }
        let progress = self.jobs.update(job, |running| {
            let streams =
                running.streams.as_mut().filter(|streams| streams.declared.progress && running.stopped.is_none())?;
            streams.progress = Some(body);
            streams.take_progress(now)
        });
        if let Some(progress) = progress.flatten() {
            self.send(now, Envelope::Progress(job.dispatch.0, progress), out);
        }
    }

    /// Sends the last progress of a handler that has ended, before its outcome.
    pub(super) fn send_last_progress(&mut self, now: Time, job: JobId, progress: Option<Bytes>, out: &mut Vec<Action>) {
        if let Some(progress) = progress.filter(|_| self.is_current(job)) {
            self.send(now, Envelope::Progress(job.dispatch.0, progress), out);
        }
    }

    /// Stops the calls with item streams: the connection to the other side is lost.
    pub(super) fn stop_streams(&mut self, out: &mut Vec<Action>) {
        for job in self.jobs.streaming() {
            self.stop(job, StopReason::Cancelled, out);
        }
    }

    /// Ends the call of an item or an end that could not be decoded: it leaves a gap in its stream.
    pub(super) fn on_invalid_item(&mut self, now: Time, error: &EnvelopeError, out: &mut Vec<Action>) {
        let kinds = [Kind::Item, Kind::End].map(|kind| Some(u64::from(kind.number())));
        let number = error.number.filter(|_| kinds.contains(&error.kind) && self.peer.is_connected());
        let Some(job) = number.map(|number| self.job_id(DispatchNumber(number))) else { return };
        if self.jobs.streams(job).is_some() {
            self.fail_stream(now, job, StreamError::Malformed, out);
        }
    }

    /// Ends a call whose stream the broker violated.
    fn fail_stream(&mut self, now: Time, job: JobId, how: StreamError, out: &mut Vec<Action>) {
        self.counters.stream_violations += 1;
        out.push(Action::Log(Diagnostic::StreamViolation(job, how.to_string())));
        if let Some(prefetched) = self.jobs.take_prefetched(job) {
            let text = "the broker violated the rules of the call's stream";
            let failure =
                Failure { attempt: prefetched.job.attempt, ..Failure::new(Code::Internal, Executed::No, text) };
            return self.reply(now, job.dispatch, Err(Box::new(failure)), out);
        }
        self.stop(job, StopReason::StreamViolation, out);
    }
}
