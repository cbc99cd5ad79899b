//! The settings of a client.
//!
//! The functions that start a builder, [`Client::connect`] and [`Client::builder`], are here, so that only this file depends on the
//! other.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use callboard_core::{
    auth::AuthKey,
    peer,
    wire::limits::{CLIENT_QUEUE_CALLS_MAX, HEARTBEAT_DEFAULT, TIMEOUT_DEFAULT},
};
use callboard_transport::{Clock, CurveKeys, check_address, new_session_id};
use tokio::sync::watch;

use super::{Client, driver_host::DriverHost};
use crate::{
    driver::{self, Driver, Placement},
    error::connect_error::ConnectError,
    shared::{channels::ThreadChannels, inner::ClientInner, state::ClientStatus},
};

/// The default limit of pending callbacks: some hundreds of bytes each, so about ten megabytes in all.
const CALLBACKS_MAX_DEFAULT: usize = 65_536;
/// A healthy broker answers a goodbye within milliseconds; casts that wait for credit may take longer.
const CLOSE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// The settings of a [`Client`]. [`Client::builder`] creates them; [`connect`](ClientBuilder::connect) creates the client.
#[derive(Clone, Debug)]
#[must_use = "a client is created by .connect().await or .connect_lazily()"]
pub struct ClientBuilder {
    address: String,
    name: String,
    authkey: Option<AuthKey>,
    curve: Option<CurveKeys>,
    timeout: Option<Duration>,
    close_timeout: Duration,
    heartbeat: Duration,
    queue_calls_max: usize,
    callbacks_max: usize,
    placement: Placement,
}

impl Client {
    /// Connects to the broker at `address`, `tcp://HOST:PORT` or `ipc://PATH`, and waits until it accepts the client, for at most the
    /// default timeout of 30 s. The broker may start later than the client.
    ///
    /// # Errors
    /// [`ConnectError`], with the failure, its reason and the remedy.
    ///
    /// # Cancel safety
    /// Dropping the future drops the client.
    pub async fn connect(address: impl Into<String>) -> Result<Client, ConnectError> {
        Client::builder(address).connect().await
    }

    /// Returns the settings of a client, to be changed before it connects.
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
}

impl ClientBuilder {
    fn new(address: String) -> ClientBuilder {
        ClientBuilder {
            address,
            name: String::new(),
            authkey: None,
            curve: None,
            timeout: Some(TIMEOUT_DEFAULT),
            close_timeout: CLOSE_TIMEOUT_DEFAULT,
            heartbeat: HEARTBEAT_DEFAULT,
            queue_calls_max: CLIENT_QUEUE_CALLS_MAX,
            callbacks_max: CALLBACKS_MAX_DEFAULT,
            placement: Placement::IoThread,
        }
    }

    /// Sets the timeout of connecting, and of calls without one of their own; default 30 s. Too low: calls fail that would have
    /// succeeded. Too high: a caller waits long for a reply that does not come.
    pub fn timeout(self, span: Duration) -> ClientBuilder {
        ClientBuilder { timeout: Some(span), ..self }
    }

    /// Removes the timeout of connecting, and of calls without one of their own.
    pub fn no_timeout(self) -> ClientBuilder {
        ClientBuilder { timeout: None, ..self }
    }

    /// Sets a name for people, such as `billing`, which the broker shows. Default: none.
    pub fn name(self, name: impl Into<String>) -> ClientBuilder {
        ClientBuilder { name: name.into(), ..self }
    }

    /// Sets the authkey that the broker requires. A client with a key also rejects a broker that does not know the key. Default: none.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let keys = callboard_clients::read_authkeys("/etc/callboard/authkey")?;
    /// let client = callboard_clients::Client::builder("tcp://127.0.0.1:5559").authkey(keys.first().clone());
    /// let client = client.connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn authkey(self, key: AuthKey) -> ClientBuilder {
        ClientBuilder { authkey: Some(key), ..self }
    }

    /// Encrypts the connection. A client with these keys never connects without encryption. Default: none.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use callboard_clients::{Client, CurveKeys, parse_server_key};
    ///
    /// let keys = CurveKeys::new(parse_server_key("/etc/callboard/broker.public")?);
    /// let client = Client::builder("tcp://broker.example.org:5559").curve(keys).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn curve(self, keys: CurveKeys) -> ClientBuilder {
        ClientBuilder { curve: Some(keys), ..self }
    }

    /// Sets the limit of calls and casts that wait in the client for a connection or for credit; default 16,384. At the limit, further
    /// calls wait for capacity, or fail (`try_on_complete`, `try_cast`). Too low: callers block early while the broker is away. Too
    /// high: memory use. Calls that were sent do not count; the broker's credit bounds them.
    pub fn queue_calls_max(self, calls: usize) -> ClientBuilder {
        ClientBuilder { queue_calls_max: calls, ..self }
    }

    /// Sets the limit of pending callbacks, from `on_complete` until they have run; default 65,536. Too low: `on_complete` waits for
    /// slow callbacks. Too high: memory use.
    pub fn callbacks_max(self, callbacks: usize) -> ClientBuilder {
        ClientBuilder { callbacks_max: callbacks, ..self }
    }

    /// Sets the heartbeat interval; default 1 s, limited to 10 ms to 10 min. It is also the longest delay between two attempts to
    /// connect. Too low: load. Too high: the broker detects a lost client late.
    pub fn heartbeat(self, interval: Duration) -> ClientBuilder {
        ClientBuilder { heartbeat: interval, ..self }
    }

    /// Sets the limit of a close; default 5 s. Too low: the last casts may be lost with the connection.
    pub fn close_timeout(self, span: Duration) -> ClientBuilder {
        ClientBuilder { close_timeout: span, ..self }
    }

    /// Runs the connection inline: as a task of the tokio runtime that creates the client, not on a thread of its own. A call then wakes
    /// no other thread of this process, which saves a third of its cost when few calls are outstanding.
    ///
    /// For programs whose tasks do not block the runtime. While a runtime of one thread is blocked, the client sends no heartbeats. After
    /// three intervals the broker ends the connection; the client connects again once the runtime runs, and no call is executed twice
    /// because of that. If the runtime is dropped, the client is closed. A blocking or polled client always has a thread of its own.
    pub fn inline(self) -> ClientBuilder {
        ClientBuilder { placement: Placement::Inline, ..self }
    }

    /// Runs the connection on a thread of its own, for clients that are not async.
    pub(crate) fn with_io_thread(self) -> ClientBuilder {
        ClientBuilder { placement: Placement::IoThread, ..self }
    }

    /// Creates the client and waits until a broker accepts it, for at most the default timeout of a call.
    ///
    /// # Errors
    /// [`ConnectError`], with the failure, its reason and the remedy.
    ///
    /// # Cancel safety
    /// Dropping the future drops the client.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        self.connect_lazily()?.connected().await
    }

    /// Creates the client at once; it connects in the background. Calls wait for the connection, within their timeout.
    ///
    /// A client has threads of its own, and its calls may be awaited on any executor. On a tokio runtime with one thread it also spawns
    /// a task there, which makes many concurrent calls cheaper. An [`inline`](ClientBuilder::inline) client needs a tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError`] if the address is invalid, the system provides no thread for the client, or an inline client has no runtime.
    pub fn connect_lazily(self) -> Result<Client, ConnectError> {
        check_address(&self.address).map_err(|text| ConnectError::bad_address(&self.address, text))?;
        let address = self.address.clone();
        self.start().map_err(|error| ConnectError::system(&address, error))
    }

    /// Returns the broker's address.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the limit of pending callbacks.
    pub(crate) fn pending_callbacks_max(&self) -> usize {
        self.callbacks_max
    }

    /// Starts the client's driver and its callback thread.
    fn start(self) -> io::Result<Client> {
        let host = DriverHost::new(self.placement)?;
        let channels = ThreadChannels::new(self.queue_calls_max, self.callbacks_max)?;
        let (status_sender, status) = watch::channel(ClientStatus::default());
        let clock = Clock::new();
        let settings = driver::Settings {
            peer: self.peer(),
            address: self.address.clone(),
            curve: self.curve.clone(),
            close_timeout: self.close_timeout,
            clock,
            placement: self.placement,
            notifier: host.notifier(&channels),
        };
        let driver = Driver::new(settings, Arc::clone(&channels), status_sender);
        let runtime = host.runtime();
        if let Err(error) = host.start(driver) {
            channels.callbacks.close();
            return Err(error);
        }
        Ok(Client::new(ClientInner {
            channels,
            status,
            runtime,
            clock,
            address: self.address,
            timeout: self.timeout,
            next_ticket: AtomicU64::new(0),
            closing: AtomicBool::new(false),
        }))
    }

    /// Returns the settings of the client's handshake.
    fn peer(&self) -> peer::Settings {
        peer::Settings {
            heartbeat: self.heartbeat,
            instance: self.name.clone(),
            pid: Some(std::process::id()),
            key: self.authkey.clone(),
            ..peer::Settings::new(new_session_id())
        }
    }
}
