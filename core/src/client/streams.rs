//! Items, their credit, and progress.
//!
//! | event | what follows |
//! |---|---|
//! | the request is sent | the handler is granted a window; the end goes behind it, if it was said already |
//! | the caller sends an item | it goes out: there was room for it |
//! | the caller reads | room is granted again, at half the window |
//! | an item, room or progress comes | it is the caller's |
//! | the connection is lost | calls with items on the way end UNAVAILABLE; others are sent again as any call |

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
        envelope::{End, Envelope, Item, StreamCredit},
        ids::CallNumber,
        kind::Kind,
        status::Code,
        streams::{ItemCredit, Streams},
    },
};

impl<T> Client<T> {
    /// A call with streams was sent.
    pub(super) fn open_streams(&mut self, now: Time, key: CallKey, streams: Streams, out: &mut Vec<Action<T>>) {
        let Some((flows, Some(number))) = self.calls.flows(key) else { return };
        let granted = streams.to_caller.then(|| flows.reader.open());
        let ended = flows.writer.ended();
        if let Some(credit) = granted {
            self.send(now, Envelope::StreamCredit(StreamCredit { number: number.0, credit }), out);
        }
        if let Some(items) = ended {
            self.send(now, Envelope::End(End { number: number.0, items }), out);
        }
    }

    /// An item for a caller.
    pub(super) fn on_item(&mut self, now: Time, item: Item, out: &mut Vec<Action<T>>) {
        let Some((key, ticket, streams)) = self.streaming(item.number) else { return self.counters.late_items += 1 };
        let taken = match self.calls.flows(key) {
            Some((flows, _)) if streams.to_caller => flows.reader.take(item.sequence, item.body.len() as u64),
            _ => Err(StreamError::NoSuchStream),
        };
        match taken {
            Ok(()) => {
                self.counters.items_in += 1;
                out.push(Action::Item { ticket, latest: item.latest, body: item.body });
            }
            Err(broken) => self.fail_stream(now, key, broken, out),
        }
    }

    /// A handler grants room for items to it.
    pub(super) fn on_stream_credit(&mut self, now: Time, credit: StreamCredit, out: &mut Vec<Action<T>>) {
        let Some((key, ticket, streams)) = self.streaming(credit.number) else { return self.counters.late_items += 1 };
        let granted = match self.calls.flows(key) {
            Some((flows, _)) if streams.from_caller => flows.writer.grant(credit.credit),
            _ => Err(StreamError::NoSuchStream),
        };
        match granted {
            Ok(()) => out.push(Action::StreamCredit { ticket, credit: credit.credit }),
            Err(broken) => self.fail_stream(now, key, broken, out),
        }
    }

    /// A handler tells how far it is. Who did not ask is not told.
    pub(super) fn progress(&mut self, number: u64, body: Bytes, out: &mut Vec<Action<T>>) {
        match self.streaming(number) {
            Some((_, ticket, Streams { progress: true, .. })) => out.push(Action::Progress { ticket, body }),
            _ => self.counters.late_items += 1,
        }
    }

    /// The open call of that number.
    fn streaming(&self, number: u64) -> Option<(CallKey, Ticket, Streams)> {
        let key = self.calls.by_number(CallNumber(number))?;
        let new = &self.calls.at(key).new;
        Some((key, new.ticket, new.streams))
    }

    /// A caller sends an item.
    pub(super) fn send_item(&mut self, now: Time, ticket: Ticket, body: Bytes, out: &mut Vec<Action<T>>) {
        let Some(key) = self.calls.by_ticket(ticket) else { return };
        let Some((flows, Some(number))) = self.calls.flows(key) else { return };
        let sequence =
            flows.writer.send(body.len() as u64).expect("a driver sends an item only when it has credit for it");
        self.counters.items_out += 1;
        self.send(now, Envelope::Item(Item { number: number.0, sequence, latest: None, body }), out);
    }

    /// A caller sends no more items.
    pub(super) fn send_end(&mut self, now: Time, ticket: Ticket, out: &mut Vec<Action<T>>) {
        let Some(key) = self.calls.by_ticket(ticket) else { return };
        let Some((flows, number)) = self.calls.flows(key) else { return };
        let (Some(items), Some(number)) = (flows.writer.end(), number) else { return };
        // Of a call that is sent again, it goes behind the request.
        if self.peer.is_connected() && !self.waits_for_resend(number) {
            self.send(now, Envelope::End(End { number: number.0, items }), out);
        }
    }

    /// A caller has read.
    pub(super) fn read(&mut self, now: Time, ticket: Ticket, credit: ItemCredit, out: &mut Vec<Action<T>>) {
        let Some(key) = self.calls.by_ticket(ticket) else { return };
        let Some((flows, Some(number))) = self.calls.flows(key) else { return };
        if let Some(credit) = flows.reader.read(credit) {
            self.send(now, Envelope::StreamCredit(StreamCredit { number: number.0, credit }), out);
        }
    }

    /// The connection is lost, and with it what was on the way: nobody can tell which items arrived.
    pub(super) fn end_streams(&mut self, out: &mut Vec<Action<T>>) {
        for key in self.calls.select(|call| call.is_touched()) {
            let call = self.calls.at(key);
            let text = "the connection to the broker was lost while items were on the way";
            let (state, failure) = (call.state, call.failure(Code::Unavailable, text));
            self.fail(key, failure, out);
            if let State::Open { number, .. } = state {
                self.remember_cancelled(number);
            }
        }
    }

    /// An item that could not be read leaves a gap: its call ends.
    pub(super) fn on_invalid_item(&mut self, now: Time, error: &EnvelopeError, out: &mut Vec<Action<T>>) {
        let is_item = error.kind == Some(u64::from(Kind::Item.number())) && self.peer.is_connected();
        let call = error.number.filter(|_| is_item).and_then(|number| self.streaming(number));
        if let Some((key, ..)) = call {
            self.fail_stream(now, key, StreamError::Malformed, out);
        }
    }

    /// The other side broke the rules of a stream: the call cannot go on.
    fn fail_stream(&mut self, now: Time, key: CallKey, how: StreamError, out: &mut Vec<Action<T>>) {
        self.counters.streams_broken += 1;
        let call = self.calls.at(key);
        let (state, failure) = (call.state, call.failure(Code::Internal, format!("its stream was broken: {how}")));
        self.fail(key, failure, out);
        if let State::Open { number, .. } = state {
            out.push(Action::Log(Diagnostic::StreamBroken(number, how.to_string())));
            self.send_cancel(now, number, out);
        }
    }
}
