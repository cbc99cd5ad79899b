//! The handle of a client.

use std::sync::{Arc, PoisonError, atomic::Ordering};

use bytestring::ByteString;
use callboard_core::{body::Arguments, time::Time};

use crate::{
    alarm::Alarm,
    builder::ClientBuilder,
    call::Call,
    close_error::CloseError,
    connect_error::ConnectError,
    proxy::Proxy,
    request::Request,
    shared::{Command, Shared},
    state::{Stage, State},
    statistics::Statistics,
};

/// A client: makes calls through a broker, thousands at a time on one connection.
///
/// It is a handle: a clone is the same client, and cheap. A thread of the client's own keeps the connection, so that nothing that the
/// program or a callback does can stop its heartbeats; a lost connection is made again, and what may be sent again is. Futures of
/// a client run on any executor.
///
/// The client ends with [`close`](Client::close), or when its last handle is dropped; then it says goodbye in the background, and
/// nobody learns whether what was sent last arrived.
///
/// ```no_run
/// use callboard_clients::Client;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::connect("tcp://127.0.0.1:5559").await?;
/// let sum: i64 = client.call("calculator.add", (2, 3)).await?;
/// assert_eq!(sum, 5);
/// client.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

impl Client {
    /// Connects to the broker at `address`, `tcp://HOST:PORT` or `ipc://PATH`, and waits until it lets the client in, at
    /// most the default time-out of 30 s. A broker that is not there yet is waited for.
    ///
    /// # Errors
    /// [`ConnectError`] says what was tried, what came of it, and what to do.
    ///
    /// # Cancel safety
    /// Dropping the future drops the client.
    pub async fn connect(address: impl Into<String>) -> Result<Client, ConnectError> {
        Client::builder(address).connect().await
    }

    /// A client with settings of its own.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use callboard_clients::Client;
    ///
    /// # fn example() -> Result<(), callboard_clients::ConnectError> {
    /// let client = Client::builder("tcp://127.0.0.1:5559").name("billing").timeout(Duration::from_secs(5)).connect_lazily()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(address.into())
    }

    /// Begins a call of `method`, a `SERVICE.METHOD`. Nothing happens before one of the endings of [`Call`]: `.await`,
    /// [`on_complete`](Call::on_complete), [`cast`](Call::cast).
    ///
    /// `arguments` are a tuple, by position, or `named(..)` or an `ArgumentMap`. The result's type is that which the program
    /// wants: whatever serde can read.
    ///
    /// ```no_run
    /// # async fn example(client: callboard_clients::Client) -> Result<(), callboard_clients::CallError> {
    /// use callboard_clients::named;
    ///
    /// let difference: i64 = client.call("calculator.sub", named([("y", 3), ("x", 2)])).await?;
    /// let names = client.call::<Vec<String>>("users.names", ()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call<T>(&self, method: impl AsRef<str>, arguments: impl Arguments) -> Call<T> {
        let request = Request::new(method.as_ref(), &arguments, self.shared.timeout);
        Call::new(Arc::clone(&self.shared), request)
    }

    /// A service whose methods are called by name: `client.service("calculator").call("add", (2, 3))`.
    pub fn service(&self, name: impl Into<ByteString>) -> Proxy {
        Proxy::new(self.clone(), name.into())
    }

    /// Closes the client, for all its handles: every pending call ends CANCELLED, casts that wait are sent, goodbye is said.
    ///
    /// Returns when all that was sent, casts too, has reached the broker, and every callback has run; at most
    /// [`close_timeout`](ClientBuilder::close_timeout) later. In a callback it does not wait for callbacks. Closing again waits for
    /// the same end. Calls that are made later fail with FAILED_PRECONDITION.
    ///
    /// # Errors
    /// [`CloseError`] says what could not be brought to its end in time. The client is closed all the same.
    ///
    /// # Cancel safety
    /// Once polled, the client closes, also if the future is dropped.
    pub async fn close(&self) -> Result<(), CloseError> {
        self.begin_close();
        let in_callback = self.shared.lines.callbacks.is_this_thread();
        let end = |stage: &Stage| if in_callback { stage.left() } else { stage.ended() };
        let mut state = self.shared.state.clone();
        let last = match state.wait_for(|state| end(&state.stage).is_some()).await {
            Ok(state) => end(&state.stage),
            // The link thread ended without a word, by a panic: it says so itself.
            Err(_) => None,
        };
        last.unwrap_or(Err(CloseError::Unconfirmed))
    }

    fn begin_close(&self) {
        if !self.shared.closing.swap(true, Ordering::AcqRel) {
            self.shared.lines.queue.close();
            self.shared.lines.callbacks.room.close();
            // An error is a link thread that has ended already.
            let _ = self.shared.lines.commands.push(Command::Close);
        }
    }

    /// What the client has counted so far.
    pub fn statistics(&self) -> Statistics {
        let lines = &self.shared.lines;
        let (callbacks_run, callbacks_panicked) = lines.callbacks.counts();
        let counted = *lines.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        Statistics { callbacks_run, callbacks_panicked, ..counted }
    }

    pub(crate) fn new(shared: Shared) -> Client {
        Client { shared: Arc::new(shared) }
    }

    /// Waits until the broker has let the client in, as long as a call may take.
    pub(crate) async fn joined(self) -> Result<Client, ConnectError> {
        let shared = &*self.shared;
        let deadline: Option<Time> = shared.timeout.map(|timeout| shared.clock.now() + timeout);
        let mut state = shared.state.clone();
        tokio::select! {
            biased;
            // Both may be dropped: they only look.
            _ = state.wait_for(State::is_settled) => {}
            () = Alarm::at(deadline, shared.clock, &shared.link_thread) => {}
        }
        let State { stage, trouble } = shared.state.borrow().clone();
        match (stage, trouble) {
            (Stage::Joined, _) => Ok(self),
            (Stage::Refused(failure), _) => Err(ConnectError::refused(&shared.address, failure)),
            (_, Some(trouble)) if !trouble.is_transient => {
                Err(ConnectError::bad_address(&shared.address, trouble.message))
            }
            (_, trouble) => Err(ConnectError::no_broker(&shared.address, shared.timeout, trouble)),
        }
    }
}
