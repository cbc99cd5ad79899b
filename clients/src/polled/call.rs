//! A polled client's call in the making.

use std::{sync::Arc, time::Duration};

use callboard_core::wire::envelope::{Effect, Priority};
use serde::de::DeserializeOwned;

use super::{Client, Pending, inbox::Arrival};
use crate::{Answers, CallError, call::decode};

/// A call in the making. Nothing happens before one of its endings: [`on_complete`](Call::on_complete), [`cast`](Call::cast),
/// [`stream`](Call::stream). None blocks.
#[must_use = "a call is made by one of its endings: .on_complete(callback), .cast(), .stream(callback)"]
#[derive(Debug)]
pub struct Call<'a, T> {
    client: &'a Client,
    call: crate::Call<T>,
}

impl<'a, T> Call<'a, T> {
    pub(super) fn new(client: &'a Client, call: crate::Call<T>) -> Call<'a, T> {
        Call { client, call }
    }

    /// How long it may take in all, in the place of the client's default. Zero is up at once.
    pub fn timeout(self, span: Duration) -> Self {
        Call { call: self.call.timeout(span), ..self }
    }

    /// It may take as long as it takes. It still ends when its worker is lost, or the client is closed.
    pub fn no_timeout(self) -> Self {
        Call { call: self.call.no_timeout(), ..self }
    }

    /// Where no worker serves the service now, wait for a worker as long as the time-out allows.
    pub fn wait_for_ready(self) -> Self {
        Call { call: self.call.wait_for_ready(), ..self }
    }

    /// Which calls it belongs to: of those with the same key of the same service only one runs at a time, all on one worker, in the
    /// order in which this client makes them. See [`crate::Call::key`].
    pub fn key(self, key: impl Into<String>) -> Self {
        Call { call: self.call.key(key), ..self }
    }

    /// To every worker that serves the method, each answer in the result. See [`Call::broadcast`](crate::Call::broadcast).
    pub fn broadcast(self) -> Call<'a, Answers<T>> {
        Call { client: self.client, call: self.call.broadcast() }
    }

    /// What this call may do to the world, where that is to be stricter than what the method's worker declared.
    pub fn effect(self, effect: Effect) -> Self {
        Call { call: self.call.effect(effect), ..self }
    }

    /// How soon it is to have its turn, beside other calls of the same key (or address).
    pub fn priority(self, priority: Priority) -> Self {
        Call { call: self.call.priority(priority), ..self }
    }

    /// Of a stream that comes faster than it is read, keep only the newest item. Without a meaning for other calls.
    pub fn latest(self) -> Self {
        Call { call: self.call.latest(), ..self }
    }

    /// Makes the call, and tells `callback` the items that its handler sends: [`Client::for_each`] of [`Call::stream`](crate::Call::stream).
    ///
    /// # Errors
    /// As for [`Client::for_each`].
    pub fn stream<O>(self, callback: impl FnMut(Option<Result<O, CallError>>) + 'static) -> Result<(), CallError>
    where
        O: DeserializeOwned + 'static,
    {
        self.client.for_each(self.call.stream::<O>(), callback)
    }
}

impl<T: DeserializeOwned + 'static> Call<'_, T> {
    /// Makes the call and goes on. `callback` gets the outcome, exactly once, in a later [`Client::poll`], [`Client::process`] or
    /// [`Client::close`], on this thread.
    ///
    /// # Errors
    /// The call was not made, and the callback will not run: INVALID_ARGUMENT for a name or arguments that cannot be sent, and
    /// RESOURCE_EXHAUSTED if the client's queue is full or too many callbacks are pending
    /// ([`callbacks_max`](crate::ClientBuilder::callbacks_max)).
    pub fn on_complete(self, callback: impl FnOnce(Result<T, CallError>) + 'static) -> Result<(), CallError> {
        let Client { pending, inbox, pending_max, .. } = self.client;
        if pending.borrow().len() >= *pending_max {
            return Err(CallError::full("callbacks", *pending_max, "callbacks_max"));
        }
        // Decoded there as well: the client's own threads never see the program's types.
        let run = Pending::Callback(Box::new(move |outcome| callback(decode(outcome))));
        let key = pending.borrow_mut().insert(run);
        let inbox = Arc::clone(inbox);
        let made = self.call.try_on_complete_encoded(move |outcome| inbox.put(Arrival::Outcome(key, outcome)));
        made.inspect_err(|_| drop(pending.borrow_mut().remove(key)))
    }
}

impl Call<'_, ()> {
    /// Makes the call and goes on; nobody learns what becomes of it.
    ///
    /// # Errors
    /// The call was not made, as for [`Call::on_complete`].
    pub fn cast(self) -> Result<(), CallError> {
        self.call.try_cast()
    }
}
