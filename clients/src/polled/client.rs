//! The polled client.

use std::{
    cell::RefCell,
    mem,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use slab::Slab;

use super::{
    callback::{ItemCallback, OutcomeCallback},
    inbox::{Inbox, InboxEntry},
    pending::{Pending, run_task},
    task::{Task, TaskWaker},
};
use crate::{
    blocking::wait::block_on,
    client::{Client as AsyncClient, builder::ClientBuilder},
    error::{call_error::CallError, close_error::CloseError, connect_error::ConnectError},
    shared::statistics::Statistics,
};

/// The limit of polls at the end of a client. Far above what callbacks that call each other need; it ends a client whose future is
/// always ready.
const FINAL_POLLS_MAX: usize = 10_000;

/// A client that is polled. It belongs to one thread, and so do its callbacks, which need not be `Send`.
///
/// Each call has exactly one outcome: a result, an error or a timeout. Dropping the client runs the pending callbacks with CANCELLED at
/// once, unless the thread is panicking. [`Client::close`] also ensures that what was sent has arrived.
#[derive(Debug)]
pub struct Client {
    client: AsyncClient,
    pub(super) pending: RefCell<Slab<Pending>>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) pending_max: usize,
}

impl Client {
    /// Creates a client of the broker at `address`, `tcp://HOST:PORT` or `ipc://PATH`. Returns at once; the client connects in the
    /// background, and calls wait for the connection, within their timeout.
    ///
    /// # Errors
    /// [`ConnectError`] if the address is invalid, or the system provides no threads or pipe for the client.
    pub fn new(address: impl Into<String>) -> Result<Client, ConnectError> {
        AsyncClient::builder(address).polled()
    }

    /// Makes a call of a stub and registers `callback` for its outcome: `client.on_complete(users.get_user(5), callback)`, where
    /// `UserManagerClient::from(&client)` creates the stub. The callback runs exactly once, in a later [`Client::poll`],
    /// [`Client::process`] or [`Client::close`], on this thread. If the client's queue is full, the call waits for capacity, within its
    /// timeout.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if too many callbacks are pending. The call was not made, and the callback does not run.
    pub fn on_complete<T, F>(
        &self,
        call: impl IntoFuture<Output = Result<T, F>, IntoFuture: 'static>,
        callback: impl FnOnce(Result<T, F>) + 'static,
    ) -> Result<(), CallError>
    where
        T: 'static,
        F: From<CallError> + 'static,
    {
        self.start_task(|waker| {
            let mut call = Box::pin(call.into_future());
            // Polled now, so that the call is made at once and not in the next poll of the client.
            let first = call.as_mut().poll(&mut Context::from_waker(waker));
            if first.is_ready() {
                waker.wake_by_ref();
            }
            let callback = OutcomeCallback::new(callback);
            async move {
                callback.run(match first {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending => call.await,
                });
            }
        })
    }

    /// Passes the items of a call to `callback` as they arrive: what `next` of the stream returns. Some items are passed in each
    /// [`Client::poll`] and [`Client::process`], on this thread. The last argument is `None`, the end, or an error. A program that does
    /// not poll applies backpressure to the handler, at 1,024 items or 256 KiB.
    ///
    /// ```no_run
    /// # fn example(client: callboard_clients::polled::Client) -> Result<(), callboard_clients::CallError> {
    /// let count = client.as_async().call::<()>("numbers.count", (3,)).stream::<u64>();
    /// client.for_each(count, |number| match number {
    ///     Some(Ok(number)) => println!("{number}"),
    ///     Some(Err(error)) => println!("no more: {error}"),
    ///     None => println!("the end"),
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if too many callbacks are pending. The callback does not run, and the call is cancelled.
    pub fn for_each<T, F>(
        &self,
        items: impl Stream<Item = Result<T, F>> + Unpin + 'static,
        callback: impl FnMut(Option<Result<T, F>>) + 'static,
    ) -> Result<(), CallError>
    where
        T: 'static,
        F: From<CallError> + 'static,
    {
        self.start_task(|waker| {
            waker.wake_by_ref();
            ItemCallback::new(callback).run(items)
        })
    }

    /// Runs a future on this thread, in [`Client::poll`] and [`Client::process`]: for calls that send items, and for code that is easier
    /// to write as a sequence. It counts as a pending callback. It may make calls by [`Client::as_async`] and must not block. A future
    /// that has not completed when the client is closed or dropped is dropped.
    ///
    /// ```no_run
    /// # fn example(client: callboard_clients::polled::Client) -> Result<(), callboard_clients::CallError> {
    /// let (mut numbers, sum) = client.as_async().call::<i64>("numbers.sum", ()).upload::<i64>();
    /// client.run(async move {
    ///     for number in 1..=1_000 {
    ///         if numbers.send(&number).await.is_err() {
    ///             break; // the outcome is the reason
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
    /// RESOURCE_EXHAUSTED if too many callbacks are pending. The future is dropped.
    pub fn run(&self, future: impl Future<Output = ()> + 'static) -> Result<(), CallError> {
        self.start_task(|waker| {
            waker.wake_by_ref();
            future
        })
    }

    /// Starts the task that `create` returns. `create` receives the task's waker.
    fn start_task<F>(&self, create: impl FnOnce(&Waker) -> F) -> Result<(), CallError>
    where
        F: Future<Output = ()> + 'static,
    {
        if self.pending() >= self.pending_max {
            return Err(CallError::queue_full("callbacks", self.pending_max, "callbacks_max"));
        }
        let key = self.pending.borrow_mut().insert(Pending::Running { woken: false });
        let task_waker = TaskWaker::new(&self.inbox, key);
        let future = create(&Waker::from(Arc::clone(&task_waker)));
        self.pending.borrow_mut()[key] = Pending::Task(Task::new(future, task_waker));
        Ok(())
    }

    /// Runs the callbacks whose outcomes have arrived, in the order of the outcomes, and the futures that can make progress. Runs them
    /// on this thread and never blocks. Returns the number of those that ran.
    ///
    /// A callback may make calls, and may poll. What becomes ready meanwhile runs in the next poll.
    ///
    /// # Panics
    /// If a callback panics. The callbacks behind it run in the next poll.
    pub fn poll(&self) -> usize {
        let mut ran = 0;
        for _ in 0..self.inbox.len() {
            // A callback that polls may have taken the remaining entries.
            match self.inbox.take() {
                Some(InboxEntry::Outcome(key, outcome)) => self.run_callback(key, outcome),
                Some(InboxEntry::Task(key)) => run_task(&self.pending, key),
                None => break,
            }
            ran += 1;
        }
        ran
    }

    /// Polls as [`Client::poll`], but waits up to `at_most` for the first outcome. Returns at once if nothing is
    /// pending.
    ///
    /// # Panics
    /// If a callback panics.
    pub fn process(&self, at_most: Duration) -> usize {
        if self.pending() > 0 {
            self.inbox.wait(at_most);
        }
        self.poll()
    }

    /// Returns the number of callbacks that still wait for an outcome or for items, and of running futures.
    pub fn pending(&self) -> usize {
        self.pending.borrow().len()
    }

    /// Returns the same client for async code, such as futures that [`Client::run`] runs.
    pub fn as_async(&self) -> &AsyncClient {
        &self.client
    }

    /// Returns the client's counters.
    pub fn statistics(&self) -> Statistics {
        self.client.statistics()
    }

    /// Closes the client. Blocks until what was sent, including casts, has reached the broker, at most for the client's close timeout.
    /// Runs every pending callback on this thread, with CANCELLED if its call has not ended.
    ///
    /// # Errors
    /// [`CloseError`] if the close could not be completed in time. The client is closed, and the callbacks have run, nevertheless.
    ///
    /// # Panics
    /// If a callback panics.
    pub fn close(self) -> Result<(), CloseError> {
        let closed = block_on(self.client.close());
        self.finish();
        closed
    }

    /// Polls until nothing is ready.
    fn finish(&self) {
        for _ in 0..FINAL_POLLS_MAX {
            if self.poll() == 0 {
                break;
            }
        }
    }

    fn run_callback(&self, key: usize, outcome: Result<Bytes, CallError>) {
        // Not borrowed while the callback runs, because it may make calls.
        let pending = self.pending.borrow_mut().remove(key);
        if let Pending::Callback(run) = pending {
            run(outcome);
        }
    }
}

impl ClientBuilder {
    /// Creates a client for a program that polls; it connects in the background.
    ///
    /// # Errors
    /// [`ConnectError`] if the address is invalid, or the system provides no threads or files for the client.
    pub fn polled(self) -> Result<Client, ConnectError> {
        let inbox = Inbox::new().map_err(|error| ConnectError::system(self.address(), error))?;
        let pending_max = self.pending_callbacks_max();
        let client = self.with_io_thread().connect_lazily()?;
        Ok(Client { client, pending: RefCell::default(), inbox: Arc::new(inbox), pending_max })
    }
}

impl AsFd for Client {
    /// Returns a file descriptor that is readable while callbacks are ready, for the program's own `select`, `poll` or `epoll`. Wait on
    /// it, but do not read from it; [`Client::poll`] makes it unreadable again.
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
        let remaining = mem::take(&mut *self.pending.borrow_mut());
        for (_, pending) in remaining {
            match pending {
                Pending::Callback(run) => run(Err(CallError::client_dropped())),
                // Dropping the task runs its callback.
                Pending::Task(_) | Pending::Running { .. } => {}
            }
        }
    }
}
