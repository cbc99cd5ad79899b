//! The client: its handle, its settings, and services by name.

pub(crate) mod builder;
mod driver_host;
pub(crate) mod proxy;

use std::sync::{Arc, PoisonError, atomic::Ordering};

use callboard_core::{body::Arguments, time::Time};

use crate::{
    call::{Call, request::Request},
    error::{close_error::CloseError, connect_error::ConnectError},
    shared::{
        command::Command,
        deadline_timer::DeadlineTimer,
        inner::ClientInner,
        state::{ClientState, ClientStatus},
        statistics::Statistics,
    },
};

/// A client, which makes calls through a broker: thousands at a time over one connection.
///
/// It is a handle: a clone is cheap and refers to the same client. The client's own I/O thread keeps the connection, so nothing that
/// the program or a callback does stops its heartbeats. The client reconnects after a lost connection and resends the calls that may
/// be resent. Its futures run on any executor.
///
/// [`close`](Client::close) closes the client. Dropping the last handle also closes it, in the background; the program does not learn
/// then whether the last casts arrived.
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
    inner: Arc<ClientInner>,
}

impl Client {
    /// Creates a call of `method`, written `SERVICE.METHOD`. One of the endings of [`Call`] makes the call: `.await`,
    /// [`on_complete`](Call::on_complete), [`cast`](Call::cast).
    ///
    /// `arguments` is a tuple, which passes them by position, or `named(..)` or an `ArgumentMap`. `T` is any type that serde can
    /// deserialize.
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
        let request = Request::new(method.as_ref(), &arguments, self.inner.timeout);
        Call::new(Arc::clone(&self.inner), request)
    }

    /// Closes the client for all its handles: pending calls end CANCELLED, queued casts are sent, and the broker confirms the goodbye.
    ///
    /// Returns when all that was sent, including casts, has reached the broker and every callback has run, at most
    /// [`close_timeout`](crate::ClientBuilder::close_timeout) later. In a callback it does not wait for callbacks. Closing again waits
    /// for the same end. Calls that are made later fail with FAILED_PRECONDITION.
    ///
    /// # Errors
    /// [`CloseError`] if the close could not be completed in time. The client is closed nevertheless.
    ///
    /// # Cancel safety
    /// Once the future was polled, the client closes, also if the future is dropped.
    pub async fn close(&self) -> Result<(), CloseError> {
        self.start_close();
        let in_callback = self.inner.channels.callbacks.is_current_thread();
        let end = |state: &ClientState| if in_callback { state.disconnected() } else { state.closed() };
        let mut status = self.inner.status.clone();
        let last = match status.wait_for(|status| end(&status.state).is_some()).await {
            Ok(status) => end(&status.state),
            // The I/O thread ended by a panic, which is on stderr.
            Err(_) => None,
        };
        last.unwrap_or(Err(CloseError::Unconfirmed))
    }

    fn start_close(&self) {
        if !self.inner.closing.swap(true, Ordering::AcqRel) {
            self.inner.channels.queue.close();
            self.inner.channels.callbacks.capacity.close();
            // An error means that the I/O thread has already ended.
            let _ = self.inner.channels.commands.push(Command::Close);
        }
    }

    /// Returns the client's counters.
    pub fn statistics(&self) -> Statistics {
        let channels = &self.inner.channels;
        let (callbacks_run, callbacks_panicked) = channels.callbacks.counts();
        let counted = *channels.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        Statistics { callbacks_run, callbacks_panicked, ..counted }
    }

    pub(crate) fn new(inner: ClientInner) -> Client {
        Client { inner: Arc::new(inner) }
    }

    /// Waits until the broker has accepted the client, for at most the default timeout of a call.
    pub(crate) async fn connected(self) -> Result<Client, ConnectError> {
        let inner = &*self.inner;
        let deadline: Option<Time> = inner.timeout.map(|timeout| inner.clock.now() + timeout);
        let mut status = inner.status.clone();
        tokio::select! {
            biased;
            // Cancel safe, as is the next one: only watches.
            _ = status.wait_for(ClientStatus::is_settled) => {}
            () = DeadlineTimer::new(deadline, inner.clock, &inner.runtime) => {}
        }
        let ClientStatus { state, last_failure } = inner.status.borrow().clone();
        match (state, last_failure) {
            (ClientState::Connected, _) => Ok(self),
            (ClientState::Rejected(failure), _) => Err(ConnectError::rejected(&inner.address, failure)),
            (_, Some(failure)) if !failure.is_transient => {
                Err(ConnectError::bad_address(&inner.address, failure.message))
            }
            (_, failure) => Err(ConnectError::no_broker(&inner.address, inner.timeout, failure)),
        }
    }
}
