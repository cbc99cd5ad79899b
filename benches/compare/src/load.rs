//! The load of one client process: the same loop, clock and histogram for all peers.

use std::{
    cell::{Cell, RefCell},
    io::BufRead as _,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::future::join_all;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::message::Message;

/// The largest latency: a minute. Longer ones count as this.
const LATENCY_US_MAX: u64 = 60_000_000;

/// The load of one client.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Outstanding calls
    #[arg(long)]
    pub(crate) window: u32,
    /// Bytes of payload
    #[arg(long)]
    pub(crate) size: usize,
    /// Items of each stream; 0: calls
    #[arg(long)]
    pub(crate) items: u64,
    #[arg(long)]
    pub(crate) seconds: f64,
    #[arg(long)]
    pub(crate) warm_up: f64,
}

/// A connected client of a peer.
pub(crate) trait Echo {
    /// Makes one call, whose result must be the message.
    async fn call(&self, message: Message) -> anyhow::Result<Message>;

    /// Reads a stream of `items` messages, and returns their number.
    async fn items(&self, _items: u64, _size: usize) -> anyhow::Result<u64> {
        anyhow::bail!("this peer has no streams")
    }
}

/// The measurements of one client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Calls or items.
    pub(crate) operations: u64,
    pub(crate) errors: u64,
    pub(crate) elapsed_s: f64,
    /// Microseconds, with the number of calls of each.
    pub(crate) latencies: Vec<(u64, u64)>,
}

struct Tally {
    operations: u64,
    errors: u64,
    latencies: Histogram<u64>,
}

/// Warms up, prints `ready`, waits for a line, measures, prints the measurements, and waits for another line.
///
/// A client has one connection to each server. Its calls take turns on them.
pub(crate) async fn run(clients: Vec<impl Echo>, load: Load) -> anyhow::Result<()> {
    measure(&clients, &load, load.warm_up).await?;
    println!("ready");
    wait_for_line()?;
    let measured = measure(&clients, &load, load.seconds).await?;
    println!("{}", serde_json::to_string(&measured)?);
    // The CPU time of this process is read before it ends.
    wait_for_line()
}

fn wait_for_line() -> anyhow::Result<()> {
    std::io::stdin().lock().lines().next().context("the comparison has ended")??;
    Ok(())
}

async fn measure(clients: &[impl Echo], load: &Load, seconds: f64) -> anyhow::Result<Measured> {
    let latencies = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?;
    let tally = RefCell::new(Tally { operations: 0, errors: 0, latencies });
    let (turn, start) = (Cell::new(0), Instant::now());
    let end = start + Duration::from_secs_f64(seconds);
    join_all((0..load.window).map(|caller| call_until(end, clients, &turn, load, u64::from(caller) << 40, &tally)))
        .await;
    let Tally { operations, errors, latencies } = tally.into_inner();
    let recorded = latencies.iter_recorded();
    let latencies = recorded.map(|value| (value.value_iterated_to(), value.count_since_last_iteration())).collect();
    Ok(Measured { operations, errors, elapsed_s: start.elapsed().as_secs_f64(), latencies })
}

/// Makes one call after another.
async fn call_until(
    end: Instant,
    clients: &[impl Echo],
    turn: &Cell<usize>,
    load: &Load,
    first_id: u64,
    tally: &RefCell<Tally>,
) {
    let mut message = Message::new(first_id, load.size);
    let mut started = Instant::now();
    while started < end {
        turn.set((turn.get() + 1) % clients.len());
        message.id += 1;
        let operations = operate(&clients[turn.get()], load, &message).await;
        let ended = Instant::now();
        let mut tally = tally.borrow_mut();
        match operations {
            Ok(operations) => tally.operations += operations,
            Err(error) if tally.errors == 0 => {
                eprintln!("the first error: {error:#}");
                tally.errors = 1;
            }
            Err(_) => tally.errors += 1,
        }
        let micros = u64::try_from((ended - started).as_micros()).unwrap_or(u64::MAX);
        tally.latencies.saturating_record(micros.max(1));
        started = ended;
    }
}

async fn operate(client: &impl Echo, load: &Load, message: &Message) -> anyhow::Result<u64> {
    if load.items > 0 {
        let received = client.items(load.items, load.size).await?;
        anyhow::ensure!(received == load.items, "{received} of {} items arrived", load.items);
        return Ok(received);
    }
    let result = client.call(message.clone()).await?;
    anyhow::ensure!(result == *message, "a result was wrong");
    Ok(1)
}
