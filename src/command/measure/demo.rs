//! `callboard demo`: runs the whole system at once.

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use callboard::{CallError, Client};
use clap::Args;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};

use super::echo::Square;
use crate::{
    command::{
        output::{self, exit::Exit, table},
        process::child::{self, Child, QUIET},
    },
    settings::Settings,
};

/// Shown below `callboard demo --help`.
const AFTER_HELP: &str = "\
It uses private addresses, leaves no process or file behind, and checks every result: exit code 0 means that all were right.";

/// The number of calls.
const CALLS: u64 = 10_000;
/// The number of worker processes.
const WORKERS: &str = "4";
/// The address with a port that the system chooses.
const ANY_PORT: &str = "tcp://127.0.0.1:0";
/// The largest latency: a minute.
const LATENCY_US_MAX: u64 = 60_000_000;
/// The interval at which the progress bar is drawn.
const DRAW_INTERVAL: Duration = Duration::from_millis(50);

/// Start a broker, a pool of 4 worker processes and a client, and make 10,000 calls with callbacks
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Demo {}

/// The counters of the callbacks.
struct Tally {
    ended: u64,
    wrong: u64,
    first_error: Option<CallError>,
    by_process: BTreeMap<u32, u64>,
    latencies: Histogram<u64>,
    last: Instant,
}

impl Demo {
    /// Runs the demo.
    pub(crate) async fn run(self, _settings: Settings) -> anyhow::Result<Exit> {
        let mut broker = Child::start(["broker", "--frontend", ANY_PORT, "--backend", ANY_PORT], QUIET)?;
        let line = broker.line("broker").await?;
        let (frontend, backend) = child::addresses(&line)?;
        output::print(&format!("broker   process {}, clients at {frontend}, workers at {backend}", broker.pid()))?;
        let mut pool = start_pool(backend)?;
        pool.line("pool").await?;
        output::print(&format!("pool     process {}, {WORKERS} worker processes", pool.pid()))?;
        let client = Client::connect(frontend).await?;
        output::print(&format!("client   process {}, {CALLS} calls with callbacks", std::process::id()))?;
        let (elapsed, tally) = make_calls(&client).await?;
        client.close().await?;
        pool.end().await;
        broker.end().await;
        report(elapsed, &tally)
    }
}

fn start_pool(backend: &str) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("cannot find the path of this program")?;
    let program = program.to_str().context("the path of this program is not text")?;
    let pool =
        ["pool", "--name", "demo", "-n", WORKERS, "--backend", backend, "--", program, "internal", "echo-worker"];
    Child::start(pool, QUIET)
}

/// Makes the calls, and waits until each callback has run.
async fn make_calls(client: &Client) -> anyhow::Result<(Duration, Tally)> {
    let started = Instant::now();
    let tally = Arc::new(Mutex::new(Tally::new(started)?));
    let bar = bar();
    for number in 0..CALLS {
        let (counted, made) = (Arc::clone(&tally), Instant::now());
        let callback = move |answer| lock(&counted).count(number, made, answer);
        client.call("demo.square", (number,)).on_complete(callback).await?;
        bar.set_position(ended_of(&tally));
    }
    while ended_of(&tally) < CALLS {
        tokio::time::sleep(DRAW_INTERVAL).await;
        bar.set_position(ended_of(&tally));
    }
    bar.finish_and_clear();
    let tally = std::mem::replace(&mut *lock(&tally), Tally::new(started)?);
    Ok((tally.last - started, tally))
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("calls    {wide_bar} {pos}/{len} {per_sec}");
    ProgressBar::new(CALLS).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Locks the counters. No callback panics while it holds the lock.
fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ended_of(tally: &Mutex<Tally>) -> u64 {
    lock(tally).ended
}

impl Tally {
    fn new(started: Instant) -> anyhow::Result<Tally> {
        let latencies = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?;
        Ok(Tally { ended: 0, wrong: 0, first_error: None, by_process: BTreeMap::new(), latencies, last: started })
    }

    /// Counts and checks a result.
    fn count(&mut self, number: u64, made: Instant, answer: Result<Square, CallError>) {
        self.ended += 1;
        self.last = Instant::now();
        let micros = u64::try_from((self.last - made).as_micros()).unwrap_or(u64::MAX);
        self.latencies.saturating_record(micros);
        match answer {
            Ok(Square { square, pid }) => {
                self.wrong += u64::from(square != number * number);
                *self.by_process.entry(pid).or_default() += 1;
            }
            Err(error) => {
                self.wrong += 1;
                self.first_error.get_or_insert(error);
            }
        }
    }
}

fn report(elapsed: Duration, tally: &Tally) -> anyhow::Result<Exit> {
    let seconds = elapsed.as_secs_f64();
    let rate = tally.ended as f64 / seconds;
    output::print(&format!(
        "\n{} calls answered in {:.0} ms: {rate:.0} calls/s, {} wrong\n",
        tally.ended,
        seconds * 1000.0,
        tally.wrong
    ))?;
    let share = |calls: u64| format!("{:.1} %", 100.0 * calls as f64 / tally.ended.max(1) as f64);
    let rows = tally.by_process.iter().map(|(pid, calls)| [pid.to_string(), calls.to_string(), share(*calls)]);
    output::print(&table::render(["WORKER PROCESS", "CALLS", "SHARE"], rows))?;
    let quantiles = [("half", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("all", 1.0)];
    let latency = |quantile| format!("{:.1} ms", tally.latencies.value_at_quantile(quantile) as f64 / 1000.0);
    let rows = quantiles.map(|(name, quantile)| [name.to_owned(), latency(quantile)]);
    output::print(&format!("\n{}", table::render(["CALLS", "ANSWERED WITHIN"], rows)))?;
    match &tally.first_error {
        Some(error) => Err(Exit::Failed.because(anyhow::anyhow!("a call failed: {error}"))),
        None if tally.wrong > 0 => {
            Err(Exit::CheckFailed.because(anyhow::anyhow!("{} answers were wrong", tally.wrong)))
        }
        None => Ok(Exit::Success),
    }
}
