//! Items, credit and progress on their way through.
//!
//! The broker forwards at once and keeps nothing: an item comes only when its reader has made room for it, so what a connection to a
//! reader holds unsent is bounded by the windows of its streams. What it does keep is the count, for both sides may be strangers: who
//! breaks the rules of a stream ends its call, and nothing else.

use bytes::Bytes;

use super::{
    Action, Broker, Diagnostic,
    call::{CallKey, State},
    client::ClientKey,
    worker::WorkerKey,
};
use crate::{
    stream::{StreamError, StreamRelay},
    time::Time,
    wire::{
        bundle::EnvelopeError,
        envelope::{End, Envelope, Item, StreamCredit},
        ids::DispatchNumber,
        kind::Kind,
        limits::{PROGRESS_BYTES_MAX, PROGRESS_EVERY},
        status::Code,
        streams::{ItemCredit, Streams},
    },
};

/// Words on progress that may come at once, after a while without: what waited together in a slow connection.
const PROGRESS_BURST: u32 = 10;

/// The streams of one call.
#[derive(Debug, Default)]
pub(super) struct Flows {
    to_caller: StreamRelay,
    to_handler: StreamRelay,
    /// When the next word on progress would come if they came evenly.
    progress_at: Time,
}

/// Which way items go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Towards {
    Caller,
    Handler,
}

impl Flows {
    /// Those of a call, if it has any.
    pub(super) fn of(streams: Streams) -> Option<Box<Flows>> {
        (streams != Streams::NONE).then(Box::default)
    }

    /// Whether an item went.
    pub(super) fn is_touched(&self) -> bool {
        self.to_caller.items() > 0 || self.to_handler.items() > 0
    }

    pub(super) fn has_sent_to_caller(&self) -> bool {
        self.to_caller.items() > 0
    }

    /// The call goes to another worker, which will grant anew what its caller has already.
    pub(super) fn handler_begins_anew(&mut self) {
        self.to_handler.restart_reader();
    }

    pub(super) fn held_bytes(&self) -> u64 {
        self.to_caller.held_bytes() + self.to_handler.held_bytes()
    }

    /// Whether a word on progress may go through now. Each counts for half the time that a worker waits between two.
    fn progress_is_due(&mut self, now: Time) -> bool {
        let every = PROGRESS_EVERY / 2;
        let due = self.progress_at <= now + every * PROGRESS_BURST;
        if due {
            self.progress_at = self.progress_at.max(now) + every;
        }
        due
    }

    pub(super) fn check(&self) {
        self.to_caller.check();
        self.to_handler.check();
    }
}

impl Broker {
    /// Bytes of all streams' items that were written and whose readers have not made room again: what the broker, its connections and
    /// the readers hold of them, at most. Each stream has a limit, [`crate::wire::limits::STREAM_BYTES`].
    pub fn stream_bytes(&self) -> u64 {
        self.stream_bytes
    }

    /// A caller sends an item.
    pub(super) fn caller_item(&mut self, now: Time, client: ClientKey, item: Item, out: &mut Vec<Action>) {
        let Some(key) = self.open_call(client, item.number) else { return };
        if self.calls[key.0].flows.as_ref().is_some_and(|flows| flows.to_handler.is_awaiting_reader()) {
            // Its room was of a worker that is lost; the item went, so the call cannot begin again.
            return self.break_off(now, key, Code::Unavailable, "its worker was lost while items were on the way", out);
        }
        let bytes = item.body.len() as u64;
        let taken = self.pass(key, Towards::Handler, |relay| relay.take(item.sequence, bytes));
        match (taken, self.calls[key.0].state) {
            (Ok(()), State::Running { worker, dispatch, .. }) => {
                self.counters.items += 1;
                self.speak_to_worker(now, worker, Envelope::Item(Item { number: dispatch.0, ..item }), out);
            }
            (Ok(()), _) => unreachable!("only a worker that runs the call grants credit for items"),
            (Err(broken), _) => self.break_stream(now, key, false, broken, out),
        }
    }

    /// A caller sends no more items.
    pub(super) fn caller_end(&mut self, now: Time, client: ClientKey, end: End, out: &mut Vec<Action>) {
        let Some(key) = self.open_call(client, end.number) else { return };
        match (self.pass(key, Towards::Handler, |relay| relay.end(end.items)), self.calls[key.0].state) {
            (Ok(true), State::Running { worker, dispatch, .. }) => {
                self.speak_to_worker(now, worker, Envelope::End(End { number: dispatch.0, ..end }), out);
            }
            // It was said before, or goes behind the dispatch.
            (Ok(_), _) => {}
            (Err(broken), _) => self.break_stream(now, key, false, broken, out),
        }
    }

    /// A caller makes room for items to it.
    pub(super) fn caller_room(&mut self, now: Time, client: ClientKey, credit: StreamCredit, out: &mut Vec<Action>) {
        let Some(key) = self.open_call(client, credit.number) else { return };
        match (self.pass(key, Towards::Caller, |relay| relay.grant(credit.credit)), self.calls[key.0].state) {
            (Ok(credit), State::Running { worker, dispatch, .. }) => {
                self.grant_to_handler(now, worker, dispatch, credit, out);
            }
            // It goes behind the dispatch.
            (Ok(_), _) => {}
            (Err(broken), _) => self.break_stream(now, key, false, broken, out),
        }
    }

    /// A handler sends an item.
    pub(super) fn handler_item(&mut self, now: Time, worker: WorkerKey, item: Item, out: &mut Vec<Action>) {
        let Some(key) = self.begun_call(worker, item.number) else { return };
        let bytes = item.body.len() as u64;
        match self.pass(key, Towards::Caller, |relay| relay.take(item.sequence, bytes)) {
            Ok(()) => {
                self.counters.items += 1;
                let number = self.calls[key.0].id.number.0;
                match self.caller_there(key) {
                    Some(client) => self.speak_to_client(now, client, Envelope::Item(Item { number, ..item }), out),
                    None => self.break_off(now, key, Code::Unavailable, LOST_CONNECTION, out),
                }
            }
            Err(broken) => self.break_stream(now, key, true, broken, out),
        }
    }

    /// A handler makes room for items to it.
    pub(super) fn handler_room(&mut self, now: Time, worker: WorkerKey, credit: StreamCredit, out: &mut Vec<Action>) {
        let Some(key) = self.run_call(worker, credit.number) else { return };
        match self.pass(key, Towards::Handler, |relay| relay.grant(credit.credit)) {
            Ok(credit) => self.grant_to_caller(now, key, credit, out),
            Err(broken) => self.break_stream(now, key, true, broken, out),
        }
    }

    /// A handler tells how far it is. What nobody asked for, or comes too often, is dropped.
    pub(super) fn handler_progress(
        &mut self,
        now: Time,
        worker: WorkerKey,
        number: u64,
        body: Bytes,
        out: &mut Vec<Action>,
    ) {
        let Some(key) = self.begun_call(worker, number) else { return };
        let call = &mut self.calls[key.0];
        let wanted = call.streams.progress && body.len() <= PROGRESS_BYTES_MAX;
        let due = call.flows.as_mut().is_some_and(|flows| wanted && flows.progress_is_due(now));
        let number = call.id.number.0;
        if let Some(client) = self.caller_there(key).filter(|_| due) {
            self.speak_to_client(now, client, Envelope::Progress(number, body), out);
        }
    }

    /// A call was sent to a worker: what its caller has said of its streams goes behind.
    pub(super) fn open_streams(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &self.calls[key.0];
        let (State::Running { worker, dispatch, .. }, Some(flows)) = (call.state, &call.flows) else { return };
        let (credit, items) = (flows.to_caller.left(), flows.to_handler.items());
        let ended = flows.to_handler.is_ended();
        self.grant_to_handler(now, worker, dispatch, credit, out);
        if ended {
            self.speak_to_worker(now, worker, Envelope::End(End { number: dispatch.0, items }), out);
        }
    }

    /// A client that was away sends a call again, of which no item had gone. It makes room anew, and has forgotten what it had.
    pub(super) fn resume_streams(&mut self, now: Time, client: ClientKey, key: CallKey, out: &mut Vec<Action>) {
        let call = &mut self.calls[key.0];
        let Some(flows) = &mut call.flows else { return };
        flows.to_caller.restart_reader();
        let (number, credit) = (call.id.number.0, flows.to_handler.left());
        if credit != ItemCredit::NONE {
            self.speak_to_client(now, client, Envelope::StreamCredit(StreamCredit { number, credit }), out);
        }
    }

    /// A client's connection is gone, and what was on its way with it: calls with items on the way cannot go on.
    pub(super) fn end_streams_of(&mut self, now: Time, client: ClientKey, out: &mut Vec<Action>) {
        let Some(client) = self.clients.get(&client) else { return };
        let touched: Vec<CallKey> =
            client.open.values().copied().filter(|call| self.calls[call.0].is_touched()).collect();
        for call in touched {
            self.break_off(now, call, Code::Unavailable, LOST_CONNECTION, out);
        }
    }

    /// The streams of a call end with its outcome.
    pub(super) fn close_streams(&mut self, key: CallKey) {
        if let Some(flows) = self.calls[key.0].flows.take() {
            self.stream_bytes -= flows.held_bytes();
        }
    }

    /// An item or an end of a caller could not be read: it leaves a gap. Whether that is what it was.
    pub(super) fn refuse_caller_item(
        &mut self,
        now: Time,
        client: ClientKey,
        refused: &EnvelopeError,
        out: &mut Vec<Action>,
    ) -> bool {
        let Some(number) = item_number(refused) else { return false };
        if let Some(key) = self.open_call(client, number) {
            self.break_stream(now, key, false, StreamError::Malformed, out);
        }
        true
    }

    /// An item of a handler could not be read: it leaves a gap. Whether that is what it was.
    pub(super) fn refuse_handler_item(
        &mut self,
        now: Time,
        worker: WorkerKey,
        refused: &EnvelopeError,
        out: &mut Vec<Action>,
    ) -> bool {
        let Some(number) = item_number(refused) else { return false };
        if let Some(key) = self.begun_call(worker, number) {
            self.break_stream(now, key, true, StreamError::Malformed, out);
        }
        true
    }

    /// The open call of a client's number. What is said of another crossed its outcome.
    fn open_call(&mut self, client: ClientKey, number: u64) -> Option<CallKey> {
        match self.clients.get(&client)?.open.get(number) {
            Some(&call) => Some(call),
            None => {
                self.counters.stale += 1;
                None
            }
        }
    }

    /// The call that a worker runs under that number, if somebody waits for it.
    fn run_call(&mut self, worker: WorkerKey, number: u64) -> Option<CallKey> {
        let key = self.workers.get(&worker)?.running.get(number).copied();
        let key = key.filter(|key| self.calls[key.0].client.is_some());
        self.counters.stale += u64::from(key.is_none());
        key
    }

    /// The same where what is said of it can come from nobody but its handler. Room is made before that begins.
    fn begun_call(&mut self, worker: WorkerKey, number: u64) -> Option<CallKey> {
        let key = self.run_call(worker, number)?;
        if let State::Running { started, .. } = &mut self.calls[key.0].state {
            *started = true;
        }
        Some(key)
    }

    /// The client of a call, if it is there on the connection that it sent the call on.
    fn caller_there(&self, key: CallKey) -> Option<ClientKey> {
        let call = &self.calls[key.0];
        let client = call.client?;
        self.clients
            .get(&client)
            .filter(|client| client.presence.is_some() && client.connection_number == call.paid_on)?;
        Some(client)
    }

    /// Does something to one direction of a call's streams, and keeps count of what they hold.
    fn pass<R>(
        &mut self,
        key: CallKey,
        towards: Towards,
        change: impl FnOnce(&mut StreamRelay) -> Result<R, StreamError>,
    ) -> Result<R, StreamError> {
        let call = &mut self.calls[key.0];
        let relay = match (&mut call.flows, towards) {
            (Some(flows), Towards::Caller) if call.streams.to_caller => &mut flows.to_caller,
            (Some(flows), Towards::Handler) if call.streams.from_caller => &mut flows.to_handler,
            _ => return Err(StreamError::NoSuchStream),
        };
        let before = relay.held_bytes();
        let result = change(relay);
        self.stream_bytes = self.stream_bytes + relay.held_bytes() - before;
        result
    }

    fn grant_to_handler(
        &mut self,
        now: Time,
        worker: WorkerKey,
        dispatch: DispatchNumber,
        credit: ItemCredit,
        out: &mut Vec<Action>,
    ) {
        if credit != ItemCredit::NONE {
            let credit = StreamCredit { number: dispatch.0, credit };
            self.speak_to_worker(now, worker, Envelope::StreamCredit(credit), out);
        }
    }

    /// Who is away is told of all its room when it comes back.
    fn grant_to_caller(&mut self, now: Time, key: CallKey, credit: ItemCredit, out: &mut Vec<Action>) {
        let number = self.calls[key.0].id.number.0;
        if let Some(client) = self.caller_there(key).filter(|_| credit != ItemCredit::NONE) {
            self.speak_to_client(now, client, Envelope::StreamCredit(StreamCredit { number, credit }), out);
        }
    }

    /// One endpoint broke the rules of a stream: the call cannot go on.
    fn break_stream(&mut self, now: Time, key: CallKey, by_worker: bool, how: StreamError, out: &mut Vec<Action>) {
        self.counters.streams_broken += 1;
        let (who, code) = match (by_worker, how) {
            (true, _) => ("worker", Code::Internal),
            (false, StreamError::NoCredit | StreamError::WindowExceeded) => ("client", Code::ResourceExhausted),
            (false, _) => ("client", Code::InvalidArgument),
        };
        let call = self.calls[key.0].id;
        out.push(Action::Log(Diagnostic::StreamBroken { call, by_worker, how: how.to_string() }));
        self.break_off(now, key, code, &format!("its stream was broken by the {who}: {how}"), out);
    }

    /// Ends a call wherever it is.
    fn break_off(&mut self, now: Time, key: CallKey, code: Code, message: &str, out: &mut Vec<Action>) {
        let call = &self.calls[key.0];
        let failure = Err(Box::new(call.failure(code, message.to_owned())));
        match call.state {
            State::Running { worker, dispatch, .. } => {
                self.settle(now, key, failure, Bytes::new(), out);
                self.stop_running(now, key, worker, dispatch, out);
            }
            // A broadcast has no streams, but its client may speak of some. Its parts may not outlive it.
            State::Gathering => {
                self.stop_parts(now, key, out);
                self.end(now, key, failure, out);
            }
            State::New | State::Blocked | State::Waiting { .. } => self.end(now, key, failure, out),
        }
    }
}

const LOST_CONNECTION: &str = "the client's connection was lost while items were on the way";

/// The number of an item or an end that could not be read.
fn item_number(refused: &EnvelopeError) -> Option<u64> {
    let kinds = [Kind::Item, Kind::End].map(|kind| Some(u64::from(kind.number())));
    refused.number.filter(|_| kinds.contains(&refused.kind))
}
