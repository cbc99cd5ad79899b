//! A client for programs that are not async: whoever calls waits on their own thread.
//!
//! ```no_run
//! use callboard_clients::{CallError, blocking::Client};
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("tcp://127.0.0.1:5559")?;
//! let sum: i64 = client.call("calculator.add", (2, 3)).wait()?;
//! client.call("calculator.add", (sum, 37)).on_complete(|sum: Result<i64, CallError>| println!("{sum:?}"))?;
//! client.call("log.write", ("hello",)).cast()?;
//! client.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! Items of a call come as an iterator, and go by a sender that blocks:
//!
//! ```no_run
//! # fn example(client: callboard_clients::blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
//! for number in client.call::<()>("numbers.count", (3,)).stream::<u64>() {
//!     println!("{}", number?);
//! }
//! let (mut numbers, sum) = client.call::<i64>("numbers.sum", ()).upload::<i64>();
//! numbers.send(&5)?;
//! numbers.end();
//! assert_eq!(sum.wait()?, 5);
//! # Ok(())
//! # }
//! ```
//!
//! The stub of a trait is made of this client as well (`UsersClient::from(&client)`); its calls end with
//! [`wait`](crate::TypedCall::wait), and its streams become [`Items::from`] them.
//!
//! It is the async [`Client`](crate::Client) behind: the same threads, the same promises, callbacks on the client's own thread. A
//! clone is the same client, and any number of threads may call through one. Not for async functions: there it would hold up
//! the thread that runs others, and the async client is the one to use.

mod streams;
mod wait;

use std::time::Duration;

use callboard_core::{
    body::Arguments,
    wire::envelope::{Effect, Priority},
};
use serde::de::DeserializeOwned;

pub use self::streams::{ItemSender, Items, Reply};
pub(crate) use self::{streams::wait_for, wait::block_on};
use crate::{Answers, CallError, CloseError, ConnectError, Progress, ReplyFuture, ReplyStream, Statistics};

/// A client whose calls block the thread that makes them. Cheap to clone: a clone is the same client.
#[derive(Clone, Debug)]
pub struct Client(crate::Client);

/// A call in the making. Nothing happens before one of its endings: [`wait`](Call::wait), [`on_complete`](Call::on_complete),
/// [`cast`](Call::cast), and with items or progress [`stream`](Call::stream), [`upload`](Call::upload), [`duplex`](Call::duplex),
/// [`on_progress`](Call::on_progress).
#[must_use = "a call is made by one of its endings: .wait(), .on_complete(callback), .cast(), .stream(), .upload(), .duplex()"]
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
    pub fn call<T>(&self, method: impl AsRef<str>, arguments: impl Arguments) -> Call<T> {
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

    /// Where no worker serves the service now, wait for a worker as long as the time-out allows.
    pub fn wait_for_ready(self) -> Call<T> {
        Call(self.0.wait_for_ready())
    }

    /// Which calls it belongs to: of those with the same key of the same service only one runs at a time, all on one worker, in the
    /// order in which this client makes them. See [`crate::Call::key`].
    pub fn key(self, key: impl Into<String>) -> Call<T> {
        Call(self.0.key(key))
    }

    /// To every worker that serves the method, each answer in the result. See [`Call::broadcast`](crate::Call::broadcast).
    pub fn broadcast(self) -> Call<Answers<T>> {
        Call(self.0.broadcast())
    }

    /// What this call may do to the world, where that is to be stricter than what the method's worker declared.
    pub fn effect(self, effect: Effect) -> Call<T> {
        Call(self.0.effect(effect))
    }

    /// How soon it is to have its turn, beside other calls of the same key (or address).
    pub fn priority(self, priority: Priority) -> Call<T> {
        Call(self.0.priority(priority))
    }

    /// Of a stream that comes faster than it is read, keep only the newest item. Without a meaning for other calls.
    pub fn latest(self) -> Call<T> {
        Call(self.0.latest())
    }

    /// Makes the call, and reads the items that its handler sends. See [`Call::stream`](crate::Call::stream).
    pub fn stream<O>(self) -> Items<ReplyStream<O>> {
        self.0.stream().into()
    }

    /// Makes the call, and sends its handler items. See [`Call::upload`](crate::Call::upload).
    pub fn upload<I>(self) -> (ItemSender<I>, Reply<ReplyFuture<T>>)
    where
        T: DeserializeOwned,
    {
        let (items, reply) = self.0.upload();
        (items.into(), reply.into())
    }

    /// Makes the call, sends its handler items, and reads those that it sends: by two threads, or in turn where the handler answers
    /// each item. See [`Call::duplex`](crate::Call::duplex).
    pub fn duplex<I, O>(self) -> (ItemSender<I>, Items<ReplyStream<O>>) {
        let (sender, items) = self.0.duplex();
        (sender.into(), items.into())
    }

    /// Makes the call; [`Reply::wait`] tells `callback` how far the handler is, on its own thread. See
    /// [`Call::on_progress`](crate::Call::on_progress).
    pub fn on_progress(self, callback: impl FnMut(Progress) + Send + 'static) -> Reply<ReplyFuture<T>>
    where
        T: DeserializeOwned,
    {
        self.0.on_progress(callback).into()
    }
}

impl<T: DeserializeOwned + 'static> Call<T> {
    /// Makes the call and blocks until it has ended, its time-out at the latest. In a handler it ends CANCELLED when nobody waits for
    /// the handler any more.
    ///
    /// # Errors
    /// [`CallError`], as when a call is awaited.
    pub fn wait(self) -> Result<T, CallError> {
        wait_for(self.0.into_future()).unwrap_or_else(|| Err(CallError::served_call_given_up()))
    }

    /// Makes the call and goes on; `callback` gets the outcome, on the client's own callback thread. Blocks only for as long
    /// as the client's queue is full. See [`Call::on_complete`](crate::Call::on_complete).
    ///
    /// # Errors
    /// The call was not made, and the callback will not run.
    pub fn on_complete<F>(self, callback: F) -> Result<(), CallError>
    where
        F: FnOnce(Result<T, CallError>) + Send + 'static,
    {
        block_on(self.0.on_complete(callback))
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

    /// As [`cast`](Call::cast), to every worker that serves the method. See [`Call::cast_to_all`](crate::Call::cast_to_all).
    ///
    /// # Errors
    /// The call was not made.
    pub fn cast_to_all(self) -> Result<(), CallError> {
        block_on(self.0.cast_to_all())
    }
}
