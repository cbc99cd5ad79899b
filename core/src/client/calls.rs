//! The table of a client's calls, by ticket, number, queue position and deadline.

use slab::Slab;

use super::call::{Call, CallStreams, NewCall, State, Ticket};
use crate::{
    deadline_queue::DeadlineQueue, sequence_map::SequenceMap, table_index::TableIndex, time::Time,
    wire::ids::CallNumber,
};

/// The number of a client's first call. So no call below it can be open.
pub(super) const NUMBER_FIRST: CallNumber = CallNumber(1);

/// The key of a call in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallKey(TableIndex);

/// All calls that wait or are open.
#[derive(Debug)]
pub(super) struct Calls<T> {
    table: Slab<Call<T>>,
    tickets: SequenceMap<CallKey>,
    /// The waiting calls, in order of arrival. The driver bounds their number.
    waiting: SequenceMap<CallKey>,
    /// The open calls, in the order of sending. Credit bounds their number.
    open: SequenceMap<CallKey>,
    timers: DeadlineQueue<CallKey>,
    next_position: u64,
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
            next_position: 0,
            next_number: NUMBER_FIRST,
        }
    }

    /// Adds a call at the end of the queue.
    pub(super) fn push(&mut self, new: NewCall<T>) {
        let (ticket, position) = (new.ticket, self.next_position);
        self.next_position += 1;
        let streams = CallStreams::of(new.streams);
        let call = Call { new, state: State::Waiting { position }, timer: None, streams };
        let deadline = call.deadline();
        let key = CallKey(TableIndex::new(self.table.insert(call)));
        let before = self.tickets.insert(ticket.0, key);
        debug_assert!(before.is_none(), "a driver uses each ticket once");
        self.waiting.insert(position, key);
        self.set_timer(key, deadline);
    }

    /// Returns the first waiting call.
    pub(super) fn first_waiting(&self) -> Option<CallKey> {
        self.waiting.first().map(|(_, &key)| key)
    }

    /// Returns the number that the next call will be sent under.
    pub(super) fn next_number(&self) -> CallNumber {
        self.next_number
    }

    /// Returns the lowest number of an open call, or the next number if none is open.
    pub(super) fn done_below(&self) -> CallNumber {
        self.open.first().map_or(self.next_number, |(number, _)| CallNumber(number))
    }

    /// Opens a waiting call under the next number, when it is sent. Its timer stays: it is due at the deadline in both states.
    pub(super) fn open(&mut self, key: CallKey, now: Time) {
        let number = self.use_number();
        let call = &mut self.table[key.0.get()];
        if let State::Waiting { position } = call.state {
            self.waiting.remove(position);
        }
        call.state = State::Open { number, sent: now };
        self.open.insert(number.0, key);
    }

    /// Takes the next number.
    pub(super) fn use_number(&mut self) -> CallNumber {
        let number = self.next_number;
        self.next_number.0 += 1;
        number
    }

    /// Returns the first open call from this number on.
    pub(super) fn open_from(&self, number: CallNumber) -> Option<(CallNumber, CallKey)> {
        self.open.first_from(number.0).map(|(number, &key)| (CallNumber(number), key))
    }

    /// Returns a call, which must exist: its key is from this table, and it was not removed since.
    pub(super) fn at(&self, key: CallKey) -> &Call<T> {
        &self.table[key.0.get()]
    }

    /// Returns the stream state of a call, with its number if it was sent. `None` if the call does not exist or has no streams.
    pub(super) fn streams(&mut self, key: CallKey) -> Option<(&mut CallStreams, Option<CallNumber>)> {
        let call = self.table.get_mut(key.0.get())?;
        let number = match call.state {
            State::Waiting { .. } => None,
            State::Open { number, .. } => Some(number),
        };
        Some((call.streams.as_deref_mut()?, number))
    }

    pub(super) fn by_ticket(&self, ticket: Ticket) -> Option<CallKey> {
        self.tickets.get(ticket.0).copied()
    }

    pub(super) fn by_number(&self, number: CallNumber) -> Option<CallKey> {
        self.open.get(number.0).copied()
    }

    /// Returns the timer that is due next.
    pub(super) fn first_timer(&self) -> Option<(Time, CallKey)> {
        self.timers.peek().map(|(deadline, key)| (deadline.at(), key))
    }

    /// Sets a call's timer, instead of its present one.
    pub(super) fn set_timer(&mut self, key: CallKey, at: Option<Time>) {
        let call = &mut self.table[key.0.get()];
        if let Some(old) = call.timer.take() {
            self.timers.remove(old);
        }
        call.timer = at.map(|at| self.timers.insert(at, key));
    }

    /// Removes a call that has ended.
    pub(super) fn remove(&mut self, key: CallKey) -> Call<T> {
        self.set_timer(key, None);
        let call = self.table.remove(key.0.get());
        self.tickets.remove(call.new.ticket.0);
        match call.state {
            State::Waiting { position } => self.waiting.remove(position),
            State::Open { number, .. } => self.open.remove(number.0),
        };
        call
    }

    /// Returns the calls that `which` selects: first the open ones, then the waiting ones, each in their order.
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

    pub(super) fn assert_invariants(&self) {
        assert_eq!(self.table.len(), self.tickets.len(), "each call has one ticket");
        assert_eq!(self.table.len(), self.waiting.len() + self.open.len(), "each call waits or is open");
        assert!(self.open.iter().all(|(number, _)| number < self.next_number.0), "numbers ascend");
        let timed = self.table.iter().filter(|(_, call)| call.new.timeout.is_some()).count();
        assert_eq!(timed, self.timers.len(), "each call with a timeout has one timer");
        for (at, call) in &self.table {
            let key = CallKey(TableIndex::new(at));
            assert_eq!(self.tickets.get(call.new.ticket.0), Some(&key), "a call is found by its ticket");
            match call.state {
                State::Waiting { position } => {
                    assert_eq!(self.waiting.get(position), Some(&key), "a waiting call is found by its position")
                }
                State::Open { number, .. } => {
                    assert_eq!(self.open.get(number.0), Some(&key), "an open call is found by its number");
                    assert!(!call.new.cast, "a cast that was sent is removed");
                }
            }
            assert!(call.timer.is_none_or(|timer| self.timers.contains(timer, key)), "the timer of a call is set");
            if let Some(streams) = &call.streams {
                streams.writer.assert_invariants();
                streams.reader.assert_invariants();
                assert!(
                    !call.has_stream_traffic() || matches!(call.state, State::Open { .. }),
                    "only open calls have stream traffic"
                );
            }
        }
    }
}
