//! A key-value store: plain functions under names. It stops on Ctrl-C, and on Enter if it was started by hand.
//!
//! ```text
//! callboard broker &
//! cargo run --example kvs-worker
//! callboard call kvs.put a 10
//! callboard call kvs.get a
//! ```
//!
//! Each worker has its own store in memory. With several workers, set an affinity key: all calls of one key go to one worker.
//!
//! ```text
//! cargo build --example kvs-worker
//! callboard pool -n 4 -- target/debug/examples/kvs-worker
//! callboard call kvs.put a 10 --key a
//! callboard call kvs.get a --key a
//! ```

#[path = "../common/program.rs"]
mod program;

use std::{
    collections::BTreeMap,
    env, io,
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use callboard::{Code, Error, Reply, RunningWorker, Service, Worker, WorkerError};
use ciborium::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// How long running calls can continue after the store was asked to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// A map from text to any value. Each operation holds one lock, so that concurrent calls do not interfere.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<BTreeMap<String, Value>>>);

impl Store {
    /// Returns the value, or null.
    fn get(&self, k: &str) -> Reply<Option<Value>> {
        Reply(self.values().get(k).cloned())
    }

    fn put(&self, k: String, v: Value) {
        self.values().insert(k, v);
    }

    /// Adds one and returns the new value. A missing value counts as 0.
    fn inc(&self, k: String) -> Result<i64, Error> {
        let mut values = self.values();
        let value = values.entry(k).or_insert_with(|| 0.into());
        let number = value.as_integer().and_then(|number| i64::try_from(number).ok());
        let more = number.and_then(|number| number.checked_add(1));
        let more = more.ok_or_else(|| {
            Error::new(Code::FailedPrecondition, "there is no number to increment: put a number first")
        })?;
        *value = more.into();
        Ok(more)
    }

    /// Locks the store. No code panics while it holds the lock, so the values are consistent even if the lock is poisoned.
    fn values(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_service(self) -> Service {
        let [get, put, inc] = [self.clone(), self.clone(), self];
        Service::new("kvs")
            .read("get", ["k"], move |k: String| get.get(&k))
            .idempotent("put", ["k", "v"], move |k, v| put.put(k, v))
            .once("inc", ["k"], move |k| inc.inc(k))
            .read("uname", [], uname)
    }
}

/// Returns the operating system of the worker's machine, which shows where the code ran.
fn uname() -> Reply<BTreeMap<&'static str, String>> {
    let system = rustix::system::uname();
    let parts = [("sysname", system.sysname()), ("nodename", system.nodename()), ("release", system.release())];
    Reply(parts.map(|(name, text)| (name, text.to_string_lossy().into_owned())).into())
}

#[tokio::main]
async fn main() -> ExitCode {
    program::worker(
        "Serves a key-value store in memory: kvs.get, kvs.put, kvs.inc and kvs.uname. Enter or Ctrl-C stops it.",
        serve,
    )
    .await
}

async fn serve() -> Result<(), WorkerError> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut worker: RunningWorker = Worker::new().serve(Store::default().into_service()).start()?;
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
        () = enter() => {}
        result = worker.stopped() => return result,
    }
    worker.shutdown(DRAIN).await;
    worker.stopped().await
}

/// Waits for a line on standard input. Without a terminal, as in a pool, it waits forever: end-of-file does not count as Enter.
async fn enter() {
    let (sender, receiver) = oneshot::channel();
    if env::var_os("CALLBOARD_POOL").is_none() {
        // On a thread of its own: a read that does not return must not keep the runtime from shutting down.
        std::thread::spawn(move || {
            if io::stdin().read_line(&mut String::new()).is_ok_and(|read| read > 0) {
                let _ = sender.send(());
            }
        });
    }
    if receiver.await.is_err() {
        std::future::pending::<()>().await;
    }
}
