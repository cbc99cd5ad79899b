//! A client for programs with a loop of their own, such as a game, a window, a `select` over sockets: nothing blocks, and callbacks
//! run when and where the program lets them.
//!
//! ```no_run
//! use std::{cell::Cell, rc::Rc, time::Duration};
//! use callboard_clients::{CallError, polled::Client};
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("tcp://127.0.0.1:5559")?;
//! let sum = Rc::new(Cell::new(None));
//! let seen = Rc::clone(&sum);
//! client.call("calculator.add", (2, 3)).on_complete(move |outcome: Result<i64, CallError>| seen.set(outcome.ok()))?;
//! while client.pending() > 0 {
//!     // Draw, read the mouse, and once in every round:
//!     client.poll();
//!     // A program with nothing else to do waits for what comes:
//!     client.process(Duration::from_millis(10));
//! }
//! assert_eq!(sum.get(), Some(5));
//! client.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! Items of a stream go to a callback, too ([`Client::for_each`], [`Call::stream`]); calls of a stub are made by [`Client::on_complete`]; and
//! [`Client::run`] runs a future in the polls.
//!
//! The connection, the time-outs and the heartbeats live on the client's own threads as they do for the async
//! [`Client`](crate::Client), so a program that does not poll for a minute loses nothing. Only the callbacks wait for it.

mod bell;
mod call;
mod inbox;
mod task;

use std::{
    cell::RefCell,
    fmt, mem,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use bytes::Bytes;
use callboard_core::body::Arguments;
use futures::Stream;
use slab::Slab;

pub use self::call::Call;
pub(crate) use self::inbox::Inbox;
use self::{
    inbox::Arrival,
    task::{Each, Nudge, Once, Task},
};
use crate::{CallError, CloseError, ConnectError, Statistics, blocking};

/// Polls at the end of a client: far more than callbacks that call each other take, but a future that is always ready must not keep the
/// client from its end.
const ROUNDS_MAX: usize = 10_000;

/// What a callback does with its call's outcome. Not `Send`: it stays on the thread that made the call.
type Run = Box<dyn FnOnce(Result<Bytes, CallError>)>;

/// A client that is polled. It belongs to one thread, and so do its callbacks, which may hold what is not `Send`.
///
/// Exactly one outcome for each call, as everywhere: the result, the error, the time-out. Dropping the client runs the callbacks
/// that are still pending with CANCELLED, on the spot, but on a thread that is panicking; [`Client::close`] also makes sure that what was
/// sent has arrived.
#[derive(Debug)]
pub struct Client {
    client: crate::Client,
    pending: RefCell<Slab<Pending>>,
    inbox: Arc<Inbox>,
    pending_max: usize,
}

/// What waits for the program's polls.
enum Pending {
    /// A callback that waits for its outcome.
    Callback(Run),
    Task(Task),
    /// A task that runs at this moment; whether it could go on again meanwhile.
    Running {
        again: bool,
    },
}

impl Client {
    /// A client of the broker at `address`, `tcp://HOST:PORT` or `ipc://PATH`. Returns at once; the connection is made in the
    /// background, and calls wait for it, within their time-out.
    ///
    /// # Errors
    /// [`ConnectError`] if the address is none, or the system has no threads or pipe for the client.
    pub fn new(address: impl Into<String>) -> Result<Client, ConnectError> {
        crate::Client::builder(address).polled()
    }

    /// A client that leaves its outcomes in `inbox`.
    pub(crate) fn over(client: crate::Client, inbox: Inbox, pending_max: usize) -> Client {
        Client { client, pending: RefCell::default(), inbox: Arc::new(inbox), pending_max }
    }

    /// Begins a call of `method`, as [`Client::call`](crate::Client::call) does.
    pub fn call<T>(&self, method: impl AsRef<str>, arguments: impl Arguments) -> Call<'_, T> {
        Call::new(self, self.client.call(method, arguments))
    }

    /// Makes a call of a stub and goes on: `client.on_complete(users.get_user(5), callback)`, where the stub is made by
    /// `UserManagerClient::from(&client)`. `callback` gets the outcome, exactly once, in a later [`Client::poll`], [`Client::process`]
    /// or [`Client::close`], on this thread. Where the client's queue is full the call waits for room, within its time-out.
    ///
    /// # Errors
    /// The call was not made, and the callback will not run: RESOURCE_EXHAUSTED if too many callbacks are pending.
    pub fn on_complete<T, F>(
        &self,
        call: impl IntoFuture<Output = Result<T, F>, IntoFuture: 'static>,
        callback: impl FnOnce(Result<T, F>) + 'static,
    ) -> Result<(), CallError>
    where
        T: 'static,
        F: From<CallError> + 'static,
    {
        self.task(|waker| {
            let mut call = Box::pin(call.into_future());
            // It goes out now, and not with the next poll.
            let first = call.as_mut().poll(&mut Context::from_waker(waker));
            if first.is_ready() {
                waker.wake_by_ref();
            }
            let callback = Once::new(callback);
            async move {
                callback.tell(match first {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending => call.await,
                });
            }
        })
    }

    /// Tells `callback` the items of a call as they come, some in each [`Client::poll`] and [`Client::process`], on this thread: what
    /// `next` of the stream would say. Last it is told `None`, the end, or an error. A program that does not poll holds the handler
    /// back, at 64 items or 256 KiB.
    ///
    /// ```no_run
    /// # fn example(client: callboard_clients::polled::Client) -> Result<(), callboard_clients::CallError> {
    /// let count = client.as_async().call::<()>("numbers.count", (3,)).stream::<u64>();
    /// client.for_each(count, |number| match number {
    ///     Some(Ok(number)) => println!("{number}"),
    ///     Some(Err(error)) => println!("no more: {error}"),
    ///     None => println!("these were all"),
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if too many callbacks are pending; the callback will not run, and the call is cancelled.
    pub fn for_each<T, F>(
        &self,
        items: impl Stream<Item = Result<T, F>> + Unpin + 'static,
        callback: impl FnMut(Option<Result<T, F>>) + 'static,
    ) -> Result<(), CallError>
    where
        T: 'static,
        F: From<CallError> + 'static,
    {
        self.task(|waker| {
            waker.wake_by_ref();
            Each::new(callback).tell(items)
        })
    }

    /// Runs a future, on this thread, in [`Client::poll`] and [`Client::process`]: for calls that send items, and for whatever is easier
    /// said one after another. It counts among the callbacks. It may make calls by [`Client::as_async`]; it must not block. One that has
    /// not ended when the client is closed or dropped is dropped.
    ///
    /// ```no_run
    /// # fn example(client: callboard_clients::polled::Client) -> Result<(), callboard_clients::CallError> {
    /// let (mut numbers, sum) = client.as_async().call::<i64>("numbers.sum", ()).upload::<i64>();
    /// client.run(async move {
    ///     for number in 1..=1_000 {
    ///         if numbers.send(&number).await.is_err() {
    ///             break; // the outcome says why
    ///         }
    ///     }
    ///     numbers.end();
    ///     println!("{:?}", sum.await);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if too many callbacks are pending; the future is dropped.
    pub fn run(&self, future: impl Future<Output = ()> + 'static) -> Result<(), CallError> {
        self.task(|waker| {
            waker.wake_by_ref();
            future
        })
    }

    /// Takes a place for the task that `begin` makes, which is given its waker.
    fn task<F>(&self, begin: impl FnOnce(&Waker) -> F) -> Result<(), CallError>
    where
        F: Future<Output = ()> + 'static,
    {
        if self.pending() >= self.pending_max {
            return Err(CallError::full("callbacks", self.pending_max, "callbacks_max"));
        }
        let key = self.pending.borrow_mut().insert(Pending::Running { again: false });
        let nudge = Nudge::new(&self.inbox, key);
        let future = begin(&Waker::from(Arc::clone(&nudge)));
        self.pending.borrow_mut()[key] = Pending::Task(Task::new(future, nudge));
        Ok(())
    }

    /// Runs the callbacks whose outcomes are there, on this thread, in the order of the outcomes, and the futures that can go on. Never
    /// blocks. Returns how many ran.
    ///
    /// A callback may make calls, and may poll. What becomes ready while callbacks run is left for the next time.
    ///
    /// # Panics
    /// When a callback does. The callbacks behind it run the next time.
    pub fn poll(&self) -> usize {
        let mut ran = 0;
        for _ in 0..self.inbox.len() {
            // A callback that polls, too, may have taken the rest.
            match self.inbox.take() {
                Some(Arrival::Outcome(key, outcome)) => self.tell(key, outcome),
                Some(Arrival::Task(key)) => task::run(&self.pending, key),
                None => break,
            }
            ran += 1;
        }
        ran
    }

    /// As [`Client::poll`], but waits for the first outcome, at most for so long. Returns at once where nothing is pending.
    ///
    /// # Panics
    /// When a callback does.
    pub fn process(&self, at_most: Duration) -> usize {
        if self.pending() > 0 {
            self.inbox.wait(at_most);
        }
        self.poll()
    }

    /// Callbacks that have not heard their end yet, and futures that run.
    pub fn pending(&self) -> usize {
        self.pending.borrow().len()
    }

    /// The same client for async code, such as futures that [`Client::run`] runs.
    pub fn as_async(&self) -> &crate::Client {
        &self.client
    }

    /// What the client has counted so far.
    pub fn statistics(&self) -> Statistics {
        self.client.statistics()
    }

    /// Closes the client. Blocks until what was sent, casts too, has reached the broker, at most the client's close time-out, and runs
    /// every pending callback on this thread, with CANCELLED where its call has not ended.
    ///
    /// # Errors
    /// [`CloseError`] says what could not be brought to its end in time. The client is closed, and the callbacks have
    /// run, all the same.
    ///
    /// # Panics
    /// When a callback does.
    pub fn close(self) -> Result<(), CloseError> {
        let closed = blocking::block_on(self.client.close());
        self.finish();
        closed
    }

    /// Runs what is ready, and what that makes ready.
    fn finish(&self) {
        for _ in 0..ROUNDS_MAX {
            if self.poll() == 0 {
                break;
            }
        }
    }

    fn tell(&self, key: usize, outcome: Result<Bytes, CallError>) {
        // Nothing is borrowed while it runs: it may make calls.
        let pending = self.pending.borrow_mut().remove(key);
        if let Pending::Callback(run) = pending {
            run(outcome);
        }
    }
}

impl AsFd for Client {
    /// A file descriptor that is readable while callbacks are ready: for a `select`, `poll` or `epoll` of the program's own. To be waited
    /// on, not to be read; [`Client::poll`] makes it unreadable again.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inbox.as_fd()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        self.finish();
        let left = mem::take(&mut *self.pending.borrow_mut());
        for (_, pending) in left {
            match pending {
                Pending::Callback(run) => run(Err(CallError::abandoned())),
                // Its callback is told as it is dropped.
                Pending::Task(_) | Pending::Running { .. } => {}
            }
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pending::Callback(_) => "Callback",
            Pending::Task(_) => "Task",
            Pending::Running { .. } => "Running",
        })
    }
}
