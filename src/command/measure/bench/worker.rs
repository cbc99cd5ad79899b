//! `callboard internal bench-worker`: workers of the bench, one on each thread of a process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use callboard::{Error, Incoming, Outgoing, Reply, Service, Stream, Worker};
use clap::Args;
use futures::{StreamExt as _, stream};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

use super::{
    super::echo::{Message, echo},
    input::Input,
    parameters::Work,
    threads,
};
use crate::command::output::{self, exit::Exit};

/// The time that running calls have at the end of a measurement.
const DRAIN: Duration = Duration::from_secs(5);

/// Serve the methods that bench calls
#[derive(Debug, Args)]
pub(crate) struct BenchWorker {
    /// Workers
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// The time that each handler takes
    #[arg(long, default_value = "none")]
    work: Work,
    /// Slots of each worker
    #[arg(long)]
    slots: u32,
    /// Run the connection on the runtime of the handlers
    #[arg(long)]
    inline: bool,
    /// Connect after a line on standard input
    #[arg(long)]
    wait: bool,
    /// Ignore standard input: a pool ends this process
    #[arg(long)]
    in_pool: bool,
}

impl BenchWorker {
    /// Runs the workers: prints `ready` when all have registered, outside of a pool, and ends at SIGTERM or at the end of standard input.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut input = Input::start()?;
        if self.wait {
            input.line().await?;
        }
        let (stop, stopped) = watch::channel(false);
        let (reports, mut reported) = mpsc::channel(1);
        self.start(stopped, reports)?;
        for _ in 0..self.threads {
            reported.recv().await.unwrap_or(Ok(()))?;
        }
        if !self.in_pool {
            output::print("ready")?;
        }
        tokio::select! {
            // All are cancel safe.
            _ = terminate.recv() => {}
            _ = input.line(), if !self.in_pool => {}
            failed = reported.recv() => if let Some(Err(error)) = failed { return Err(error) },
        }
        let _ = stop.send(true);
        stopped_all(reported).await;
        Ok(Exit::Success)
    }

    /// Starts a worker on each thread. Each reports `Ok` when it has registered, or its error.
    fn start(&self, stop: watch::Receiver<bool>, reports: mpsc::Sender<anyhow::Result<()>>) -> anyhow::Result<()> {
        let (work, slots, inline, failures) = (self.work, self.slots, self.inline, reports.clone());
        let program = move |_| {
            let worker = Worker::new().serve(service(work, slots));
            serve(if inline { worker.inline() } else { worker }, stop.clone(), reports.clone())
        };
        threads::start("worker", self.threads, program, move |error| {
            // Fails if the process is ending.
            let _ = failures.blocking_send(Err(error));
        })?;
        Ok(())
    }
}

/// Waits until each worker has dropped its sender.
async fn stopped_all(mut reported: mpsc::Receiver<anyhow::Result<()>>) {
    while reported.recv().await.is_some() {}
}

/// Runs one worker.
async fn serve(
    worker: Worker,
    mut stop: watch::Receiver<bool>,
    reports: mpsc::Sender<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut worker = worker.start()?;
    worker.registered().await?;
    let _ = reports.send(Ok(())).await;
    tokio::select! {
        // Cancel safe: both only wait.
        _ = stop.changed() => worker.shutdown(DRAIN).await,
        ended = worker.stopped() => return Ok(ended?),
    }
    Ok(worker.stopped().await?)
}

/// Returns the bench's service.
fn service(work: Work, slots: u32) -> Service {
    let casts = Arc::new(Mutex::new(BTreeMap::<u64, u64>::new()));
    let counted = Arc::clone(&casts);
    let ran = move |client: u64| lock(&counted).get(&client).copied().unwrap_or_default();
    Service::new("bench")
        .slots(slots)
        .read("echo", ["message"], move |message: Message| worked(work, message))
        .read("cast", ["message"], move |message: Message| count_cast(work, Arc::clone(&casts), message))
        .read("casts_run", ["client"], ran)
        .read("send", ["items", "message"], move |items: u64, message: Message| send(work, items, message))
        .read("receive", [], move |items: Incoming<Message>| receive(work, items))
        .read("exchange", [], move |items: Incoming<Message>| exchange(work, items))
}

/// Returns its argument.
async fn worked(work: Work, message: Message) -> Reply<Message> {
    take_time(work).await;
    echo(message).await
}

/// Counts a cast of the client whose number the message has as its id.
async fn count_cast(work: Work, casts: Arc<Mutex<BTreeMap<u64, u64>>>, message: Message) {
    take_time(work).await;
    *lock(&casts).entry(message.id).or_default() += 1;
}

/// Sends `items` copies of the message with their numbers as ids.
async fn send(work: Work, items: u64, message: Message) -> Outgoing<impl Stream<Item = Reply<Message>>> {
    take_time(work).await;
    Outgoing::new(stream::iter(0..items).map(move |id| Reply(Message { id, ..message.clone() })))
}

/// Returns the number of received items.
async fn receive(work: Work, mut items: Incoming<Message>) -> Result<u64, Error> {
    take_time(work).await;
    let mut received = 0;
    while let Some(item) = items.next().await {
        item?;
        received += 1;
    }
    Ok(received)
}

/// Sends back each item.
async fn exchange(work: Work, items: Incoming<Message>) -> Outgoing<Incoming<Message>> {
    take_time(work).await;
    Outgoing::new(items)
}

async fn take_time(work: Work) {
    match work {
        Work::None => {}
        Work::Spin(time) => {
            let end = Instant::now() + time;
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        }
        Work::Sleep(time) => tokio::time::sleep(time).await,
    }
}

/// Locks the counters. No handler panics while it holds the lock.
fn lock(casts: &Mutex<BTreeMap<u64, u64>>) -> std::sync::MutexGuard<'_, BTreeMap<u64, u64>> {
    casts.lock().unwrap_or_else(PoisonError::into_inner)
}
