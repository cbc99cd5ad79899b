//! The settings of a worker, and its start.

use std::{env, future::Future, io, thread, time::Duration};

use callboard_core::{
    auth::AuthKey,
    peer,
    wire::{
        handshake::{Offer, Register},
        limits::{HEARTBEAT_DEFAULT, SLOTS_MAX, WORKER_DRAIN_TIMEOUT},
        method::MethodName,
    },
    worker,
};
use callboard_transport::{
    Clock, Connection, CurveKeys, RuntimeHandoff, authkeys_from_environment, check_address,
    curve_keys_from_environment, new_session_id,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};

use super::{driver::Driver, error::WorkerError, running::RunningWorker, signals::Signals, state::WorkerState};
use crate::{
    executor::{Executor, capture_backtraces},
    handler::ErasedHandler,
    pool::{environment, lifeline},
    service::{Service, into_offers},
};

/// The default address of the broker's backend.
pub const BACKEND_DEFAULT: &str = "tcp://127.0.0.1:5560";

/// A worker: it connects to a broker and serves services.
///
/// ```no_run
/// use callboard_workers::{Service, Worker, WorkerError};
///
/// fn add(x: i64, y: i64) -> i64 {
///     x + y
/// }
///
/// #[tokio::main]
/// async fn main() -> Result<(), WorkerError> {
///     let calculator = Service::new("calculator").read("add", ["x", "y"], add);
///     Worker::new().serve(calculator).run().await
/// }
/// ```
///
/// The connection to the broker has an I/O thread of its own, so that no handler can delay the heartbeats; [`Worker::inline`] changes that. Async handlers run as
/// tasks of the runtime that calls [`Worker::run`], and blocking handlers on its blocking threads.
#[derive(Debug)]
pub struct Worker {
    backend: String,
    name: String,
    authkey: Option<AuthKey>,
    curve: Option<CurveKeys>,
    heartbeat: Duration,
    drain: Duration,
    services: Vec<Service>,
    slots: Option<u32>,
    prefetch: u32,
    exclusive: bool,
    /// Whether a line is printed when the worker is registered.
    announced: bool,
    inline: bool,
}

impl Worker {
    /// Creates a worker without services.
    ///
    /// In a pool, the pool's environment sets the broker and the name. Elsewhere, the broker's address is `CALLBOARD_BACKEND` or
    /// [`BACKEND_DEFAULT`], and the name is the program's name with its process id. If the broker requires authentication, the worker
    /// uses the first key in `CALLBOARD_AUTHKEY`. With the broker's public key in `CALLBOARD_SERVER_KEY` the connection is encrypted;
    /// `CALLBOARD_CURVE_SECRET` is the worker's own key, if the broker requires one.
    pub fn new() -> Worker {
        Worker {
            backend: variable(environment::BACKEND).unwrap_or_else(|| BACKEND_DEFAULT.to_owned()),
            name: variable(environment::INSTANCE).unwrap_or_else(default_name),
            authkey: None,
            curve: None,
            heartbeat: HEARTBEAT_DEFAULT,
            drain: WORKER_DRAIN_TIMEOUT,
            services: Vec::new(),
            slots: None,
            prefetch: 0,
            exclusive: false,
            announced: false,
            inline: false,
        }
    }

    /// Sets the address of the broker's backend, `tcp://HOST:PORT` or `ipc://PATH`.
    pub fn backend(self, address: impl Into<String>) -> Worker {
        Worker { backend: address.into(), ..self }
    }

    /// Sets the worker's name in logs and errors.
    pub fn name(self, name: impl Into<String>) -> Worker {
        Worker { name: name.into(), ..self }
    }

    /// Sets the authentication key, instead of the one in `CALLBOARD_AUTHKEY`. With a key, the worker registers only at a broker that
    /// has this key too.
    pub fn authkey(self, key: AuthKey) -> Worker {
        Worker { authkey: Some(key), ..self }
    }

    /// Encrypts the connection, with these keys instead of those in `CALLBOARD_SERVER_KEY` and `CALLBOARD_CURVE_SECRET`. A worker with
    /// keys never connects without encryption.
    pub fn curve(self, keys: CurveKeys) -> Worker {
        Worker { curve: Some(keys), ..self }
    }

    /// Sets the heartbeat interval. Default: 1 s. The broker disconnects a worker after three intervals without a message.
    pub fn heartbeat(self, heartbeat: Duration) -> Worker {
        Worker { heartbeat, ..self }
    }

    /// Sets the drain time: how long running calls can continue after the worker was asked to stop. Default: 30 s.
    pub fn drain(self, drain: Duration) -> Worker {
        Worker { drain, ..self }
    }

    /// Adds a service.
    pub fn serve(mut self, service: Service) -> Worker {
        self.services.push(service);
        self
    }

    /// Limits how many calls this worker runs at once, over all its services. Default: each service has its own slots only
    /// ([`Service::slots`]), which apply in addition.
    pub fn slots(self, slots: u32) -> Worker {
        Worker { slots: Some(slots), ..self }
    }

    /// Sets how many further calls the worker queues over all its services, if [`Worker::slots`] limits them. Default: 0. The prefetch of
    /// a service ([`Service::prefetch`]) applies in addition, so both must be set.
    pub fn prefetch(self, prefetch: u32) -> Worker {
        Worker { prefetch, ..self }
    }

    /// Runs the connection inline: as a task of the tokio runtime that runs the worker, not on a thread of its own. A call then wakes no
    /// other thread of this process, which saves a third of its cost when few calls are outstanding.
    ///
    /// For workers whose async handlers do not block the runtime; blocking handlers have threads of their own. While a runtime of one
    /// thread is blocked, the worker sends no heartbeats, and hands back no prefetched call. After three intervals it is lost to the
    /// broker with its calls. If the runtime is dropped, the worker ends.
    pub fn inline(self) -> Worker {
        Worker { inline: true, ..self }
    }

    /// Requests that no other worker serves the same services. A pool reserves its name in this way.
    #[doc(hidden)]
    pub fn exclusive(self) -> Worker {
        Worker { exclusive: true, ..self }
    }

    /// Serves until the process gets SIGTERM or Ctrl-C. Then it drains: it takes no more calls, finishes the running ones, and
    /// disconnects. A worker that has no connection to a broker keeps trying. A second Ctrl-C exits the process at once. After this
    /// method has returned, any of these signals exits the process, because a blocking function that does not return keeps the
    /// runtime from shutting down.
    ///
    /// # Errors
    /// [`WorkerError`] if the worker cannot start, or the broker rejects it.
    ///
    /// # Panics
    /// If it is called outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Not cancel safe: if the future is dropped, the worker keeps running and can no longer be shut down gracefully.
    pub async fn run(self) -> Result<(), WorkerError> {
        let mut signals = Signals::catch()?;
        self.announced().run_until(signals.received()).await
    }

    /// Serves until the future `end` is ready, then drains and disconnects. See [`Worker::run`].
    ///
    /// # Errors
    /// [`WorkerError`] if the worker cannot start, or the broker rejects it.
    ///
    /// # Panics
    /// If it is called outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Not cancel safe: see [`Worker::run`].
    pub async fn run_until(self, end: impl Future<Output = ()>) -> Result<(), WorkerError> {
        let drain = self.drain;
        let mut running = self.start()?;
        tokio::select! {
            // Cancel safe: `stopped` can be called again.
            () = end => running.shutdown(drain).await,
            result = running.stopped() => return result,
        }
        running.stopped().await
    }

    /// Prints a line on standard error when the broker has registered the worker, unless a pool started it or the program has a log.
    #[doc(hidden)]
    pub fn announced(self) -> Worker {
        Worker { announced: true, ..self }
    }

    /// Returns the line that the worker prints when it is ready, if it prints one.
    fn ready_line(&self) -> Option<String> {
        let names: Vec<_> = self.services.iter().map(Service::name).collect();
        let is_by_hand = self.announced && variable(environment::POOL).is_none();
        is_by_hand.then(|| format!("callboard: ready, serving {} at {}", names.join(", "), self.backend))
    }

    /// Starts the worker and returns. The connection has an I/O thread of its own, unless it is [`inline`](Worker::inline); handlers run on
    /// the caller's runtime.
    ///
    /// # Errors
    /// [`WorkerError`] if there is no valid service, the number of slots is invalid, the broker's address or the key is invalid, or the system has no thread.
    ///
    /// # Panics
    /// If it is called outside of a tokio runtime.
    pub fn start(self) -> Result<RunningWorker, WorkerError> {
        if let Some(slots) = self.slots.filter(|slots| !(1..=SLOTS_MAX).contains(slots)) {
            return Err(WorkerError::InvalidSlots { slots });
        }
        let ready_line = self.ready_line();
        let (offers, handlers) = offers_and_handlers(self.services)?;
        check_address(&self.backend).map_err(WorkerError::BadAddress)?;
        let key = match self.authkey {
            Some(key) => Some(key),
            None => authkeys_from_environment()?.map(|keys| keys.first().clone()),
        };
        let curve = match self.curve {
            Some(keys) => Some(keys),
            None => curve_keys_from_environment()?,
        };
        // A pool, which is exclusive, has flags for its key. The hint about the environment variable is only for other workers.
        let hint_at_authkey = key.is_none() && !self.exclusive;
        lifeline::watch();
        capture_backtraces();
        let settings = peer_settings(self.name, self.heartbeat, key);
        let Worker { exclusive, slots, prefetch, .. } = self;
        let machine = worker::Worker::new(settings, Register { offers, exclusive, slots, prefetch });
        let clock = Clock::new();
        let executor = Executor::new(&Handle::current(), clock, handlers);
        let (commands, command_receiver) = mpsc::channel(1);
        let (state_sender, state) = watch::channel(WorkerState::Disconnected);
        let (end_sender, end) = oneshot::channel();
        let connection = Connection::new(self.backend.clone(), curve);
        let driver = Driver::new(machine, connection, clock, executor, command_receiver, state_sender, self.drain);
        let driver = async move {
            // Fails if the `RunningWorker` was dropped.
            let _ = end_sender.send(driver.run().await);
        };
        match self.inline {
            true => drop(tokio::spawn(driver)),
            false => start_io_thread(driver)?,
        }
        let running = RunningWorker::new(clock, commands, state, end, self.backend, hint_at_authkey);
        ready_line.into_iter().for_each(|line| running.announce(line));
        Ok(running)
    }
}

impl Default for Worker {
    fn default() -> Self {
        Worker::new()
    }
}

/// Runs a driver on a thread of its own.
fn start_io_thread(driver: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = RuntimeHandoff::new()?;
    let thread = thread::Builder::new().name("callboard-worker".into());
    thread.spawn(move || {
        let runtime = runtime.into_runtime();
        // Spawned as a task: other tasks of its runtime can wake it without a system call. An error is a panic, which is on stderr.
        let _ = runtime.block_on(runtime.spawn(driver));
    })?;
    Ok(())
}

/// The offers to register, and in the same order the handlers of each.
type OffersAndHandlers = (Vec<Offer>, Vec<Vec<(MethodName, ErasedHandler)>>);

fn offers_and_handlers(services: Vec<Service>) -> Result<OffersAndHandlers, WorkerError> {
    let mut all = OffersAndHandlers::default();
    for service in services {
        for (offer, handlers) in into_offers(service)? {
            let names = offer.methods.iter().map(|method| format!("{}.{}", offer.service, method.name));
            let names = names.map(|name| MethodName::parse(name).expect("`into_offers` checks each name"));
            all.1.push(names.zip(handlers).collect());
            all.0.push(offer);
        }
    }
    if all.0.is_empty() { Err(WorkerError::NoService) } else { Ok(all) }
}

fn peer_settings(instance: String, heartbeat: Duration, key: Option<AuthKey>) -> peer::Settings {
    peer::Settings {
        heartbeat,
        instance,
        pool: variable(environment::POOL),
        pool_pid: variable(environment::POOL_PID).and_then(|pid| pid.parse().ok()),
        pid: Some(std::process::id()),
        key,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        ..peer::Settings::new(new_session_id())
    }
}

/// Returns the value of an environment variable. An empty variable counts as unset.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the program's name with its process id.
fn default_name() -> String {
    let program = env::current_exe().ok();
    let stem = program.as_deref().and_then(|path| path.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
    format!("{}-{}", stem.unwrap_or_else(|| "worker".to_owned()), std::process::id())
}
