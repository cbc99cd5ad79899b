//! The call table: all open calls, their timeouts, and the numbers of their dispatches.

mod call;
mod caller;
mod dead_letters;
mod limits;
mod retry_budget;
mod time_spent;

use std::ops::{Index, IndexMut};

use slab::Slab;

pub use self::dead_letters::{DeadLetter, DeadLetterDetail};
pub(crate) use self::{
    call::{Call, CallOrigin, CallState},
    caller::Caller,
    dead_letters::DeadLetters,
    limits::{ExecutionLimits, LimitReached},
    retry_budget::RetryBudget,
};
use super::keys::CallKey;
use crate::{
    deadline_queue::{DeadlineKey, DeadlineQueue},
    table_index::TableIndex,
    time::Time,
    wire::ids::{CallId, DispatchNumber},
};

/// The call table.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: Slab<Call>,
    timeouts: DeadlineQueue<CallKey>,
    last_dispatch: u64,
}

impl Calls {
    /// Adds a call.
    pub(crate) fn insert(&mut self, call: Call) -> CallKey {
        CallKey(TableIndex::new(self.calls.insert(call)))
    }

    /// Removes a call, whose timeout was cancelled before.
    pub(crate) fn remove(&mut self, key: CallKey) {
        self.calls.remove(key.0.get());
    }

    pub(crate) fn get(&self, key: CallKey) -> Option<&Call> {
        self.calls.get(key.0.get())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (CallKey, &Call)> {
        self.calls.iter().map(|(key, call)| (CallKey(TableIndex::new(key)), call))
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Returns the call with a correlation id. A subcall of a broadcast has the id of the broadcast, and is not
    /// returned.
    pub(crate) fn find(&self, id: CallId) -> Option<CallKey> {
        self.iter().find(|(_, call)| call.id() == id && call.subcall_of.is_none()).map(|(key, _)| key)
    }

    /// Returns a dispatch number that was not used before in this start of the broker.
    pub(crate) fn next_dispatch(&mut self) -> DispatchNumber {
        self.last_dispatch += 1;
        DispatchNumber(self.last_dispatch)
    }

    /// Sets the timeout of a call: its deadline, the end of its wait for a worker, or the next limit of its method,
    /// whichever comes first.
    pub(crate) fn schedule_timeout(&mut self, key: CallKey) {
        let call = &mut self.calls[key.0.get()];
        let give_up = match call.state {
            CallState::Queued { give_up, .. } => give_up,
            _ => None,
        };
        // The deadline of a call without a client has no meaning: its outcome is not wanted, or its broadcast has the deadline.
        let deadline = call.deadline.filter(|_| call.client.is_some());
        let at = [deadline, give_up, call.limits.as_ref().and_then(|limits| limits.next())].into_iter().flatten().min();
        if at == call.timeout.map(DeadlineKey::at) {
            return;
        }
        if let Some(old) = call.timeout.take() {
            self.timeouts.remove(old);
        }
        call.timeout = at.map(|at| self.timeouts.insert(at, key));
    }

    /// Cancels the timeout of a call.
    pub(crate) fn cancel_timeout(&mut self, key: CallKey) {
        if let Some(timeout) = self.calls[key.0.get()].timeout.take() {
            self.timeouts.remove(timeout);
        }
    }

    /// Returns the timeout that is due first.
    pub(crate) fn first_timeout(&self) -> Option<(Time, CallKey)> {
        self.timeouts.peek().map(|(timeout, call)| (timeout.at(), call))
    }

    /// Asserts that a call has a timeout exactly if it needs one.
    pub(crate) fn assert_invariants(&self) {
        for (key, call) in self.iter() {
            assert_ne!(call.state, CallState::New, "a call is in one of its lasting states");
            assert!(call.timeout.is_none_or(|timeout| self.timeouts.contains(timeout, key)), "its timeout is set");
            let limited = call.deadline.is_some() && call.client.is_some();
            assert!(!limited || call.timeout.is_some(), "a call with a deadline and a client has a timeout");
        }
        let set = self.iter().filter(|(_, call)| call.timeout.is_some()).count();
        assert_eq!(self.timeouts.len(), set, "no timeout outlives its call");
    }
}

impl Index<CallKey> for Calls {
    type Output = Call;

    fn index(&self, key: CallKey) -> &Call {
        &self.calls[key.0.get()]
    }
}

impl IndexMut<CallKey> for Calls {
    fn index_mut(&mut self, key: CallKey) -> &mut Call {
        &mut self.calls[key.0.get()]
    }
}
