//! Items, and who writes and reads them: what a call's streams are to be, and one endpoint of them.

use std::time::Duration;

use bytes::Bytes;
use callboard_core::{
    body,
    time::Time,
    wire::{
        status::Failure,
        streams::{ItemCredit, Streams},
    },
};

use super::{chance::Chance, knobs::millis, ledger::Wish, scene::Scene};

/// A word on progress: the call's number, the attempt, and a step that counts up.
pub(crate) type Progress = (u64, u32, u32);

/// What becomes of a call's streams if nothing goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    from_caller: u32,
    from_handler: u32,
    /// Bytes of an item.
    bytes: usize,
    /// The longest time that items wait for their reader.
    caller_pause: Duration,
    handler_pause: Duration,
    /// The caller reads nothing.
    deaf: bool,
    /// The caller never says the end.
    endless: bool,
    /// The handler does not wait for the end.
    hasty: bool,
}

impl Plan {
    /// As chance wants it. Only a call whose time is limited can have a endpoint that blocks the other for ever.
    pub(crate) fn draw(limited: bool, chance: &mut Chance) -> Plan {
        let mut pause = || millis(chance.pick(&[0, 0, 5, 200]));
        let (caller_pause, handler_pause) = (pause(), pause());
        let mut items = || chance.pick(&[0, 1, 3, 20, 70, 200]);
        let (from_caller, from_handler) = (items(), items());
        Plan {
            from_caller,
            from_handler,
            bytes: chance.pick(&[0, 10, 10, 500, 30_000]),
            caller_pause,
            handler_pause,
            deaf: limited && chance.percent(10),
            endless: limited && chance.percent(5),
            hasty: chance.percent(15),
        }
    }

    /// Some items, read at once.
    pub(crate) fn plain() -> Plan {
        Plan { from_caller: 70, from_handler: 70, bytes: 10, ..Plan::default() }
    }
}

/// One endpoint of a call's streams.
#[derive(Debug)]
pub(crate) struct Line {
    number: u64,
    bytes: usize,
    to_send: u32,
    sent: u32,
    credit: ItemCredit,
    /// The end is to be said when all is sent.
    end_due: bool,
    /// The other endpoint's end is waited for.
    awaits_end: bool,
    received: u32,
    unread: ItemCredit,
    read_at: Option<Time>,
    pause: Duration,
    deaf: bool,
}

impl Line {
    /// The caller's endpoint.
    pub(crate) fn of_caller(number: u64, wish: &Wish) -> Line {
        let Plan { from_caller, bytes, caller_pause, deaf, endless, .. } = wish.plan;
        let to_send = if wish.streams.from_caller { from_caller } else { 0 };
        let end_due = wish.streams.from_caller && !endless;
        Line { end_due, pause: caller_pause, deaf, ..Line::new(number, bytes, to_send) }
    }

    /// The handler's endpoint.
    pub(crate) fn of_handler(number: u64, streams: Streams, plan: Plan) -> Line {
        let to_send = if streams.to_caller { plan.from_handler } else { 0 };
        let awaits_end = streams.from_caller && !plan.hasty;
        Line { awaits_end, pause: plan.handler_pause, ..Line::new(number, plan.bytes, to_send) }
    }

    fn new(number: u64, bytes: usize, to_send: u32) -> Line {
        Line {
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
            deaf: false,
        }
    }

    /// The other endpoint makes room.
    pub(crate) fn grant(&mut self, credit: ItemCredit) {
        self.credit = self.credit.with(credit);
        assert!(ItemCredit::WINDOW.holds(self.credit), "call {} has more credit than a window", self.number);
    }

    /// The next item, if there is one and room for it.
    pub(crate) fn next_item(&mut self) -> Option<Bytes> {
        let item = (self.number, self.sent, serde_bytes::ByteBuf::from(vec![7; self.bytes]));
        let body = body::encode(&item).expect("an item has a CBOR form");
        let size = ItemCredit::one(body.len() as u64);
        if self.sent == self.to_send || !self.credit.holds(size) {
            return None;
        }
        self.credit = self.credit.without(size);
        self.sent += 1;
        Some(body)
    }

    /// Whether the end is to be said now; true once.
    pub(crate) fn ends_now(&mut self) -> bool {
        let ends = self.end_due && self.sent == self.to_send;
        self.end_due &= !ends;
        ends
    }

    /// An item arrives: the next one, of this call.
    pub(crate) fn arrived(&mut self, body: &Bytes, scene: &mut Scene) {
        let item = body::decode::<(u64, u32, serde_bytes::ByteBuf)>(body);
        // What is none is a rogue's, of a call of its own.
        if let Ok((number, at, _)) = item {
            assert_eq!((number, at), (self.number, self.received), "an item of another call, or out of order");
        }
        self.received += 1;
        self.unread = self.unread.with(ItemCredit::one(body.len() as u64));
        assert!(ItemCredit::WINDOW.holds(self.unread), "call {}: more is unread than a window", self.number);
        if !self.deaf && self.read_at.is_none() {
            self.read_at = Some(scene.now + scene.chance.span(self.pause));
        }
    }

    /// When its reader reads.
    pub(crate) fn read_due(&self) -> Option<Time> {
        self.read_at
    }

    /// Reads what came, if it is time.
    pub(crate) fn read(&mut self, now: Time) -> Option<ItemCredit> {
        self.read_at.filter(|&at| at <= now)?;
        self.read_at = None;
        Some(std::mem::take(&mut self.unread))
    }

    /// The other endpoint says the end.
    pub(crate) fn end_came(&mut self) {
        self.awaits_end = false;
    }

    /// Whether everything went that was to go.
    pub(crate) fn is_done(&self) -> bool {
        self.sent == self.to_send && !self.awaits_end
    }

    pub(crate) fn sent(&self) -> u32 {
        self.sent
    }

    /// The call ends: an answer comes after all items.
    pub(crate) fn check_end(&self, outcome: &Result<Bytes, Box<Failure>>) {
        if let Ok(answer) = outcome {
            let (number, _, sent): (u64, u32, u32) = body::decode(answer).expect("handlers answer with three numbers");
            assert_eq!((number, sent), (self.number, self.received), "an answer comes with items missing");
        }
    }
}
