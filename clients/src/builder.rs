//! A client's settings.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    thread,
    time::Duration,
};

use callboard_core::{
    auth::AuthKey,
    peer,
    wire::limits::{CLIENT_QUEUE_MAX, HEARTBEAT_DEFAULT, TIMEOUT_DEFAULT},
};
use callboard_transport::{Clock, RuntimeHandoff, check_address, new_session_id};
use tokio::sync::watch;

use crate::{
    blocking::{self, block_on},
    client::Client,
    connect_error::ConnectError,
    driver::{self, Driver},
    polled,
    shared::{Lines, Shared},
    state::State,
    teller::Teller,
};

/// Callbacks that may be pending: some hundreds of bytes each, so some ten megabytes in all.
const CALLBACKS_MAX_DEFAULT: usize = 65_536;
/// A broker that lives answers a goodbye within milliseconds; casts that wait for credit may take longer.
const CLOSE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// The settings of a [`Client`] in the making: [`Client::builder`] begins it, [`connect`](ClientBuilder::connect) ends it.
#[derive(Clone, Debug)]
#[must_use = "a client is made by .connect().await or .connect_lazily()"]
pub struct ClientBuilder {
    address: String,
    name: String,
    authkey: Option<AuthKey>,
    timeout: Option<Duration>,
    close_timeout: Duration,
    heartbeat: Duration,
    queue_calls_max: usize,
    callbacks_max: usize,
}

impl ClientBuilder {
    pub(crate) fn new(address: String) -> ClientBuilder {
        ClientBuilder {
            address,
            name: String::new(),
            authkey: None,
            timeout: Some(TIMEOUT_DEFAULT),
            close_timeout: CLOSE_TIMEOUT_DEFAULT,
            heartbeat: HEARTBEAT_DEFAULT,
            queue_calls_max: CLIENT_QUEUE_MAX,
            callbacks_max: CALLBACKS_MAX_DEFAULT,
        }
    }

    /// The time-out of calls that name none, and of connecting; default 30 s. Too low: calls that would have been answered
    /// fail; too high: a caller waits long for what does not come.
    pub fn timeout(self, span: Duration) -> ClientBuilder {
        ClientBuilder { timeout: Some(span), ..self }
    }

    /// Calls that name no time-out may take as long as they take, and so may connecting.
    pub fn no_timeout(self) -> ClientBuilder {
        ClientBuilder { timeout: None, ..self }
    }

    /// A name for people, such as `billing`: the broker shows it. Default: none.
    pub fn name(self, name: impl Into<String>) -> ClientBuilder {
        ClientBuilder { name: name.into(), ..self }
    }

    /// The key that the broker asks for. With one, the client joins no broker that does not know it, too. Default: none.
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

    /// Calls and casts that may wait in the client, for a connection or for credit; default 16,384. When so many wait, further ones
    /// wait for room, or are refused (`try_on_complete`, `try_cast`). Too low: callers stop early while the broker is away; too high:
    /// memory. Calls that were sent are not among them: the broker's credit bounds these.
    pub fn queue_calls_max(self, calls: usize) -> ClientBuilder {
        ClientBuilder { queue_calls_max: calls, ..self }
    }

    /// Callbacks that may be pending, from `on_complete` until they ran; default 65,536. Too low: `on_complete` waits for slow callbacks; too
    /// high: memory.
    pub fn callbacks_max(self, callbacks: usize) -> ClientBuilder {
        ClientBuilder { callbacks_max: callbacks, ..self }
    }

    /// How often the client lets itself be heard by the broker; default 1 s, kept within 10 ms and 10 min. It is also the longest
    /// pause between two attempts to connect. Too low: load; too high: the broker notices late that the client is gone.
    pub fn heartbeat(self, interval: Duration) -> ClientBuilder {
        ClientBuilder { heartbeat: interval, ..self }
    }

    /// How long a close may take at most; default 5 s. Too low: casts that were sent last may be lost with the connection.
    pub fn close_timeout(self, span: Duration) -> ClientBuilder {
        ClientBuilder { close_timeout: span, ..self }
    }

    /// Makes the client and waits until a broker lets it in, as long as a call may take.
    ///
    /// # Errors
    /// [`ConnectError`] says what was tried, what came of it, and what to do.
    ///
    /// # Cancel safety
    /// Dropping the future drops the client.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        self.connect_lazily()?.joined().await
    }

    /// Makes the client at once; it connects in the background. Calls wait for the connection, within their time-out.
    ///
    /// A client has threads of its own, and its calls may be awaited on any executor. On a tokio runtime of one thread it has a task
    /// there besides, which makes many calls at a time cheaper.
    ///
    /// # Errors
    /// [`ConnectError`] if the address is none, or the system has no thread for the client.
    pub fn connect_lazily(self) -> Result<Client, ConnectError> {
        check_address(&self.address).map_err(|text| ConnectError::bad_address(&self.address, text))?;
        let address = self.address.clone();
        self.start().map_err(|error| ConnectError::system(&address, error))
    }

    /// As [`connect`](ClientBuilder::connect), for a program that is not async: blocks until a broker lets the client in.
    ///
    /// # Errors
    /// [`ConnectError`] says what was tried, what came of it, and what to do.
    pub fn connect_blocking(self) -> Result<blocking::Client, ConnectError> {
        block_on(self.connect()).map(blocking::Client::from)
    }

    /// Makes a client for a program that polls; it connects in the background.
    ///
    /// # Errors
    /// [`ConnectError`] if the address is none, or the system has no threads or files for the client.
    pub fn polled(self) -> Result<polled::Client, ConnectError> {
        let inbox = polled::Inbox::new().map_err(|error| ConnectError::system(&self.address, error))?;
        let pending_max = self.callbacks_max;
        Ok(polled::Client::over(self.connect_lazily()?, inbox, pending_max))
    }

    /// Starts the client's two threads, and on a runtime of one thread the task that tells its callers their outcomes.
    fn start(self) -> io::Result<Client> {
        let runtime = RuntimeHandoff::new()?;
        let link_thread = runtime.handle().clone();
        let lines = Lines::new(self.queue_calls_max, self.callbacks_max)?;
        let (state, seen) = watch::channel(State::default());
        let clock = Clock::new();
        let machine = driver::Settings {
            peer: self.peer(),
            address: self.address.clone(),
            close_timeout: self.close_timeout,
            clock,
            teller: Teller::start(&lines),
        };
        let driver = Driver::new(machine, Arc::clone(&lines), state);
        let started = thread::Builder::new()
            .name("callboard-client".to_owned())
            .spawn(move || driver.run(runtime.into_runtime()));
        if let Err(error) = started {
            lines.callbacks.close();
            return Err(error);
        }
        Ok(Client::new(Shared {
            lines,
            state: seen,
            link_thread,
            clock,
            address: self.address,
            timeout: self.timeout,
            tickets: AtomicU64::new(0),
            closing: AtomicBool::new(false),
        }))
    }

    /// Who the client says it is.
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
