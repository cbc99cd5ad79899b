//! `callboard pool`: starts and supervises worker processes.

mod control_service;
mod controller;
mod load_client;
mod missing_workers;
mod observer;
pub(crate) mod sizing;

use std::{path::PathBuf, pin::pin, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use callboard::{
    RunningWorker,
    core::text::HumanDuration,
    pool::{self as supervisor, PoolEvent, RecyclePolicy, RolloutOutcome},
};
use clap::Args;

use self::{controller::PoolController, load_client::LoadClient, observer::PoolObserver, sizing::Sizing};
use crate::{
    command::{
        admin::{
            AdminServer, listener, socket,
            source::{Source, pool_monitor},
        },
        logging,
        output::{self, exit::Exit},
        process::{child, signals::StopSignals},
    },
    settings::{Credentials, Flags, PoolSettings, Settings, Sourced},
};

/// The time that the pool itself has to disconnect once its workers have ended.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// Shown below `callboard pool --help`.
const AFTER_HELP: &str = "\
When all workers have registered, the pool prints one line on stdout: ready 4 workers
The pool restarts a worker that ends. If a worker ends 5 times within 10 s, the pool ends with exit code 4; if other
workers of the pool still serve, it retries that worker every 10 s instead.
`callboard scale`, `reload` and `status` control the pool from any machine that reaches the broker; --min and --max bound
its size.
The default name is that of the program, or of the script that an interpreter runs, with _ in place of other characters
than letters and digits: ./calculator-worker gets the name calculator_worker.

The environment of each worker has CALLBOARD_BACKEND, CALLBOARD_POOL, CALLBOARD_POOL_PID and CALLBOARD_INSTANCE, and
CALLBOARD_AUTHKEY if the pool has a key.

Examples:
  callboard pool -n 4 -- ./calculator-worker
  callboard pool --name sums -n 2 -- python3 sums.py --fast
A pool can run any program. The libraries with which a program becomes a worker are for Rust and Python.";

/// Start worker processes of a program, and restart those that end
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Pool {
    /// Name of the pool [default: the file name of the program]
    #[arg(long)]
    name: Option<String>,
    /// Number of worker processes [default: 4]
    #[arg(short = 'n', value_name = "NUMBER")]
    size: Option<String>,
    /// Minimum number of workers [default: 1]; without -n the pool scales with its load
    #[arg(long, value_name = "NUMBER")]
    min: Option<String>,
    /// Maximum number of workers [default: four times -n]; without -n the pool scales with its load
    #[arg(long, value_name = "NUMBER")]
    max: Option<String>,
    /// Address of the broker [default: tcp://127.0.0.1:5560]
    #[arg(long, value_name = "URL")]
    backend: Option<String>,
    /// Time for running calls to finish when asked to stop [default: 30s]
    #[arg(long, value_name = "DURATION")]
    drain: Option<String>,
    /// Address for metrics and health over HTTP, such as 127.0.0.1:5562 [default: none]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// Socket on which `callboard up` reads the state of this process
    #[arg(long, value_name = "PATH", hide = true)]
    snapshot_socket: Option<PathBuf>,
    /// Key file: the pool and its workers prove its first key (or that of CALLBOARD_AUTHKEY) to the broker
    #[arg(long, value_name = "FILE")]
    authkey_file: Option<String>,
    /// The broker's public key, or its file: the pool and its workers encrypt their connections
    #[arg(long, value_name = "KEY|FILE", allow_hyphen_values = true)]
    server_key: Option<String>,
    /// File with the CURVE key of the pool and its workers, where the broker knows its peers (or CALLBOARD_CURVE_SECRET)
    #[arg(long, value_name = "FILE")]
    curve_secret_file: Option<String>,
    /// Time for the new workers of a reload to register, else the old ones stay [default: 60s]
    #[arg(long, alias = "ready", value_name = "DURATION")]
    startup_timeout: Option<String>,
    /// Time for which the new workers of a reload serve beside the old ones [default: 2s]
    #[arg(long, alias = "trial", value_name = "DURATION")]
    canary_period: Option<String>,
    /// Replace a worker after this many calls
    #[arg(long, value_name = "NUMBER")]
    recycle_calls: Option<String>,
    /// Replace a worker when it uses this much memory
    #[arg(long, value_name = "SIZE")]
    recycle_rss: Option<String>,
    /// The program, and its arguments
    #[arg(required = true, trailing_var_arg = true, value_names = ["PROGRAM", "ARG"])]
    pub(crate) program: Vec<std::ffi::OsString>,
}

impl Pool {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        Flags::default()
            .with("--name", self.name.as_ref())
            .with("-n", self.size.as_ref())
            .with("--backend", self.backend.as_ref())
            .with("--min", self.min.as_ref())
            .with("--max", self.max.as_ref())
            .with("--drain", self.drain.as_ref())
            .with("--admin", self.admin.as_ref())
            .with("--authkey-file", self.authkey_file.as_ref())
            .with("--server-key", self.server_key.as_ref())
            .with("--curve-secret-file", self.curve_secret_file.as_ref())
            .with("--startup-timeout", self.startup_timeout.as_ref())
            .with("--canary-period", self.canary_period.as_ref())
            .with("--recycle-calls", self.recycle_calls.as_ref())
            .with("--recycle-rss", self.recycle_rss.as_ref())
    }

    /// Runs a pool until it is asked to stop.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        // Caught first: a signal from here on leaves no process behind.
        let signals = StopSignals::catch()?;
        let sizing = Sizing::of(&settings.pool)?;
        let recycle = recycle(&settings.pool);
        let credentials = settings.pool.credentials.read()?;
        let (http, snapshots) =
            (listener::listen(&settings.pool.admin)?, socket::listen(self.snapshot_socket.as_ref())?);
        let settings = self.pool_settings(settings.pool, &credentials, sizing)?;
        let (name, backend, drain) = (settings.name.clone(), settings.backend.clone(), settings.drain);
        // The program is looked up first, the name is registered next: no worker runs under a name that is in use.
        supervisor::find_program(&settings.program).map_err(|error| Exit::GaveUp.because(error))?;
        let (worker, control_service) =
            control_service::register_name(&name, &backend, &credentials, sizing.autoscale).await?;
        let load = Arc::new(LoadClient::new(name.clone(), credentials, worker.state_reader()));
        let pool = supervisor::Pool::start(settings).map_err(|error| Exit::GaveUp.because(error))?;
        control_service.attach(pool.control(), Arc::clone(&load));
        let (monitor, requests) = pool_monitor(&name);
        // Until the end: the endpoint reports that the pool drains.
        let _admin = AdminServer::start(http, snapshots, Source::Pool(monitor))?;
        let observer = PoolObserver::new(control_service, Arc::clone(&load), requests);
        let controller = PoolController::new(load, pool.control(), sizing.autoscale, recycle);
        Running { pool, worker, drain, signals, observer, failure: None }.supervise(controller).await
    }

    fn pool_settings(
        &self,
        given: PoolSettings,
        credentials: &Credentials,
        sizing: Sizing,
    ) -> anyhow::Result<supervisor::PoolSettings> {
        let (program, arguments) = self.program.split_first().context("a pool needs a program")?;
        let shim = child::shim();
        let backend = given.backend.value;
        let mut settings = supervisor::PoolSettings::new(program, arguments.to_vec(), backend, shim);
        settings.size = sizing.size;
        settings.bounds = sizing.bounds;
        settings.drain = given.drain.value;
        settings.authkey = credentials.authkey.clone();
        settings.curve = credentials.curve.clone();
        settings.startup_timeout = given.startup_timeout.value;
        settings.canary_period = given.canary_period.value;
        if let Some(name) = given.name {
            settings.name = name.value;
        }
        Ok(settings)
    }
}

/// A running pool.
struct Running {
    pool: supervisor::Pool,
    worker: RunningWorker,
    drain: Duration,
    signals: StopSignals,
    observer: PoolObserver,
    /// Why the pool gave up, if it did.
    failure: Option<anyhow::Error>,
}

impl Running {
    /// Runs until the last worker process has ended.
    async fn supervise(mut self, controller: PoolController) -> anyhow::Result<Exit> {
        let mut controller = pin!(controller.run());
        let mut exit = Exit::Success;
        let (mut rejected, mut stopping) = (None, false);
        loop {
            tokio::select! {
                // Cancel safe: no event is lost.
                event = self.pool.event() => match event {
                    Some(PoolEvent::Finished) => break,
                    Some(event) => {
                        self.observer.record(&event);
                        self.report(event)?;
                    }
                    None => return Err(Exit::GaveUp.because(anyhow!("the pool ended unexpectedly"))),
                },
                // Cancel safe: no signal is lost.
                signal = self.signals.next() => {
                    // A second signal means: do not wait for running calls.
                    let within = if std::mem::replace(&mut stopping, true) { Duration::ZERO } else { self.drain };
                    exit = signal;
                    self.observer.set_stopping();
                    self.pool.control().shutdown(within).await;
                }
                // Cancel safe until it has returned. It is not polled after that.
                ended = self.worker.stopped(), if rejected.is_none() => {
                    rejected = Some(control_service::registration_error(ended));
                    self.observer.set_stopping();
                    self.pool.control().shutdown(self.drain).await;
                }
                // Cancel safe: no request is lost. Never ends.
                () = self.observer.answer() => {}
                // Never ends.
                () = &mut controller => {}
            }
        }
        self.leave(exit, rejected).await
    }

    /// Disconnects from the broker, and returns how the pool ended.
    async fn leave(mut self, exit: Exit, rejected: Option<anyhow::Error>) -> anyhow::Result<Exit> {
        if let Some(error) = self.failure.or(rejected) {
            return Err(error);
        }
        self.worker.shutdown(LEAVE_MAX).await;
        // It disconnects within that time, or at the end of this process.
        let _ = self.worker.stopped().await;
        Ok(exit)
    }

    fn report(&mut self, event: PoolEvent) -> anyhow::Result<()> {
        match event {
            PoolEvent::Started { instance, pid, .. } => {
                tracing::info!(target: logging::POOL, instance, pid, "worker process started")
            }
            PoolEvent::Exited { instance, exit: supervisor::Exit::Status(0), .. } => {
                tracing::info!(target: logging::POOL, instance, "worker process ended")
            }
            PoolEvent::Exited { instance, exit, .. } => {
                tracing::warn!(target: logging::POOL, instance, %exit, "worker process ended")
            }
            PoolEvent::Restarting { instance, after, .. } => {
                let after = HumanDuration(after);
                tracing::info!(target: logging::POOL, instance, %after, "restarting")
            }
            PoolEvent::Ready { workers } => output::print(&format!("ready {workers} workers"))?,
            PoolEvent::CrashLooping { crash_loop, last_lines } => {
                let output = last_output(&last_lines);
                tracing::error!(target: logging::POOL, "{crash_loop}. The pool retries it every 10s; its other workers serve.{output}");
            }
            PoolEvent::RolloutFinished { outcome, last_lines } => report_rollout(&outcome, &last_lines),
            PoolEvent::GaveUp { crash_loop, last_lines } => {
                self.failure = Some(Exit::GaveUp.because(anyhow!("{crash_loop}.{}", last_output(&last_lines))));
            }
            other => tracing::debug!(target: logging::POOL, ?other, "pool event"),
        }
        Ok(())
    }
}

/// Returns the limits at which workers are recycled.
fn recycle(given: &PoolSettings) -> RecyclePolicy {
    let number = |setting: &Option<Sourced<usize>>| setting.as_ref().map(|setting| setting.value as u64);
    RecyclePolicy { calls: number(&given.recycle_calls), rss: number(&given.recycle_rss) }
}

/// Logs how a rollout ended: as an error, if it was rolled back.
fn report_rollout(outcome: &RolloutOutcome, last_lines: &[String]) {
    let rollout = outcome.id.0;
    match &outcome.rolled_back {
        None => tracing::info!(target: logging::POOL, rollout, "the new workers have replaced the old ones"),
        Some(why) if last_lines.is_empty() => {
            tracing::error!(target: logging::POOL, rollout, "rolled back, the old workers stay: {why}")
        }
        Some(why) => {
            let output = last_output(last_lines);
            tracing::error!(target: logging::POOL, rollout, "rolled back, the old workers stay: {why}.{output}");
        }
    }
}

/// Formats the last output of a process, to be appended to a sentence about the process.
fn last_output(last_lines: &[String]) -> String {
    let lines: String = last_lines.iter().map(|line| format!("\n  {line}")).collect();
    let intro = if lines.is_empty() { " It printed nothing." } else { " Its last output:" };
    format!("{intro}{lines}")
}
