//! A client for programs that are not async: whoever calls waits on their own thread.
//!
//! ```no_run
//! use callboard_clients::{CallError, blocking::Client};
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("tcp://127.0.0.1:5559")?;
//! let sum: i64 = client.call("calculator.add", (2, 3)).wait()?;
//! client.call("calculator.add", (sum, 37)).then(|sum: Result<i64, CallError>| println!("{sum:?}"))?;
//! client.call("log.write", ("hello",)).cast()?;
//! client.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! It is the async [`Client`](crate::Client) behind: the same threads, the same promises, callbacks on the client's own thread. A
//! clone is the same client, and any number of threads may call through one. Not for async functions: there it would hold up
//! the thread that runs others, and the async client is the one to use.

use std::{pin::pin, time::Duration};

use bytestring::ByteString;
use callboard_core::{
    body::Arguments,
    wire::envelope::{Effect, Priority},
};
use futures::{
    executor::block_on,
    future::{Either, select},
};
use serde::de::DeserializeOwned;

use crate::{CallError, CloseError, ConnectError, Statistics, serving::Serving};

/// A client whose calls block the thread that makes them. Cheap to clone: a clone is the same client.
#[derive(Clone, Debug)]
pub struct Client(crate::Client);

/// A call in the making. Nothing happens before one of its endings: [`wait`](Call::wait), [`then`](Call::then),
/// [`cast`](Call::cast).
#[must_use = "a call is made by one of its endings: .wait(), .then(callback), .cast()"]
#[derive(Debug)]
pub struct Call<T>(crate::Call<T>);

impl Client {
    /// Connects to the broker at `address`, `tcp://HOST:PORT` or `ipc://PATH`, and blocks until it lets the client in, at most
    /// the default time-out of 30 s. For other settings: [`ClientBuilder::connect_blocking`](crate::ClientBuilder::connect_blocking).
    ///
    /// # Errors
    /// [`ConnectError`] says what was tried, what came of it, and what to do.
    pub fn connect(address: impl Into<String>) -> Result<Client, ConnectError> {
        crate::Client::builder(address).connect_blocking()
    }

    /// Begins a call of `method`, as [`Client::call`](crate::Client::call) does.
    pub fn call<T>(&self, method: impl Into<ByteString>, arguments: impl Arguments) -> Call<T> {
        Call(self.0.call(method, arguments))
    }

    /// Closes the client, for all its handles, as [`Client::close`](crate::Client::close) does; blocks until that is done.
    ///
    /// # Errors
    /// [`CloseError`] says what could not be brought to its end in time. The client is closed all the same.
    pub fn close(&self) -> Result<(), CloseError> {
        block_on(self.0.close())
    }

    /// What the client has counted so far.
    pub fn statistics(&self) -> Statistics {
        self.0.statistics()
    }

    /// The same client for async code.
    pub fn as_async(&self) -> &crate::Client {
        &self.0
    }
}

impl From<crate::Client> for Client {
    fn from(client: crate::Client) -> Client {
        Client(client)
    }
}

impl<T> Call<T> {
    /// How long it may take in all, in the place of the client's default. Zero is up at once.
    pub fn timeout(self, span: Duration) -> Call<T> {
        Call(self.0.timeout(span))
    }

    /// It may take as long as it takes. It still ends when its worker is lost, or the client is closed.
    pub fn no_timeout(self) -> Call<T> {
        Call(self.0.no_timeout())
    }

    /// Where nobody serves the service now, wait for a worker as long as the time-out allows.
    pub fn wait_for_ready(self) -> Call<T> {
        Call(self.0.wait_for_ready())
    }

    /// What this call may do to the world, where that is to be stricter than what the method's worker declared.
    pub fn effect(self, effect: Effect) -> Call<T> {
        Call(self.0.effect(effect))
    }

    /// How soon it is to have its turn, beside other calls of the same key (or address).
    pub fn priority(self, priority: Priority) -> Call<T> {
        Call(self.0.priority(priority))
    }
}

impl<T: DeserializeOwned + 'static> Call<T> {
    /// Makes the call and blocks until it has ended, its time-out at the latest. In a handler it ends CANCELLED when nobody waits for
    /// the handler any more.
    ///
    /// # Errors
    /// [`CallError`], as when a call is awaited.
    pub fn wait(self) -> Result<T, CallError> {
        let call = self.0.into_future();
        let Some(serving) = Serving::here() else { return block_on(call) };
        // The cancel is looked at second: an outcome that is there counts.
        match block_on(select(pin!(call), pin!(serving.cancelled()))) {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(CallError::served_call_given_up()),
        }
    }

    /// Makes the call and goes on; `callback` gets the outcome, on the client's own callback thread. Blocks only for as long
    /// as the client's queue is full. See [`Call::then`](crate::Call::then).
    ///
    /// # Errors
    /// The call was not made, and the callback will not run.
    pub fn then<F>(self, callback: F) -> Result<(), CallError>
    where
        F: FnOnce(Result<T, CallError>) + Send + 'static,
    {
        block_on(self.0.then(callback))
    }
}

impl Call<()> {
    /// Makes the call and goes on; nobody learns what becomes of it. Blocks only for as long as the client's queue is full. See
    /// [`Call::cast`](crate::Call::cast).
    ///
    /// # Errors
    /// The call was not made.
    pub fn cast(self) -> Result<(), CallError> {
        block_on(self.0.cast())
    }
}
