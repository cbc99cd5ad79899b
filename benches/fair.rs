//! The fairness benchmark: how long the calls of a client wait alone, and beside a flooder that calls the same service from many sessions.
//!
//! It runs a broker with a key for each of the two, a worker whose few slots are the bottleneck, and the flooder in its own process
//! (this program again). The client makes calls in bursts, so that its calls wait for each other when it is alone. Beside the flooder
//! it should wait at most three times as long. `core/tests/fairness.rs` proves this in virtual time; these figures include the load
//! of the machine.
//!
//!     cargo bench --bench fair
//!     cargo bench --bench fair -- --sessions 200 --seconds 5

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use callboard::{
    AuthKey, Client, Service, Worker,
    broker::{RunningBroker, Settings},
    core::auth::AuthKeys,
};
use clap::Parser;
use futures::future::{join_all, try_join_all};

const SLOTS: u32 = 4;
/// The duration of a call at the worker.
const CALL_DURATION: Duration = Duration::from_millis(10);
/// Calls that the measured client makes at once.
const BURST: usize = 16;
/// Calls that each session of the flooder keeps outstanding.
const FLOOD: usize = 4;
/// The longest wait beside the flooder, as a multiple of the wait alone.
const RATIO_MAX: f64 = 3.0;

/// Measure how long the calls of a client wait beside a flooder
#[derive(Debug, Parser)]
struct Arguments {
    /// Sessions of the flooder
    #[arg(long, default_value_t = 1_000)]
    sessions: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The address to which the flooder, this program again, connects
    #[arg(long, hide = true)]
    flood: Option<String>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// The flooder's process. Dropping it kills it.
struct Flooder(Child);

impl Drop for Flooder {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match &arguments.flood {
            Some(frontend) => flood(frontend, arguments.sessions).await,
            None => measure(&arguments).await,
        }
    })
}

async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    callboard::broker::gate::raise_file_limit()?;
    let any = "tcp://127.0.0.1:0".parse().context("an address")?;
    let mut settings = Settings::new(any, "tcp://127.0.0.1:0".parse().context("an address")?);
    settings.peers = Some(AuthKeys::new(vec![key("measured")?, key("flooder")?])?.into());
    let broker = RunningBroker::start(settings).await?;
    let pause = Service::new("fair").slots(SLOTS).read("pause", [], async || tokio::time::sleep(CALL_DURATION).await);
    let _worker = Worker::new().backend(broker.backend()).authkey(key("measured")?).serve(pause).start()?;
    let client = Client::builder(broker.frontend()).authkey(key("measured")?).connect().await?;
    let span = Duration::from_secs(arguments.seconds);
    let (alone_half, alone) = waits(&client, span).await?;
    let _flooder = start_flooder(broker.frontend(), arguments.sessions)?;
    let (beside_half, beside) = waits(&client, span).await?;
    let ratio = beside.as_secs_f64() / alone.as_secs_f64();
    println!("waits in bursts of {BURST} calls at {SLOTS} slots, {CALL_DURATION:?} per call");
    println!("alone:                p50 {alone_half:.1?}, p99 {alone:.1?}");
    println!("beside {:>5} sessions: p50 {beside_half:.1?}, p99 {beside:.1?}", arguments.sessions);
    println!("the p99 is {ratio:.2} times as long; limit: {RATIO_MAX}");
    ensure!(ratio <= RATIO_MAX, "the wait is too long; if the machine has other load, measure again");
    Ok(())
}

/// Each client has its own key, so each is a tenant.
fn key(id: &str) -> anyhow::Result<AuthKey> {
    Ok(AuthKey::new(format!("the key of the {id} one"))?.with_id(id)?)
}

/// Returns the median and the 99th percentile of the time that calls wait, without their duration at the worker.
async fn waits(client: &Client, span: Duration) -> anyhow::Result<(Duration, Duration)> {
    let (end, mut waits) = (Instant::now() + span, Vec::new());
    while Instant::now() < end {
        let begun = Instant::now();
        let burst = (0..BURST).map(|_| async {
            client.call::<()>("fair.pause", ()).await?;
            anyhow::Ok(begun.elapsed().saturating_sub(CALL_DURATION))
        });
        waits.extend(try_join_all(burst).await?);
    }
    waits.sort_unstable();
    let place = |percent: usize| waits.get(waits.len() * percent / 100).copied().context("nothing was measured");
    Ok((place(50)?, place(99)?))
}

/// Starts the flooder, and waits until all its sessions make calls.
fn start_flooder(frontend: &str, sessions: usize) -> anyhow::Result<Flooder> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--flood", frontend, "--sessions", &sessions.to_string()]).stdout(Stdio::piped());
    let mut flooder = Flooder(command.spawn()?);
    let mut line = String::new();
    BufReader::new(flooder.0.stdout.take().context("the flooder has no stdout")?).read_line(&mut line)?;
    ensure!(line.trim() == "flooding", "the flooder ended");
    Ok(flooder)
}

async fn flood(frontend: &str, sessions: usize) -> anyhow::Result<()> {
    callboard::broker::gate::raise_file_limit()?;
    let mut clients = Vec::new();
    for _ in 0..sessions {
        clients.push(Client::builder(frontend).authkey(key("flooder")?).no_timeout().connect().await?);
    }
    println!("flooding");
    let calls = clients.iter().flat_map(|client| (0..FLOOD).map(move |_| client));
    join_all(calls.map(|client| async { while client.call::<()>("fair.pause", ()).await.is_ok() {} })).await;
    Ok(())
}
