//! A worker: services, the link to the broker, and a beginning and an end.

use std::{env, future::Future, thread, time::Duration};

use callboard_core::{
    auth::AuthKey,
    peer,
    wire::{
        handshake::{Offer, Register},
        limits::{HEARTBEAT_DEFAULT, WORKER_DRAIN},
        method::MethodName,
        status::{Code, Failure},
    },
    worker,
};
use callboard_transport::{
    Clock, Connection, RuntimeHandoff, authkeys_from_environment, check_address, new_session_id,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};

use crate::{
    driver::{Command, Driver},
    error::WorkerError,
    handler::Prepared,
    pool::{environment, lifeline},
    runner::Runner,
    service::Service,
    signals::Signals,
    state::State,
};

/// Where a worker finds its broker if nobody says otherwise.
pub const BACKEND_DEFAULT: &str = "tcp://127.0.0.1:5560";

/// A process's worker: it serves services at a broker.
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
/// The link to the broker lives on a thread of its own, so that nothing a handler does stops the heartbeats. Async handlers
/// run as tasks of the runtime that [`Worker::run`] is called on, blocking ones on its blocking threads.
#[derive(Debug)]
pub struct Worker {
    backend: String,
    name: String,
    authkey: Option<AuthKey>,
    heartbeat: Duration,
    drain: Duration,
    services: Vec<Service>,
    exclusive: bool,
}

/// A worker that runs. Dropping it does not end the worker; [`RunningWorker::shut_down`] does.
#[derive(Debug)]
pub struct RunningWorker {
    clock: Clock,
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<State>,
    end: oneshot::Receiver<Result<(), Box<Failure>>>,
    address: String,
    /// It has no key, and no pool's flags to get one by.
    keyless: bool,
}

impl Worker {
    /// A worker without services yet. In a pool it takes broker and name from what the pool tells it; elsewhere the broker is
    /// `CALLBOARD_BACKEND`, else [`BACKEND_DEFAULT`], and the name is the program's with its process id. If the broker asks for a
    /// key, it is the first one in `CALLBOARD_AUTHKEY`.
    pub fn new() -> Worker {
        Worker {
            backend: variable(environment::BACKEND).unwrap_or_else(|| BACKEND_DEFAULT.to_owned()),
            name: variable(environment::INSTANCE).unwrap_or_else(program_name),
            authkey: None,
            heartbeat: HEARTBEAT_DEFAULT,
            drain: WORKER_DRAIN,
            services: Vec::new(),
            exclusive: false,
        }
    }

    /// The broker's backend, `tcp://HOST:PORT` or `ipc://PATH`.
    pub fn backend(self, address: impl Into<String>) -> Worker {
        Worker { backend: address.into(), ..self }
    }

    /// What this worker is called in logs and errors.
    pub fn name(self, name: impl Into<String>) -> Worker {
        Worker { name: name.into(), ..self }
    }

    /// The key that the broker asks for, instead of the one in `CALLBOARD_AUTHKEY`. With one, the worker joins no broker that does
    /// not know it, too.
    pub fn authkey(self, key: AuthKey) -> Worker {
        Worker { authkey: Some(key), ..self }
    }

    /// How often the worker lets itself be heard. Default: 1 s. Three times that without a sound, and the broker gives it up.
    pub fn heartbeat(self, heartbeat: Duration) -> Worker {
        Worker { heartbeat, ..self }
    }

    /// How long running calls may take to finish when the worker is told to end. Default: 30 s.
    pub fn drain(self, drain: Duration) -> Worker {
        Worker { drain, ..self }
    }

    /// Serves a service, besides others.
    pub fn serve(mut self, service: Service) -> Worker {
        self.services.push(service);
        self
    }

    /// Asks that no other worker serve the same: how a pool takes its name.
    #[doc(hidden)]
    pub fn exclusive(self) -> Worker {
        Worker { exclusive: true, ..self }
    }

    /// Serves until the process is told to end (SIGTERM, Ctrl-C), then drains: takes no more calls, finishes what runs, and leaves.
    /// A worker that finds no broker, or loses it, keeps trying. A second Ctrl-C ends the process at once; so does any signal after
    /// this has returned, for a blocking function that never returns keeps a runtime from ending.
    ///
    /// # Errors
    /// [`WorkerError`] if it cannot start, or the broker will not have it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the worker running without an end in order.
    pub async fn run(self) -> Result<(), WorkerError> {
        let mut signals = Signals::catch()?;
        self.run_until(signals.end()).await
    }

    /// Serves until `end` is ready, then drains and leaves. See [`Worker::run`].
    ///
    /// # Errors
    /// [`WorkerError`] if it cannot start, or the broker will not have it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn run_until(self, end: impl Future<Output = ()>) -> Result<(), WorkerError> {
        let drain = self.drain;
        let mut running = self.start()?;
        tokio::select! {
            // Cancel safe: the second arm goes on waiting for the same end.
            () = end => running.shut_down(drain).await,
            ended = running.ended() => return ended,
        }
        running.ended().await
    }

    /// Starts to serve, and returns. The link lives on a thread of its own; handlers run on the runtime of the caller.
    ///
    /// # Errors
    /// [`WorkerError`] if there is nothing to serve, the broker's address is none, there is no key in `CALLBOARD_AUTHKEY`, or no thread to be had.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self) -> Result<RunningWorker, WorkerError> {
        let (offers, handlers) = take_offers(self.services)?;
        check_address(&self.backend).map_err(WorkerError::BadAddress)?;
        let key = match self.authkey {
            Some(key) => Some(key),
            None => authkeys_from_environment()?.map(|keys| keys.first().clone()),
        };
        let keyless = key.is_none() && !self.exclusive;
        lifeline::watch();
        let settings = settings(self.name, self.heartbeat, key);
        let machine = worker::Worker::new(settings, Register { offers, exclusive: self.exclusive });
        let clock = Clock::new();
        let runner = Runner::new(&Handle::current(), clock, handlers);
        let (commands, commanded) = mpsc::channel(1);
        let (teller, state) = watch::channel(State::Apart);
        let (ending, end) = oneshot::channel();
        let driver = Driver::new(machine, Connection::new(self.backend.clone()), clock, runner, commanded, teller);
        let runtime = RuntimeHandoff::new()?;
        thread::Builder::new().name("callboard-worker".into()).spawn(move || {
            let runtime = runtime.into_runtime();
            // As a task of its own it is woken by others of its runtime without a system call.
            if let Ok(ended) = runtime.block_on(runtime.spawn(driver.run())) {
                // Nobody may wait for the end any more: then nobody is told.
                let _ = ending.send(ended);
            }
        })?;
        Ok(RunningWorker { clock, commands, state, end, address: self.backend, keyless })
    }
}

impl Default for Worker {
    fn default() -> Self {
        Worker::new()
    }
}

impl RunningWorker {
    /// How the worker stands with its broker now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// How the worker stands, for somebody else to look at while this one waits.
    pub fn states(&self) -> impl Fn() -> State + Send + Sync + 'static {
        let state = self.state.clone();
        move || state.borrow().clone()
    }

    /// Waits until the worker has registered at the broker; returns at once if it has.
    ///
    /// # Errors
    /// [`WorkerError::LinkEnded`] if the worker ended first; [`RunningWorker::ended`] says why.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn joined(&mut self) -> Result<State, WorkerError> {
        let joined = self.state.wait_for(|state| matches!(state, State::Joined { .. })).await;
        joined.map(|state| state.clone()).map_err(|_| WorkerError::LinkEnded)
    }

    /// Tells the worker to take no more calls, to let finish what runs for so long at most, and to leave.
    /// [`RunningWorker::ended`] tells when it has.
    ///
    /// # Cancel safety
    /// A call that is cancelled may not have told it; telling it again does no harm.
    pub async fn shut_down(&self, within: Duration) {
        let deadline = self.clock.now() + within;
        // A link that has ended needs to be told nothing.
        let _ = self.commands.send(Command::Shutdown { deadline }).await;
    }

    /// Waits for the worker's end.
    ///
    /// # Errors
    /// [`WorkerError::Refused`] if the broker will not have it.
    ///
    /// # Cancel safety
    /// May be dropped and called again until it has returned once; after that it is [`WorkerError::LinkEnded`].
    pub async fn ended(&mut self) -> Result<(), WorkerError> {
        match (&mut self.end).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => {
                Err(WorkerError::Refused { address: self.address.clone(), failure: self.as_told(failure) })
            }
            Err(_) => Err(WorkerError::LinkEnded),
        }
    }

    /// A refusal in words that help here: the broker's are for the command as well, and name a flag that a worker does not have.
    fn as_told(&self, failure: Box<Failure>) -> Box<Failure> {
        if !self.keyless || failure.code != Code::Unauthenticated {
            return failure;
        }
        let text = "the broker asks for a key and this worker gives none: give it the broker's in CALLBOARD_AUTHKEY";
        Box::new(Failure::new(failure.code, failure.executed, text))
    }
}

/// What the machine registers, and beside it, in the same order, what runs.
type Offers = (Vec<Offer>, Vec<Vec<(MethodName, Prepared)>>);

fn take_offers(services: Vec<Service>) -> Result<Offers, WorkerError> {
    let mut all = Offers::default();
    for service in services {
        for (offer, handlers) in service.into_offers()? {
            let names = offer.methods.iter().map(|method| format!("{}.{}", offer.service, method.name));
            let names = names.map(|name| MethodName::parse(name).expect("into_offers checks each name"));
            all.1.push(names.zip(handlers).collect());
            all.0.push(offer);
        }
    }
    if all.0.is_empty() { Err(WorkerError::NoService) } else { Ok(all) }
}

fn settings(instance: String, heartbeat: Duration, key: Option<AuthKey>) -> peer::Settings {
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

/// An environment variable's text; one that is empty counts as unset.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn program_name() -> String {
    let program = env::current_exe().ok();
    let stem = program.as_deref().and_then(|path| path.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
    format!("{}-{}", stem.unwrap_or_else(|| "worker".to_owned()), std::process::id())
}
