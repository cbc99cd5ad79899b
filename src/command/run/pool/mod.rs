//! `callboard pool`: starts and supervises worker processes.

mod control_service;
mod controller;
mod load_client;
mod missing_workers;
pub(crate) mod sizing;

use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use callboard::{
    RunningWorker,
    pool::{self as supervisor, PoolEvent, RecyclePolicy, RolloutOutcome},
};
use clap::Args;

use self::{controller::Steward, load_client::Lookout, sizing::Sizing};
use crate::{
    command::{
        output::{self, exit::Exit},
        process::{child, signals::StopSignals},
    },
    settings::{Flags, PoolSettings, Settings, Sourced},
};

/// How long the pool itself may take to say goodbye once its workers are gone.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// Shown below `callboard pool --help`.
const AFTER_HELP: &str = "\
When all workers have registered, one line on stdout says so: ready 4 workers
A worker that ends is started again; one that ends 5 times within 10 s ends the pool with exit code 4, or is tried
every 10 s where others of the pool serve.
`callboard scale`, `reload` and `status` act on it from anywhere that reaches the broker, within --min and --max.
Without --name a pool is called as its program, or as the script that an interpreter runs, with _ for what is no letter
or digit: that of ./calculator-worker is calculator_worker.

Each worker finds CALLBOARD_BACKEND, CALLBOARD_POOL, CALLBOARD_POOL_PID and CALLBOARD_INSTANCE in its environment, and
CALLBOARD_AUTHKEY if the pool has a key.

Examples:
  callboard pool -n 4 -- ./calculator-worker
  callboard pool --name sums -n 2 -- python3 sums.py --fast
Any program may be run like this; the library by which a program becomes a worker is for Rust, so far.";

/// Start worker processes of a program, and start those again that end
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Pool {
    /// Name the pool [default: the program's file name]
    #[arg(long)]
    name: Option<String>,
    /// Keep this many worker processes running [default: 4]
    #[arg(short = 'n', value_name = "NUMBER")]
    size: Option<String>,
    /// Let nobody ask for fewer [default: 1]; without -n the load says how many there are
    #[arg(long, value_name = "NUMBER")]
    min: Option<String>,
    /// Let nobody ask for more [default: four times -n]; without -n the load says how many there are
    #[arg(long, value_name = "NUMBER")]
    max: Option<String>,
    /// Connect to the broker here [default: tcp://127.0.0.1:5560]
    #[arg(long, value_name = "URL")]
    backend: Option<String>,
    /// Let running calls finish for this long when asked to stop [default: 30s]
    #[arg(long, value_name = "DURATION")]
    drain: Option<String>,
    /// Prove the first key of this file (or of CALLBOARD_AUTHKEY) to the broker, and so do the workers
    #[arg(long, value_name = "FILE")]
    authkey_file: Option<String>,
    /// Keep the old workers if new ones have not registered after this long [default: 60s]
    #[arg(long, alias = "ready", value_name = "DURATION")]
    startup_timeout: Option<String>,
    /// Let the new workers of a reload serve beside the old ones for this long [default: 2s]
    #[arg(long, alias = "trial", value_name = "DURATION")]
    canary_period: Option<String>,
    /// Exchange a worker for a new one after this many calls
    #[arg(long, value_name = "NUMBER")]
    recycle_calls: Option<String>,
    /// Exchange a worker for a new one when it holds so much memory
    #[arg(long, value_name = "SIZE")]
    recycle_rss: Option<String>,
    /// The program, and its arguments
    #[arg(required = true, trailing_var_arg = true, value_names = ["PROGRAM", "ARG"])]
    pub(crate) program: Vec<std::ffi::OsString>,
}

impl Pool {
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        Flags::default()
            .with("--name", self.name.as_ref())
            .with("-n", self.size.as_ref())
            .with("--backend", self.backend.as_ref())
            .with("--min", self.min.as_ref())
            .with("--max", self.max.as_ref())
            .with("--drain", self.drain.as_ref())
            .with("--authkey-file", self.authkey_file.as_ref())
            .with("--startup-timeout", self.startup_timeout.as_ref())
            .with("--canary-period", self.canary_period.as_ref())
            .with("--recycle-calls", self.recycle_calls.as_ref())
            .with("--recycle-rss", self.recycle_rss.as_ref())
    }

    /// Runs a pool until it is asked to stop.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        // Caught first: nothing that is started from here on is left behind.
        let signals = StopSignals::catch()?;
        let sizing = Sizing::of(&settings.pool)?;
        let recycle = recycle(&settings.pool);
        let settings = self.pool_settings(settings.pool, sizing)?;
        let (name, backend, drain) = (settings.name.clone(), settings.backend.clone(), settings.drain);
        // Its program is looked for first, its name taken next: nothing runs under a name that is another's.
        supervisor::find_program(&settings.program).map_err(|error| Exit::GaveUp.because(error))?;
        let authkey = settings.authkey.clone();
        let (worker, tell) = control_service::take_name(&name, &backend, authkey.clone(), sizing.autoscale).await?;
        let lookout = Arc::new(Lookout::new(name, authkey, worker.state_reader()));
        let pool = supervisor::Pool::start(settings).map_err(|error| Exit::GaveUp.because(error))?;
        tell.of(pool.control(), Arc::clone(&lookout));
        let steward = Steward::new(lookout, pool.control(), sizing.autoscale, recycle);
        Running { pool, worker, drain, signals, verdict: None }.supervise(steward).await
    }

    fn pool_settings(&self, given: PoolSettings, sizing: Sizing) -> anyhow::Result<supervisor::PoolSettings> {
        let (program, arguments) = self.program.split_first().context("a pool needs a program")?;
        let shim = child::shim();
        let backend = given.backend.value;
        let mut settings = supervisor::PoolSettings::new(program, arguments.to_vec(), backend, shim);
        settings.size = sizing.size;
        settings.bounds = sizing.bounds;
        settings.drain = given.drain.value;
        settings.authkey = given.authkey.keys()?.map(|keys| keys.first().clone());
        settings.startup_timeout = given.startup_timeout.value;
        settings.canary_period = given.canary_period.value;
        if let Some(name) = given.name {
            settings.name = name.value;
        }
        Ok(settings)
    }
}

/// A pool that runs.
struct Running {
    pool: supervisor::Pool,
    worker: RunningWorker,
    drain: Duration,
    signals: StopSignals,
    /// Why it gave up, if it did.
    verdict: Option<anyhow::Error>,
}

impl Running {
    /// Lives until the last worker process has ended.
    async fn supervise(mut self, steward: Steward) -> anyhow::Result<Exit> {
        let mut watching = pin!(steward.run());
        let mut exit = Exit::Fine;
        let (mut refused, mut asked) = (None, false);
        loop {
            tokio::select! {
                // Cancel safe: no event is lost.
                event = self.pool.event() => match event {
                    Some(PoolEvent::Finished) => break,
                    Some(event) => self.tell(event)?,
                    None => return Err(Exit::GaveUp.because(anyhow!("the pool ended by a fault of its own"))),
                },
                // Cancel safe: no signal is lost.
                signal = self.signals.next() => {
                    // Whoever asks a second time does not want to wait.
                    let within = if std::mem::replace(&mut asked, true) { Duration::ZERO } else { self.drain };
                    exit = signal;
                    self.pool.control().shutdown(within).await;
                }
                // Cancel safe until it has returned, and not polled after that.
                ended = self.worker.stopped(), if refused.is_none() => {
                    refused = Some(control_service::refused(ended));
                    self.pool.control().shutdown(self.drain).await;
                }
                // Never ends.
                () = &mut watching => {}
            }
        }
        self.leave(exit, refused).await
    }

    /// Leaves the broker, and says how it ended.
    async fn leave(mut self, exit: Exit, refused: Option<anyhow::Error>) -> anyhow::Result<Exit> {
        if let Some(error) = self.verdict.or(refused) {
            return Err(error);
        }
        self.worker.shutdown(LEAVE_MAX).await;
        // It leaves within that time, or is cut off by the end of this process.
        let _ = self.worker.stopped().await;
        Ok(exit)
    }

    fn tell(&mut self, event: PoolEvent) -> anyhow::Result<()> {
        match event {
            PoolEvent::Started { instance, pid, .. } => tracing::info!(instance, pid, "worker process started"),
            PoolEvent::Exited { instance, exit: supervisor::Exit::Status(0), .. } => {
                tracing::info!(instance, "worker process ended")
            }
            PoolEvent::Exited { instance, exit, .. } => tracing::warn!(instance, %exit, "worker process ended"),
            PoolEvent::Restarting { instance, after, .. } => tracing::info!(instance, ?after, "starting another"),
            PoolEvent::Ready { workers } => output::print(&format!("ready {workers} workers"))?,
            PoolEvent::CrashLooping { crash_loop, last_lines } => {
                let words = last_words(&last_lines);
                tracing::error!("{crash_loop}. It is tried again every 10 s, and the others serve on.{words}");
            }
            PoolEvent::RolloutFinished { outcome, last_lines } => tell_exchange(&outcome, &last_lines),
            PoolEvent::GaveUp { crash_loop, last_lines } => {
                self.verdict = Some(Exit::GaveUp.because(anyhow!("{crash_loop}.{}", last_words(&last_lines))));
            }
            other => tracing::debug!(?other, "pool"),
        }
        Ok(())
    }
}

/// When a worker is too old.
fn recycle(given: &PoolSettings) -> RecyclePolicy {
    let number = |setting: &Option<Sourced<usize>>| setting.as_ref().map(|setting| setting.value as u64);
    RecyclePolicy { calls: number(&given.recycle_calls), rss: number(&given.recycle_rss) }
}

/// Says how an exchange of processes ended: loudly, if it changed nothing.
fn tell_exchange(outcome: &RolloutOutcome, last_lines: &[String]) {
    let exchange = outcome.id.0;
    match &outcome.rolled_back {
        None => tracing::info!(exchange, "the new workers have taken over"),
        Some(why) if last_lines.is_empty() => tracing::error!(exchange, "rolled back, the old workers stay: {why}"),
        Some(why) => {
            let words = last_words(last_lines);
            tracing::error!(exchange, "rolled back, the old workers stay: {why}.{words}");
        }
    }
}

/// What a process printed last, as the end of a sentence on it.
fn last_words(last_lines: &[String]) -> String {
    let lines: String = last_lines.iter().map(|line| format!("\n  {line}")).collect();
    let said = if lines.is_empty() { " It printed nothing." } else { " The last lines that it printed:" };
    format!("{said}{lines}")
}
