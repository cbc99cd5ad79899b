//! The calls of a polled client.

use std::{sync::Arc, time::Duration};

use callboard_core::{
    body::Arguments,
    wire::envelope::{Effect, Priority},
};
use serde::de::DeserializeOwned;

use super::{client::Client, inbox::InboxEntry, pending::Pending};
use crate::{
    call::{Call as AsyncCall, answers::Answers, decode::decode},
    error::call_error::CallError,
};

/// A call with its options. One of its endings makes the call: [`on_complete`](Call::on_complete), [`cast`](Call::cast),
/// [`stream`](Call::stream). None of them blocks.
#[must_use = "a call is made by one of its endings: .on_complete(callback), .cast(), .stream(callback)"]
#[derive(Debug)]
pub struct Call<'a, T> {
    client: &'a Client,
    call: AsyncCall<T>,
}

impl Client {
    /// Creates a call of `method`, as [`Client::call`](crate::Client::call) does.
    pub fn call<T>(&self, method: impl AsRef<str>, arguments: impl Arguments) -> Call<'_, T> {
        Call { client: self, call: self.as_async().call(method, arguments) }
    }
}

impl<'a, T> Call<'a, T> {
    /// Sets the timeout of the whole call, instead of the client's default. A timeout of zero passes at once.
    pub fn timeout(self, span: Duration) -> Self {
        Call { call: self.call.timeout(span), ..self }
    }

    /// Removes the timeout. The call still ends when its worker is lost or the client is closed.
    pub fn no_timeout(self) -> Self {
        Call { call: self.call.no_timeout(), ..self }
    }

    /// Waits for a worker, within the timeout, if no worker serves the service now.
    pub fn wait_for_ready(self) -> Self {
        Call { call: self.call.wait_for_ready(), ..self }
    }

    /// Sets the affinity key: calls with the same key of the same service run one at a time, in order, on one worker. See
    /// [`Call::key`](crate::Call::key).
    pub fn key(self, key: impl Into<String>) -> Self {
        Call { call: self.call.key(key), ..self }
    }

    /// Sends the call to every worker that serves the method. The result has the answer of each. See
    /// [`Call::broadcast`](crate::Call::broadcast).
    pub fn broadcast(self) -> Call<'a, Answers<T>> {
        Call { client: self.client, call: self.call.broadcast() }
    }

    /// Sets an effect that is stricter than the one that the method's worker declared.
    pub fn effect(self, effect: Effect) -> Self {
        Call { call: self.call.effect(effect), ..self }
    }

    /// Sets the priority among the queued calls of the same authkey, or of the same address without one.
    pub fn priority(self, priority: Priority) -> Self {
        Call { call: self.call.priority(priority), ..self }
    }

    /// Keeps only the newest unread item of a reply stream. Has no effect on other calls.
    pub fn conflate(self) -> Self {
        Call { call: self.call.conflate(), ..self }
    }

    /// Makes the call and passes the items that its handler sends to `callback`: [`Client::for_each`] with the stream of
    /// [`Call::stream`](crate::Call::stream).
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
    /// Makes the call and registers `callback` for its outcome. The callback runs exactly once, in a later [`Client::poll`],
    /// [`Client::process`] or [`Client::close`], on this thread.
    ///
    /// # Errors
    /// The call was not made, and the callback does not run. INVALID_ARGUMENT if the name is invalid or the arguments cannot be
    /// encoded; RESOURCE_EXHAUSTED if the client's queue is full or too many callbacks are pending
    /// ([`callbacks_max`](crate::ClientBuilder::callbacks_max)).
    pub fn on_complete(self, callback: impl FnOnce(Result<T, CallError>) + 'static) -> Result<(), CallError> {
        let Client { pending, inbox, pending_max, .. } = self.client;
        if pending.borrow().len() >= *pending_max {
            return Err(CallError::queue_full("callbacks", *pending_max, "callbacks_max"));
        }
        // Decoded in the poll as well: the program's types stay on its thread.
        let run = Pending::Callback(Box::new(move |outcome| callback(decode(outcome))));
        let key = pending.borrow_mut().insert(run);
        let inbox = Arc::clone(inbox);
        let made = self.call.try_on_complete_encoded(move |outcome| inbox.push(InboxEntry::Outcome(key, outcome)));
        made.inspect_err(|_| drop(pending.borrow_mut().remove(key)))
    }
}

impl Call<'_, ()> {
    /// Sends a one-way call: its outcome is dropped.
    ///
    /// # Errors
    /// The call was not made, as for [`Call::on_complete`].
    pub fn cast(self) -> Result<(), CallError> {
        self.call.try_cast()
    }
}
