//! The blocking client.

use callboard_core::body::Arguments;

use super::{call::Call, wait::block_on};
use crate::{
    client::{Client as AsyncClient, builder::ClientBuilder},
    error::{close_error::CloseError, connect_error::ConnectError},
    shared::statistics::Statistics,
};

/// A client whose calls block the thread that makes them. A clone is cheap and refers to the same client.
#[derive(Clone, Debug)]
pub struct Client(AsyncClient);

impl ClientBuilder {
    /// Creates the client and blocks until a broker accepts it. For programs that are not async; otherwise as
    /// [`connect`](ClientBuilder::connect).
    ///
    /// # Errors
    /// [`ConnectError`], with the failure, its reason and the remedy.
    pub fn connect_blocking(self) -> Result<Client, ConnectError> {
        block_on(self.with_io_thread().connect()).map(Client::from)
    }
}

impl Client {
    /// Connects to the broker at `address`, `tcp://HOST:PORT` or `ipc://PATH`, and blocks until it accepts the client, for at most the
    /// default timeout of 30 s. For other settings use [`ClientBuilder::connect_blocking`].
    ///
    /// # Errors
    /// [`ConnectError`], with the failure, its reason and the remedy.
    pub fn connect(address: impl Into<String>) -> Result<Client, ConnectError> {
        AsyncClient::builder(address).connect_blocking()
    }

    /// Creates a call of `method`, as [`Client::call`](crate::Client::call) does.
    pub fn call<T>(&self, method: impl AsRef<str>, arguments: impl Arguments) -> Call<T> {
        Call::new(self.0.call(method, arguments))
    }

    /// Closes the client, for all its handles, as [`Client::close`](crate::Client::close) does; blocks until that is done.
    ///
    /// # Errors
    /// [`CloseError`] if the close could not be completed in time. The client is closed nevertheless.
    pub fn close(&self) -> Result<(), CloseError> {
        block_on(self.0.close())
    }

    /// Returns the client's counters.
    pub fn statistics(&self) -> Statistics {
        self.0.statistics()
    }

    /// Returns the same client for async code.
    pub fn as_async(&self) -> &AsyncClient {
        &self.0
    }
}

impl From<AsyncClient> for Client {
    fn from(client: AsyncClient) -> Client {
        Client(client)
    }
}
