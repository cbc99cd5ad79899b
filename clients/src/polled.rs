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
//! client.call("calculator.add", (2, 3)).then(move |outcome: Result<i64, CallError>| seen.set(outcome.ok()))?;
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
//! The connection, the time-outs and the heartbeats live on the client's own threads as they do for the async
//! [`Client`](crate::Client), so a program that does not poll for a minute loses nothing. Only the callbacks wait for it.

mod bell;
mod call;
mod inbox;

use std::{
    cell::RefCell,
    fmt, mem,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    thread,
    time::Duration,
};

use bytes::Bytes;
use bytestring::ByteString;
use callboard_core::body::Arguments;
use slab::Slab;

pub use self::call::Call;
pub(crate) use self::inbox::Inbox;
use crate::{CallError, CloseError, ConnectError, Statistics};

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

/// A callback that waits for its outcome.
struct Pending(Run);

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
    pub fn call<T>(&self, method: impl Into<ByteString>, arguments: impl Arguments) -> Call<'_, T> {
        Call::new(self, self.client.call(method, arguments))
    }

    /// Runs the callbacks whose outcomes are there, on this thread, in the order of the outcomes. Never blocks. Returns how many ran.
    ///
    /// A callback may make calls, and may poll. What becomes ready while callbacks run is left for the next time.
    ///
    /// # Panics
    /// When a callback does. The callbacks behind it run the next time.
    pub fn poll(&self) -> usize {
        let mut ran = 0;
        for _ in 0..self.inbox.len() {
            // A callback that polls, too, may have taken the rest.
            let Some((key, outcome)) = self.inbox.take() else { break };
            self.run(key, outcome);
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

    /// Callbacks that have not run yet.
    pub fn pending(&self) -> usize {
        self.pending.borrow().len()
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
        let closed = futures::executor::block_on(self.client.close());
        while self.poll() > 0 {}
        closed
    }

    fn run(&self, key: usize, outcome: Result<Bytes, CallError>) {
        // Nothing is borrowed while it runs: it may make calls.
        let Pending(run) = self.pending.borrow_mut().remove(key);
        run(outcome);
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
        while self.poll() > 0 {}
        let left = mem::take(&mut *self.pending.borrow_mut());
        left.into_iter().for_each(|(_, Pending(run))| run(Err(CallError::abandoned())));
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}
