//! `callboard internal bench-client`: one client process of the bench.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use callboard::{Client, curve_keys_from_environment};
use clap::Args;
use futures::future::join_all;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::echo::Message;
use crate::command::output::{self, exit::Exit};

/// The largest latency: a minute. Latencies have three significant digits.
const LATENCY_US_MAX: u64 = 60_000_000;

/// One client process of the bench
#[derive(Debug, Args)]
pub(crate) struct BenchClient {
    #[arg(long)]
    frontend: String,
    #[arg(long)]
    window: u32,
    #[arg(long)]
    size: usize,
    #[arg(long)]
    seconds: u64,
}

/// The measurements of one client process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    /// Latencies in microseconds, with the number of calls of each.
    pub(crate) latencies: Vec<(u64, u64)>,
}

/// The counters that the callers of one process share.
struct Tally {
    calls: u64,
    errors: u64,
    latencies: Histogram<u64>,
    end: Instant,
}

impl BenchClient {
    /// Runs one client process: connects, prints `ready`, waits for a line on stdin, makes calls for the given time,
    /// prints its measurements, and waits for another line.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let mut client = Client::builder(&self.frontend);
        if let Some(keys) = curve_keys_from_environment()? {
            client = client.curve(keys);
        }
        let client = client.connect().await?;
        self.call_for(&client, Duration::from_millis(200)).await?;
        output::print("ready")?;
        let mut input = BufReader::new(tokio::io::stdin());
        anyhow::ensure!(input.read_line(&mut String::new()).await? > 0, "the bench has ended");
        let mut line = String::new();
        let tally = tokio::select! {
            // Dropped only when the process ends.
            tally = self.call_for(&client, Duration::from_secs(self.seconds)) => tally?,
            // Cancelling may lose part of a line, but no line is written before the end of the bench.
            _ = input.read_line(&mut line) => anyhow::bail!("the bench has ended"),
        };
        let recorded = tally.latencies.iter_recorded();
        let latencies = recorded.map(|value| (value.value_iterated_to(), value.count_since_last_iteration())).collect();
        let measured = Measured { calls: tally.calls, errors: tally.errors, latencies };
        output::print(&serde_json::to_string(&measured)?)?;
        // The bench reads its memory usage before it ends.
        input.read_line(&mut String::new()).await?;
        Ok(Exit::Success)
    }

    /// Keeps a window of calls outstanding for `span`.
    async fn call_for(&self, client: &Client, span: Duration) -> anyhow::Result<Tally> {
        let latencies = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?;
        let tally = Tally { calls: 0, errors: 0, latencies, end: Instant::now() + span };
        let tally = Rc::new(RefCell::new(tally));
        join_all((0..self.window).map(|caller| self.caller(client, caller, &tally))).await;
        let tally = Rc::into_inner(tally).context("the callers have ended and dropped their references")?;
        Ok(tally.into_inner())
    }

    /// Makes one call after another.
    async fn caller(&self, client: &Client, caller: u32, tally: &RefCell<Tally>) {
        let payload = vec![0x5a; self.size];
        let mut message = Message { id: u64::from(caller) << 40, name: "0123456789abcdef".to_owned(), payload };
        let end = tally.borrow().end;
        let mut started = Instant::now();
        while started < end {
            message.id += 1;
            let answer: Result<Message, _> = client.call("bench.echo", (&message,)).await;
            let ended = Instant::now();
            let mut tally = tally.borrow_mut();
            tally.calls += 1;
            tally.errors += u64::from(!answer.is_ok_and(|answer| answer == message));
            let micros = u64::try_from((ended - started).as_micros()).unwrap_or(u64::MAX);
            tally.latencies.saturating_record(micros.max(1));
            started = ended;
        }
    }
}
