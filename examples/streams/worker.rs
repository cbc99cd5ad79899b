//! A worker with streaming methods in each direction, and one method that reports progress.
//!
//! ```text
//! callboard broker &
//! cargo run --example streams-worker &
//! callboard call numbers.count 3
//! ```

#[path = "../common/program.rs"]
mod program;

use std::{process::ExitCode, time::Duration};

use callboard::{Context, Error, Incoming, Outgoing, Service, Worker, WorkerError};
use futures::{Stream, StreamExt, stream};

/// A server stream: sends the numbers from 1 to `to`, as fast as the caller reads them.
async fn count(to: u64) -> Outgoing<impl Stream<Item = u64>> {
    Outgoing::new(stream::iter(1..=to))
}

/// A server stream of the newest items: a slow caller skips some numbers.
async fn newest(to: u64) -> Outgoing<impl Stream<Item = u64>> {
    Outgoing::conflated(stream::iter(1..=to))
}

/// A client stream: returns the sum of the caller's numbers.
async fn sum(mut numbers: Incoming<i64>) -> Result<i64, Error> {
    let mut sum = 0;
    while let Some(number) = numbers.next().await {
        sum += number?;
    }
    Ok(sum)
}

/// A bidirectional stream: sends the running sum after each number, starting at `start`.
async fn sums(start: i64, numbers: Incoming<i64>) -> Outgoing<impl Stream<Item = Result<i64, Error>>> {
    Outgoing::new(numbers.scan(start, |sum, number| {
        let next = number.map(|number| {
            *sum += number;
            *sum
        });
        async move { Some(next) }
    }))
}

/// A bidirectional stream: sends twice each number.
async fn twice(numbers: Incoming<i64>) -> Outgoing<impl Stream<Item = Result<i64, Error>>> {
    Outgoing::new(numbers.map(|number| Ok(number? * 2)))
}

/// Ticks until the call is cancelled, and prints that.
async fn ticks() -> Outgoing<impl Stream<Item = u64>> {
    struct OnDrop;
    impl Drop for OnDrop {
        fn drop(&mut self) {
            println!("the caller of ticks is gone");
        }
    }
    let on_drop = OnDrop;
    Outgoing::new(stream::iter(0..).then(move |tick| {
        let _ = &on_drop;
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            tick
        }
    }))
}

/// Takes `steps` steps, and reports the progress.
async fn walk(context: Context, steps: u64) -> u64 {
    for step in 1..=steps {
        context.progress(step, steps, "walking");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    steps
}

#[tokio::main]
async fn main() -> ExitCode {
    program::worker("Serves streams of numbers: numbers.count, newest, sum, sums, twice, ticks and walk.", serve).await
}

async fn serve() -> Result<(), WorkerError> {
    let numbers = Service::new("numbers")
        .read("count", ["to"], count)
        .read("newest", ["to"], newest)
        .read("sum", [], sum)
        .read("sums", ["start"], sums)
        .read("twice", [], twice)
        .read("ticks", [], ticks)
        .read("walk", ["steps"], walk);
    Worker::new().serve(numbers).run().await
}
