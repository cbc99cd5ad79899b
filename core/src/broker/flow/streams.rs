//! Streams: items, their credit, and progress messages on their way through the broker.
//!
//! The broker forwards at once and buffers nothing: an item comes only after its reader has granted credit for it, so
//! what a connection to a reader holds unsent is bounded by the windows of its streams. The broker counts credit and
//! items, because either side may be malicious: a peer that violates the rules of a stream ends that call, and no
//! other.

use bytes::Bytes;

use super::super::{
    calls::{Call, CallState, Calls},
    keys::WorkerKey,
};
use crate::{
    stream::{StreamError, StreamRelay},
    time::Time,
    wire::{
        bundle::EnvelopeError,
        envelope::{End, Envelope, Items, StreamCredit},
        kind::Kind,
        limits::PROGRESS_BYTES_MAX,
        status::Code,
        streams::ItemCredit,
    },
};

/// The accounting of all streams.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    held_bytes: u64,
    /// Calls with streams.
    open: usize,
}

/// The direction of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ToCaller,
    ToHandler,
}

/// Why a call cannot go on after a message of one of its streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamFailure {
    /// The client violated the rules of the stream.
    ByClient(StreamError),
    /// The worker violated the rules of the stream.
    ByWorker(StreamError),
    /// The worker that granted the credit for an item is lost.
    WorkerLost,
    /// The client's connection is lost, with items on the way.
    ClientLost,
}

impl Streams {
    /// Returns the bytes of all items that were written and not granted again.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// Returns the number of calls with streams.
    pub(crate) fn open_len(&self) -> usize {
        self.open
    }

    /// Counts a new call, if it has streams.
    pub(crate) fn count_open(&mut self, call: &Call) {
        self.open += call.streams.iter().len();
    }

    /// Handles items of the caller. Returns the envelope to forward, and its worker.
    pub(crate) fn caller_items(
        &mut self,
        call: &mut Call,
        items: Items,
    ) -> Result<(WorkerKey, Envelope), StreamFailure> {
        if call.streams.as_ref().is_some_and(|streams| streams.to_handler.is_awaiting_reader()) {
            // The lost worker granted their credit. The items went, so the call cannot be run again.
            return Err(StreamFailure::WorkerLost);
        }
        let taken = self.update(call, Direction::ToHandler, |relay| relay.take(items.sequence, items.batch.credit()));
        taken.map_err(StreamFailure::ByClient)?;
        let CallState::Running { worker, dispatch, .. } = call.state else {
            unreachable!("only a worker that runs the call grants credit for items");
        };
        Ok((worker, Envelope::Items(Items { number: dispatch.0, ..items })))
    }

    /// Handles the end of the caller's stream. Returns the envelope to forward, and its worker. Returns `None` if the
    /// stream had ended before, or the call is at no worker yet.
    pub(crate) fn caller_end(
        &mut self,
        call: &mut Call,
        end: End,
    ) -> Result<Option<(WorkerKey, Envelope)>, StreamFailure> {
        let first = self.update(call, Direction::ToHandler, |relay| relay.end(end.items));
        match (first.map_err(StreamFailure::ByClient)?, call.state) {
            (true, CallState::Running { worker, dispatch, .. }) => {
                Ok(Some((worker, Envelope::End(End { number: dispatch.0, ..end }))))
            }
            _ => Ok(None),
        }
    }

    /// Handles credit that the caller grants. Returns the envelope to forward, and its worker. Returns `None` if the
    /// call is at no worker yet.
    pub(crate) fn caller_credit(
        &mut self,
        call: &mut Call,
        credit: StreamCredit,
    ) -> Result<Option<(WorkerKey, Envelope)>, StreamFailure> {
        let granted = self.update(call, Direction::ToCaller, |relay| relay.grant(credit.credit));
        let granted = granted.map_err(StreamFailure::ByClient)?;
        Ok(credit_to_handler(call, granted))
    }

    /// Handles items of the handler. Returns the envelope to forward to the client.
    pub(crate) fn handler_items(&mut self, call: &mut Call, items: Items) -> Result<Envelope, StreamFailure> {
        let taken = self.update(call, Direction::ToCaller, |relay| relay.take(items.sequence, items.batch.credit()));
        taken.map_err(StreamFailure::ByWorker)?;
        Ok(Envelope::Items(Items { number: call.number.0, ..items }))
    }

    /// Handles credit that the handler grants. Returns the envelope to forward to the client. A disconnected client
    /// gets all its credit when it has reconnected.
    pub(crate) fn handler_credit(
        &mut self,
        call: &mut Call,
        credit: StreamCredit,
    ) -> Result<Option<Envelope>, StreamFailure> {
        let granted = self.update(call, Direction::ToHandler, |relay| relay.grant(credit.credit));
        let granted = granted.map_err(StreamFailure::ByWorker)?;
        Ok(credit_to_caller(call, granted))
    }

    /// Handles a progress report of the handler. Returns the envelope to forward to the client. Returns `None` if the
    /// client did not request reports, or they arrive too often.
    pub(crate) fn handler_progress(&self, now: Time, call: &mut Call, body: Bytes) -> Option<Envelope> {
        let wanted = call.requested_streams.progress && body.len() <= PROGRESS_BYTES_MAX;
        let due = call.streams.as_mut().is_some_and(|streams| wanted && streams.allow_progress(now));
        due.then(|| Envelope::Progress(call.number.0, body))
    }

    /// Returns the envelopes that follow a dispatch: the credit and the end that the caller has sent so far, with the
    /// worker.
    pub(crate) fn open(&self, call: &Call) -> Vec<(WorkerKey, Envelope)> {
        let (CallState::Running { worker, dispatch, .. }, Some(streams)) = (call.state, &call.streams) else {
            return Vec::new();
        };
        let items = streams.to_handler.items();
        let end = streams.to_handler.is_ended().then(|| (worker, Envelope::End(End { number: dispatch.0, items })));
        credit_to_handler(call, streams.to_caller.left()).into_iter().chain(end).collect()
    }

    /// Resumes the streams of a call that a reconnected client has sent again before any item. The client has lost its
    /// credit and grants new credit. Returns the credit to grant the client.
    pub(crate) fn resume(&mut self, call: &mut Call) -> Option<Envelope> {
        let streams = call.streams.as_mut()?;
        streams.to_caller.restart_reader();
        let granted = streams.to_handler.left();
        credit_to_caller(call, granted)
    }

    /// Ends the streams of a call.
    pub(crate) fn close(&mut self, call: &mut Call) {
        if let Some(streams) = call.streams.take() {
            self.held_bytes -= streams.held_bytes();
            self.open -= 1;
        }
    }

    /// Changes one direction of a call's streams, and accounts for what they hold.
    fn update<R>(
        &mut self,
        call: &mut Call,
        direction: Direction,
        change: impl FnOnce(&mut StreamRelay) -> Result<R, StreamError>,
    ) -> Result<R, StreamError> {
        let relay = match (&mut call.streams, direction) {
            (Some(streams), Direction::ToCaller) if call.requested_streams.to_caller() => &mut streams.to_caller,
            (Some(streams), Direction::ToHandler) if call.requested_streams.from_caller() => &mut streams.to_handler,
            _ => return Err(StreamError::NoSuchStream),
        };
        let before = relay.held_bytes();
        let result = change(relay);
        self.held_bytes = self.held_bytes + relay.held_bytes() - before;
        result
    }

    /// Asserts that streams keep to their windows, that what they hold is counted, and that a call without a client has none.
    pub(crate) fn assert_invariants(&self, calls: &Calls) {
        let (mut held, mut open) = (0, 0);
        for (_, call) in calls.iter() {
            let Some(streams) = &call.streams else { continue };
            streams.assert_invariants();
            assert!(call.client.is_some(), "streams end with the outcome of their call");
            held += streams.held_bytes();
            open += 1;
        }
        assert_eq!(self.open, open, "calls with streams are counted");
        assert_eq!(self.held_bytes, held, "bytes held by streams are counted");
    }
}

impl StreamFailure {
    /// Returns the violated rule, and whether the worker violated it.
    pub(crate) fn violation(&self) -> Option<(bool, &StreamError)> {
        match self {
            StreamFailure::ByClient(how) => Some((false, how)),
            StreamFailure::ByWorker(how) => Some((true, how)),
            StreamFailure::WorkerLost | StreamFailure::ClientLost => None,
        }
    }

    /// Returns the code and the message that end the call.
    pub(crate) fn status(&self) -> (Code, String) {
        match self {
            StreamFailure::ByWorker(how) => {
                (Code::Internal, format!("the worker violated the rules of its stream: {how}"))
            }
            StreamFailure::ByClient(how) => {
                let code = match how {
                    StreamError::NoCredit | StreamError::WindowExceeded => Code::ResourceExhausted,
                    _ => Code::InvalidArgument,
                };
                (code, format!("the client violated the rules of its stream: {how}"))
            }
            StreamFailure::WorkerLost => {
                (Code::Unavailable, "its worker was lost while items were on the way".to_owned())
            }
            StreamFailure::ClientLost => {
                (Code::Unavailable, "the client's connection was lost while items were on the way".to_owned())
            }
        }
    }
}

fn credit_to_handler(call: &Call, credit: ItemCredit) -> Option<(WorkerKey, Envelope)> {
    let CallState::Running { worker, dispatch, .. } = call.state else { return None };
    let granted = StreamCredit { number: dispatch.0, credit };
    (credit != ItemCredit::NONE).then_some((worker, Envelope::StreamCredit(granted)))
}

fn credit_to_caller(call: &Call, credit: ItemCredit) -> Option<Envelope> {
    let granted = StreamCredit { number: call.number.0, credit };
    (credit != ItemCredit::NONE).then_some(Envelope::StreamCredit(granted))
}

/// Returns the number of the call whose item, or end of items, could not be read: its stream has a gap.
pub(crate) fn unreadable_item(refused: &EnvelopeError) -> Option<u64> {
    let kinds = [Kind::Item, Kind::End].map(|kind| Some(u64::from(kind.number())));
    refused.number.filter(|_| kinds.contains(&refused.kind))
}
