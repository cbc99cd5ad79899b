//! Items, their credit, and progress.
//!
//! | event | what follows |
//! |---|---|
//! | the handler starts | the caller is granted a window; the handler has what room its caller granted meanwhile |
//! | the handler sends an item | it goes out: there was room for it |
//! | the handler reads | room is granted again, at half the window |
//! | the handler tells its progress | it goes out at once, or when the last word is old enough; the newest wins |
//! | an item, the end, or room comes | it is the handler's, if it runs |

use bytes::Bytes;

use super::{
    Action, Diagnostic, Worker,
    job::{JobId, Stopped},
};
use crate::{
    stream::StreamError,
    time::Time,
    wire::{
        bundle::EnvelopeError,
        envelope::{End, Envelope, Item, StreamCredit},
        ids::DispatchNumber,
        kind::Kind,
        limits::PROGRESS_BYTES_MAX,
        status::{Code, Executed, Failure},
        streams::ItemCredit,
    },
};

impl Worker {
    /// A handler with streams starts.
    pub(super) fn open_streams(&mut self, now: Time, job: JobId, out: &mut Vec<Action>) {
        let Some(Some(flows)) = self.jobs.flows(job) else { return };
        let credit = flows.writer.left();
        let ended = flows.reader.is_ended();
        let granted = flows.streams.from_caller.then(|| flows.reader.open());
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

    /// An item for a handler. One that crosses the handler's end finds nobody.
    pub(super) fn on_item(&mut self, now: Time, item: Item, out: &mut Vec<Action>) {
        let job = self.job_id(DispatchNumber(item.number));
        let taken = match self.jobs.flows(job) {
            None => return self.counters.late += 1,
            Some(Some(flows)) if flows.streams.from_caller => flows.reader.take(item.sequence, item.body.len() as u64),
            Some(_) => Err(StreamError::NoSuchStream),
        };
        match taken {
            Ok(()) => {
                self.counters.items_in += 1;
                out.push(Action::Item { job, body: item.body });
            }
            Err(broken) => self.fail_stream(now, job, broken, out),
        }
    }

    /// The caller sends no more items.
    pub(super) fn on_end(&mut self, now: Time, end: End, out: &mut Vec<Action>) {
        let job = self.job_id(DispatchNumber(end.number));
        let runs = self.jobs.runs(job);
        let ended = match self.jobs.flows(job) {
            None => return self.counters.late += 1,
            Some(Some(flows)) if flows.streams.from_caller => flows.reader.end(end.items),
            Some(_) => Err(StreamError::NoSuchStream),
        };
        match ended {
            Ok(()) if runs => out.push(Action::End { job }),
            // The handler is told when it starts.
            Ok(()) => {}
            Err(broken) => self.fail_stream(now, job, broken, out),
        }
    }

    /// The caller grants room for items to it.
    pub(super) fn on_stream_credit(&mut self, now: Time, credit: StreamCredit, out: &mut Vec<Action>) {
        let job = self.job_id(DispatchNumber(credit.number));
        let runs = self.jobs.runs(job);
        let granted = match self.jobs.flows(job) {
            None => return self.counters.late += 1,
            Some(Some(flows)) if flows.streams.to_caller => flows.writer.grant(credit.credit),
            Some(_) => Err(StreamError::NoSuchStream),
        };
        match granted {
            Ok(()) if runs => out.push(Action::StreamCredit { job, credit: credit.credit }),
            Ok(()) => {}
            Err(broken) => self.fail_stream(now, job, broken, out),
        }
    }

    /// A handler sends an item.
    pub(super) fn send_item(&mut self, now: Time, job: JobId, latest: Option<u64>, body: Bytes, out: &mut Vec<Action>) {
        if !self.is_current(job) {
            return;
        }
        let Some(Some(flows)) = self.jobs.flows(job) else { return };
        let sequence =
            flows.writer.send(body.len() as u64).expect("a driver sends an item only when it has credit for it");
        self.counters.items_out += 1;
        self.send(now, Envelope::Item(Item { number: job.dispatch.0, sequence, latest, body }), out);
    }

    /// A handler has read.
    pub(super) fn read(&mut self, now: Time, job: JobId, credit: ItemCredit, out: &mut Vec<Action>) {
        if !self.is_current(job) {
            return;
        }
        let Some(Some(flows)) = self.jobs.flows(job) else { return };
        if let Some(credit) = flows.reader.read(credit) {
            self.grant(now, job, credit, out);
        }
    }

    /// A handler tells how far it is.
    pub(super) fn progress(&mut self, now: Time, job: JobId, body: Bytes, out: &mut Vec<Action>) {
        if !self.is_current(job) || body.len() > PROGRESS_BYTES_MAX {
            return;
        }
        let word = self.jobs.change(job, |running| {
            let flows = running.flows.as_mut().filter(|flows| flows.streams.progress && running.stopped.is_none())?;
            flows.progress = Some(body);
            flows.take_progress(now)
        });
        if let Some(word) = word.flatten() {
            self.send(now, Envelope::Progress(job.dispatch.0, word), out);
        }
    }

    /// A handler has ended: what it said last of its progress goes before its outcome, never after.
    pub(super) fn last_progress(&mut self, now: Time, job: JobId, word: Option<Bytes>, out: &mut Vec<Action>) {
        if let Some(word) = word.filter(|_| self.is_current(job)) {
            self.send(now, Envelope::Progress(job.dispatch.0, word), out);
        }
    }

    /// The other end of every stream is gone with the connection.
    pub(super) fn stop_streams(&mut self, out: &mut Vec<Action>) {
        for job in self.jobs.streaming() {
            self.stop(job, Stopped::Cancelled, out);
        }
    }

    /// An item or an end that could not be read leaves a gap: its call ends.
    pub(super) fn on_invalid_item(&mut self, now: Time, error: &EnvelopeError, out: &mut Vec<Action>) {
        let kinds = [Kind::Item, Kind::End].map(|kind| Some(u64::from(kind.number())));
        let number = error.number.filter(|_| kinds.contains(&error.kind) && self.peer.is_connected());
        let Some(job) = number.map(|number| self.job_id(DispatchNumber(number))) else { return };
        if self.jobs.flows(job).is_some() {
            self.fail_stream(now, job, StreamError::Malformed, out);
        }
    }

    /// The broker broke the rules of a stream: the call cannot go on.
    fn fail_stream(&mut self, now: Time, job: JobId, how: StreamError, out: &mut Vec<Action>) {
        self.counters.streams_broken += 1;
        out.push(Action::Log(Diagnostic::StreamBroken(job, how.to_string())));
        if let Some(held) = self.jobs.unhold(job) {
            let text = "the broker broke the rules of the call's stream";
            let failure = Failure { attempt: held.job.attempt, ..Failure::new(Code::Internal, Executed::No, text) };
            return self.reply(now, job.dispatch, Err(Box::new(failure)), out);
        }
        self.stop(job, Stopped::Broken, out);
    }
}
