//! Streams: the plan for the streams of a call, and one end that writes and reads items.

use std::time::Duration;

use bytes::Bytes;
use callboard_core::{
    body,
    time::Time,
    wire::{
        item_batch::{ItemBatch, ItemCollector},
        limits::STREAM_ITEMS,
        status::Failure,
        streams::{ItemCredit, Streams},
    },
};

use super::{config::millis, context::Context, ledger::CallSpec, rng::Rng};

/// A progress message: the number of the call, the attempt, and a step that counts up.
pub(crate) type Progress = (u64, u32, u32);

/// Items of a stream that needs more credit than a window.
const MORE_THAN_A_WINDOW: u32 = STREAM_ITEMS + 200;

/// The streams of a call if no fault occurs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    from_caller: u32,
    from_handler: u32,
    /// Bytes of an item.
    bytes: usize,
    /// The longest time until a reader reads its items.
    caller_pause: Duration,
    handler_pause: Duration,
    /// The caller reads nothing.
    never_reads: bool,
    /// The caller never ends its stream.
    never_ends: bool,
    /// The handler does not wait for the end of the stream.
    ignores_end: bool,
}

impl Plan {
    /// Draws a plan. Only a call with a time limit may have an end that blocks the other one without end.
    pub(crate) fn draw(limited: bool, rng: &mut Rng) -> Plan {
        let mut pause = || millis(rng.pick(&[0, 0, 5, 200]));
        let (caller_pause, handler_pause) = (pause(), pause());
        let mut items = || if rng.percent(3) { MORE_THAN_A_WINDOW } else { rng.pick(&[0, 1, 3, 20, 70, 200]) };
        let (from_caller, from_handler) = (items(), items());
        let bytes = rng.pick(&[0, 10, 10, 500, 30_000]);
        // Large items reach the limit of bytes first.
        let items_max = if bytes > 500 { 200 } else { MORE_THAN_A_WINDOW };
        Plan {
            from_caller: from_caller.min(items_max),
            from_handler: from_handler.min(items_max),
            bytes,
            caller_pause,
            handler_pause,
            never_reads: limited && rng.percent(10),
            never_ends: limited && rng.percent(5),
            ignores_end: rng.percent(15),
        }
    }

    /// Returns a plan with some items that are read immediately.
    pub(crate) fn plain() -> Plan {
        Plan { from_caller: 70, from_handler: 70, bytes: 10, ..Plan::default() }
    }
}

/// One end of the streams of a call.
#[derive(Debug)]
pub(crate) struct StreamEndpoint {
    number: u64,
    bytes: usize,
    to_send: u32,
    sent: u32,
    credit: ItemCredit,
    /// The stream must be ended when all items are sent.
    end_due: bool,
    /// It waits until the other end has ended its stream.
    awaits_end: bool,
    received: u32,
    unread: ItemCredit,
    read_at: Option<Time>,
    pause: Duration,
    never_reads: bool,
}

impl StreamEndpoint {
    /// Creates the end of the caller.
    pub(crate) fn of_caller(number: u64, spec: &CallSpec) -> StreamEndpoint {
        let Plan { from_caller, bytes, caller_pause, never_reads, never_ends, .. } = spec.plan;
        let to_send = if spec.streams.from_caller() { from_caller } else { 0 };
        let end_due = spec.streams.from_caller() && !never_ends;
        StreamEndpoint { end_due, pause: caller_pause, never_reads, ..StreamEndpoint::new(number, bytes, to_send) }
    }

    /// Creates the end of the handler.
    pub(crate) fn of_handler(number: u64, streams: Streams, plan: Plan) -> StreamEndpoint {
        let to_send = if streams.to_caller() { plan.from_handler } else { 0 };
        let awaits_end = streams.from_caller() && !plan.ignores_end;
        StreamEndpoint { awaits_end, pause: plan.handler_pause, ..StreamEndpoint::new(number, plan.bytes, to_send) }
    }

    fn new(number: u64, bytes: usize, to_send: u32) -> StreamEndpoint {
        StreamEndpoint {
            number,
            bytes,
            to_send,
            sent: 0,
            credit: ItemCredit::NONE,
            end_due: false,
            awaits_end: false,
            received: 0,
            unread: ItemCredit::NONE,
            read_at: None,
            pause: Duration::ZERO,
            never_reads: false,
        }
    }

    /// Adds credit from the other end.
    pub(crate) fn grant(&mut self, credit: ItemCredit) {
        self.credit = self.credit.with(credit);
        assert!(ItemCredit::WINDOW.covers(self.credit), "call {} has more credit than a window", self.number);
    }

    /// Returns the items for which there is credit, in batches: one for each drawn turn of the writer.
    pub(crate) fn next_batches(&mut self, rng: &mut Rng) -> Vec<ItemBatch> {
        let mut batches = Vec::new();
        let mut collector = ItemCollector::default();
        while let Some(item) = self.next_item() {
            collector.push(item);
            if rng.percent(2) {
                batches.extend(collector.take());
            }
        }
        batches.extend(collector.take());
        batches
    }

    fn next_item(&mut self) -> Option<Bytes> {
        let item = (self.number, self.sent, serde_bytes::ByteBuf::from(vec![7; self.bytes]));
        let body = body::encode(&item).expect("an item has a CBOR form");
        let size = ItemCredit::one(body.len() as u64);
        if self.sent == self.to_send || !self.credit.covers(size) {
            return None;
        }
        self.credit = self.credit.without(size);
        self.sent += 1;
        Some(body)
    }

    /// Returns true once, when the stream must be ended.
    pub(crate) fn take_end(&mut self) -> bool {
        let ends = self.end_due && self.sent == self.to_send;
        self.end_due &= !ends;
        ends
    }

    /// Receives items, which must be the next ones of this call.
    pub(crate) fn arrived(&mut self, mut batch: ItemBatch, context: &mut Context) {
        self.unread = self.unread.with(batch.credit());
        while let Some(item) = batch.take_first() {
            let item = body::decode::<(u64, u32, serde_bytes::ByteBuf)>(&item);
            // Other bodies come from the rogue, in its own calls.
            if let Ok((number, at, _)) = item {
                assert_eq!((number, at), (self.number, self.received), "an item of another call, or out of order");
            }
            self.received += 1;
        }
        assert!(ItemCredit::WINDOW.covers(self.unread), "call {}: more is unread than a window", self.number);
        if !self.never_reads && self.read_at.is_none() {
            self.read_at = Some(context.now + context.rng.span(self.pause));
        }
    }

    /// Returns when its reader reads.
    pub(crate) fn read_due(&self) -> Option<Time> {
        self.read_at
    }

    /// Reads the received items if it is time. Returns the credit to grant.
    pub(crate) fn read(&mut self, now: Time) -> Option<ItemCredit> {
        self.read_at.filter(|&at| at <= now)?;
        self.read_at = None;
        Some(std::mem::take(&mut self.unread))
    }

    /// Records that the other end has ended its stream.
    pub(crate) fn end_arrived(&mut self) {
        self.awaits_end = false;
    }

    /// Returns whether all items are sent and the awaited end has arrived.
    pub(crate) fn is_done(&self) -> bool {
        self.sent == self.to_send && !self.awaits_end
    }

    pub(crate) fn sent(&self) -> u32 {
        self.sent
    }

    /// Checks that a result arrives after all items.
    pub(crate) fn check_end(&self, outcome: &Result<Bytes, Box<Failure>>) {
        if let Ok(answer) = outcome {
            let (number, _, sent): (u64, u32, u32) = body::decode(answer).expect("handlers answer with three numbers");
            assert_eq!((number, sent), (self.number, self.received), "a result arrives with items missing");
        }
    }
}
