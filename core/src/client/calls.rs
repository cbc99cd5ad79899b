//! The calls that a client has: found by ticket, by number, by turn and by deadline.

use slab::Slab;

use super::call::{Call, Flows, NewCall, State, Ticket};
use crate::{deadline_queue::DeadlineQueue, sequence_map::SequenceMap, time::Time, wire::ids::CallNumber};

/// The number of a client's first call. The broker knows that no call below it is open.
pub(super) const NUMBER_FIRST: CallNumber = CallNumber(1);

/// A place in the table of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallKey(usize);

/// All calls that wait or are open.
#[derive(Debug)]
pub(super) struct Calls<T> {
    table: Slab<Call<T>>,
    tickets: SequenceMap<CallKey>,
    /// In the order in which they came. Bounded by the driver, which lets no more in than it wants to wait.
    waiting: SequenceMap<CallKey>,
    /// In the order in which they were sent. Bounded by credit.
    open: SequenceMap<CallKey>,
    timers: DeadlineQueue<CallKey>,
    next_turn: u64,
    next_number: CallNumber,
}

impl<T> Calls<T> {
    pub(super) fn new() -> Calls<T> {
        Calls {
            table: Slab::new(),
            tickets: SequenceMap::default(),
            waiting: SequenceMap::default(),
            open: SequenceMap::default(),
            timers: DeadlineQueue::default(),
            next_turn: 0,
            next_number: NUMBER_FIRST,
        }
    }

    /// A call comes to the end of the queue.
    pub(super) fn push(&mut self, new: NewCall<T>) {
        let (ticket, turn) = (new.ticket, self.next_turn);
        self.next_turn += 1;
        let flows = Flows::of(new.streams);
        let call = Call { new, state: State::Waiting { turn }, timer: None, flows };
        let deadline = call.deadline();
        let key = CallKey(self.table.insert(call));
        let before = self.tickets.insert(ticket.0, key);
        debug_assert!(before.is_none(), "a driver uses a ticket once");
        self.waiting.insert(turn, key);
        self.set_timer(key, deadline);
    }

    /// The call whose turn it is to be sent.
    pub(super) fn first_waiting(&self) -> Option<CallKey> {
        self.waiting.first().map(|(_, &key)| key)
    }

    /// The number of the next call that is sent.
    pub(super) fn next_number(&self) -> CallNumber {
        self.next_number
    }

    /// The smallest number whose outcome is still waited for, or the next one.
    pub(super) fn done_below(&self) -> CallNumber {
        self.open.first().map_or(self.next_number, |(number, _)| CallNumber(number))
    }

    /// A waiting call is sent under the next number, and is open from now on. Its timer stays: a driver's next look at
    /// it is at its deadline in any case.
    pub(super) fn open(&mut self, key: CallKey, now: Time) {
        let number = self.use_number();
        let call = &mut self.table[key.0];
        if let State::Waiting { turn } = call.state {
            self.waiting.remove(turn);
        }
        call.state = State::Open { number, sent: now };
        self.open.insert(number.0, key);
    }

    /// A number is used up.
    pub(super) fn use_number(&mut self) -> CallNumber {
        let number = self.next_number;
        self.next_number.0 += 1;
        number
    }

    /// The first open call from this number on.
    pub(super) fn open_from(&self, number: CallNumber) -> Option<(CallNumber, CallKey)> {
        self.open.first_from(number.0).map(|(number, &key)| (CallNumber(number), key))
    }

    /// The call, which must be there: its key came from this table and nothing was removed since.
    pub(super) fn at(&self, key: CallKey) -> &Call<T> {
        &self.table[key.0]
    }

    /// The streams of a call, and its number if it was sent. `None` if it is not there or has no streams.
    pub(super) fn flows(&mut self, key: CallKey) -> Option<(&mut Flows, Option<CallNumber>)> {
        let call = self.table.get_mut(key.0)?;
        let number = match call.state {
            State::Waiting { .. } => None,
            State::Open { number, .. } => Some(number),
        };
        Some((call.flows.as_deref_mut()?, number))
    }

    pub(super) fn by_ticket(&self, ticket: Ticket) -> Option<CallKey> {
        self.tickets.get(ticket.0).copied()
    }

    pub(super) fn by_number(&self, number: CallNumber) -> Option<CallKey> {
        self.open.get(number.0).copied()
    }

    /// The timer that is due next.
    pub(super) fn first_timer(&self) -> Option<(Time, CallKey)> {
        self.timers.peek().map(|(deadline, key)| (deadline.at(), key))
    }

    /// Sets the call's timer, in the place of the one it has.
    pub(super) fn set_timer(&mut self, key: CallKey, at: Option<Time>) {
        let call = &mut self.table[key.0];
        if let Some(old) = call.timer.take() {
            self.timers.remove(old);
        }
        call.timer = at.map(|at| self.timers.insert(at, key));
    }

    /// The call is over.
    pub(super) fn remove(&mut self, key: CallKey) -> Call<T> {
        self.set_timer(key, None);
        let call = self.table.remove(key.0);
        self.tickets.remove(call.new.ticket.0);
        match call.state {
            State::Waiting { turn } => self.waiting.remove(turn),
            State::Open { number, .. } => self.open.remove(number.0),
        };
        call
    }

    /// The calls that `which` picks: first the open ones, then those that wait, each in their order.
    pub(super) fn select(&self, which: impl Fn(&Call<T>) -> bool) -> Vec<CallKey> {
        let keys = self.open.values().chain(self.waiting.values());
        keys.copied().filter(|&key| which(self.at(key))).collect()
    }

    pub(super) fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn open_len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn check(&self) {
        assert_eq!(self.table.len(), self.tickets.len(), "each call has one ticket");
        assert_eq!(self.table.len(), self.waiting.len() + self.open.len(), "each call waits or is open");
        assert!(self.open.iter().all(|(number, _)| number < self.next_number.0), "numbers count up");
        let timed = self.table.iter().filter(|(_, call)| call.new.timeout.is_some()).count();
        assert_eq!(timed, self.timers.len(), "each call with a time-out has one timer");
        for (at, call) in &self.table {
            let key = CallKey(at);
            assert_eq!(self.tickets.get(call.new.ticket.0), Some(&key), "a call is found by its ticket");
            match call.state {
                State::Waiting { turn } => assert_eq!(self.waiting.get(turn), Some(&key), "it waits in its turn"),
                State::Open { number, .. } => {
                    assert_eq!(self.open.get(number.0), Some(&key), "it is open under its number");
                    assert!(!call.new.cast, "a cast that was sent is forgotten");
                }
            }
            assert!(call.timer.is_none_or(|timer| self.timers.contains(timer, key)), "its timer is set");
            if let Some(flows) = &call.flows {
                flows.writer.check();
                flows.reader.check();
                assert!(!call.is_touched() || matches!(call.state, State::Open { .. }), "items go when it was sent");
            }
        }
    }
}
