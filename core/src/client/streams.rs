//! Items, their credit, and progress.
//!
//! | event | what the client does |
//! |---|---|
//! | the request is sent | grants a window to the handler; sends the end, if the caller has already ended its stream |
//! | the caller sends items | sends them: the caller had credit for them |
//! | the caller reads | grants credit again, at half the window |
//! | items, credit or progress arrive | delivers them to the caller |
//! | the connection is lost | ends calls with items in flight with UNAVAILABLE; sends the others again like any call |

use bytes::Bytes;

use super::{
    Action, Client, Diagnostic,
    call::{State, Ticket},
    calls::CallKey,
};
use crate::{
    stream::StreamError,
    time::Time,
    wire::{
        bundle::EnvelopeError,
        envelope::{End, Envelope, Items, StreamCredit},
        ids::CallNumber,
        item_batch::ItemBatch,
        kind::Kind,
        status::Code,
        streams::{ItemCredit, Streams},
    },
};

impl<T> Client<T> {
    /// Opens the streams of a call whose request was sent.
    pub(super) fn open_streams(&mut self, now: Time, key: CallKey, declared: Streams, out: &mut Vec<Action<T>>) {
        let Some((streams, Some(number))) = self.calls.streams(key) else { return };
        let granted = declared.to_caller().then(|| streams.reader.open());
        let ended = streams.writer.ended();
        if let Some(credit) = granted {
            self.send(now, Envelope::StreamCredit(StreamCredit { number: number.0, credit }), out);
        }
        if let Some(items) = ended {
            self.send(now, Envelope::End(End { number: number.0, items }), out);
        }
    }

    /// Handles items for a caller.
    pub(super) fn on_items(&mut self, now: Time, items: Items, out: &mut Vec<Action<T>>) {
        let Some((key, ticket, declared)) = self.streaming(items.number) else { return self.counters.late_items += 1 };
        let taken = match self.calls.streams(key) {
            Some((streams, _)) if declared.to_caller() => streams.reader.take(items.sequence, items.batch.credit()),
            _ => Err(StreamError::NoSuchStream),
        };
        match taken {
            Ok(()) => {
                self.counters.items_in += u64::from(items.batch.items());
                out.push(Action::Items { ticket, latest: items.latest, batch: items.batch });
            }
            Err(broken) => self.fail_stream(now, key, broken, out),
        }
    }

    /// Handles credit that a handler grants for items to it.
    pub(super) fn on_stream_credit(&mut self, now: Time, credit: StreamCredit, out: &mut Vec<Action<T>>) {
        let Some((key, ticket, declared)) = self.streaming(credit.number) else { return self.counters.late_items += 1 };
        let granted = match self.calls.streams(key) {
            Some((streams, _)) if declared.from_caller() => streams.writer.grant(credit.credit),
            _ => Err(StreamError::NoSuchStream),
        };
        match granted {
            Ok(()) => out.push(Action::StreamCredit { ticket, credit: credit.credit }),
            Err(broken) => self.fail_stream(now, key, broken, out),
        }
    }

    /// Handles the progress of a handler. It is delivered only if the call asked for progress.
    pub(super) fn on_progress(&mut self, number: u64, body: Bytes, out: &mut Vec<Action<T>>) {
        match self.streaming(number) {
            Some((_, ticket, Streams { progress: true, .. })) => out.push(Action::Progress { ticket, body }),
            _ => self.counters.late_items += 1,
        }
    }

    /// Returns the open call with that number.
    fn streaming(&self, number: u64) -> Option<(CallKey, Ticket, Streams)> {
        let key = self.calls.by_number(CallNumber(number))?;
        let new = &self.calls.at(key).new;
        Some((key, new.ticket, new.streams))
    }

    /// Sends items of a caller.
    pub(super) fn send_items(&mut self, now: Time, ticket: Ticket, batch: ItemBatch, out: &mut Vec<Action<T>>) {
        let Some(key) = self.calls.by_ticket(ticket) else { return };
        let Some((streams, Some(number))) = self.calls.streams(key) else { return };
        let sequence =
            streams.writer.send(batch.credit()).expect("a driver sends items only when it has credit for them");
        self.counters.items_out += u64::from(batch.items());
        self.send(now, Envelope::Items(Items { number: number.0, sequence, latest: None, batch }), out);
    }

    /// Sends the end of a caller's stream.
    pub(super) fn send_end(&mut self, now: Time, ticket: Ticket, out: &mut Vec<Action<T>>) {
        let Some(key) = self.calls.by_ticket(ticket) else { return };
        let Some((streams, number)) = self.calls.streams(key) else { return };
        let (Some(items), Some(number)) = (streams.writer.end(), number) else { return };
        // If the request must be sent again, the end follows it.
        if self.peer.is_connected() && !self.waits_for_resend(number) {
            self.send(now, Envelope::End(End { number: number.0, items }), out);
        }
    }

    /// Counts what a caller has read, and grants credit again.
    pub(super) fn on_read(&mut self, now: Time, ticket: Ticket, credit: ItemCredit, out: &mut Vec<Action<T>>) {
        let Some(key) = self.calls.by_ticket(ticket) else { return };
        let Some((streams, Some(number))) = self.calls.streams(key) else { return };
        if let Some(credit) = streams.reader.read(credit) {
            self.send(now, Envelope::StreamCredit(StreamCredit { number: number.0, credit }), out);
        }
    }

    /// Ends the calls with items in flight: the connection is lost, and which items arrived is unknown.
    pub(super) fn end_streams(&mut self, out: &mut Vec<Action<T>>) {
        for key in self.calls.select(|call| call.has_stream_traffic()) {
            let call = self.calls.at(key);
            let text = "the connection to the broker was lost while items were in flight";
            let (state, failure) = (call.state, call.failure(Code::Unavailable, text));
            self.fail(key, failure, out);
            if let State::Open { number, .. } = state {
                self.remember_cancelled(number);
            }
        }
    }

    /// Ends the call of an item that could not be decoded: it leaves a gap in its stream.
    pub(super) fn on_invalid_item(&mut self, now: Time, error: &EnvelopeError, out: &mut Vec<Action<T>>) {
        let is_item = error.kind == Some(u64::from(Kind::Item.number())) && self.peer.is_connected();
        let call = error.number.filter(|_| is_item).and_then(|number| self.streaming(number));
        if let Some((key, ..)) = call {
            self.fail_stream(now, key, StreamError::Malformed, out);
        }
    }

    /// Ends a call whose stream the broker or the worker violated.
    fn fail_stream(&mut self, now: Time, key: CallKey, how: StreamError, out: &mut Vec<Action<T>>) {
        self.counters.stream_violations += 1;
        let call = self.calls.at(key);
        let (state, failure) = (call.state, call.failure(Code::Internal, format!("stream violation: {how}")));
        self.fail(key, failure, out);
        if let State::Open { number, .. } = state {
            out.push(Action::Log(Diagnostic::StreamViolation(number, how.to_string())));
            self.send_cancel(now, number, out);
        }
    }
}
